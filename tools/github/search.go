package github

import (
	"context"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	searchSize = 20   // issues in an answer, unless told otherwise
	searchEnd  = 1000 // GitHub shows no results beyond
	bodyLength = 500  // bytes of an issue's body in a search's answer
)

func searchIssues() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "github_search_issues",
		Title: "Search issues",
		Description: "Search issues or pull requests in the repositories that the connected GitHub account sees, " +
			"and in public ones. Not for code, commits or files. Bodies are cut to 500 bytes.",
		Can:      "Search issues and pull requests in public repositories and in those that you can see",
		Provider: provider,
		Scopes:   []string{scope},
		ReadOnly: true, Idempotent: true,
		Egress: []tools.Rule{{
			Method: http.MethodGet, Host: host, Path: "/search/issues",
			Query: []string{"q", "sort", "page", "per_page"},
		}},
	}, search)
}

type searchInput struct {
	Query   string `json:"query" jsonschema:"GitHub's search syntax, like: repo:octocat/hello label:bug author:@me crash" minLength:"1" maxLength:"256"`
	Type    string `json:"type,omitempty" jsonschema:"which of the two (default issue)" enum:"issue,pull_request"`
	State   string `json:"state,omitempty" jsonschema:"only those (default both)" enum:"open,closed"`
	Sort    string `json:"sort,omitempty" jsonschema:"most first (default best match)" enum:"created,updated,comments"`
	Page    int    `json:"page,omitempty" jsonschema:"next_page of the answer before" minimum:"1" maximum:"100"`
	PerPage int    `json:"per_page,omitempty" jsonschema:"results in an answer (default 20)" minimum:"1" maximum:"50"`
}

type searchOutput struct {
	Total      int     `json:"total"`
	Issues     []found `json:"issues"`
	NextPage   int     `json:"next_page,omitempty"`
	Incomplete bool    `json:"incomplete,omitempty" jsonschema:"GitHub left results out"`
	Untrusted  string  `json:"untrusted"`
}

type found struct {
	Repo          string   `json:"repo"`
	Number        int      `json:"number"`
	Title         string   `json:"title"`
	State         string   `json:"state"`
	URL           string   `json:"url"`
	Author        string   `json:"author,omitempty"`
	Labels        []string `json:"labels"`
	Comments      int      `json:"comments"`
	CreatedAt     string   `json:"created_at,omitempty"`
	UpdatedAt     string   `json:"updated_at,omitempty"`
	Body          string   `json:"body,omitempty"`
	BodyTruncated bool     `json:"body_truncated,omitempty"`
}

func search(ctx context.Context, api *http.Client, in searchInput) (searchOutput, error) {
	page, size := max(in.Page, 1), in.PerPage
	if size == 0 {
		size = searchSize
	}
	if (page-1)*size >= searchEnd {
		return searchOutput{}, &tools.Error{Message: "GitHub shows only the first 1000 results. Narrow the query instead of asking for a later page."}
	}
	client, err := connect(api)
	if err != nil {
		return searchOutput{}, err
	}
	result, resp, err := client.Search.Issues(ctx, in.terms(), &gh.SearchOptions{
		Sort: in.Sort, ListOptions: gh.ListOptions{Page: page, PerPage: size},
	})
	if err != nil {
		return searchOutput{}, searchFault(ctx, err)
	}
	out := searchOutput{Total: result.GetTotal(), Issues: foundIn(result.Issues), NextPage: resp.NextPage, Untrusted: untrusted}
	out.Incomplete = result.GetIncompleteResults() || strings.HasPrefix(resp.Header.Get("X-GitHub-SSO"), "partial-results")
	if (out.NextPage-1)*size >= searchEnd {
		out.NextPage = 0
	}
	return out, nil
}

// terms is the query with the qualifiers of the other arguments. GitHub wants to
// be told which of issues and pull requests.
func (in searchInput) terms() string {
	terms := in.Query + " is:issue"
	if in.Type == "pull_request" {
		terms = in.Query + " is:pull-request"
	}
	if in.State != "" {
		terms += " state:" + in.State
	}
	return terms
}

func foundIn(issues []*gh.Issue) []found {
	list := make([]found, 0, len(issues))
	for _, issue := range issues {
		list = append(list, found{
			Repo: repository(issue), Number: issue.GetNumber(), Title: clip(issue.GetTitle(), 300), State: issue.GetState(),
			URL: issue.GetHTMLURL(), Author: issue.GetUser().GetLogin(), Labels: labelNames(issue.Labels),
			Comments: issue.GetComments(), CreatedAt: when(issue.CreatedAt), UpdatedAt: when(issue.UpdatedAt),
			Body: clip(issue.GetBody(), bodyLength), BodyTruncated: len(issue.GetBody()) > bodyLength,
		})
	}
	return list
}
