package sandbox

import (
	"slices"
	"strings"
)

// A query is a search with AND, OR, NOT and parentheses, being read: GitHub's
// advanced search for issues.
type query struct {
	words     []string // the rest of it
	terms     []term   // all that were read
	operators int
}

// A condition is what a query asks of an issue.
type condition func(f found, caller string) bool

// readQuery is what q asks, the terms in it, and what GitHub says against it.
func readQuery(q string) (condition, []term, string) {
	all := &query{words: words(q)}
	asks, ok := all.either()
	switch {
	case !ok || len(all.words) > 0:
		return nil, nil, "The search can't be parsed."
	case all.operators > 5:
		return nil, nil, "More than five AND / OR / NOT operators were used."
	}
	return asks, all.terms, ""
}

// words are the terms, operators and parentheses of q.
func words(q string) []string {
	var list []string
	word, quoted := "", false
	end := func() {
		if word != "" {
			list = append(list, word)
		}
		word = ""
	}
	for _, r := range q {
		if r == '"' {
			quoted = !quoted
		}
		switch {
		case quoted || !strings.ContainsRune(" ()", r):
			word += string(r)
		case r == ' ':
			end()
		default:
			end()
			list = append(list, string(r))
		}
	}
	end()
	return list
}

// take goes past the next word if it is that one.
func (q *query) take(word string) bool {
	if len(q.words) == 0 || q.words[0] != word {
		return false
	}
	q.words = q.words[1:]
	if word == "AND" || word == "OR" || word == "NOT" {
		q.operators++
	}
	return true
}

// either is conditions with OR between them.
func (q *query) either() (condition, bool) {
	list := []condition{}
	for {
		one, ok := q.both()
		if !ok {
			return nil, false
		}
		list = append(list, one)
		if !q.take("OR") {
			break
		}
	}
	return func(f found, caller string) bool {
		return slices.ContainsFunc(list, func(one condition) bool { return one(f, caller) })
	}, true
}

// both is conditions with AND, or nothing, between them.
func (q *query) both() (condition, bool) {
	list := []condition{}
	for {
		one, ok := q.one()
		if !ok {
			return nil, false
		}
		list = append(list, one)
		if !q.take("AND") && (len(q.words) == 0 || q.words[0] == "OR" || q.words[0] == ")") {
			break
		}
	}
	return func(f found, caller string) bool {
		return !slices.ContainsFunc(list, func(one condition) bool { return !one(f, caller) })
	}, true
}

// one is a term, or all that is in parentheses.
func (q *query) one() (condition, bool) {
	switch {
	case q.take("NOT"):
		one, ok := q.one()
		return func(f found, caller string) bool { return !one(f, caller) }, ok
	case q.take("("):
		all, ok := q.either()
		return all, ok && q.take(")")
	case len(q.words) == 0 || slices.Contains([]string{"AND", "OR", ")"}, q.words[0]):
		return nil, false
	}
	t := terms(q.words[0])[0]
	q.words, q.terms = q.words[1:], append(q.terms, t)
	return func(f found, caller string) bool {
		hit, _ := t.has(f, caller)
		return hit != t.not
	}, true
}
