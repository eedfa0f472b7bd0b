package github

import (
	"context"
	"encoding/json"
	"net/url"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

// A source is one of the listings that a result is made of, one after the other:
// the page at a place, and the number of the page after it, or 0.
type source[T any] func(ctx context.Context, at place) (page []T, next int, err error)

// A spot is where a chain of sources goes on.
type spot struct {
	place
	Source int    `json:"n,omitempty"`
	SHA    string `json:"h,omitempty"` // the commit that all of it is about
}

func (s *spot) read(ctx context.Context, cursor string) error {
	*s = spot{place: place{Page: 1}}
	return tools.ReadCursor(ctx, cursor, s)
}

// listed is what fits into a result, from where cursor stands, and the cursor to
// what is after it. The sources are about sha, which the cursor keeps.
func listed[T any](ctx context.Context, cursor, sha string, sources ...source[T]) ([]T, string, error) {
	var at spot
	if err := at.read(ctx, cursor); err != nil {
		return nil, "", err
	}
	at.SHA = sha
	list, left := []T{}, room
	for at.Source < len(sources) {
		page, next, err := sources[at.Source](ctx, at.place)
		if err != nil {
			return nil, "", err
		}
		rest := page[min(at.Skip, len(page)):]
		n := tools.Fit(rest, left)
		if len(list) > 0 && n == 1 && encoded(rest[:1]) > left {
			n = 0 // Fit has at least one, which the list has already
		}
		list, left = append(list, rest[:n]...), left-encoded(rest[:n])
		switch {
		case n < len(rest):
			at.Skip += n
		case next != 0:
			at.place = place{Page: next}
		default:
			at.Source, at.place = at.Source+1, place{Page: 1}
			continue
		}
		cursor, err := tools.WriteCursor(ctx, at)
		return list, cursor, err
	}
	return list, "", nil
}

// nextPage is the page that the Link header names, or 0.
func nextPage(resp *gh.Response) int {
	if resp == nil {
		return 0
	}
	return resp.NextPage
}

// encoded is how many bytes v has as JSON.
func encoded(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		return 0 // nothing of the result will encode either
	}
	return len(text)
}

// webLink is an address that people may open, or "".
func webLink(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(address) > 500 {
		return ""
	}
	return u.String()
}
