package github

import (
	"context"
	"strings"

	"github.com/latchkey-mcp/latchkey/tools"
)

// diffLine is how many bytes of a diff's line are shown: minified files have one of
// a megabyte.
const diffLine = 1000

// A diffSpot is where a diff goes on: at a file of a page, or within it.
type diffSpot struct {
	place
	Line int `json:"l,omitempty"`
}

// diff is as much of the changes as fits, by whole files or, within a large one,
// by whole lines. GitHub's own diff has no pages, and none at all of a large pull
// request; the files' patches have both.
func (p *pullReader) diff(ctx context.Context) (text, cursor string, err error) {
	at := diffSpot{place: place{Page: 1}}
	if err := tools.ReadCursor(ctx, p.in.Cursor, &at); err != nil {
		return "", "", err
	}
	page, next, err := p.filePage(ctx, at.place)
	if err != nil {
		return "", "", err
	}
	var shown []string
	for left := room; at.Skip < len(page); at.Skip, at.Line = at.Skip+1, 0 {
		lines := page[at.Skip].lines(at.Line)
		n := tools.Fit(lines, left)
		if n < len(lines) && len(shown) > 0 {
			return endDiff(ctx, shown, at)
		}
		shown, left = append(shown, lines[:n]...), left-encoded(lines[:n])
		if n < len(lines) {
			at.Line = at.after(n)
			return endDiff(ctx, shown, at)
		}
	}
	if next == 0 {
		return strings.Join(shown, "\n"), "", nil
	}
	return endDiff(ctx, shown, diffSpot{place: place{Page: next}})
}

// after is the line that follows the first n of what lines(at.Line) gave, which
// repeats the file's name.
func (d diffSpot) after(n int) int {
	if d.Line > 0 {
		n--
	}
	return d.Line + n
}

func endDiff(ctx context.Context, shown []string, at diffSpot) (text, cursor string, err error) {
	cursor, err = tools.WriteCursor(ctx, at)
	return strings.Join(shown, "\n"), cursor, err
}

// lines are the file's part of a unified diff, from the line that is the first to
// be shown.
func (f changedFile) lines(from int) []string {
	name, was := line(f.Filename, diffLine), line(f.Filename, diffLine)
	if f.Previous != "" {
		was = line(f.Previous, diffLine)
	}
	head := "diff --git a/" + was + " b/" + name
	all := []string{head}
	switch f.Status {
	case "added", "removed", "renamed", "copied":
		all[0] += " (" + f.Status + ")"
	}
	if f.Patch == "" {
		return append(all, "(no text to show: binary, too large, or its content is the same)")
	}
	for _, text := range strings.Split(f.Patch, "\n") {
		short, _ := tools.Clip(text, diffLine)
		all = append(all, short)
	}
	if from == 0 {
		return all
	}
	return append([]string{head + " (continued)"}, all[min(from, len(all)):]...)
}
