package github

import (
	"context"
	"net/http"

	"github.com/latchkey-mcp/latchkey/tools"
)

const branchSize = 100 // branches in an answer

func listBranches() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_list_branches",
		Title:       "List branches",
		Description: "A repository's branches with their newest commits, and which is the default.",
		Can:         "List the branches of public repositories and of those that you can see",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}"},
			{Method: http.MethodGet, Host: host, Path: "/repos/{owner}/{repo}/branches", Query: []string{"page", "per_page"}},
		},
	}, branches)
}

type branchesInput struct {
	Repo   string `json:"repo" jsonschema:"owner/name"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`
}

type branchesOutput struct {
	DefaultBranch string   `json:"default_branch"`
	Branches      []branch `json:"branches"`
	NextCursor    string   `json:"next_cursor,omitempty"`
	Untrusted     string   `json:"untrusted"`
}

type branch struct {
	Name string `json:"name"`
	SHA  string `json:"sha"`
}

func branches(ctx context.Context, api *http.Client, in branchesInput) (branchesOutput, error) {
	repo, err := repoOf(in.Repo)
	if err != nil {
		return branchesOutput{}, err
	}
	at, err := placeIn(ctx, in.Cursor)
	if err != nil {
		return branchesOutput{}, err
	}
	client, err := connect(api)
	if err != nil {
		return branchesOutput{}, err
	}
	var about repository
	if _, err := get(ctx, client, repo.path(), nil, &about); err != nil {
		return branchesOutput{}, fault(ctx, err, "The repository "+in.Repo)
	}
	var page []struct {
		Name   string `json:"name"`
		Commit struct {
			SHA string `json:"sha"`
		} `json:"commit"`
	}
	resp, err := get(ctx, client, repo.path("branches"), at.query(branchSize), &page)
	if err != nil {
		return branchesOutput{}, fault(ctx, err, "The repository "+in.Repo)
	}
	list := make([]branch, len(page))
	for i, b := range page {
		list[i] = branch{Name: tools.Clean(b.Name), SHA: b.Commit.SHA}
	}
	out := branchesOutput{DefaultBranch: tools.Clean(about.DefaultBranch), Untrusted: tools.Untrusted}
	out.Branches, out.NextCursor, err = cut(ctx, at, list, resp.NextPage, room)
	return out, err
}
