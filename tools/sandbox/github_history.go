package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func (s *Sandbox) githubCommits(c *call) answer {
	r, q := s.find(c), c.URL.Query()
	if r == nil {
		return githubNotFound()
	}
	if r.Git.empty() {
		return githubError(http.StatusConflict, "Git Repository is empty.")
	}
	head := r.Git.resolve(q.Get("sha"))
	if head == nil {
		return githubNotFound()
	}
	since, ok1 := instant(q.Get("since"))
	until, ok2 := instant(q.Get("until"))
	if !ok1 || !ok2 {
		return githubInvalid(fieldError{Resource: "Commit", Field: "since", Code: "invalid"})
	}
	list := []*commit{}
	for _, sha := range r.Git.history(head.SHA) {
		one := r.Git.Commits[sha]
		early, late := !since.IsZero() && one.At.Before(since), !until.IsZero() && one.At.After(until)
		if !early && !late && one.by(q.Get("author")) && r.Git.touches(one, q.Get("path")) {
			list = append(list, one)
		}
	}
	page, link := paginate(c, list)
	shapes := []object{}
	for _, one := range page {
		shapes = append(shapes, commitShape(c.base, r, one))
	}
	return answer{status: http.StatusOK, body: shapes}.with("Link", link)
}

// instant is a parameter's time; the zero time for none.
func instant(text string) (t time.Time, ok bool) {
	if text == "" {
		return time.Time{}, true
	}
	t, err := time.Parse(time.RFC3339, text)
	return t, err == nil
}

// by reports whether author, a login or an address, made the commit.
func (c *commit) by(author string) bool {
	return author == "" || strings.EqualFold(author, c.Author) || strings.EqualFold(author, gitEmail(c.Author))
}

// parent is the first commit before c, or "".
func (c *commit) parent() string {
	if len(c.Parents) == 0 {
		return ""
	}
	return c.Parents[0]
}

// touches reports whether c changes the file at path, or one below it.
func (g *gitStore) touches(c *commit, path string) bool {
	return path == "" || slices.ContainsFunc(g.changes(c.parent(), c.SHA), func(d change) bool {
		return d.Path == path || strings.HasPrefix(d.Path, strings.TrimSuffix(path, "/")+"/")
	})
}

func (s *Sandbox) githubCommit(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	if r.Git.empty() {
		return githubError(http.StatusConflict, "Git Repository is empty.")
	}
	found := r.Git.resolve(c.PathValue("ref"))
	if found == nil {
		return unprocessable("No commit found for SHA: " + c.PathValue("ref"))
	}
	changes, additions, deletions := r.Git.changes(found.parent(), found.SHA), 0, 0
	for _, d := range changes {
		_, come, gone := r.Git.patch(d)
		additions, deletions = additions+come, deletions+gone
	}
	page, link := paginate(c, changes)
	files := []object{}
	for _, d := range page {
		files = append(files, diffShape(c.base, r, found.SHA, d))
	}
	shape := commitShape(c.base, r, found)
	shape["stats"] = object{"additions": additions, "deletions": deletions, "total": additions + deletions}
	shape["files"] = files
	return answer{status: http.StatusOK, body: shape}.with("Link", link)
}

// commitShape is GitHub's "commit".
func commitShape(base string, r *repo, c *commit) object {
	git, api := gitCommitShape(base, r, c), base+"/api/v3/repos/"+r.Owner+"/"+r.Name+"/commits/"
	parents := []object{}
	for _, sha := range c.Parents {
		parents = append(parents, object{"sha": sha, "url": api + sha, "html_url": base + "/" + r.Owner + "/" + r.Name + "/commit/" + sha})
	}
	return object{
		"sha": c.SHA, "node_id": git["node_id"], "url": api + c.SHA, "html_url": git["html_url"], "comments_url": api + c.SHA + "/comments",
		"author": simpleUser(base, c.Author), "committer": simpleUser(base, c.Author), "parents": parents,
		"commit": object{
			"url": git["url"], "author": git["author"], "committer": git["committer"], "message": c.Message, "tree": git["tree"],
			"comment_count": 0, "verification": git["verification"],
		},
	}
}

// diffShape is GitHub's "diff entry" of a file at sha.
func diffShape(base string, r *repo, sha string, d change) object {
	patch, additions, deletions := r.Git.patch(d)
	blob := d.After.SHA
	if blob == "" {
		blob = d.Before.SHA
	}
	full, path := r.Owner+"/"+r.Name, (&url.URL{Path: d.Path}).EscapedPath()
	return object{
		"sha": blob, "filename": d.Path, "status": d.Status, "additions": additions, "deletions": deletions,
		"changes": additions + deletions, "patch": patch,
		"blob_url":     base + "/" + full + "/blob/" + sha + "/" + path,
		"raw_url":      base + "/" + full + "/raw/" + sha + "/" + path,
		"contents_url": base + "/api/v3/repos/" + full + "/contents/" + path + "?ref=" + sha,
	}
}

func (s *Sandbox) githubBranches(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	list := []object{}
	if !r.Git.empty() && c.URL.Query().Get("protected") != "true" {
		for _, name := range slices.Sorted(maps.Keys(r.Git.Branches)) {
			sha := r.Git.Branches[name]
			list = append(list, object{"name": name, "protected": false, "commit": object{"sha": sha,
				"url": c.base + "/api/v3/repos/" + r.Owner + "/" + r.Name + "/commits/" + sha}})
		}
	}
	page, link := paginate(c, list)
	return answer{status: http.StatusOK, body: page}.with("Link", link)
}

func (s *Sandbox) githubComments(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	i := r.issue(c.PathValue("number"))
	if i == nil {
		return githubNotFound()
	}
	since, ok := instant(c.URL.Query().Get("since"))
	if !ok {
		return githubInvalid(fieldError{Resource: "IssueComment", Field: "since", Code: "invalid"})
	}
	list := slices.DeleteFunc(slices.Clone(i.Comments), func(one *comment) bool { return one.Created.Before(since) })
	page, link := paginate(c, list)
	shapes := []object{}
	for _, one := range page {
		shapes = append(shapes, commentShape(c.base, r, i, one))
	}
	return answer{status: http.StatusOK, body: shapes}.with("Link", link)
}

// seedComments gives some issues a conversation with a stranger.
func (s *Sandbox) seedComments() {
	for _, r := range s.state.Repos {
		if r.Owner == DecoyLogin {
			continue
		}
		i := r.Issues[0]
		for n, author := range []string{"meadow-gardener", i.Author} {
			i.Comments = append(i.Comments, &comment{ID: s.nextID(), Author: author, Created: i.Created.Add(time.Duration(n+1) * time.Hour),
				Body: fmt.Sprintf("A thought about %q.", i.Title)})
		}
	}
}
