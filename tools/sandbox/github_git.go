package sandbox

import (
	"crypto/sha1" // what git names objects with
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A gitStore is a repository's git objects, named as git names them, and branches.
type gitStore struct {
	Blobs    map[string]string           // text by name
	Trees    map[string]map[string]entry // directories by name
	Commits  map[string]*commit
	Branches map[string]string // the head's name by branch
}

// An entry is a line of a directory: a file, or a directory of mode 040000.
type entry struct{ Mode, SHA string }

const (
	modeFile = "100644"
	modeRuns = "100755"
	modeLink = "120000"
	modeTree = "040000"
)

func (e entry) isTree() bool { return e.Mode == modeTree }

// A commit is one by Author, a login, who is also its committer.
type commit struct {
	SHA, Tree, Author, Message string
	Parents                    []string
	At                         time.Time
}

func newGit() *gitStore {
	return &gitStore{map[string]string{}, map[string]map[string]entry{}, map[string]*commit{}, map[string]string{}}
}

// empty: a repository without branches, for which GitHub has a status of its own.
func (g *gitStore) empty() bool { return g == nil || len(g.Branches) == 0 }

func gitName(kind, content string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", kind, len(content), content))
	return hex.EncodeToString(sum[:])
}

// blob keeps text and is a plain file of it.
func (g *gitStore) blob(text string) entry {
	sha := gitName("blob", text)
	g.Blobs[sha] = text
	return entry{modeFile, sha}
}

// writeTree keeps files, by path, as directories, and names their root.
func (g *gitStore) writeTree(files map[string]entry) string {
	dir, below := map[string]entry{}, map[string]map[string]entry{}
	for path, e := range files {
		name, rest, nested := strings.Cut(path, "/")
		if !nested {
			dir[name] = e
			continue
		}
		if below[name] == nil {
			below[name] = map[string]entry{}
		}
		below[name][rest] = e
	}
	for name, files := range below {
		dir[name] = entry{modeTree, g.writeTree(files)}
	}
	sha := gitName("tree", treeText(dir))
	g.Trees[sha] = dir
	return sha
}

// treeText is a directory as git hashes it, where directories sort with a slash.
func treeText(dir map[string]entry) string {
	sorted := func(name string) string {
		if dir[name].isTree() {
			return name + "/"
		}
		return name
	}
	names := slices.SortedFunc(maps.Keys(dir), func(a, b string) int { return strings.Compare(sorted(a), sorted(b)) })
	var text strings.Builder
	for _, name := range names {
		raw, _ := hex.DecodeString(dir[name].SHA)
		fmt.Fprintf(&text, "%s %s\x00%s", strings.TrimPrefix(dir[name].Mode, "0"), name, raw)
	}
	return text.String()
}

// files are those below a root, by path.
func (g *gitStore) files(root string) map[string]entry {
	all := map[string]entry{}
	for name, e := range g.Trees[root] {
		if !e.isTree() {
			all[name] = e
			continue
		}
		for path, e := range g.files(e.SHA) {
			all[name+"/"+path] = e
		}
	}
	return all
}

// filesAt are a commit's files; none for no commit.
func (g *gitStore) filesAt(sha string) map[string]entry {
	if c := g.Commits[sha]; c != nil {
		return g.files(c.Tree)
	}
	return nil
}

// commit names c and keeps it.
func (g *gitStore) commit(c *commit) string {
	text := "tree " + c.Tree + "\n"
	for _, parent := range c.Parents {
		text += "parent " + parent + "\n"
	}
	who := fmt.Sprintf("%s <%s> %d +0000", c.Author, gitEmail(c.Author), c.At.Unix())
	c.SHA = gitName("commit", text+"author "+who+"\ncommitter "+who+"\n\n"+c.Message)
	g.Commits[c.SHA] = c
	return c.SHA
}

// edit commits files, whole texts by path, on top of parent.
func (g *gitStore) edit(parent, author, message string, at time.Time, files map[string]string) string {
	all := g.filesAt(parent)
	for path, text := range files {
		all[path] = g.blob(text)
		if strings.HasSuffix(path, ".sh") {
			all[path] = entry{modeRuns, all[path].SHA}
		}
	}
	return g.commit(&commit{Tree: g.writeTree(all), Parents: []string{parent}, Author: author, Message: message, At: at})
}

func gitEmail(login string) string { return login + "@users.noreply.sandbox.example" }

// history is sha and all commits before it, each before its parents where their
// times say so.
func (g *gitStore) history(sha string) []string {
	seen, queue := map[string]bool{}, []string{sha}
	var list []string
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if c := g.Commits[next]; c != nil && !seen[next] {
			seen[next] = true
			list = append(list, next)
			queue = append(queue, c.Parents...)
		}
	}
	slices.SortStableFunc(list, func(a, b string) int { return g.Commits[b].At.Compare(g.Commits[a].At) })
	return list
}

// mergeBase is the newest commit that both have, or "".
func (g *gitStore) mergeBase(a, b string) string {
	ours := g.history(a)
	for _, sha := range g.history(b) {
		if slices.Contains(ours, sha) {
			return sha
		}
	}
	return ""
}

// A change is a file that differs; Before or After is empty where it isn't there.
type change struct {
	Path, Status  string // added, removed or modified
	Before, After entry
}

// changes are the files in which commit b differs from a, in order of path.
func (g *gitStore) changes(a, b string) []change {
	before, after := g.filesAt(a), g.filesAt(b)
	var list []change
	for path := range before {
		if _, kept := after[path]; !kept {
			list = append(list, change{path, "removed", before[path], entry{}})
		}
	}
	for path, e := range after {
		old, had := before[path]
		switch {
		case !had:
			list = append(list, change{path, "added", entry{}, e})
		case old != e:
			list = append(list, change{path, "modified", old, e})
		}
	}
	slices.SortFunc(list, func(a, b change) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// merge is ours with what theirs changed since they parted, file by file; clean is
// false where both changed one.
func (g *gitStore) merge(ours, theirs string) (tree string, clean bool) {
	base := g.mergeBase(ours, theirs)
	files, mine := g.filesAt(ours), map[string]entry{}
	for _, c := range g.changes(base, ours) {
		mine[c.Path] = c.After
	}
	for _, c := range g.changes(base, theirs) {
		if e, both := mine[c.Path]; both && e != c.After {
			return "", false
		}
		files[c.Path] = c.After
		if c.Status == "removed" {
			delete(files, c.Path)
		}
	}
	return g.writeTree(files), true
}

// patch is c as one hunk of a unified diff with three lines around it, and how
// many lines come and go.
func (g *gitStore) patch(c change) (text string, additions, deletions int) {
	before, after := lines(g.Blobs[c.Before.SHA]), lines(g.Blobs[c.After.SHA])
	start := 0
	for start < min(len(before), len(after)) && before[start] == after[start] {
		start++
	}
	end := 0
	for end < min(len(before), len(after))-start && before[len(before)-1-end] == after[len(after)-1-end] {
		end++
	}
	gone, come := before[start:len(before)-end], after[start:len(after)-end]
	from, tail := max(0, start-3), min(end, 3)
	head := fmt.Sprintf("@@ -%s +%s @@", span(from, len(before)-end+tail), span(from, len(after)-end+tail))
	out := []string{head}
	out = append(out, marked(" ", before[from:start])...)
	out = append(out, marked("-", gone)...)
	out = append(out, marked("+", come)...)
	out = append(out, marked(" ", before[len(before)-end:len(before)-end+tail])...)
	return strings.Join(out, "\n"), len(come), len(gone)
}

// span is the hunk's place in a file, from the line after from up to to.
func span(from, to int) string {
	if to == from {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

func marked(mark string, lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = mark + line
	}
	return out
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
