package github

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	searchSize = 20   // results in an answer
	searchEnd  = 1000 // GitHub shows no results beyond
	bodyLength = 500  // bytes of an issue's body in a search's answer
)

func searchIssues() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_search_issues",
		Title:       "Search issues",
		Description: "Search issues or pull requests; bodies are cut short. Not for code or commits.",
		Can:         "Search issues and pull requests in public repositories and in those that you can see",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{{
			Method: http.MethodGet, Host: host, Path: "/search/issues",
			Query: []string{"q", "sort", "page", "per_page", "advanced_search"},
		}},
	}, search)
}

type searchInput struct {
	Query  string `json:"query" jsonschema:"like: repo:owner/name label:bug author:@me crash"`
	Type   string `json:"type,omitempty" jsonschema:"default issue" enum:"issue,pull_request"`
	State  string `json:"state,omitempty" jsonschema:"default both" enum:"open,closed"`
	Sort   string `json:"sort,omitempty" jsonschema:"default best match" enum:"created,updated,comments"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`

	Fields []string `json:"fields,omitempty" jsonschema:"only these of each" enum:"author,labels,updated_at,body"`
}

type searchOutput struct {
	Total      int     `json:"total"`
	Issues     []found `json:"issues"`
	NextCursor string  `json:"next_cursor,omitempty"`
	Incomplete bool    `json:"incomplete,omitempty"`
	Untrusted  string  `json:"untrusted"`
}

type found struct {
	Repo          string   `json:"repo"`
	Number        int      `json:"number"`
	Title         string   `json:"title"`
	State         string   `json:"state"`
	Author        string   `json:"author,omitempty"`
	Association   string   `json:"author_association,omitempty"`
	Labels        []string `json:"labels"`
	UpdatedAt     string   `json:"updated_at,omitempty"`
	Body          string   `json:"body,omitempty"`
	BodyTruncated bool     `json:"body_truncated,omitempty"`
}

func search(ctx context.Context, api *http.Client, in searchInput) (searchOutput, error) {
	terms, err := in.terms()
	if err != nil {
		return searchOutput{}, err
	}
	answer, err := find[issue](ctx, api, searching{"issues", terms, in.Sort, in.Cursor})
	if err != nil {
		return searchOutput{}, err
	}
	list, cursor, err := cut(ctx, answer.at, each(answer.Items, in.shown), answer.next, room)
	return searchOutput{
		Total: answer.Total, Issues: list, NextCursor: cursor, Incomplete: answer.Incomplete, Untrusted: tools.Untrusted,
	}, err
}

// searching is what all of GitHub's searches are asked.
type searching struct {
	kind   string // "issues"
	terms  string
	sort   string // "" for the best match
	cursor string
}

// options asks for what is around a match in code.
func (s searching) options() []gh.RequestOption {
	if s.kind != "code" {
		return nil
	}
	return []gh.RequestOption{accept("application/vnd.github.text-match+json")}
}

// results are a page of what a search finds.
type results[T any] struct {
	Total      int  `json:"total_count"`
	Incomplete bool `json:"incomplete_results"`
	Items      []T  `json:"items"`

	at   place
	next int // page, 0 for none
}

// find is the cursor's page of the search.
func find[T any](ctx context.Context, api *http.Client, s searching) (results[T], error) {
	at, err := placeIn(ctx, s.cursor)
	if err != nil {
		return results[T]{}, err
	}
	if strings.TrimSpace(s.terms) == "" {
		return results[T]{}, emptyQuery()
	}
	client, err := connect(api)
	if err != nil {
		return results[T]{}, err
	}
	var out results[T]
	resp, err := get(ctx, client, address("search", s.kind), s.query(at), &out, s.options()...)
	if err != nil {
		return results[T]{}, searchFault(ctx, err)
	}
	if out.at, out.next = at, resp.NextPage; (out.next-1)*searchSize >= searchEnd {
		out.next = 0 // GitHub's own link goes beyond what GitHub shows
	}
	out.Incomplete = out.Incomplete || strings.HasPrefix(resp.Header.Get("X-GitHub-SSO"), "partial-results")
	return out, nil
}

func (s searching) query(at place) url.Values {
	query := at.query(searchSize)
	query.Set("q", s.terms)
	if s.sort != "" {
		query.Set("sort", s.sort)
	}
	if s.kind == "issues" && combines(s.terms) {
		query.Set("advanced_search", "true")
	}
	return query
}

// terms is the query with the qualifiers of the other arguments. A query that combines terms is put in
// parentheses, so that the qualifiers are for all of it.
func (in searchInput) terms() (string, error) {
	terms := in.Query
	if strings.TrimSpace(terms) == "" {
		return "", emptyQuery()
	}
	if combines(terms) {
		if !balanced(terms) {
			return "", told("The parentheses or quotation marks in query don't pair up.")
		}
		terms = "(" + terms + ")"
	}
	kind, err := in.kind()
	if err != nil {
		return "", err
	}
	if kind != "" {
		terms += " is:" + kind
	}
	if in.State != "" {
		terms += " state:" + in.State
	}
	return terms, nil
}

// kind is the qualifier to add, since GitHub wants to be told which of issues and pull
// requests; "" where the query names both. A query of one kind with the qualifier of
// the other finds nothing, and nobody is told why.
func (in searchInput) kind() (string, error) {
	issues, pulls := kindsIn(in.Query)
	switch {
	case in.Type == "issue" && pulls && !issues:
		return "", told("The query has a qualifier that only pull requests have, and type is issue. Give type pull_request, or change the query.")
	case in.Type == "pull_request" && issues && !pulls:
		return "", told("The query says is:issue, and type is pull_request. Leave one of them out.")
	case in.Type == "" && pulls && issues:
		return "", nil
	case in.Type == "pull_request", in.Type == "" && pulls:
		return "pull-request", nil
	}
	return "issue", nil
}

// kindsIn reports which kinds the query asks for, by their names or by what only pull
// requests have.
func kindsIn(query string) (issues, pulls bool) {
	negated := false
	for word := range strings.FieldsSeq(strings.ToLower(outside(query))) {
		word = strings.Trim(word, "()")
		name, value, _ := strings.Cut(word, ":")
		switch {
		case negated: // says what isn't wanted
		case word == "is:issue", word == "type:issue":
			issues = true
		case name == "is" && slices.Contains([]string{"pr", "pull-request", "merged", "unmerged", "draft"}, value),
			name == "type" && (value == "pr" || value == "pull-request"),
			value != "" && slices.Contains([]string{"review", "review-requested", "reviewed-by", "merged", "draft", "head", "base"}, name):
			pulls = true
		}
		negated = word == "not"
	}
	return issues, pulls
}

func emptyQuery() error { return told("The query is empty: say what to search for.") }

// combines reports whether the query uses more of GitHub's syntax than a plain list
// of terms. Parentheses and AND and OR are read by its advanced search alone.
func combines(query string) bool {
	plain := outside(query)
	return strings.ContainsAny(plain, "()") || slices.ContainsFunc(strings.Fields(plain), func(word string) bool {
		return word == "AND" || word == "OR"
	})
}

// balanced reports whether all that opens closes, in this order.
func balanced(query string) bool {
	depth := 0
	for _, r := range outside(query) {
		switch r {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return false
			}
		}
	}
	return depth == 0 && strings.Count(query, `"`)%2 == 0
}

// outside is the query without what is in quotation marks.
func outside(query string) string {
	parts := strings.Split(query, `"`)
	var plain strings.Builder
	for i := 0; i < len(parts); i += 2 {
		plain.WriteString(parts[i] + " ")
	}
	return plain.String()
}

// An issue is what the tools read of GitHub's answers.
type issue struct {
	RepositoryURL string        `json:"repository_url"`
	HTMLURL       string        `json:"html_url"`
	Number        int           `json:"number"`
	Title         string        `json:"title"`
	State         string        `json:"state"`
	Body          string        `json:"body"`
	Comments      int           `json:"comments"`
	Association   string        `json:"author_association"`
	CreatedAt     *gh.Timestamp `json:"created_at"`
	UpdatedAt     *gh.Timestamp `json:"updated_at"`
	User          account       `json:"user"`
	Assignees     []account     `json:"assignees"`
	PullRequest   *struct{}     `json:"pull_request"`
	Labels        []label       `json:"labels"`
}

// shown is i with the fields that were asked for, and those that say which it is.
func (in searchInput) shown(i issue) found {
	f := foundIn(i)
	if !tools.Wants(in.Fields, "author") {
		f.Author, f.Association = "", ""
	}
	if !tools.Wants(in.Fields, "labels") {
		f.Labels = []string{}
	}
	if !tools.Wants(in.Fields, "updated_at") {
		f.UpdatedAt = ""
	}
	if !tools.Wants(in.Fields, "body") {
		f.Body, f.BodyTruncated = "", false
	}
	return f
}

func foundIn(i issue) found {
	body, truncated := tools.Clip(i.Body, bodyLength)
	return found{
		Repo: repoIn(i.RepositoryURL, i.HTMLURL), Number: i.Number, Title: line(i.Title, titleLength), State: i.State,
		Author: i.User.Login, Association: i.Association, Labels: labelNames(i.Labels),
		UpdatedAt: when(i.UpdatedAt),
		Body:      body, BodyTruncated: truncated,
	}
}
