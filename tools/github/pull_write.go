package github

import (
	"context"
	"fmt"
	"net/http"

	"github.com/latchkey-mcp/latchkey/tools"
)

func writePullRequest() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_write_pull_request",
		Title:       "Open or change a pull request",
		Description: "Open a pull request on GitHub or, with number, change that one. Not for labels (github_write_issue).",
		Can:         "Open pull requests in your name, and change the title, text, base and state of pull requests",
		Provider:    provider,
		Scopes:      []string{scope},
		Destructive: true, // a changed text replaces the one before
		Egress: []tools.Rule{
			{Method: http.MethodPost, Host: host, Path: "/repos/{owner}/{repo}/pulls"},
			{Method: http.MethodPatch, Host: host, Path: "/repos/{owner}/{repo}/pulls/{number}"},
		},
	}, writePull)
}

type writePullInput struct {
	Repo   string  `json:"repo" jsonschema:"owner/name"`
	Number int     `json:"number,omitempty" jsonschema:"only to change one" minimum:"1"`
	Title  *string `json:"title,omitempty" jsonschema:"needed to open"`
	Body   *string `json:"body,omitempty" jsonschema:"Markdown"`
	Head   string  `json:"head,omitempty" jsonschema:"branch, or owner:branch of a fork; needed to open"`
	Base   string  `json:"base,omitempty" jsonschema:"branch; needed to open"`
	Draft  *bool   `json:"draft,omitempty" jsonschema:"only to open"`
	State  string  `json:"state,omitempty" jsonschema:"only to change" enum:"open,closed"`
}

type writePullOutput struct {
	Number  int    `json:"number"`
	State   string `json:"state"`
	HeadSHA string `json:"head_sha"`
	URL     string `json:"url"`
}

// A pullState is what the writing tools read of a pull request.
type pullState struct {
	Number         int    `json:"number"`
	State          string `json:"state"`
	Draft          bool   `json:"draft"`
	Merged         bool   `json:"merged"`
	MergeableState string `json:"mergeable_state"`
	HTMLURL        string `json:"html_url"`
	Head           struct {
		SHA string `json:"sha"`
	} `json:"head"`
}

func writePull(ctx context.Context, api *http.Client, in writePullInput) (writePullOutput, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return writePullOutput{}, err
	}
	if err := in.check(); err != nil {
		return writePullOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return writePullOutput{}, err
	}
	method, path, about := http.MethodPost, repo.path("pulls"), "The repository "+in.Repo
	if in.Number != 0 {
		method, path, about = http.MethodPatch, repo.path("pulls", in.Number), pullNamed(in.Repo, in.Number)
	}
	var out pullState
	if _, err := send(ctx, client, method, path, in.body(), &out); err != nil {
		return writePullOutput{}, writeFault(ctx, err, about, lookForPull)
	}
	if out.Number == 0 {
		return writePullOutput{}, unclear(lookForPull)
	}
	return writePullOutput{out.Number, out.State, out.Head.SHA, out.HTMLURL}, nil
}

const lookForPull = "look with github_list_pull_requests"

// check holds what the schema can't say: which arguments go together.
func (in writePullInput) check() error {
	switch {
	case in.Number == 0 && (in.Title == nil || in.Head == "" || in.Base == ""):
		return told("To open a pull request, give title, head and base. To change one, give its number.")
	case blank(in.Title):
		return told("The title is blank: give it words.")
	case in.Number == 0 && in.State != "":
		return told("A new pull request is open: leave state out, or give the number of the one to change.")
	case in.Number != 0 && in.Head != "":
		return told("The head of a pull request can't be changed: leave head out, or open another one.")
	case in.Number != 0 && in.Draft != nil:
		return told("Only a new pull request can be made a draft here. A person can switch pull request %d on its page.", in.Number)
	case in.Number != 0 && in.Title == nil && in.Body == nil && in.Base == "" && in.State == "":
		return told("Nothing to change in pull request %d: give a title, body, base or state.", in.Number)
	}
	return nil
}

// body is what GitHub gets; what is left out stays as it is.
func (in writePullInput) body() any {
	return struct {
		Title *string `json:"title,omitempty"`
		Body  *string `json:"body,omitempty"`
		Head  string  `json:"head,omitempty"`
		Base  string  `json:"base,omitempty"`
		Draft *bool   `json:"draft,omitempty"`
		State string  `json:"state,omitempty"`
	}{in.Title, in.Body, in.Head, in.Base, in.Draft, in.State}
}

// pullNamed is a pull request as a sentence's beginning.
func pullNamed(repo string, number int) string {
	return fmt.Sprintf("Pull request %d of %s", number, repo)
}
