package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	commentSize   = 50    // comments that one request brings
	issueLength   = 12000 // bytes of an issue's body as JSON
	commentLength = 6000  // bytes of a comment as JSON
)

func readIssue() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_read_issue",
		Title:       "Read an issue",
		Description: "An issue with its comments, oldest first. Not for a pull request's reviews or diff (github_read_pull_request).",
		Can:         "Read issues and their comments in public repositories and in those that you can see",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/issues/{number}"},
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/issues/{number}/comments", Query: []string{"page", "per_page"}},
		},
	}, readWhole)
}

type issueInput struct {
	Repo   string `json:"repo" jsonschema:"owner/name"`
	Number int    `json:"number" jsonschema:"the issue's" minimum:"1"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`
}

type issueOutput struct {
	Title         string    `json:"title"`
	State         string    `json:"state"`
	PullRequest   bool      `json:"pull_request,omitempty"`
	Author        string    `json:"author,omitempty"`
	Association   string    `json:"author_association,omitempty"`
	Labels        []string  `json:"labels"`
	Assignees     []string  `json:"assignees"`
	CreatedAt     string    `json:"created_at,omitempty"`
	Body          string    `json:"body,omitempty"`
	BodyTruncated bool      `json:"body_truncated,omitempty"`
	Comments      []comment `json:"comments"`
	NextCursor    string    `json:"next_cursor,omitempty"`
	Untrusted     string    `json:"untrusted"`
}

type comment struct {
	Author        string `json:"author,omitempty"`
	Association   string `json:"author_association,omitempty"`
	CreatedAt     string `json:"created_at"`
	Body          string `json:"body"`
	BodyTruncated bool   `json:"body_truncated,omitempty"`
}

// An issueComment is what the tools read of GitHub's answers.
type issueComment struct {
	Body        string        `json:"body"`
	User        account       `json:"user"`
	Association string        `json:"author_association"`
	CreatedAt   *gh.Timestamp `json:"created_at"`
}

func readWhole(ctx context.Context, api *http.Client, in issueInput) (issueOutput, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return issueOutput{}, err
	}
	at := issuePlace{place: place{Page: 1}}
	if err := tools.ReadCursor(ctx, in.Cursor, &at); err != nil {
		return issueOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return issueOutput{}, err
	}
	about := fmt.Sprintf("Issue %d of %s", in.Number, in.Repo)
	var found issue
	if _, err := get(ctx, client, repo.path("issues", in.Number), nil, &found); err != nil {
		return issueOutput{}, fault(ctx, err, about)
	}
	out := found.brief()
	if in.Cursor == "" || at.Given > 0 {
		if next := out.read(found.Body, at.Given); next > 0 {
			out.NextCursor, err = tools.WriteCursor(ctx, issuePlace{at.place, next})
			return out, err
		}
	}
	if found.Comments == 0 {
		return out, nil
	}
	var page []issueComment
	resp, err := get(ctx, client, repo.path("issues", in.Number, "comments"), at.query(commentSize), &page)
	if err != nil {
		return issueOutput{}, fault(ctx, err, about)
	}
	around, err := json.Marshal(out)
	if err != nil {
		return issueOutput{}, err
	}
	out.Comments, out.NextCursor, err = cut(ctx, at.place, each(page, commentIn), resp.NextPage, room-len(around))
	return out, err
}

// An issuePlace is where an issue goes on: within its body, or behind that.
type issuePlace struct {
	place
	Given int `json:"b,omitempty"` // bytes of the body; 0 behind it
}

// read adds the body from so many bytes on, as much as an answer has of it. next is
// where the rest begins, which comes before the comments; 0 where there is none.
func (out *issueOutput) read(body string, from int) (next int) {
	body = tools.Clean(body)
	rest := body[min(from, len(body)):]
	out.Body, out.BodyTruncated = clipJSON(rest, issueLength)
	if !out.BodyTruncated {
		return 0
	}
	return from + len(out.Body) - len("…")
}

// brief is the issue without body and comments.
func (i issue) brief() issueOutput {
	return issueOutput{
		Title: line(i.Title, titleLength), State: i.State, PullRequest: i.PullRequest != nil,
		Author: i.User.Login, Association: i.Association, Labels: labelNames(i.Labels),
		Assignees: each(i.Assignees, func(a account) string { return a.Login }),
		CreatedAt: when(i.CreatedAt),
		Comments:  []comment{}, Untrusted: tools.Untrusted,
	}
}

func commentIn(c issueComment) comment {
	body, truncated := clipJSON(c.Body, commentLength)
	return comment{
		Author: c.User.Login, Association: c.Association, CreatedAt: when(c.CreatedAt), Body: body, BodyTruncated: truncated,
	}
}
