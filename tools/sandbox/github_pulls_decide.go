package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// githubMerge merges, if the head is what the caller saw.
func (s *Sandbox) githubMerge(c *call, r *repo, i *issue) answer {
	if wrong := s.mayPush(c.token, r, "contents=write"); wrong.status != 0 {
		return wrong
	}
	var in struct {
		SHA     string
		Method  string  `json:"merge_method"`
		Title   string  `json:"commit_title"`
		Message *string `json:"commit_message"`
	}
	if wrong := githubBody(c, "PullRequest", &in, "sha", "merge_method", "commit_title", "commit_message"); wrong.status != 0 {
		return wrong
	}
	p := i.Pull
	switch {
	case !slices.Contains([]string{"", "merge", "squash", "rebase"}, in.Method):
		return invalidPull("merge_method", "invalid", "")
	case i.State != "open":
		return githubError(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	case p.Draft:
		return githubError(http.StatusMethodNotAllowed, "Pull Request is still a draft")
	case in.SHA != "" && in.SHA != p.HeadSHA:
		return githubError(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
	case !r.mergeable(p):
		return githubError(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	message := in.Title
	if message == "" {
		message = fmt.Sprintf("Merge pull request #%d from %s/%s", i.Number, r.Owner, p.Head)
	}
	if in.Message != nil && *in.Message != "" {
		message += "\n\n" + *in.Message
	}
	s.merge(c, r, i, in.Method, message)
	return answer{status: http.StatusOK, body: object{"sha": p.MergeSHA, "merged": true, "message": "Pull Request successfully merged"}}
}

// merge moves the base branch, and closes i.
func (s *Sandbox) merge(c *call, r *repo, i *issue, method, message string) {
	p, now := i.Pull, s.now()
	tree, _ := r.Git.merge(p.BaseSHA, p.HeadSHA)
	switch method {
	case "squash":
		p.MergeSHA = r.Git.commit(&commit{Tree: tree, Parents: []string{p.BaseSHA}, Message: message, Author: c.token.Account, At: now})
	case "rebase":
		p.MergeSHA = p.BaseSHA
		for _, one := range r.pullCommits(p) {
			tree, _ := r.Git.merge(p.BaseSHA, one.SHA)
			p.MergeSHA = r.Git.commit(&commit{Tree: tree, Parents: []string{p.MergeSHA}, Message: one.Message, Author: one.Author, At: now})
		}
	default:
		p.MergeSHA = r.Git.commit(&commit{Tree: tree, Parents: []string{p.BaseSHA, p.HeadSHA}, Message: message, Author: c.token.Account, At: now})
	}
	p.Merged, p.MergedBy = &now, c.token.Account
	i.State, i.Closed, i.Updated = "closed", &now, now
	r.moveBranch(p.Base, p.MergeSHA)
	s.dirty = true
}

// reviewInput is a review that is submitted at once: the sandbox has no pending
// ones.
type reviewInput struct {
	CommitID string `json:"commit_id"`
	Body     string
	Event    string
	Comments []lineInput
}

// lineInput is a comment on a line of the diff, or on the lines from StartLine.
type lineInput struct {
	Path, Body, Side string
	Line             int
	StartLine        int    `json:"start_line"`
	StartSide        string `json:"start_side"`
}

// unprocessableReview is the 422 of reviews, whose reasons are plain texts.
func unprocessableReview(reasons ...string) answer {
	return answer{status: http.StatusUnprocessableEntity, body: object{
		"message": "Unprocessable Entity", "errors": reasons, "documentation_url": githubDocs, "status": "422"}}
}

func (s *Sandbox) githubReview(c *call, r *repo, i *issue) answer {
	if wrong := s.mayWrite(c.token, r); wrong.status != 0 {
		return wrong
	}
	var in reviewInput
	if wrong := githubBody(c, "PullRequestReview", &in, "commit_id", "body", "event", "comments"); wrong.status != 0 {
		return wrong
	}
	state := map[string]string{"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}[in.Event]
	if state == "" {
		return unprocessableReview("Variable $event of type PullRequestReviewEvent was provided invalid value")
	}
	if wrong := in.check(c, r, i); wrong != "" {
		return unprocessableReview(wrong)
	}
	if in.CommitID == "" {
		in.CommitID = i.Pull.HeadSHA
	}
	made := &review{ID: s.nextID(), Author: c.token.Account, State: state, Body: in.Body, CommitSHA: in.CommitID, Submitted: s.now()}
	i.Pull.Reviews = append(i.Pull.Reviews, made)
	for _, on := range in.Comments {
		i.Pull.Comments = append(i.Pull.Comments, &reviewComment{ID: s.nextID(), Review: made.ID, Author: made.Author, Body: on.Body, Path: on.Path,
			Side: on.Side, Line: on.Line, StartLine: on.StartLine, CommitSHA: made.CommitSHA, Created: made.Submitted})
	}
	return answer{status: http.StatusOK, body: reviewShape(c.base, r, i, made)}
}

// check is what GitHub says against the review, or "".
func (in reviewInput) check(c *call, r *repo, i *issue) string {
	own := i.Author == c.token.Account
	ofPull := slices.ContainsFunc(r.pullCommits(i.Pull), func(k *commit) bool { return k.SHA == in.CommitID })
	switch {
	case own && in.Event == "APPROVE":
		return "Can not approve your own pull request"
	case own && in.Event == "REQUEST_CHANGES":
		return "Can not request changes on your own pull request"
	case in.Event != "APPROVE" && strings.TrimSpace(in.Body) == "" && len(in.Comments) == 0:
		return "Body can't be blank"
	case in.CommitID != "" && !ofPull:
		return "The commit_id is not part of the pull request"
	}
	for _, on := range in.Comments {
		if wrong := on.check(r, i.Pull); wrong != "" {
			return wrong
		}
	}
	return ""
}

func (in lineInput) check(r *repo, p *pull) string {
	known, in1 := r.inDiff(p, in.Path, in.Side, in.Line)
	_, in2 := r.inDiff(p, in.Path, in.StartSide, in.StartLine)
	switch {
	case strings.TrimSpace(in.Body) == "":
		return "Body can't be blank"
	case !known:
		return "Path could not be resolved"
	case !in1:
		return "Line could not be resolved"
	case in.StartLine != 0 && (!in2 || in.StartLine >= in.Line):
		return "Start line could not be resolved"
	case !slices.Contains([]string{"", "LEFT", "RIGHT"}, in.Side):
		return "Side is not included in the list"
	}
	return ""
}
