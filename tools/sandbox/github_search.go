package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// found is an issue with its repository.
type found struct {
	repo  *repo
	issue *issue
}

func newestFirst(list []found) {
	slices.SortStableFunc(list, func(a, b found) int { return b.issue.Created.Compare(a.issue.Created) })
}

// A term is a word of a search, or a qualifier with its value.
type term struct {
	not        bool
	name, text string // name is "" for a word
}

// terms splits q at spaces outside of quotes.
func terms(q string) []term {
	var list []term
	quoted := false
	for _, word := range strings.FieldsFunc(q, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	}) {
		t := term{text: word}
		if rest, ok := strings.CutPrefix(word, "-"); ok {
			t.not, t.text = true, rest
		}
		if name, value, ok := strings.Cut(t.text, ":"); ok && !strings.Contains(name, `"`) {
			t.name, t.text = strings.ToLower(name), value
		}
		t.text = strings.ToLower(strings.Trim(t.text, `"`))
		list = append(list, t)
	}
	return list
}

// has says whether f is what t asks for; ok is false for a qualifier that the
// sandbox doesn't have.
func (t term) has(f found, caller string) (hit, ok bool) {
	i := f.issue
	login := func(value string) string { return strings.Replace(value, "@me", strings.ToLower(caller), 1) }
	same := func(value string) bool { return strings.EqualFold(value, login(t.text)) }
	switch t.name {
	case "":
		return strings.Contains(strings.ToLower(i.Title+"\n"+i.Body), t.text), true
	case "repo":
		return same(f.repo.Owner + "/" + f.repo.Name), true
	case "user", "org":
		return same(f.repo.Owner), true
	case "author":
		return same(i.Author), true
	case "assignee":
		return slices.ContainsFunc(i.Assignees, same), true
	case "involves":
		return same(i.Author) || slices.ContainsFunc(i.Assignees, same), true
	case "label":
		return slices.ContainsFunc(i.Labels, same), true
	case "no":
		return t.text == "label" && len(i.Labels) == 0 || t.text == "assignee" && len(i.Assignees) == 0 || t.text == "milestone", true
	case "created":
		return inRange(i.Created, t.text)
	case "updated":
		return inRange(i.Updated, t.text)
	case "in", "sort":
		return true, true
	case "is", "state", "type":
		return f.is(t.text)
	}
	return false, false
}

// is has the kinds and states of issues and pull requests.
func (f found) is(what string) (hit, ok bool) {
	switch what {
	case "open", "closed":
		return f.issue.State == what, true
	case "issue":
		return f.issue.Pull == nil, true
	case "pr", "pull-request":
		return f.issue.Pull != nil, true
	case "draft":
		return f.issue.Pull != nil && f.issue.Pull.Draft, true
	case "merged", "unmerged":
		return f.issue.Pull != nil && (f.issue.Pull.Merged != nil) == (what == "merged"), true
	case "public", "private":
		return f.repo.Private == (what == "private"), true
	}
	return false, false
}

// inRange is created:>=2026-01-31 and the like.
func inRange(t time.Time, text string) (hit, ok bool) {
	if from, to, both := strings.Cut(text, ".."); both {
		after, ok1 := inRange(t, ">="+from)
		before, ok2 := inRange(t, "<="+to)
		return after && before, ok1 && ok2
	}
	operator := text[:len(text)-len(strings.TrimLeft(text, "<>="))]
	day, err := time.Parse(time.DateOnly, text[len(operator):])
	if err != nil {
		return false, false
	}
	at, next := t.UTC(), day.AddDate(0, 0, 1)
	switch operator {
	case ">":
		return !at.Before(next), true
	case ">=":
		return !at.Before(day), true
	case "<":
		return at.Before(day), true
	case "<=":
		return at.Before(next), true
	case "":
		return !at.Before(day) && at.Before(next), true
	}
	return false, false
}

func (s *Sandbox) githubSearch(c *call) answer {
	q := c.URL.Query()
	list := terms(q.Get("q"))
	asks := condition(func(f found, caller string) bool { return matches(f, list, caller) })
	if q.Get("advanced_search") == "true" && strings.TrimSpace(q.Get("q")) != "" {
		wrong := ""
		if asks, list, wrong = readQuery(q.Get("q")); wrong != "" {
			return searchInvalid("q", wrong)
		}
	}
	if wrong := s.checkSearch(c, q.Get("q"), list); wrong.status != 0 {
		return wrong
	}
	hits := s.hits(c, asks)
	if !sortFound(hits, q.Get("sort"), q.Get("order")) {
		return searchInvalid("sort", "The sandbox sorts by created and updated only, in order asc or desc.")
	}
	page, link := paginate(c, hits)
	return answer{status: http.StatusOK, body: object{"total_count": len(hits), "incomplete_results": false, "search_type": "lexical",
		"items": issueShapes(c, page, true)}}.with("Link", link)
}

// hits are the issues that the caller may see and that fit.
func (s *Sandbox) hits(c *call, asks condition) []found {
	var hits []found
	for _, r := range s.state.Repos {
		if !s.sees(c.token, r) {
			continue
		}
		for _, i := range r.Issues {
			f := found{r, i}
			if asks(f, c.token.Account) {
				hits = append(hits, f)
			}
		}
	}
	return hits
}

// matches: all terms fit, and of the places that are named any.
func matches(f found, list []term, caller string) bool {
	places, inPlace := 0, false
	for _, t := range list {
		hit, _ := t.has(f, caller)
		switch {
		case t.not || t.name != "repo" && t.name != "user" && t.name != "org":
			if hit == t.not {
				return false
			}
		default:
			places++
			inPlace = inPlace || hit
		}
	}
	return places == 0 || inPlace
}

func sortFound(list []found, by, order string) bool {
	newestFirst(list)
	switch by {
	case "", "created":
	case "updated":
		slices.SortStableFunc(list, func(a, b found) int { return b.issue.Updated.Compare(a.issue.Updated) })
	default:
		return false
	}
	if order == "asc" && by != "" {
		slices.Reverse(list)
	}
	return order == "" || order == "asc" || order == "desc"
}

func searchInvalid(field, message string) answer {
	return githubInvalid(fieldError{Resource: "Search", Field: field, Code: "invalid", Message: message})
}

// checkSearch refuses what GitHub refuses, and qualifiers that the sandbox doesn't
// have, which would otherwise silently find everything or nothing.
func (s *Sandbox) checkSearch(c *call, q string, list []term) answer {
	if strings.TrimSpace(q) == "" {
		return githubInvalid(fieldError{Resource: "Search", Field: "q", Code: "missing"})
	}
	if len(q) > 256 {
		return searchInvalid("q", "The search is longer than 256 characters.")
	}
	if query := c.URL.Query(); (number(query, "page", 1, 1<<30)-1)*number(query, "per_page", 30, 100) >= 1000 {
		return githubError(http.StatusUnprocessableEntity, "Only the first 1000 search results are available")
	}
	kind := slices.ContainsFunc(list, func(t term) bool {
		return (t.name == "is" || t.name == "type") && (t.text == "issue" || t.text == "pr" || t.text == "pull-request")
	})
	if s.cfg.GitHubApp && !kind {
		return githubError(http.StatusUnprocessableEntity, "Query must include 'is:issue' or 'is:pull-request'")
	}
	if c.URL.Query().Get("advanced_search") == "true" {
		return s.checkTerms(c, list)
	}
	if words := strings.Fields(q); strings.ContainsAny(q, "()") || slices.Contains(words, "OR") || slices.Contains(words, "NOT") {
		return searchInvalid("q", "The sandbox has OR, NOT and parentheses in the advanced search alone.")
	}
	return s.checkTerms(c, list)
}

func (s *Sandbox) checkTerms(c *call, list []term) answer {
	named, visible := 0, 0
	for _, t := range list {
		if _, ok := t.has(found{&repo{}, &issue{}}, c.token.Account); !ok {
			return searchInvalid("q", "The sandbox doesn't have the qualifier "+t.name+":"+t.text+".")
		}
		if t.name != "repo" || t.not {
			continue
		}
		named++
		if slices.ContainsFunc(s.state.Repos, func(r *repo) bool {
			return strings.EqualFold(r.Owner+"/"+r.Name, t.text) && s.sees(c.token, r)
		}) {
			visible++
		}
	}
	if named > 0 && visible == 0 {
		return searchInvalid("q", "The listed users and repositories cannot be searched either because the resources do not exist or you do not have permission to view them.")
	}
	return answer{}
}
