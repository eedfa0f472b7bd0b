package sandbox

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// readRoutes are the repositories' contents and history, and the searches.
func (s *Sandbox) readRoutes() map[string]handler {
	return map[string]handler{
		"GET /search/repositories":                           s.githubSearchRepos,
		"GET /search/code":                                   s.githubSearchCode,
		"GET /repos/{owner}/{repo}/contents":                 s.githubContents,
		"GET /repos/{owner}/{repo}/contents/{path...}":       s.githubContents,
		"GET /repos/{owner}/{repo}/commits":                  s.githubCommits,
		"GET /repos/{owner}/{repo}/commits/{ref}":            s.githubCommit,
		"GET /repos/{owner}/{repo}/branches":                 s.githubBranches,
		"GET /repos/{owner}/{repo}/issues/{number}/comments": s.githubComments,
	}
}

// resolve is the commit that ref names: a branch, or a commit by seven of its
// characters or more; "" is the default branch.
func (g *gitStore) resolve(ref string) *commit {
	if ref == "" {
		ref = "main"
	}
	if sha, ok := g.Branches[strings.TrimPrefix(strings.TrimPrefix(ref, "refs/"), "heads/")]; ok {
		return g.Commits[sha]
	}
	var found *commit
	for sha, c := range g.Commits {
		if len(ref) >= 7 && strings.HasPrefix(sha, strings.ToLower(ref)) {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	return found
}

func (s *Sandbox) githubContents(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	if r.Git.empty() {
		return githubError(http.StatusNotFound, "This repository is empty.")
	}
	ref := c.URL.Query().Get("ref")
	at := r.Git.resolve(ref)
	if at == nil {
		return githubError(http.StatusNotFound, "No commit found for the ref "+ref)
	}
	v := &contentView{c.base, r, at, ref}
	name := strings.TrimSuffix(c.PathValue("path"), "/")
	e, ok := v.lookup(name)
	switch {
	case !ok:
		return githubNotFound()
	case e.isTree():
		return answer{status: http.StatusOK, body: v.directory(name, e)}
	}
	if e.Mode == modeLink { // a link to a file of the repository is that file
		target, ok := v.lookup(path.Join(path.Dir(name), r.Git.Blobs[e.SHA]))
		if !ok || target.isTree() || target.Mode == modeLink {
			o := v.shape(name, e)
			o["target"] = r.Git.Blobs[e.SHA]
			return answer{status: http.StatusOK, body: o}
		}
		e = target
	}
	o := v.shape(name, e)
	o["encoding"], o["content"] = "base64", lined(base64.StdEncoding.EncodeToString([]byte(r.Git.Blobs[e.SHA])))
	return answer{status: http.StatusOK, body: o}
}

// lined is text in lines of sixty characters, as GitHub's base64 is.
func lined(text string) string {
	var out strings.Builder
	for line := range slices.Chunk([]byte(text), 60) {
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.String()
}

// A contentView is a repository at a commit, which was asked for as ref.
type contentView struct {
	base string
	repo *repo
	at   *commit
	ref  string
}

// lookup is the file or directory at name, which is "" for the top.
func (v *contentView) lookup(name string) (entry, bool) {
	e := entry{modeTree, v.at.Tree}
	if name == "" {
		return e, true
	}
	for part := range strings.SplitSeq(name, "/") {
		next, ok := v.repo.Git.Trees[e.SHA][part]
		if !e.isTree() || !ok {
			return entry{}, false
		}
		e = next
	}
	return e, true
}

func (v *contentView) directory(name string, e entry) []object {
	list, dir := []object{}, v.repo.Git.Trees[e.SHA]
	for _, file := range slices.Sorted(maps.Keys(dir)) {
		list = append(list, v.shape(path.Join(name, file), dir[file]))
	}
	return list
}

// shape is what all of GitHub's kinds of contents have.
func (v *contentView) shape(name string, e entry) object {
	ref := v.ref
	if ref == "" {
		ref = "main"
	}
	full, escaped := v.repo.Owner+"/"+v.repo.Name, (&url.URL{Path: name}).EscapedPath()
	kind, tree, size, download := "file", "blob", len(v.repo.Git.Blobs[e.SHA]), any(v.base+"/raw/"+full+"/"+ref+"/"+escaped)
	switch e.Mode {
	case modeTree:
		kind, tree, size, download = "dir", "tree", 0, nil
	case modeLink:
		kind = "symlink"
	}
	self := v.base + "/api/v3/repos/" + full + "/contents/" + escaped + "?ref=" + url.QueryEscape(ref)
	git, page := gitURL(v.base, v.repo, tree+"s", e.SHA), v.base+"/"+full+"/"+tree+"/"+ref+"/"+escaped
	return object{
		"type": kind, "name": path.Base(name), "path": name, "sha": e.SHA, "size": size, "url": self, "git_url": git,
		"html_url": page, "download_url": download, "_links": object{"self": self, "git": git, "html": page},
	}
}
