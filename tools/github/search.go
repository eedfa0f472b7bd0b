package github

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	searchSize = 20   // issues in an answer, unless told otherwise
	searchEnd  = 1000 // GitHub shows no results beyond
	bodyLength = 500  // bytes of an issue's body in a search's answer

	usualAnswer = 4 << 10 // bytes
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
	result, resp, err := in.send(ctx, client, page, size)
	if err != nil {
		return searchOutput{}, searchFault(ctx, err)
	}
	out := searchOutput{Total: result.Total, Issues: foundIn(result.Items), NextPage: resp.NextPage, Untrusted: untrusted}
	out.Incomplete = result.Incomplete || strings.HasPrefix(resp.Header.Get("X-GitHub-SSO"), "partial-results")
	if (out.NextPage-1)*size >= searchEnd {
		out.NextPage = 0
	}
	return out, nil
}

// results are what the tool reads of GitHub's answer. go-github's own type has
// twenty times as many fields, and takes as much longer to fill.
type results struct {
	Total      int     `json:"total_count"`
	Incomplete bool    `json:"incomplete_results"`
	Items      []issue `json:"items"`
}

type issue struct {
	RepositoryURL string        `json:"repository_url"`
	HTMLURL       string        `json:"html_url"`
	Number        int           `json:"number"`
	Title         string        `json:"title"`
	State         string        `json:"state"`
	Body          string        `json:"body"`
	Comments      int           `json:"comments"`
	CreatedAt     *gh.Timestamp `json:"created_at"`
	UpdatedAt     *gh.Timestamp `json:"updated_at"`
	User          struct {
		Login string `json:"login"`
	} `json:"user"`
	Labels []*gh.Label `json:"labels"`
}

func (in searchInput) send(ctx context.Context, client *gh.Client, page, size int) (results, *gh.Response, error) {
	query := url.Values{"q": {in.terms()}, "page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(size)}}
	if in.Sort != "" {
		query.Set("sort", in.Sort)
	}
	req, err := client.NewRequest(ctx, http.MethodGet, "search/issues?"+query.Encode(), nil)
	if err != nil {
		return results{}, nil, err
	}
	// Read as a whole, into room for a usual answer: a json.Decoder, whose buffer grows
	// from 512 bytes, takes half as long again.
	var text bytes.Buffer
	text.Grow(usualAnswer)
	resp, err := client.Do(req, &text)
	var out results
	if err == nil {
		err = json.Unmarshal(text.Bytes(), &out)
	}
	return out, resp, err
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

func foundIn(issues []issue) []found {
	list := make([]found, 0, len(issues))
	for _, i := range issues {
		list = append(list, found{
			Repo: repository(i.RepositoryURL, i.HTMLURL), Number: i.Number, Title: clip(i.Title, 300), State: i.State,
			URL: i.HTMLURL, Author: i.User.Login, Labels: labelNames(i.Labels),
			Comments: i.Comments, CreatedAt: when(i.CreatedAt), UpdatedAt: when(i.UpdatedAt),
			Body: clip(i.Body, bodyLength), BodyTruncated: len(i.Body) > bodyLength,
		})
	}
	return list
}
