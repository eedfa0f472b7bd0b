package github

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	pushSize        = 500_000 // bytes of all files in a commit
	pushCount       = 100     // in a commit, deleted ones too
	pushDirectories = 60      // that are read for a commit
)

// check holds what the schema can't say.
func (in pushInput) check() error {
	if err := checkBranch(in.Branch); err != nil {
		return err
	}
	if err := checkSHA("expected_head_sha", in.ExpectedHead); err != nil {
		return err
	}
	if blank(&in.Message) {
		return told("The commit message is blank: say what the commit does.")
	}
	paths, size := slices.Clone(in.Delete), 0
	for _, f := range in.Files {
		paths, size = append(paths, f.Path), size+len(f.Content)
	}
	switch {
	case len(paths) == 0:
		return told("Nothing to commit: give files, or paths to delete.")
	case len(paths) > pushCount:
		return told("A commit takes %d files here, and these are %d. Make several commits.", pushCount, len(paths))
	case size > pushSize:
		return told("The files are %d bytes together, and a commit takes %d here. Make several commits.", size, pushSize)
	}
	return checkPaths(paths)
}

func checkPaths(paths []string) error {
	slices.Sort(paths)
	for i, path := range paths {
		if err := checkPath(path); err != nil {
			return err
		}
		if i > 0 && path == paths[i-1] {
			return told("%q is there twice: name each file once.", path)
		}
		if slices.ContainsFunc(paths, func(other string) bool { return strings.HasPrefix(other, path+"/") }) {
			return told("%q can't be a file and a directory at once.", path)
		}
	}
	return nil
}

// checkPath refuses what would lead elsewhere, what a person who approves it can't
// see, and workflows: these run with the repository's secrets, and GitHub wants a
// scope for them that isn't asked for.
func checkPath(path string) error {
	odd := tools.Clean(path) != path || strings.ContainsAny(path, "\\\n\t")
	for part := range strings.SplitSeq(path, "/") {
		odd = odd || dots(part) || strings.EqualFold(part, ".git")
	}
	if odd {
		return told("%q is no path of a file: give it from the repository's root, with slashes, without . and .., like docs/guide.md.", line(path, nameLength))
	}
	const workflows = ".github/workflows"
	if lower := strings.ToLower(path); lower == workflows || strings.HasPrefix(lower, workflows+"/") {
		return told("%q is a workflow: GitHub wants the scope workflow for these, which Latchkey doesn't ask for. Leave it out, and let a person add it.", line(path, nameLength))
	}
	return nil
}

// A treeLine is a line of a directory at GitHub.
type treeLine struct {
	Path string `json:"path"`
	Mode string `json:"mode"`
	Type string `json:"type"` // blob, tree or commit
	SHA  string `json:"sha"`
}

const (
	plainMode = "100644"
	linkMode  = "120000"
)

// written and deleted are lines of the tree that is made.
type (
	written struct {
		Path    string `json:"path"`
		Mode    string `json:"mode"`
		Type    string `json:"type"`
		Content string `json:"content"`
	}
	deleted struct {
		Path string  `json:"path"`
		Mode string  `json:"mode"`
		Type string  `json:"type"`
		SHA  *string `json:"sha"` // null
	}
)

// entries are the changes to the tree base. A file keeps its mode: a script stays
// executable.
func (p pusher) entries(ctx context.Context, base string) ([]any, error) {
	paths := slices.Clone(p.Delete)
	for _, f := range p.Files {
		paths = append(paths, f.Path)
	}
	w := walk{pusher: p, found: map[string]treeLine{}}
	if err := w.read(ctx, base, "", paths); err != nil {
		return nil, err
	}
	var list []any
	for _, f := range p.Files {
		old, there := w.found[f.Path]
		switch {
		case !there:
			old.Mode = plainMode
		case old.Mode == linkMode:
			return nil, told("%q is a symbolic link: write to the file that it leads to.", f.Path)
		}
		list = append(list, written{f.Path, old.Mode, "blob", f.Content})
	}
	for _, path := range p.Delete {
		old, there := w.found[path]
		if !there {
			return nil, told("%q isn't in the branch, so it can't be deleted.", path)
		}
		list = append(list, deleted{path, old.Mode, "blob", nil})
	}
	return list, nil
}

// A walk reads directories down to the paths of a push.
type walk struct {
	pusher
	found map[string]treeLine // files that are there, by path
	reads int
}

// read looks for paths, which are relative to the directory prefix, in its tree.
func (w *walk) read(ctx context.Context, sha, prefix string, paths []string) error {
	if w.reads++; w.reads > pushDirectories {
		return told("The files are in more than %d directories. Make several commits.", pushDirectories)
	}
	lines, err := w.list(ctx, sha)
	if err != nil {
		return err
	}
	below := map[string][]string{}
	for _, path := range paths {
		name, rest, nested := strings.Cut(path, "/")
		found, there := lines[name]
		switch {
		case !there:
		case nested && found.Type == "tree":
			below[name] = append(below[name], rest)
		case nested:
			return told("%q is no directory, so nothing can be below it. Delete it in a commit of its own first.", prefix+name)
		case found.Type != "blob":
			return told("%q is a directory or a submodule, not a file: name the files in it.", prefix+name)
		default:
			w.found[prefix+name] = found
		}
	}
	for _, name := range slices.Sorted(maps.Keys(below)) {
		if err := w.read(ctx, lines[name].SHA, prefix+name+"/", below[name]); err != nil {
			return err
		}
	}
	return nil
}

// list is one directory, by name.
func (w *walk) list(ctx context.Context, sha string) (map[string]treeLine, error) {
	var tree struct {
		Entries   []treeLine `json:"tree"`
		Truncated bool       `json:"truncated"`
	}
	if _, err := get(ctx, w.client, w.repo.path("git", "trees", sha), nil, &tree); err != nil {
		return nil, fault(ctx, err, "A directory of "+w.Repo)
	}
	if tree.Truncated {
		return nil, told("A directory of %s is too large for GitHub to list, so nothing can be committed to it here.", w.Repo)
	}
	lines := make(map[string]treeLine, len(tree.Entries))
	for _, e := range tree.Entries {
		if !fullSHA.MatchString(e.SHA) {
			return nil, odd(w.about())
		}
		lines[e.Path] = e
	}
	return lines, nil
}
