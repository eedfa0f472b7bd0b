package github

import (
	"context"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

// listSize is how many items a page of a listing has. A cursor counts on it.
const listSize = 30

func listPullRequests() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_list_pull_requests",
		Title:       "List pull requests",
		Description: "List a repository's pull requests, newest first. By author, label or text: github_search_issues.",
		Can:         "List the pull requests of public repositories and of those that you can see",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{{
			Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/pulls",
			Query: []string{"state", "head", "base", "page", "per_page"},
		}},
	}, listPulls)
}

type listPullsInput struct {
	Repo   string `json:"repo" jsonschema:"owner/name"`
	State  string `json:"state,omitempty" jsonschema:"default open" enum:"open,closed,all"`
	Head   string `json:"head,omitempty" jsonschema:"branch, or owner:branch"`
	Base   string `json:"base,omitempty" jsonschema:"target branch"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`
}

type listPullsOutput struct {
	PullRequests []pullItem `json:"pull_requests"`
	NextCursor   string     `json:"next_cursor,omitempty"`
	Untrusted    string     `json:"untrusted"`
}

type pullItem struct {
	Number      int    `json:"number"`
	Title       string `json:"title"`
	State       string `json:"state"`
	Author      string `json:"author"`
	Association string `json:"author_association"`
	Head        string `json:"head"`
	Base        string `json:"base"`
	UpdatedAt   string `json:"updated_at"`
}

// A pull is what the tools read of a pull request; what the second half holds is
// not in listings.
type pull struct {
	Number      int           `json:"number"`
	Title       string        `json:"title"`
	State       string        `json:"state"`
	Draft       bool          `json:"draft"`
	User        account       `json:"user"`
	Association string        `json:"author_association"`
	Body        string        `json:"body"`
	Head        end           `json:"head"`
	Base        end           `json:"base"`
	CreatedAt   *gh.Timestamp `json:"created_at"`
	UpdatedAt   *gh.Timestamp `json:"updated_at"`
	MergedAt    *gh.Timestamp `json:"merged_at"`

	MergeState   string `json:"mergeable_state"`
	Commits      int    `json:"commits"`
	ChangedFiles int    `json:"changed_files"`
	Additions    int    `json:"additions"`
	Deletions    int    `json:"deletions"`
}

// An end is one of a pull request's two branches.
type end struct {
	Label string `json:"label"` // owner:branch
	Ref   string `json:"ref"`
	SHA   string `json:"sha"`
}

// state is open, draft, closed or merged.
func (p pull) state() string {
	switch {
	case p.MergedAt != nil:
		return "merged"
	case p.Draft && p.State == "open":
		return "draft"
	}
	return p.State
}

// head names the branch, with its owner where that is a fork's.
func (p pull) head() string {
	owner, _, _ := strings.Cut(p.Head.Label, ":")
	if base, _, _ := strings.Cut(p.Base.Label, ":"); owner != base {
		return line(p.Head.Label, titleLength)
	}
	return line(p.Head.Ref, titleLength)
}

func listPulls(ctx context.Context, api *http.Client, in listPullsInput) (listPullsOutput, error) {
	r, err := repoOf(in.Repo)
	if err != nil {
		return listPullsOutput{}, err
	}
	at, err := placeIn(ctx, in.Cursor)
	if err != nil {
		return listPullsOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return listPullsOutput{}, err
	}
	query := at.query(listSize)
	if in.State != "" {
		query.Set("state", in.State)
	}
	if in.Head != "" {
		query.Set("head", in.from(r))
	}
	if in.Base != "" {
		query.Set("base", in.Base)
	}
	var page []pull
	resp, err := get(ctx, client, r.path("pulls"), query, &page)
	if err != nil {
		return listPullsOutput{}, fault(ctx, err, "The repository "+r.String())
	}
	out := listPullsOutput{Untrusted: tools.Untrusted}
	out.PullRequests, out.NextCursor, err = cut(ctx, at, each(page, pullItemOf), resp.NextPage, room)
	return out, err
}

// from is the head as GitHub wants it: a branch without its owner would filter
// nothing.
func (in listPullsInput) from(r repo) string {
	if strings.Contains(in.Head, ":") {
		return in.Head
	}
	return r.owner + ":" + in.Head
}

func pullItemOf(p pull) pullItem {
	return pullItem{
		Number: p.Number, Title: line(p.Title, titleLength), State: p.state(),
		Author: line(p.User.Login, nameLength), Association: p.Association, Head: p.head(), Base: line(p.Base.Ref, titleLength),
		UpdatedAt: when(p.UpdatedAt),
	}
}
