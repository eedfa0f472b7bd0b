package github

import (
	"strings"
	"time"
	"unicode/utf8"

	gh "github.com/google/go-github/v89/github"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	titleLength = 300 // bytes of a title
	nameLength  = 100 // bytes of a label's or a person's name
	labelCount  = 20
)

// line is text on one line, cleaned and cut to at most so many bytes.
func line(text string, most int) string {
	short, _ := tools.Clip(strings.Join(strings.Fields(text), " "), most)
	return short
}

// firstLine is the first line of text, as line is.
func firstLine(text string, most int) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line(first, most)
}

// each is f of every item of list, and never nil.
func each[A, B any](list []A, f func(A) B) []B {
	out := make([]B, len(list))
	for i, item := range list {
		out[i] = f(item)
	}
	return out
}

// clipJSON is text cleaned and cut, on a character's edge, to at most so many bytes
// as they are in JSON, with "…" behind; short says whether something is missing. Code
// and markup take up to six times their own length there.
func clipJSON(text string, most int) (cut string, short bool) {
	text = tools.Clean(text)
	for i, r := range text {
		if most -= width(r); most < 0 {
			return text[:i] + "…", true
		}
	}
	return text, false
}

// width is how many bytes encoding/json makes of r, which Clean let through.
func width(r rune) int {
	switch r {
	case '"', '\\', '\n', '\t':
		return 2
	case '<', '>', '&', '\u2028', '\u2029':
		return 6
	}
	return utf8.RuneLen(r)
}

// An account is who wrote something. GitHub has null for an account that is gone.
type account struct {
	Login string `json:"login"`
}

// A label is an issue's or a pull request's.
type label struct {
	Name string `json:"name"`
}

func labelNames(labels []label) []string {
	return each(labels[:min(len(labels), labelCount)], func(l label) string { return line(l.Name, nameLength) })
}

// when is t as RFC 3339 in UTC, "" for none.
func when(t *gh.Timestamp) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
