package sandbox

import (
	"slices"
	"strings"
	"time"
)

// A pull is what makes an issue a pull request, between two branches of one
// repository.
type pull struct {
	Head, Base string // branches
	// HeadSHA and BaseSHA are the branches' heads; of a pull request that is no
	// longer open they are what they were then.
	HeadSHA, BaseSHA string
	Draft            bool
	Merged           *time.Time
	MergedBy         string
	MergeSHA         string // the commit that the merge made
	Reviews          []*review
	Comments         []*reviewComment // on lines
}

// A review is one that was submitted.
type review struct {
	ID                  int64
	Author, State, Body string // State is APPROVED, CHANGES_REQUESTED or COMMENTED
	CommitSHA           string
	Submitted           time.Time
}

// A reviewComment is one on a line of the diff.
type reviewComment struct {
	ID, Review      int64
	Author, Body    string
	Path, Side      string
	Line, StartLine int
	CommitSHA       string
	Created         time.Time
}

// A comment is one on an issue or a pull request as a whole.
type comment struct {
	ID           int64
	Author, Body string
	Created      time.Time
}

// pulls are the repository's issues that are pull requests.
func (r *repo) pulls() []*issue {
	return slices.DeleteFunc(slices.Clone(r.Issues), func(i *issue) bool { return i.Pull == nil })
}

// pull is the pull request of that number, or nil.
func (r *repo) pull(number string) *issue {
	if i := r.issue(number); i != nil && i.Pull != nil {
		return i
	}
	return nil
}

// moveBranch points the branch at another commit, and what is open follows it.
func (r *repo) moveBranch(name, sha string) {
	r.Git.Branches[name] = sha
	for _, i := range r.pulls() {
		if i.State != "open" {
			continue
		}
		if i.Pull.Head == name {
			i.Pull.HeadSHA = sha
		}
		if i.Pull.Base == name {
			i.Pull.BaseSHA = sha
		}
	}
}

// open makes the issue i a pull request. Both branches must be there.
func (r *repo) openPull(i *issue, head, base string, draft bool) {
	i.Pull = &pull{Head: head, Base: base, HeadSHA: r.Git.Branches[head], BaseSHA: r.Git.Branches[base], Draft: draft}
}

// changes are the files in which p's head differs from where it left its base.
func (r *repo) changes(p *pull) []change {
	return r.Git.changes(r.Git.mergeBase(p.BaseSHA, p.HeadSHA), p.HeadSHA)
}

// pullCommits are the commits that p would bring to its base, oldest first.
func (r *repo) pullCommits(p *pull) []*commit {
	known := r.Git.history(p.BaseSHA)
	var list []*commit
	for _, sha := range r.Git.history(p.HeadSHA) {
		if !slices.Contains(known, sha) {
			list = append(list, r.Git.Commits[sha])
		}
	}
	slices.Reverse(list)
	return list
}

// mergeable says whether p has no conflict with its base.
func (r *repo) mergeable(p *pull) bool {
	_, clean := r.Git.merge(p.BaseSHA, p.HeadSHA)
	return clean
}

// seedGit gives each repository a history, and three of them a pull request.
func (s *Sandbox) seedGit() {
	for _, r := range s.state.Repos {
		author := r.Owner
		if r.Owner == "open-meadow" {
			author = "meadow-gardener"
		}
		day := func(ago int) time.Time { return s.cfg.Now().UTC().Truncate(time.Second).AddDate(0, 0, -ago) }
		r.Git = newGit()
		first := r.Git.commit(&commit{Author: author, At: day(40), Message: "Begin",
			Tree: r.Git.writeTree(map[string]entry{"README.md": r.Git.blob("# " + r.Name + "\n\n" + r.Description + "\n")})})
		second := r.Git.edit(first, author, "Add notes and a script", day(30), map[string]string{
			"docs/notes.md": notes, "scripts/build.sh": "#!/bin/sh\nset -e\necho building\n"})
		r.Git.Branches["main"] = second
		switch r.Name {
		case "trail-notes":
			s.seedPull(r, author, "Keep the last waypoint in the export", "Fixes #1.", "fix/last-waypoint",
				map[string]string{"docs/notes.md": strings.Replace(notes, "Fifth line", "Fifth line, with the summit", 1)}, day(2))
		case "workshop":
			s.seedPull(r, author, "Thicker bench legs", "The walnut bends.", "bench-legs", map[string]string{"docs/bench.md": "Legs: 45 mm\n"}, day(3))
		case "field-guide":
			s.seedPull(r, author, "Index the cornflower once", "The one under C stays.", "cornflower",
				map[string]string{"docs/notes.md": strings.Replace(notes, "Second line\n", "", 1)}, day(4))
		}
	}
}

const notes = "First line\nSecond line\nThird line\nFourth line\nFifth line\nSixth line\nSeventh line\nEighth line\nNinth line\n"

// seedPull changes files on a branch of its own and opens a pull request for it.
func (s *Sandbox) seedPull(r *repo, author, title, body, branch string, files map[string]string, at time.Time) {
	r.Git.Branches[branch] = r.Git.edit(r.Git.Branches["main"], author, title, at, files)
	i := &issue{ID: s.nextID(), Number: len(r.Issues) + 1, Title: title, Body: body, Author: author, State: "open",
		Created: at, Updated: at}
	r.openPull(i, branch, "main", false)
	r.Issues = append(r.Issues, i)
}
