package github

import (
	"context"
	"net/http"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

const descriptionLength = 300 // bytes of a repository's description

func searchRepositories() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_search_repositories",
		Title:       "Search repositories",
		Description: "Find repositories; user:@me finds one's own. Not for what is in them (github_search_code).",
		Can:         "Search public repositories and those that you can see",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{{
			Method: http.MethodGet, Host: host, Path: "/search/repositories", Query: []string{"q", "sort", "page", "per_page"},
		}},
	}, findRepositories)
}

type repositoriesInput struct {
	Query  string `json:"query" jsonschema:"like: parser language:go user:octocat"`
	Sort   string `json:"sort,omitempty" jsonschema:"default best match" enum:"stars,forks,updated"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`
}

type repositoriesOutput struct {
	Total        int               `json:"total"`
	Repositories []foundRepository `json:"repositories"`
	NextCursor   string            `json:"next_cursor,omitempty"`
	Incomplete   bool              `json:"incomplete,omitempty"`
	Untrusted    string            `json:"untrusted"`
}

type foundRepository struct {
	Repo        string `json:"repo"`
	Description string `json:"description,omitempty"`
	Private     bool   `json:"private,omitempty"`
	Archived    bool   `json:"archived,omitempty"`
	Language    string `json:"language,omitempty"`
	Stars       int    `json:"stars"`
	PushedAt    string `json:"pushed_at,omitempty"`
}

// A repository is what the tools read of GitHub's answers.
type repository struct {
	FullName      string        `json:"full_name"`
	Description   string        `json:"description"`
	Private       bool          `json:"private"`
	Archived      bool          `json:"archived"`
	Language      string        `json:"language"`
	Stars         int           `json:"stargazers_count"`
	DefaultBranch string        `json:"default_branch"`
	PushedAt      *gh.Timestamp `json:"pushed_at"`
}

func findRepositories(ctx context.Context, api *http.Client, in repositoriesInput) (repositoriesOutput, error) {
	answer, err := find[repository](ctx, api, searching{kind: "repositories", terms: in.Query, sort: in.Sort, cursor: in.Cursor})
	if err != nil {
		return repositoriesOutput{}, err
	}
	list, cursor, err := cut(ctx, answer.at, each(answer.Items, foundRepositoryIn), answer.next, room)
	return repositoriesOutput{
		Total: answer.Total, Repositories: list, NextCursor: cursor, Incomplete: answer.Incomplete, Untrusted: tools.Untrusted,
	}, err
}

func foundRepositoryIn(r repository) foundRepository {
	return foundRepository{
		Repo: r.FullName, Description: line(r.Description, descriptionLength), Private: r.Private, Archived: r.Archived,
		Language: r.Language, Stars: r.Stars, PushedAt: when(r.PushedAt),
	}
}
