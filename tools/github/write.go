package github

import (
	"context"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

func writeIssue() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "github_write_issue",
		Title: "Create or change an issue",
		Description: "Create an issue in a GitHub repository or, with number, change that one's title, body, state or " +
			"labels. Everyone with access reads it, in the account's name. Not for comments or pull requests.",
		Can:         "Create issues in your name, and change the title, text, labels and state of issues and pull requests",
		Provider:    provider,
		Scopes:      []string{scope},
		Destructive: true, // a changed text or label replaces the one before
		Egress: []tools.Rule{
			{Method: http.MethodPost, Host: host, Path: "/repos/{owner}/{repo}/issues"},
			{Method: http.MethodPatch, Host: host, Path: "/repos/{owner}/{repo}/issues/{number}"},
		},
	}, write)
}

type writeInput struct {
	Repo   string   `json:"repo" jsonschema:"owner/name"`
	Number int      `json:"number,omitempty" jsonschema:"the issue to change; leave it out to create one" minimum:"1" maximum:"2147483647"`
	Title  *string  `json:"title,omitempty" jsonschema:"needed to create one" minLength:"1" maxLength:"256"`
	Body   *string  `json:"body,omitempty" jsonschema:"Markdown; replaces the text before" maxLength:"65536"`
	State  string   `json:"state,omitempty" jsonschema:"only to change one" enum:"open,closed"`
	Labels []string `json:"labels,omitempty" jsonschema:"replaces all labels; an empty list takes them off" maxItems:"20" minLength:"1" maxLength:"50"`
}

type writeOutput struct {
	Created   bool     `json:"created"`
	Repo      string   `json:"repo"`
	Number    int      `json:"number"`
	Title     string   `json:"title"`
	State     string   `json:"state"`
	Labels    []string `json:"labels"`
	URL       string   `json:"url"`
	Untrusted string   `json:"untrusted"`
}

func write(ctx context.Context, api *http.Client, in writeInput) (writeOutput, error) {
	if err := in.check(); err != nil {
		return writeOutput{}, err
	}
	repo, err := repoOf(in.Repo)
	if err != nil {
		return writeOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return writeOutput{}, err
	}
	issue, err := in.send(ctx, client, repo)
	if err != nil {
		return writeOutput{}, writeFault(ctx, err, in.target(), "look with github_search_issues")
	}
	if issue.Number == 0 {
		return writeOutput{}, told("GitHub didn't answer as it should, and the outcome is unknown: look with github_search_issues whether it happened before you try again.")
	}
	return writeOutput{
		Created: in.Number == 0, Repo: in.Repo, Number: issue.Number, Title: line(issue.Title, titleLength),
		State: issue.State, Labels: labelNames(issue.Labels), URL: issue.HTMLURL, Untrusted: tools.Untrusted,
	}, nil
}

// check holds what the schema can't say: which arguments go together.
func (in writeInput) check() error {
	switch {
	case in.Number == 0 && in.Title == nil:
		return &tools.Error{Message: "To create an issue, give a title. To change one, give its number."}
	case in.Number == 0 && in.State != "":
		return &tools.Error{Message: "A new issue is open: leave state out, or give the number of the issue to change."}
	case in.Number != 0 && in.Title == nil && in.Body == nil && in.State == "" && in.Labels == nil:
		return &tools.Error{Message: fmt.Sprintf("Nothing to change in issue %d: give a title, body, state or labels.", in.Number)}
	}
	return nil
}

// target is what the call is about, as a sentence's beginning.
func (in writeInput) target() string {
	if in.Number == 0 {
		return "The repository " + in.Repo
	}
	return fmt.Sprintf("Issue %d of %s", in.Number, in.Repo)
}

// A change is the body of the request; what is nil stays as it is.
type change struct {
	Title  *string   `json:"title,omitempty"`
	Body   *string   `json:"body,omitempty"`
	Labels *[]string `json:"labels,omitempty"`
	State  string    `json:"state,omitempty"`
}

func (in writeInput) send(ctx context.Context, client *gh.Client, repo repo) (issue, error) {
	body := change{Title: in.Title, Body: in.Body, State: in.State}
	if in.Labels != nil {
		body.Labels = &in.Labels
	}
	method, path := http.MethodPost, repo.path("issues")
	if in.Number != 0 {
		method, path = http.MethodPatch, repo.path("issues", in.Number)
	}
	var out issue
	_, err := send(ctx, client, method, path, body, &out)
	return out, err
}
