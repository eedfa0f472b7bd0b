package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// gitRoutes are the git data API: what a push is made of.
func (s *Sandbox) gitRoutes() map[string]handler {
	return map[string]handler{
		"GET /repos/{owner}/{repo}/git/ref/{ref...}":    s.gitRepo(s.gitRef),
		"POST /repos/{owner}/{repo}/git/refs":           s.gitRepo(s.gitCreateRef),
		"PATCH /repos/{owner}/{repo}/git/refs/{ref...}": s.gitRepo(s.gitUpdateRef),
		"GET /repos/{owner}/{repo}/git/commits/{sha}":   s.gitRepo(s.gitCommit),
		"POST /repos/{owner}/{repo}/git/commits":        s.gitRepo(s.gitCreateCommit),
		"GET /repos/{owner}/{repo}/git/trees/{sha}":     s.gitRepo(s.gitTree),
		"POST /repos/{owner}/{repo}/git/trees":          s.gitRepo(s.gitCreateTree),
	}
}

// gitRepo finds the repository for h, and checks what all of it has in common.
func (s *Sandbox) gitRepo(h func(*call, *repo) answer) handler {
	return func(c *call) answer {
		r := s.find(c)
		if r == nil {
			return githubNotFound()
		}
		if c.Method != http.MethodGet {
			if wrong := s.mayPush(c.token, r, "contents=write"); wrong.status != 0 {
				return wrong
			}
		}
		if r.Git.empty() {
			return githubError(http.StatusConflict, "Git Repository is empty.")
		}
		return h(c, r)
	}
}

// mayPush is the refusal of a change to what only the owner may, with status 0 for
// none. GitHub answers as if nothing were there.
func (s *Sandbox) mayPush(t *token, r *repo, permission string) answer {
	if wrong := s.mayWrite(t, r); wrong.status != 0 {
		return wrong.with("X-Accepted-GitHub-Permissions", permission)
	}
	if r.Owner != t.Account {
		return githubNotFound()
	}
	return answer{}
}

// unprocessable is a 422 without fields.
func unprocessable(message string) answer {
	return githubError(http.StatusUnprocessableEntity, message)
}

// githubBody decodes a strict body of resource.
func githubBody(c *call, resource string, into any, names ...string) answer {
	err := decodeStrict(c.body, into, names...)
	if field, ok := err.(unknownField); ok {
		return githubInvalid(fieldError{Resource: resource, Field: string(field), Code: "invalid", Message: err.Error()})
	}
	if err != nil {
		return githubError(http.StatusBadRequest, "Problems parsing JSON")
	}
	return answer{}
}

func (s *Sandbox) gitRef(c *call, r *repo) answer {
	branch, ok := strings.CutPrefix(c.PathValue("ref"), "heads/")
	if !ok || r.Git.Branches[branch] == "" {
		return githubNotFound()
	}
	return answer{status: http.StatusOK, body: refShape(c.base, r, branch)}
}

func (s *Sandbox) gitCreateRef(c *call, r *repo) answer {
	var in struct{ Ref, SHA string }
	if wrong := githubBody(c, "Reference", &in, "ref", "sha"); wrong.status != 0 {
		return wrong
	}
	branch, ok := strings.CutPrefix(in.Ref, "refs/heads/")
	switch {
	case !ok || !branchName(branch):
		return unprocessable("Reference name must start with 'refs/' and contain at least two slashes.")
	case r.Git.Branches[branch] != "":
		return unprocessable("Reference already exists")
	case r.Git.Commits[in.SHA] == nil:
		return unprocessable("Object does not exist")
	case r.Git.inTheWay(branch):
		return unprocessable("Reference update failed")
	}
	r.Git.Branches[branch] = in.SHA
	s.dirty = true
	shape := refShape(c.base, r, branch)
	return answer{status: http.StatusCreated, body: shape}.with("Location", shape["url"].(string))
}

// branchName is git's rule for one.
func branchName(name string) bool {
	if name == "" || name[0] == '-' || name == "@" || strings.HasSuffix(name, ".") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) })
}

// inTheWay: a branch is a file for git, so that a/b can't be where a is.
func (g *gitStore) inTheWay(branch string) bool {
	for other := range g.Branches {
		if strings.HasPrefix(other, branch+"/") || strings.HasPrefix(branch, other+"/") {
			return true
		}
	}
	return false
}

func (s *Sandbox) gitUpdateRef(c *call, r *repo) answer {
	var in struct {
		SHA   string
		Force bool
	}
	if wrong := githubBody(c, "Reference", &in, "sha", "force"); wrong.status != 0 {
		return wrong
	}
	branch, ok := strings.CutPrefix(c.PathValue("ref"), "heads/")
	switch {
	case !ok || r.Git.Branches[branch] == "":
		return unprocessable("Reference does not exist")
	case r.Git.Commits[in.SHA] == nil:
		return unprocessable("Object does not exist")
	case !in.Force && !slices.Contains(r.Git.history(in.SHA), r.Git.Branches[branch]):
		return unprocessable("Update is not a fast forward")
	}
	r.moveBranch(branch, in.SHA)
	s.dirty = true
	return answer{status: http.StatusOK, body: refShape(c.base, r, branch)}
}

func (s *Sandbox) gitCommit(c *call, r *repo) answer {
	found := r.Git.Commits[c.PathValue("sha")]
	if found == nil {
		return githubNotFound()
	}
	return answer{status: http.StatusOK, body: gitCommitShape(c.base, r, found)}
}

func (s *Sandbox) gitCreateCommit(c *call, r *repo) answer {
	var in struct {
		Message, Tree string
		Parents       []string
	}
	if wrong := githubBody(c, "Commit", &in, "message", "tree", "parents"); wrong.status != 0 {
		return wrong
	}
	if strings.TrimSpace(in.Message) == "" {
		return githubInvalid(fieldError{Resource: "Commit", Field: "message", Code: "missing_field"})
	}
	if r.Git.Trees[in.Tree] == nil {
		return unprocessable("Tree SHA does not exist")
	}
	for _, parent := range in.Parents {
		if r.Git.Commits[parent] == nil {
			return unprocessable("Parent SHA does not exist or is not a commit object")
		}
	}
	made := &commit{Tree: in.Tree, Parents: in.Parents, Message: in.Message, Author: c.token.Account,
		At: s.cfg.Now().UTC().Truncate(time.Second)}
	r.Git.commit(made)
	s.dirty = true
	shape := gitCommitShape(c.base, r, made)
	return answer{status: http.StatusCreated, body: shape}.with("Location", shape["url"].(string))
}

func (s *Sandbox) gitTree(c *call, r *repo) answer {
	sha := c.PathValue("sha")
	if r.Git.Trees[sha] == nil {
		return githubNotFound()
	}
	return answer{status: http.StatusOK, body: treeShape(c.base, r, sha)}
}

// A treeLine is what a new tree changes of its base: Content, or SHA where null
// takes the path away.
type treeLine struct {
	Path, Mode, Type string
	Content, SHA     *string
	gone             bool
}

func (s *Sandbox) gitCreateTree(c *call, r *repo) answer {
	var in struct {
		BaseTree string `json:"base_tree"`
		Tree     []map[string]*string
	}
	if wrong := githubBody(c, "Tree", &in, "base_tree", "tree"); wrong.status != 0 {
		return wrong
	}
	if in.Tree == nil {
		return unprocessable("Invalid tree info")
	}
	if in.BaseTree != "" && r.Git.Trees[in.BaseTree] == nil {
		return unprocessable("Invalid base_tree: no such tree")
	}
	files := r.Git.files(in.BaseTree)
	for _, raw := range in.Tree {
		line, wrong := readTreeLine(raw)
		if wrong == "" {
			wrong = r.Git.apply(files, line)
		}
		if wrong != "" {
			return unprocessable(wrong)
		}
		if strings.HasPrefix(line.Path, ".github/workflows/") && !s.cfg.GitHubApp && !c.token.has("workflow") {
			return githubNotFound()
		}
	}
	sha := r.Git.writeTree(files)
	s.dirty = true
	shape := treeShape(c.base, r, sha)
	return answer{status: http.StatusCreated, body: shape}.with("Location", shape["url"].(string))
}

// readTreeLine is a line that is well-formed, or what GitHub says of it.
func readTreeLine(raw map[string]*string) (treeLine, string) {
	text := func(name string) string {
		if raw[name] == nil {
			return ""
		}
		return *raw[name]
	}
	line := treeLine{Path: text("path"), Mode: text("mode"), Type: text("type"), Content: raw["content"], SHA: raw["sha"]}
	sha, named := raw["sha"]
	line.gone = named && sha == nil
	for name := range raw {
		if !slices.Contains([]string{"path", "mode", "type", "content", "sha"}, name) {
			return line, fmt.Sprintf("tree has an unknown field %q", name)
		}
	}
	for part := range strings.SplitSeq(line.Path, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") || strings.Contains(part, "\x00") {
			return line, "tree.path contains a malformed path component"
		}
	}
	switch {
	case !slices.Contains([]string{modeFile, modeRuns, modeLink}, line.Mode):
		return line, "Must supply a valid tree.mode"
	case line.Type != "blob":
		return line, "Must supply a valid tree.type"
	case (line.Content != nil) == (named && sha != nil) && !line.gone, line.gone && line.Content != nil:
		return line, "Must supply either tree.sha or tree.content. Request will be rejected if both are present."
	}
	return line, ""
}

// apply puts line into files; the text is what GitHub says against it.
func (g *gitStore) apply(files map[string]entry, line treeLine) string {
	if _, there := files[line.Path]; line.gone && !there {
		return "GitRPC::BadObjectState"
	}
	if line.gone {
		delete(files, line.Path)
		return ""
	}
	for path := range files { // what was a file or a directory before gives way
		if strings.HasPrefix(path, line.Path+"/") || strings.HasPrefix(line.Path, path+"/") {
			delete(files, path)
		}
	}
	if line.Content != nil {
		files[line.Path] = entry{line.Mode, g.blob(*line.Content).SHA}
		return ""
	}
	if _, ok := g.Blobs[*line.SHA]; !ok {
		return "tree.sha " + *line.SHA + " is not a valid blob"
	}
	files[line.Path] = entry{line.Mode, *line.SHA}
	return ""
}
