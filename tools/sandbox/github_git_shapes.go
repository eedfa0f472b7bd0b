package sandbox

import (
	"maps"
	"slices"
)

func gitURL(base string, r *repo, what, sha string) string {
	return base + "/api/v3/repos/" + r.Owner + "/" + r.Name + "/git/" + what + "/" + sha
}

// refShape is GitHub's "git reference" of a branch.
func refShape(base string, r *repo, branch string) object {
	sha := r.Git.Branches[branch]
	return object{"ref": "refs/heads/" + branch, "node_id": nodeID("REF", r.ID), "url": gitURL(base, r, "refs/heads", branch),
		"object": object{"type": "commit", "sha": sha, "url": gitURL(base, r, "commits", sha)}}
}

// gitCommitShape is GitHub's "git commit".
func gitCommitShape(base string, r *repo, c *commit) object {
	page := base + "/" + r.Owner + "/" + r.Name + "/commit/"
	who := object{"name": c.Author, "email": gitEmail(c.Author), "date": stamp(c.At)}
	parents := []object{}
	for _, sha := range c.Parents {
		parents = append(parents, object{"sha": sha, "url": gitURL(base, r, "commits", sha), "html_url": page + sha})
	}
	return object{
		"sha": c.SHA, "node_id": nodeID("C", r.ID), "url": gitURL(base, r, "commits", c.SHA), "html_url": page + c.SHA,
		"author": who, "committer": who, "message": c.Message, "parents": parents,
		"tree":         object{"sha": c.Tree, "url": gitURL(base, r, "trees", c.Tree)},
		"verification": object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
	}
}

// treeShape is GitHub's "git tree" of one directory.
func treeShape(base string, r *repo, sha string) object {
	dir, lines := r.Git.Trees[sha], []object{}
	for _, name := range slices.Sorted(maps.Keys(dir)) {
		e := dir[name]
		line := object{"path": name, "mode": e.Mode, "sha": e.SHA}
		if e.isTree() {
			line["type"], line["url"] = "tree", gitURL(base, r, "trees", e.SHA)
		} else {
			line["type"], line["url"], line["size"] = "blob", gitURL(base, r, "blobs", e.SHA), len(r.Git.Blobs[e.SHA])
		}
		lines = append(lines, line)
	}
	return object{"sha": sha, "url": gitURL(base, r, "trees", sha), "truncated": false, "tree": lines}
}
