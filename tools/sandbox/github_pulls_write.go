package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// pullRoutes write pull requests, reviews and comments.
func (s *Sandbox) pullRoutes() map[string]handler {
	return map[string]handler{
		"GET /repos/{owner}/{repo}/pulls/{number}":            s.onPull(s.githubPull),
		"POST /repos/{owner}/{repo}/pulls":                    s.githubCreatePull,
		"PATCH /repos/{owner}/{repo}/pulls/{number}":          s.onPull(s.githubEditPull),
		"PUT /repos/{owner}/{repo}/pulls/{number}/merge":      s.onPull(s.githubMerge),
		"POST /repos/{owner}/{repo}/pulls/{number}/reviews":   s.onPull(s.githubReview),
		"POST /repos/{owner}/{repo}/issues/{number}/comments": s.githubComment,
	}
}

// onPull finds the pull request for h.
func (s *Sandbox) onPull(h func(*call, *repo, *issue) answer) handler {
	return func(c *call) answer {
		r := s.find(c)
		if r == nil {
			return githubNotFound()
		}
		i := r.pull(c.PathValue("number"))
		if i == nil {
			return githubNotFound()
		}
		return h(c, r, i)
	}
}

func (s *Sandbox) githubPull(c *call, r *repo, i *issue) answer {
	return answer{status: http.StatusOK, body: pullShape(c.base, r, i, c.token.Account)}
}

// pullInput is the body of a create or an edit; nil is what wasn't sent.
type pullInput struct {
	Title *string `json:"title"`
	Body  *string `json:"body"`
	Head  *string `json:"head"`
	Base  *string `json:"base"`
	State *string `json:"state"`
	Draft bool    `json:"draft"`
}

func invalidPull(field, code, message string) answer {
	return githubInvalid(fieldError{Resource: "PullRequest", Field: field, Code: code, Message: message})
}

// check is what both writes have in common.
func (in pullInput) check(r *repo) answer {
	switch {
	case in.Title != nil && strings.TrimSpace(*in.Title) == "":
		return invalidPull("title", "missing_field", "")
	case in.Title != nil && len([]rune(*in.Title)) > 256:
		return invalidPull("title", "custom", "title is too long (maximum is 256 characters)")
	case in.Body != nil && len([]rune(*in.Body)) > 65536:
		return invalidPull("body", "custom", "body is too long (maximum is 65536 characters)")
	case in.State != nil && !slices.Contains([]string{"open", "closed"}, *in.State):
		return invalidPull("state", "invalid", "")
	case in.Base != nil && r.Git.Branches[*in.Base] == "":
		return invalidPull("base", "invalid", "")
	}
	return answer{}
}

func (s *Sandbox) githubCreatePull(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	if wrong := s.mayPush(c.token, r, "pull_requests=write"); wrong.status != 0 {
		return wrong
	}
	var in pullInput
	if wrong := githubBody(c, "PullRequest", &in, "title", "body", "head", "base", "draft"); wrong.status != 0 {
		return wrong
	}
	switch {
	case in.Title == nil:
		return invalidPull("title", "missing_field", "")
	case in.Head == nil || in.Base == nil:
		return unprocessable("Invalid request.\n\n\"base\", \"head\" weren't supplied.")
	case r.Git.empty():
		return invalidPull("base", "invalid", "")
	}
	if wrong := in.check(r); wrong.status != 0 {
		return wrong
	}
	head := strings.TrimPrefix(*in.Head, r.Owner+":")
	if wrong := r.mayOpen(head, *in.Base); wrong.status != 0 {
		return wrong
	}
	i := &issue{ID: s.nextID(), Number: len(r.Issues) + 1, Title: *in.Title, Author: c.token.Account, State: "open", Created: s.now(), Updated: s.now()}
	if in.Body != nil {
		i.Body = *in.Body
	}
	r.openPull(i, head, *in.Base, in.Draft)
	r.Issues = append(r.Issues, i)
	shape := pullShape(c.base, r, i, c.token.Account)
	return answer{status: http.StatusCreated, body: shape}.with("Location", shape["url"].(string))
}

// mayOpen is the refusal of a pull request between two branches.
func (r *repo) mayOpen(head, base string) answer {
	sha := r.Git.Branches[head]
	if sha == "" {
		return invalidPull("head", "invalid", "")
	}
	if slices.Contains(r.Git.history(r.Git.Branches[base]), sha) {
		return invalidPull("", "custom", "No commits between "+base+" and "+head)
	}
	if slices.ContainsFunc(r.pulls(), func(i *issue) bool { return i.State == "open" && i.Pull.Head == head && i.Pull.Base == base }) {
		return invalidPull("", "custom", "A pull request already exists for "+r.Owner+":"+head+".")
	}
	return answer{}
}

func (s *Sandbox) githubEditPull(c *call, r *repo, i *issue) answer {
	if wrong := s.mayWrite(c.token, r); wrong.status != 0 {
		return wrong
	}
	if r.Owner != c.token.Account && i.Author != c.token.Account {
		return githubError(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	var in pullInput
	if wrong := githubBody(c, "PullRequest", &in, "title", "body", "state", "base"); wrong.status != 0 {
		return wrong
	}
	if wrong := in.check(r); wrong.status != 0 {
		return wrong
	}
	if in.State != nil && *in.State == "open" && i.Pull.Merged != nil {
		return invalidPull("state", "invalid", "state cannot be changed. The pull request cannot be reopened.")
	}
	if in.Base != nil && i.State != "open" {
		return invalidPull("base", "invalid", "Cannot change the base branch of a closed pull request.")
	}
	if in.Base != nil {
		i.Pull.Base, i.Pull.BaseSHA = *in.Base, r.Git.Branches[*in.Base]
	}
	if wrong := s.apply(c, r, i, issueInput{Title: in.Title, Body: in.Body, State: in.State}); wrong.status != 0 {
		return wrong
	}
	i.StateReason = ""
	return s.githubPull(c, r, i)
}

func (s *Sandbox) githubComment(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	i := r.issue(c.PathValue("number"))
	if i == nil {
		return githubNotFound()
	}
	if wrong := s.mayWrite(c.token, r); wrong.status != 0 {
		return wrong
	}
	var in struct{ Body string }
	if wrong := githubBody(c, "IssueComment", &in, "body"); wrong.status != 0 {
		return wrong
	}
	if strings.TrimSpace(in.Body) == "" {
		return githubInvalid(fieldError{Resource: "IssueComment", Field: "body", Code: "missing_field"})
	}
	if len([]rune(in.Body)) > 65536 {
		return githubInvalid(fieldError{Resource: "IssueComment", Field: "body", Code: "unprocessable", Message: "body is too long (maximum is 65536 characters)"})
	}
	made := &comment{ID: s.nextID(), Author: c.token.Account, Body: in.Body, Created: s.now()}
	i.Comments, i.Updated = append(i.Comments, made), made.Created
	shape := commentShape(c.base, r, i, made)
	return answer{status: http.StatusCreated, body: shape}.with("Location", shape["url"].(string))
}
