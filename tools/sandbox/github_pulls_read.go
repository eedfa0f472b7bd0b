package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// pullReadRoutes read what hangs together with pull requests.
func (s *Sandbox) pullReadRoutes() map[string]handler {
	return map[string]handler{
		"GET /repos/{owner}/{repo}/pulls":                   s.githubPulls,
		"GET /repos/{owner}/{repo}/pulls/{number}/files":    s.onPull(githubPullFiles),
		"GET /repos/{owner}/{repo}/pulls/{number}/reviews":  s.onPull(githubReviews),
		"GET /repos/{owner}/{repo}/pulls/{number}/comments": s.onPull(githubReviewComments),
	}
}

// shaped is a page of list, each item in its shape.
func shaped[T any](c *call, list []T, shape func(T) object) answer {
	page, link := paginate(c, list)
	out := []object{}
	for _, item := range page {
		out = append(out, shape(item))
	}
	return answer{status: http.StatusOK, body: out}.with("Link", link)
}

// oneOf is the parameter's value, or the first choice where it isn't given; ok is
// false for another one.
func oneOf(c *call, name string, choices ...string) (value string, ok bool) {
	value = c.URL.Query().Get(name)
	if value == "" {
		return choices[0], true
	}
	return value, slices.Contains(choices, value)
}

func (s *Sandbox) githubPulls(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	q := c.URL.Query()
	state, ok1 := oneOf(c, "state", "open", "closed", "all")
	sort, ok2 := oneOf(c, "sort", "created", "updated")
	direction, ok3 := oneOf(c, "direction", "desc", "asc")
	if !ok1 || !ok2 || !ok3 {
		return invalidPull("state, sort or direction", "invalid", "")
	}
	owner, branch, named := strings.Cut(q.Get("head"), ":") // a head without its owner filters nothing
	list := slices.DeleteFunc(r.pulls(), func(i *issue) bool {
		return state != "all" && i.State != state || q.Get("base") != "" && i.Pull.Base != q.Get("base") ||
			named && (!strings.EqualFold(owner, r.Owner) || branch != i.Pull.Head)
	})
	at := func(i *issue) time.Time {
		if sort == "updated" {
			return i.Updated
		}
		return i.Created
	}
	slices.SortStableFunc(list, func(a, b *issue) int { return at(b).Compare(at(a)) })
	if direction == "asc" {
		slices.Reverse(list)
	}
	return shaped(c, list, func(i *issue) object { return simplePullShape(c.base, r, i, c.token.Account) })
}

// simplePullShape is GitHub's "pull request simple": listings have less.
func simplePullShape(base string, r *repo, i *issue, account string) object {
	o := pullShape(base, r, i, account)
	for _, name := range []string{"merged", "merged_by", "mergeable", "mergeable_state", "rebaseable", "maintainer_can_modify",
		"comments", "review_comments", "commits", "additions", "deletions", "changed_files"} {
		delete(o, name)
	}
	return o
}

// githubPullFiles has GitHub's "diff entries".
func githubPullFiles(c *call, r *repo, i *issue) answer {
	return shaped(c, r.changes(i.Pull), func(f change) object { return diffShape(c.base, r, i.Pull.HeadSHA, f) })
}

// githubReviews are oldest first.
func githubReviews(c *call, r *repo, i *issue) answer {
	return shaped(c, i.Pull.Reviews, func(v *review) object { return reviewShape(c.base, r, i, v) })
}

// githubReviewComments are those on lines, oldest first.
func githubReviewComments(c *call, r *repo, i *issue) answer {
	return shaped(c, i.Pull.Comments, func(v *reviewComment) object { return reviewCommentShape(c.base, r, i, v) })
}

// reviewCommentShape is GitHub's "pull request review comment".
func reviewCommentShape(base string, r *repo, i *issue, v *reviewComment) object {
	repoURL := base + "/api/v3/repos/" + r.Owner + "/" + r.Name
	pullURL := fmt.Sprintf("%s/pulls/%d", repoURL, i.Number)
	url := fmt.Sprintf("%s/pulls/comments/%d", repoURL, v.ID)
	page := fmt.Sprintf("%s/%s/%s/pull/%d#discussion_r%d", base, r.Owner, r.Name, i.Number, v.ID)
	var start any
	if v.StartLine != 0 {
		start = v.StartLine
	}
	return object{
		"id": v.ID, "node_id": nodeID("PRRC", v.ID), "url": url, "html_url": page, "pull_request_url": pullURL,
		"pull_request_review_id": v.Review, "diff_hunk": r.hunk(i.Pull, v.Path), "path": v.Path, "side": v.Side, "start_side": nil,
		"line": v.Line, "original_line": v.Line, "start_line": start, "original_start_line": start, "subject_type": "line",
		"commit_id": i.Pull.HeadSHA, "original_commit_id": v.CommitSHA, "user": simpleUser(base, v.Author), "body": v.Body,
		"created_at": stamp(v.Created), "updated_at": stamp(v.Created), "author_association": association(r, v.Author),
		"_links": object{"self": object{"href": url}, "html": object{"href": page}, "pull_request": object{"href": pullURL}},
		"reactions": object{"url": url + "/reactions", "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0,
			"confused": 0, "heart": 0, "rocket": 0, "eyes": 0},
	}
}

// hunk is the changed part of a file, or "" where it isn't changed any more.
func (r *repo) hunk(p *pull, path string) string {
	for _, f := range r.changes(p) {
		if f.Path == path {
			text, _, _ := r.Git.patch(f)
			return text
		}
	}
	return ""
}
