package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A repo is a repository with its issues, pull requests among them.
type repo struct {
	ID                       int64
	Owner, Name, Description string
	Private                  bool
	Labels                   []string
	Created                  time.Time
	Issues                   []*issue
	Git                      *gitStore
	Runs                     []*workflowRun
	Statuses                 []*commitStatus
}

// An issue is an issue.
type issue struct {
	ID                  int64
	Number              int
	Title, Body, Author string
	State, StateReason  string
	Labels, Assignees   []string
	Created, Updated    time.Time
	Closed              *time.Time
	Comments            []*comment
	Pull                *pull // of a pull request
}

const githubDocs = "https://docs.github.com/rest"

func githubError(status int, message string) answer {
	return answer{status: status, body: map[string]any{
		"message": message, "documentation_url": githubDocs, "status": strconv.Itoa(status)}}
}

func githubNotFound() answer { return githubError(http.StatusNotFound, "Not Found") }

// A fieldError is one of the reasons in a 422.
type fieldError struct {
	Resource string `json:"resource"`
	Field    string `json:"field"`
	Code     string `json:"code"`
	Message  string `json:"message,omitempty"`
	Value    any    `json:"value,omitempty"`
}

func githubInvalid(errs ...fieldError) answer {
	return answer{status: http.StatusUnprocessableEntity, body: map[string]any{
		"message": "Validation Failed", "errors": errs, "documentation_url": githubDocs, "status": "422"}}
}

// githubAPI is what GitHub checks of every call.
func (s *Sandbox) githubAPI(h handler) http.Handler {
	return s.api(githubName, func(c *call) answer {
		if c.UserAgent() == "" {
			return text(http.StatusForbidden, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.")
		}
		if v := c.Header.Get("X-GitHub-Api-Version"); v != "" && v != "2022-11-28" && v != "2026-03-10" {
			return githubError(http.StatusBadRequest, "Unsupported API version: "+v)
		}
		if c.token == nil {
			return githubUnauthorized(c)
		}
		a := h(c)
		if !s.cfg.GitHubApp {
			a = a.with("X-OAuth-Scopes", strings.Join(c.token.Scopes, ", ")).with("X-OAuth-Client-Id", c.token.Client)
		}
		return s.rated(a).with("X-GitHub-Media-Type", "github.v3; format=json")
	}, githubFailing)
}

// rated is a with what is left of a rate limit that nobody reaches here.
func (s *Sandbox) rated(a answer) answer {
	reset := s.cfg.Now().Truncate(time.Hour).Add(time.Hour).Unix()
	return a.with("X-RateLimit-Limit", "5000").with("X-RateLimit-Remaining", "4999").with("X-RateLimit-Used", "1").
		with("X-RateLimit-Resource", "core").with("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
}

// githubUnauthorized: GitHub tells a bad token from none. It would show public
// things without one; the sandbox doesn't, because Latchkey never asks so.
func githubUnauthorized(c *call) answer {
	if c.Header.Get("Authorization") == "" {
		return githubError(http.StatusUnauthorized, "Requires authentication")
	}
	return githubError(http.StatusUnauthorized, "Bad credentials")
}

func githubFailing(status int) answer {
	if status == http.StatusTooManyRequests {
		return githubError(status, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
	}
	return githubError(status, "Server Error")
}

// find is the repository that the path names, if the caller may see it.
func (s *Sandbox) find(c *call) *repo {
	for _, r := range s.state.Repos {
		if strings.EqualFold(r.Owner, c.PathValue("owner")) && strings.EqualFold(r.Name, c.PathValue("repo")) && s.sees(c.token, r) {
			return r
		}
	}
	return nil
}

// sees: a private repository takes its owner and the scope repo. A GitHub App is
// installed on all that alice and bob own.
func (s *Sandbox) sees(t *token, r *repo) bool {
	return !r.Private || r.Owner == t.Account && (s.cfg.GitHubApp || t.has("repo"))
}

// mayWrite is the refusal of a write to r's issues, with status 0 for none. A
// missing scope looks like a missing repository, as at GitHub.
func (s *Sandbox) mayWrite(t *token, r *repo) answer {
	switch {
	case s.cfg.GitHubApp && r.Owner != t.Account:
		return githubError(http.StatusForbidden, "Resource not accessible by integration").
			with("X-Accepted-GitHub-Permissions", "issues=write")
	case !s.cfg.GitHubApp && !t.has("repo", "public_repo"):
		return githubNotFound().with("X-Accepted-OAuth-Scopes", "public_repo, repo")
	}
	return answer{}
}

func (s *Sandbox) githubUser(c *call) answer {
	p, _ := personByLogin(c.token.Account)
	return answer{status: http.StatusOK, body: fullUser(c.base, p, s.cfg.GitHubApp || c.token.has("user", "user:email"))}
}

func (s *Sandbox) githubRepo(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	return answer{status: http.StatusOK, body: fullRepo(c.base, r, c.token.Account)}
}

func (s *Sandbox) githubIssue(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	i := r.issue(c.PathValue("number"))
	if i == nil {
		return githubNotFound()
	}
	return answer{status: http.StatusOK, body: issueShape(c.base, r, i, c.token.Account)}
}

func (r *repo) issue(number string) *issue {
	for _, i := range r.Issues {
		if strconv.Itoa(i.Number) == number {
			return i
		}
	}
	return nil
}

func (s *Sandbox) githubIssues(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	q := c.URL.Query()
	state := q.Get("state")
	if state == "" {
		state = "open"
	}
	if !slices.Contains([]string{"open", "closed", "all"}, state) {
		return githubInvalid(fieldError{Resource: "Issue", Field: "state", Code: "invalid", Value: state})
	}
	var list []found
	for _, i := range r.Issues {
		if state == "all" || i.State == state {
			list = append(list, found{r, i})
		}
	}
	newestFirst(list)
	page, link := paginate(c, list)
	return answer{status: http.StatusOK, body: issueShapes(c, page, false)}.with("Link", link)
}

// issueInput is the body of a create or an edit; nil is what wasn't sent.
type issueInput struct {
	Title       *string          `json:"title"`
	Body        *string          `json:"body"`
	State       *string          `json:"state"`
	StateReason *string          `json:"state_reason"`
	Labels      *[]string        `json:"labels"`
	Assignees   *[]string        `json:"assignees"`
	Assignee    *string          `json:"assignee"`
	Milestone   *json.RawMessage `json:"milestone"`
	Type        *string          `json:"type"`
}

// decodeStrict decodes a JSON object whose names are exactly among names; the
// error says what is wrong.
func decodeStrict(body []byte, into any, names ...string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return err
	}
	for name := range fields {
		if !slices.Contains(names, name) {
			return unknownField(name)
		}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// unknownField is the error for a name that the API doesn't have.
type unknownField string

func (f unknownField) Error() string { return "unknown field " + strconv.Quote(string(f)) }

// issueBody decodes and checks what both writes have in common.
func issueBody(c *call, names ...string) (issueInput, answer) {
	var in issueInput
	err := decodeStrict(c.body, &in, names...)
	if field, ok := err.(unknownField); ok {
		return in, githubInvalid(fieldError{Resource: "Issue", Field: string(field), Code: "invalid", Message: "No subschema matches: " + err.Error()})
	}
	if err != nil {
		return in, githubError(http.StatusBadRequest, "Problems parsing JSON")
	}
	if in.Milestone != nil && string(*in.Milestone) != "null" {
		return in, githubInvalid(fieldError{Resource: "Issue", Field: "milestone", Code: "invalid", Message: "The repository has no milestones."})
	}
	if in.Type != nil {
		return in, githubInvalid(fieldError{Resource: "Issue", Field: "type", Code: "invalid", Message: "The repository has no issue types."})
	}
	return in, in.check()
}

// check is the field by field part.
func (in issueInput) check() answer {
	wrong := func(field, code string, value any) answer {
		return githubInvalid(fieldError{Resource: "Issue", Field: field, Code: code, Value: value})
	}
	switch {
	case in.Title != nil && strings.TrimSpace(*in.Title) == "":
		return wrong("title", "missing_field", nil)
	case in.Title != nil && len([]rune(*in.Title)) > 256:
		return githubInvalid(fieldError{Resource: "Issue", Field: "title", Code: "custom", Message: "title is too long (maximum is 256 characters)"})
	case in.Body != nil && len([]rune(*in.Body)) > 65536:
		return githubInvalid(fieldError{Resource: "Issue", Field: "body", Code: "custom", Message: "body is too long (maximum is 65536 characters)"})
	case in.State != nil && !slices.Contains([]string{"open", "closed"}, *in.State):
		return wrong("state", "invalid", *in.State)
	case in.StateReason != nil && !slices.Contains([]string{"completed", "not_planned", "duplicate", "reopened"}, *in.StateReason):
		return wrong("state_reason", "invalid", *in.StateReason)
	}
	return answer{}
}

func (s *Sandbox) githubCreateIssue(c *call) answer {
	r := s.find(c)
	if r == nil {
		return githubNotFound()
	}
	if wrong := s.mayWrite(c.token, r); wrong.status != 0 {
		return wrong
	}
	in, wrong := issueBody(c, "title", "body", "labels", "assignees", "assignee", "milestone", "type")
	if wrong.status != 0 {
		return wrong
	}
	if in.Title == nil {
		return githubInvalid(fieldError{Resource: "Issue", Field: "title", Code: "missing_field"})
	}
	now := s.cfg.Now().UTC().Truncate(time.Second)
	i := &issue{ID: s.nextID(), Number: len(r.Issues) + 1, Author: c.token.Account, State: "open", Created: now}
	if wrong := s.apply(c, r, i, in); wrong.status != 0 {
		return wrong
	}
	r.Issues = append(r.Issues, i)
	shape := issueShape(c.base, r, i, c.token.Account)
	return answer{status: http.StatusCreated, body: shape}.with("Location", shape["url"].(string))
}

func (s *Sandbox) githubEditIssue(c *call) answer {
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
	if r.Owner != c.token.Account && i.Author != c.token.Account {
		return githubError(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	in, wrong := issueBody(c, "title", "body", "state", "state_reason", "labels", "assignees", "assignee", "milestone", "type")
	if wrong.status != 0 {
		return wrong
	}
	if wrong := s.apply(c, r, i, in); wrong.status != 0 {
		return wrong
	}
	return answer{status: http.StatusOK, body: issueShape(c.base, r, i, c.token.Account)}
}

// apply changes i. Labels and assignees of someone who may not push are silently
// left out, as at GitHub.
func (s *Sandbox) apply(c *call, r *repo, i *issue, in issueInput) answer {
	if in.Assignee != nil {
		in.Assignees = &[]string{*in.Assignee}
	}
	if r.Owner == c.token.Account {
		if in.Assignees != nil {
			for _, login := range *in.Assignees {
				if login != r.Owner {
					return githubInvalid(fieldError{Resource: "Issue", Field: "assignees", Code: "invalid", Value: login})
				}
			}
			i.Assignees = slices.Clone(*in.Assignees)
		}
		if in.Labels != nil {
			i.Labels = slices.Clone(*in.Labels)
		}
	}
	if in.Title != nil {
		i.Title = *in.Title
	}
	if in.Body != nil {
		i.Body = *in.Body
	}
	i.Updated = s.cfg.Now().UTC().Truncate(time.Second)
	i.setState(in)
	s.dirty = true
	return answer{}
}

// setState opens or closes i.
func (i *issue) setState(in issueInput) {
	if in.State == nil || *in.State == i.State {
		return
	}
	i.State, i.StateReason, i.Closed = *in.State, "", nil
	if i.State == "closed" {
		done := i.Updated
		i.Closed, i.StateReason = &done, "completed"
	} else {
		i.StateReason = "reopened"
	}
	if in.StateReason != nil {
		i.StateReason = *in.StateReason
	}
}

// paginate is the asked page of list, and the Link header.
func paginate[T any](c *call, list []T) ([]T, string) {
	q := c.URL.Query()
	size, page := number(q, "per_page", 30, 100), number(q, "page", 1, 1<<30)
	last := max(1, (len(list)+size-1)/size)
	link := func(n int, rel string) string {
		q.Set("page", strconv.Itoa(n))
		return "<" + c.base + c.URL.EscapedPath() + "?" + q.Encode() + `>; rel="` + rel + `"`
	}
	var links []string
	if page > 1 {
		links = append(links, link(min(page-1, last), "prev"), link(1, "first"))
	}
	if page < last {
		links = append(links, link(page+1, "next"), link(last, "last"))
	}
	from := min((page-1)*size, len(list))
	return list[from:min(from+size, len(list))], strings.Join(links, ", ")
}

// number is a parameter between 1 and most; GitHub takes bad ones for the default.
func number(q url.Values, name string, standard, most int) int {
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 1 {
		return standard
	}
	return min(n, most)
}
