package github

import (
	"context"
	"net/http"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	fragmentCount  = 3
	fragmentLength = 400 // bytes of what is around a match
)

func searchCode() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_search_code",
		Title:       "Search code",
		Description: "Search words in default branches' files, 10 times a minute. No regexps.",
		Can:         "Search the code of public repositories and of those that you can see",
		Provider:    provider,
		Scopes:      []string{scope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{{
			Method: http.MethodGet, Host: host, Path: "/search/code", Query: []string{"q", "page", "per_page"},
		}},
	}, findCode)
}

type codeInput struct {
	Query  string `json:"query" jsonschema:"like: parseURL repo:owner/name path:src"`
	Cursor string `json:"cursor,omitempty" jsonschema:"from next_cursor"`
}

type codeOutput struct {
	Total      int         `json:"total"`
	Files      []foundCode `json:"files"`
	NextCursor string      `json:"next_cursor,omitempty"`
	Incomplete bool        `json:"incomplete,omitempty"`
	Untrusted  string      `json:"untrusted"`
}

type foundCode struct {
	Repo      string   `json:"repo"`
	Path      string   `json:"path"`
	Fragments []string `json:"fragments"`
}

// A codeMatch is what the tool reads of GitHub's answer.
type codeMatch struct {
	Path        string     `json:"path"`
	Repository  repository `json:"repository"`
	TextMatches []struct {
		Property string `json:"property"`
		Fragment string `json:"fragment"`
	} `json:"text_matches"`
}

func findCode(ctx context.Context, api *http.Client, in codeInput) (codeOutput, error) {
	answer, err := find[codeMatch](ctx, api, searching{kind: "code", terms: in.Query, cursor: in.Cursor})
	if err != nil {
		return codeOutput{}, err
	}
	list, cursor, err := cut(ctx, answer.at, each(answer.Items, foundCodeIn), answer.next, room)
	return codeOutput{
		Total: answer.Total, Files: list, NextCursor: cursor, Incomplete: answer.Incomplete, Untrusted: tools.Untrusted,
	}, err
}

func foundCodeIn(m codeMatch) foundCode {
	out := foundCode{Repo: m.Repository.FullName, Path: tools.Clean(m.Path), Fragments: []string{}}
	for _, match := range m.TextMatches {
		if match.Property == "content" && len(out.Fragments) < fragmentCount {
			fragment, _ := tools.Clip(match.Fragment, fragmentLength)
			out.Fragments = append(out.Fragments, fragment)
		}
	}
	return out
}
