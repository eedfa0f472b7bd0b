package sandbox

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// beginSearch checks what GitHub refuses in every search.
func beginSearch(c *call) ([]term, answer) {
	q := c.URL.Query()
	text := q.Get("q")
	switch {
	case strings.TrimSpace(text) == "":
		return nil, githubInvalid(fieldError{Resource: "Search", Field: "q", Code: "missing"})
	case len(text) > 256:
		return nil, searchInvalid("q", "The search is longer than 256 characters.")
	case (number(q, "page", 1, 1<<30)-1)*number(q, "per_page", 30, 100) >= 1000:
		return nil, unprocessable("Only the first 1000 search results are available")
	}
	return terms(text), answer{}
}

// searched is a page of what a search finds.
func searched[T any](c *call, hits []T, shape func(T) object) answer {
	page, link := paginate(c, hits)
	items := []object{}
	for _, hit := range page {
		o := shape(hit)
		o["score"] = 1.0
		items = append(items, o)
	}
	return answer{status: http.StatusOK, body: object{"total_count": len(hits), "incomplete_results": false, "items": items}}.with("Link", link)
}

// hasRepo says whether the repository is what t asks for; ok is false for a
// qualifier that the sandbox doesn't have.
func (t term) hasRepo(r *repo, caller string) (hit, ok bool) {
	value := strings.Replace(t.text, "@me", strings.ToLower(caller), 1)
	switch t.name {
	case "repo":
		return strings.EqualFold(value, r.Owner+"/"+r.Name), true
	case "user", "org":
		return strings.EqualFold(value, r.Owner), true
	}
	return false, false
}

func (s *Sandbox) githubSearchRepos(c *call) answer {
	list, wrong := beginSearch(c)
	if wrong.status != 0 {
		return wrong
	}
	q := c.URL.Query()
	if !slices.Contains([]string{"", "stars", "forks", "help-wanted-issues", "updated"}, q.Get("sort")) {
		return searchInvalid("sort", "The sort is not one of stars, forks, help-wanted-issues and updated.")
	}
	var hits []*repo
	for _, r := range s.state.Repos {
		fits := s.sees(c.token, r)
		for _, t := range list {
			hit, ok := t.describes(r, c.token.Account)
			if !ok {
				return searchInvalid("q", "The sandbox doesn't have the qualifier "+t.name+":"+t.text+".")
			}
			fits = fits && hit != t.not
		}
		if fits {
			hits = append(hits, r)
		}
	}
	return searched(c, hits, func(r *repo) object { return fullRepo(c.base, r, c.token.Account) })
}

// describes is hasRepo with what a search for repositories has beside it.
func (t term) describes(r *repo, caller string) (hit, ok bool) {
	switch t.name {
	case "":
		return strings.Contains(strings.ToLower(r.Name+"\n"+r.Description), t.text), true
	case "in":
		return true, true
	case "is":
		return r.Private == (t.text == "private"), t.text == "private" || t.text == "public"
	case "fork", "archived":
		return t.text == "false", true
	}
	return t.hasRepo(r, caller)
}

// A codeHit is a file in which all words of a search are.
type codeHit struct {
	repo  *repo
	path  string
	entry entry
	word  string // the first that was found in its text
}

func (s *Sandbox) githubSearchCode(c *call) answer {
	list, wrong := beginSearch(c)
	if wrong.status != 0 {
		return wrong
	}
	if !slices.ContainsFunc(list, func(t term) bool { return t.name == "" && !t.not }) {
		return searchInvalid("q", "The search has no term to look for, but only qualifiers.")
	}
	for _, t := range list {
		if _, ok := t.inFile(codeHit{repo: &repo{}}, "", ""); !ok {
			return searchInvalid("q", "The sandbox doesn't have the qualifier "+t.name+":"+t.text+".")
		}
	}
	var hits []codeHit
	for _, r := range s.state.Repos {
		if !s.sees(c.token, r) || r.Git.empty() {
			continue
		}
		files := r.Git.filesAt(r.Git.Branches["main"])
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if hit := (codeHit{repo: r, path: name, entry: files[name]}); hit.fits(list, r.Git.Blobs[files[name].SHA], c.token.Account) {
				hits = append(hits, hit)
			}
		}
	}
	fragments := strings.Contains(c.Header.Get("Accept"), "text-match")
	return searched(c, hits, func(h codeHit) object { return h.shape(c, fragments) })
}

// inFile says whether h, whose text this is, is what t asks for.
func (t term) inFile(h codeHit, text, caller string) (hit, ok bool) {
	switch t.name {
	case "":
		return strings.Contains(strings.ToLower(text+"\n"+h.path), t.text), true
	case "in":
		return true, true
	case "path":
		return strings.HasPrefix(strings.ToLower(h.path), strings.Trim(t.text, "/")+"/"), true
	case "filename":
		return strings.EqualFold(path.Base(h.path), t.text), true
	case "extension":
		return strings.EqualFold(path.Ext(h.path), "."+t.text), true
	}
	return t.hasRepo(h.repo, caller)
}

// fits reports whether all terms fit, and remembers the word to show.
func (h *codeHit) fits(list []term, text, caller string) bool {
	for _, t := range list {
		if hit, _ := t.inFile(*h, text, caller); hit == t.not {
			return false
		}
		if t.name == "" && !t.not && h.word == "" && strings.Contains(strings.ToLower(text), t.text) {
			h.word = t.text
		}
	}
	return true
}

// shape is GitHub's "code search result item".
func (h codeHit) shape(c *call, fragments bool) object {
	v := &contentView{c.base, h.repo, h.repo.Git.resolve(""), ""}
	o := object{"repository": fullRepo(c.base, h.repo, c.token.Account)}
	shape := v.shape(h.path, h.entry)
	for _, name := range []string{"name", "path", "sha", "url", "git_url", "html_url"} {
		o[name] = shape[name]
	}
	if fragments && h.word != "" {
		text := h.repo.Git.Blobs[h.entry.SHA]
		at := strings.Index(strings.ToLower(text), h.word)
		from, to := max(0, at-60), min(len(text), at+len(h.word)+60)
		o["text_matches"] = []object{{
			"object_url": shape["url"], "object_type": "FileContent", "property": "content",
			"fragment": strings.ToValidUTF8(text[from:to], ""),
			"matches":  []object{{"text": text[at : at+len(h.word)], "indices": []int{at - from, at - from + len(h.word)}}},
		}}
	}
	return o
}
