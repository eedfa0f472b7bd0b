package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

func writeIssue() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "github_write_issue",
		Title: "Create or change an issue",
		Description: "Create a GitHub issue or, with number, change that one, or a pull request's labels and assignees. " +
			"Not for comments.",
		Can:         "Create issues in your name, and change the title, text, labels, assignees and state of issues and pull requests",
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
	Repo           string   `json:"repo" jsonschema:"owner/name"`
	Number         int      `json:"number,omitempty" jsonschema:"only to change one" minimum:"1"`
	Title          *string  `json:"title,omitempty" jsonschema:"needed to create"`
	Body           *string  `json:"body,omitempty" jsonschema:"Markdown"`
	State          string   `json:"state,omitempty" jsonschema:"only to change" enum:"open,closed"`
	StateReason    string   `json:"state_reason,omitempty" jsonschema:"with closed" enum:"completed,not_planned,duplicate"`
	Labels         []string `json:"labels,omitempty" jsonschema:"replaces all"`
	Assignees      []string `json:"assignees,omitempty" jsonschema:"logins; replaces all"`
	IdempotencyKey string   `json:"idempotency_key,omitempty" jsonschema:"makes a retry safe" pattern:"^[\\w.-]{1,64}$"`
}

type writeOutput struct {
	Number     int      `json:"number"`
	State      string   `json:"state"`
	NotApplied []string `json:"not_applied,omitempty" jsonschema:"what the account may not set"`
	URL        string   `json:"url"`
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
		return writeOutput{}, writeFault(ctx, err, in.target(), lookForIssue)
	}
	if issue.Number == 0 {
		return writeOutput{}, unclear(lookForIssue)
	}
	return writeOutput{
		Number: issue.Number, State: issue.State, NotApplied: in.ignored(issue), URL: issue.HTMLURL,
	}, nil
}

const lookForIssue = "look with github_search_issues"

// check holds what the schema can't say: which arguments go together.
func (in writeInput) check() error {
	switch {
	case in.Number == 0 && in.Title == nil:
		return told("To create an issue, give a title. To change one, give its number.")
	case blank(in.Title):
		return told("The title is blank: give it words.")
	case in.Number == 0 && in.State != "":
		return told("A new issue is open: leave state out, or give the number of the issue to change.")
	case in.StateReason != "" && in.State != "closed":
		return told("state_reason says why an issue is closed: give state closed with it, or leave it out.")
	case in.Number != 0 && in.Title == nil && in.Body == nil && in.State == "" && in.Labels == nil && in.Assignees == nil:
		return told("Nothing to change in issue %d: give a title, body, state, labels or assignees.", in.Number)
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
	Title       *string   `json:"title,omitempty"`
	Body        *string   `json:"body,omitempty"`
	Labels      *[]string `json:"labels,omitempty"`
	Assignees   *[]string `json:"assignees,omitempty"`
	State       string    `json:"state,omitempty"`
	StateReason string    `json:"state_reason,omitempty"`
}

// A writtenIssue is what is read of the answer.
type writtenIssue struct {
	Number    int       `json:"number"`
	State     string    `json:"state"`
	HTMLURL   string    `json:"html_url"`
	Labels    []label   `json:"labels"`
	Assignees []account `json:"assignees"`
}

func (in writeInput) send(ctx context.Context, client *gh.Client, repo repo) (writtenIssue, error) {
	body := change{Title: in.Title, Body: in.Body, State: in.State, StateReason: in.StateReason}
	if in.Labels != nil {
		body.Labels = &in.Labels
	}
	if in.Assignees != nil {
		body.Assignees = &in.Assignees
	}
	method, path := http.MethodPost, repo.path("issues")
	if in.Number != 0 {
		method, path = http.MethodPatch, repo.path("issues", in.Number)
	}
	var out writtenIssue
	_, err := send(ctx, client, method, path, body, &out)
	return out, err
}

// ignored are the arguments that GitHub leaves out without a word, for accounts
// that may write an issue but not push.
func (in writeInput) ignored(issue writtenIssue) []string {
	var names []string
	if in.Labels != nil && !same(in.Labels, each(issue.Labels, func(l label) string { return l.Name })) {
		names = append(names, "labels")
	}
	if in.Assignees != nil && !same(in.Assignees, each(issue.Assignees, func(a account) string { return a.Login })) {
		names = append(names, "assignees")
	}
	return names
}

// same reports whether both lists name the same, as GitHub compares names.
func same(a, b []string) bool {
	within := func(list, in []string) bool {
		return !slices.ContainsFunc(list, func(x string) bool {
			return !slices.ContainsFunc(in, func(y string) bool { return strings.EqualFold(x, y) })
		})
	}
	return within(a, b) && within(b, a)
}
