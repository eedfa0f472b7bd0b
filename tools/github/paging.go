package github

import (
	"context"
	"net/url"
	"strconv"

	"github.com/latchkey-mcp/latchkey/tools"
)

// room is what a result's items may take of its budget; the rest is for what is
// around them.
const room = tools.Budget - 2<<10

// A place is where a listing goes on: a page of GitHub's, and how many of its items
// were given already.
type place struct {
	Page int `json:"p"`
	Skip int `json:"s,omitempty"`
}

// placeIn is the cursor's place, or the listing's start.
func placeIn(ctx context.Context, cursor string) (place, error) {
	at := place{Page: 1}
	err := tools.ReadCursor(ctx, cursor, &at)
	return at, err
}

// query asks for the place's page, of size items. The size must be the same for
// the whole listing.
func (p place) query(size int) url.Values {
	return url.Values{"page": {strconv.Itoa(p.Page)}, "per_page": {strconv.Itoa(size)}}
}

// cut is what of the place's page fits into budget bytes, and the cursor to what is
// left of the page or to nextPage, which is 0 after the last; "" at the end.
func cut[T any](ctx context.Context, at place, page []T, nextPage, budget int) ([]T, string, error) {
	rest := page[min(at.Skip, len(page)):]
	n := tools.Fit(rest, budget)
	next := place{Page: at.Page, Skip: at.Skip + n}
	if n == len(rest) {
		next = place{Page: nextPage}
	}
	if next.Page == 0 {
		return rest, "", nil
	}
	cursor, err := tools.WriteCursor(ctx, next)
	return rest[:n], cursor, err
}
