package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

func readPullRequest() tools.Tool {
	rule := func(path string, query ...string) tools.Rule {
		return tools.Rule{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}" + path, Query: query}
	}
	return tools.Define(tools.Spec{
		Name:        "github_read_pull_request",
		Title:       "Read a pull request",
		Description: "Read one part of a pull request. Not for issues (github_read_issue) or check logs (github_read_actions).",
		Can:         "Read pull requests that you can see: their changes, reviews, comments and checks",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{
			rule("/pulls/{number}"),
			rule("/pulls/{number}/files", "page", "per_page"),
			rule("/pulls/{number}/reviews", "page", "per_page"),
			rule("/pulls/{number}/comments", "page", "per_page"),
			rule("/issues/{number}/comments", "page", "per_page"),
			rule("/commits/{ref}/check-runs", "page", "per_page"),
			rule("/commits/{ref}/status", "page", "per_page"),
		},
	}, readPull)
}

type readPullInput struct {
	Repo   string `json:"repo" jsonschema:"owner/name"`
	Number int    `json:"number" jsonschema:"its number"`
	Part   string `json:"part,omitempty" jsonschema:"default summary" enum:"summary,diff,files,reviews,comments,checks"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`
}

func (in readPullInput) about() string {
	return fmt.Sprintf("Pull request %d of %s", in.Number, in.Repo)
}

// readPullOutput is flat: a part fills its own fields.
type readPullOutput struct {
	Title      string       `json:"title,omitempty"`
	State      string       `json:"state,omitempty"`
	Head       string       `json:"head,omitempty"`
	HeadSHA    string       `json:"head_sha,omitempty"`
	Base       string       `json:"base,omitempty"`
	MergeState string       `json:"mergeable_state,omitempty"`
	Text       string       `json:"text,omitempty" jsonschema:"diff; files or checks, a line each"`
	Comments   []pullRemark `json:"comments,omitempty" jsonschema:"reviews too, or the description"`
	NextCursor string       `json:"next_cursor,omitempty"`
	Untrusted  string       `json:"untrusted"`
}

func readPull(ctx context.Context, api *http.Client, in readPullInput) (readPullOutput, error) {
	r, err := repoOf(in.Repo)
	if err != nil {
		return readPullOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return readPullOutput{}, err
	}
	out, err := (&pullReader{client, r, in}).part(ctx)
	if err != nil {
		return readPullOutput{}, fault(ctx, err, in.about())
	}
	out.Untrusted = tools.Untrusted
	return out, nil
}

// A pullReader reads one pull request for one call.
type pullReader struct {
	client *gh.Client
	repo   repo
	in     readPullInput
}

func (p *pullReader) part(ctx context.Context) (readPullOutput, error) {
	var out readPullOutput
	var err error
	switch p.in.Part {
	case "diff":
		out.Text, out.NextCursor, err = p.diff(ctx)
	case "files":
		out.Text, out.NextCursor, err = texts(listed(ctx, p.in.Cursor, "", p.files))
	case "reviews":
		out.Comments, out.NextCursor, err = listed(ctx, p.in.Cursor, "", p.reviews)
	case "comments":
		out.Comments, out.NextCursor, err = listed(ctx, p.in.Cursor, "", p.conversation, p.lineComments)
	case "checks":
		out.Text, out.NextCursor, err = texts(p.checks(ctx))
	default:
		return p.summary(ctx)
	}
	return out, err
}

// texts is a list of lines as one text.
func texts(lines []string, cursor string, err error) (string, string, error) {
	return strings.Join(lines, "\n"), cursor, err
}

// path is an address below the pull request's.
func (p *pullReader) path(parts ...any) string {
	return p.repo.path(append([]any{"pulls", p.in.Number}, parts...)...)
}

func (p *pullReader) load(ctx context.Context) (pull, error) {
	var found pull
	_, err := get(ctx, p.client, p.path(), nil, &found)
	return found, err
}

func (p *pullReader) summary(ctx context.Context) (readPullOutput, error) {
	if p.in.Cursor != "" {
		return readPullOutput{}, told("The summary is one answer: leave the cursor out, or name the part that it came with.")
	}
	found, err := p.load(ctx)
	if err != nil {
		return readPullOutput{}, err
	}
	about := pullRemark{
		Author: line(found.User.Login, nameLength), Association: found.Association, Time: when(found.CreatedAt),
	}
	about.Body, about.BodyTruncated = clipJSON(found.Body, issueLength)
	return readPullOutput{
		Title: line(found.Title, titleLength), State: found.state(),
		Head: found.head(), HeadSHA: found.Head.SHA, Base: line(found.Base.Ref, titleLength), MergeState: found.MergeState,
		Text:     fmt.Sprintf("commits: %d, files: %d, +%d -%d", found.Commits, found.ChangedFiles, found.Additions, found.Deletions),
		Comments: []pullRemark{about},
	}, nil
}
