package sandbox

import (
	"fmt"
	"slices"
	"time"
)

// pullShape is GitHub's "pull request", as account sees it.
func pullShape(base string, r *repo, i *issue, account string) object {
	p, issue := i.Pull, issueShape(base, r, i, account)
	repoURL := base + "/api/v3/repos/" + r.Owner + "/" + r.Name
	api, page := fmt.Sprintf("%s/pulls/%d", repoURL, i.Number), issue["html_url"].(string)
	o := object{
		"id": i.ID, "node_id": nodeID("PR", i.ID), "url": api, "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch",
		"issue_url": issue["url"], "commits_url": api + "/commits", "review_comments_url": api + "/comments",
		"review_comment_url": repoURL + "/pulls/comments{/number}", "comments_url": issue["comments_url"],
		"statuses_url": repoURL + "/statuses/" + p.HeadSHA,
		"head":         pullEnd(base, r, p.Head, p.HeadSHA, account), "base": pullEnd(base, r, p.Base, p.BaseSHA, account),
		"draft": p.Draft, "merged": p.Merged != nil, "merged_at": nil, "merged_by": nil, "merge_commit_sha": orNull(p.MergeSHA),
		"auto_merge": nil, "maintainer_can_modify": false, "rebaseable": nil,
		"requested_reviewers": []object{}, "requested_teams": []object{},
		"review_comments": len(p.Comments), "commits": len(r.pullCommits(p)),
	}
	for _, same := range []string{"number", "state", "title", "body", "user", "labels", "milestone", "locked", "active_lock_reason",
		"created_at", "updated_at", "closed_at", "assignee", "assignees", "author_association", "comments"} {
		o[same] = issue[same]
	}
	if p.Merged != nil {
		o["merged_at"], o["merged_by"] = stamp(*p.Merged), simpleUser(base, p.MergedBy)
	}
	o["mergeable"], o["mergeable_state"] = r.mergeState(i)
	r.countChanges(p, o)
	links := object{}
	for name, field := range map[string]string{"self": "url", "html": "html_url", "issue": "issue_url", "comments": "comments_url",
		"review_comments": "review_comments_url", "review_comment": "review_comment_url", "commits": "commits_url", "statuses": "statuses_url"} {
		links[name] = object{"href": o[field]}
	}
	o["_links"] = links
	return o
}

func (r *repo) mergeState(i *issue) (mergeable any, state string) {
	switch {
	case i.State != "open":
		return nil, "unknown"
	case !r.mergeable(i.Pull):
		return false, "dirty"
	case i.Pull.Draft:
		return true, "draft"
	}
	return true, "clean"
}

func (r *repo) countChanges(p *pull, o object) {
	changes, additions, deletions := r.changes(p), 0, 0
	for _, c := range changes {
		_, come, gone := r.Git.patch(c)
		additions, deletions = additions+come, deletions+gone
	}
	o["changed_files"], o["additions"], o["deletions"] = len(changes), additions, deletions
}

// pullEnd is a head or base.
func pullEnd(base string, r *repo, branch, sha, account string) object {
	return object{"label": r.Owner + ":" + branch, "ref": branch, "sha": sha, "user": simpleUser(base, r.Owner), "repo": fullRepo(base, r, account)}
}

// reviewShape is GitHub's "pull request review".
func reviewShape(base string, r *repo, i *issue, v *review) object {
	api := fmt.Sprintf("%s/api/v3/repos/%s/%s/pulls/%d", base, r.Owner, r.Name, i.Number)
	page := fmt.Sprintf("%s/%s/%s/pull/%d#pullrequestreview-%d", base, r.Owner, r.Name, i.Number, v.ID)
	return object{
		"id": v.ID, "node_id": nodeID("PRR", v.ID), "user": simpleUser(base, v.Author), "body": v.Body, "state": v.State,
		"html_url": page, "pull_request_url": api, "commit_id": v.CommitSHA, "submitted_at": stamp(v.Submitted),
		"author_association": association(r, v.Author),
		"_links":             object{"html": object{"href": page}, "pull_request": object{"href": api}},
	}
}

// commentShape is GitHub's "issue comment".
func commentShape(base string, r *repo, i *issue, c *comment) object {
	api := base + "/api/v3/repos/" + r.Owner + "/" + r.Name + "/issues"
	kind := "issues"
	if i.Pull != nil {
		kind = "pull"
	}
	return object{
		"id": c.ID, "node_id": nodeID("IC", c.ID), "url": fmt.Sprintf("%s/comments/%d", api, c.ID),
		"html_url":  fmt.Sprintf("%s/%s/%s/%s/%d#issuecomment-%d", base, r.Owner, r.Name, kind, i.Number, c.ID),
		"issue_url": fmt.Sprintf("%s/%d", api, i.Number), "user": simpleUser(base, c.Author), "body": c.Body,
		"created_at": stamp(c.Created), "updated_at": stamp(c.Created), "author_association": association(r, c.Author),
		"performed_via_github_app": nil,
	}
}

// inDiff says whether a line of path, on that side, is in the pull request's diff:
// changed or within three lines of a change.
func (r *repo) inDiff(p *pull, path, side string, line int) (known, in bool) {
	changes := r.changes(p)
	at := slices.IndexFunc(changes, func(c change) bool { return c.Path == path })
	if at < 0 {
		return false, false
	}
	hunk, _, _ := r.Git.patch(changes[at])
	var oldFrom, oldLen, newFrom, newLen int
	fmt.Sscanf(hunk, "@@ -%d,%d +%d,%d @@", &oldFrom, &oldLen, &newFrom, &newLen)
	if side == "LEFT" {
		return true, line >= oldFrom && line < oldFrom+oldLen
	}
	return true, line >= newFrom && line < newFrom+newLen
}

func (s *Sandbox) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Second) }
