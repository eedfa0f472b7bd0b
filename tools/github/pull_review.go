package github

import (
	"context"
	"net/http"
	"strings"

	"github.com/latchkey-mcp/latchkey/tools"
)

func reviewPullRequest() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_review_pull_request",
		Title:       "Review a pull request",
		Description: "Submit a review of a pull request on GitHub, with comments on lines. Not for a plain comment (github_comment).",
		Can:         "Review pull requests in your name: comment, approve, request changes",
		Provider:    provider,
		Scopes:      []string{scope},
		// A verdict takes the place of the account's one before, can let a merge
		// happen, and can't be withdrawn.
		Destructive: true,
		Egress: []tools.Rule{
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/pulls/{number}"},
			{Method: http.MethodPost, Host: host, Path: "/repos/{owner}/{repo}/pulls/{number}/reviews"},
		},
	}, submitReview)
}

type submitInput struct {
	Repo     string       `json:"repo" jsonschema:"owner/name"`
	Number   int          `json:"number" jsonschema:"pull request"`
	CommitID string       `json:"commit_id" jsonschema:"the head that was reviewed"`
	Event    string       `json:"event" jsonschema:"verdict" enum:"approve,request_changes,comment"`
	Body     string       `json:"body,omitempty" jsonschema:"Markdown"`
	Comments []lineRemark `json:"comments,omitempty" jsonschema:"on lines of the diff"`
}

type lineRemark struct {
	Path      string `json:"path" jsonschema:"file"`
	StartLine int    `json:"start_line,omitempty" jsonschema:"first of several"`
	Line      int    `json:"line" jsonschema:"in the file"`
	Side      string `json:"side,omitempty" jsonschema:"LEFT: deleted lines" enum:"LEFT,RIGHT"`
	Body      string `json:"body" jsonschema:"Markdown"`
}

type submitOutput struct {
	URL string `json:"url"`
}

func submitReview(ctx context.Context, api *http.Client, in submitInput) (submitOutput, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return submitOutput{}, err
	}
	if err := in.check(); err != nil {
		return submitOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return submitOutput{}, err
	}
	// GitHub takes a verdict on an old commit for one on the pull request.
	about := pullNamed(in.Repo, in.Number)
	var seen pullState
	if _, err := get(ctx, client, repo.path("pulls", in.Number), nil, &seen); err != nil {
		return submitOutput{}, fault(ctx, err, about)
	}
	if !fullSHA.MatchString(seen.Head.SHA) {
		return submitOutput{}, odd(about)
	}
	if seen.Head.SHA != in.CommitID {
		return submitOutput{}, moved(about, seen.Head.SHA, in.CommitID, "commit_id")
	}
	var made struct {
		HTMLURL string `json:"html_url"`
	}
	if _, err := send(ctx, client, http.MethodPost, repo.path("pulls", in.Number, "reviews"), in.body(), &made); err != nil {
		return submitOutput{}, writeFault(ctx, err, about, lookAtPull)
	}
	if made.HTMLURL == "" {
		return submitOutput{}, unclear(lookAtPull)
	}
	return submitOutput{made.HTMLURL}, nil
}

const lookAtPull = "look with github_read_pull_request"

// check holds what the schema can't say: which arguments go together.
func (in submitInput) check() error {
	if err := checkSHA("commit_id", in.CommitID); err != nil {
		return err
	}
	if in.Event != "approve" && blank(&in.Body) && len(in.Comments) == 0 {
		return told("A review that doesn't approve says why: give a body, or comments on lines.")
	}
	for _, on := range in.Comments {
		if on.StartLine != 0 && on.StartLine >= on.Line {
			return told("start_line %d of the comment on %q must be before its line %d; leave it out for one line.", on.StartLine, line(on.Path, nameLength), on.Line)
		}
	}
	return nil
}

// A sentRemark is a comment on lines, as GitHub wants it.
type sentRemark struct {
	Path      string `json:"path"`
	Body      string `json:"body"`
	Line      int    `json:"line"`
	Side      string `json:"side"`
	StartLine int    `json:"start_line,omitempty"`
	StartSide string `json:"start_side,omitempty"`
}

func (in submitInput) body() any {
	return struct {
		CommitID string       `json:"commit_id"`
		Event    string       `json:"event"`
		Body     string       `json:"body,omitempty"`
		Comments []sentRemark `json:"comments,omitempty"`
	}{in.CommitID, strings.ToUpper(in.Event), in.Body, each(in.Comments, lineRemark.sent)}
}

func (on lineRemark) sent() sentRemark {
	r := sentRemark{Path: on.Path, Body: on.Body, Line: on.Line, Side: on.Side, StartLine: on.StartLine}
	if r.Side == "" {
		r.Side = "RIGHT"
	}
	if r.StartLine != 0 {
		r.StartSide = r.Side
	}
	return r
}
