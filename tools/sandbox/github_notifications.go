package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A thread is a notification of an account's.
type thread struct {
	ID                   int64
	Account, Owner, Repo string
	Kind, Title, Reason  string // Kind is Issue, PullRequest, CheckSuite, …
	Number               int    // 0 where it has none
	Unread               bool
	Updated              time.Time
}

// participating are the reasons of a person who takes part.
var participating = []string{"assign", "author", "comment", "manual", "mention", "review_requested", "state_change", "team_mention"}

// githubNotifications is for OAuth Apps: GitHub has no permission of an App's for it.
func (s *Sandbox) githubNotifications(c *call) answer {
	if s.cfg.GitHubApp {
		return githubError(http.StatusForbidden, "Resource not accessible by integration")
	}
	if !c.token.has("notifications", "repo") {
		return githubError(http.StatusForbidden, "Missing the 'notifications' scope.").with("X-Accepted-OAuth-Scopes", "notifications, repo")
	}
	q := c.URL.Query()
	since, ok1 := instant(q.Get("since"))
	before, ok2 := instant(q.Get("before"))
	if !ok1 || !ok2 {
		return githubInvalid(fieldError{Resource: "Notification", Field: "since or before", Code: "invalid"})
	}
	list := slices.DeleteFunc(slices.Clone(s.state.Threads), func(t *thread) bool {
		return t.Account != c.token.Account || !t.Unread && q.Get("all") != "true" || t.Updated.Before(since) ||
			!before.IsZero() && !t.Updated.Before(before) ||
			q.Get("participating") == "true" && !slices.Contains(participating, t.Reason)
	})
	slices.SortStableFunc(list, func(a, b *thread) int { return b.Updated.Compare(a.Updated) })
	if number(q, "per_page", 50, 100) > 50 {
		return githubInvalid(fieldError{Resource: "Notification", Field: "per_page", Code: "invalid", Message: "The maximum is 50."})
	}
	return shaped(c, list, func(t *thread) object { return s.threadShape(c, t) }).with("X-Poll-Interval", "60")
}

// threadShape is GitHub's "thread".
func (s *Sandbox) threadShape(c *call, t *thread) object {
	var r *repo
	for _, other := range s.state.Repos {
		if other.Owner == t.Owner && other.Name == t.Repo {
			r = other
		}
	}
	api := c.base + "/api/v3"
	subject := object{"title": t.Title, "type": t.Kind, "url": nil, "latest_comment_url": nil}
	for kind, part := range map[string]string{"Issue": "issues", "PullRequest": "pulls"} {
		if t.Kind == kind {
			subject["url"] = fmt.Sprintf("%s/repos/%s/%s/%s/%d", api, t.Owner, t.Repo, part, t.Number)
			subject["latest_comment_url"] = subject["url"]
		}
	}
	id, url := strconv.FormatInt(t.ID, 10), fmt.Sprintf("%s/notifications/threads/%d", api, t.ID)
	return object{"id": id, "unread": t.Unread, "reason": t.Reason, "updated_at": stamp(t.Updated), "last_read_at": nil,
		"subject": subject, "repository": fullRepo(c.base, r, t.Account), "url": url, "subscription_url": url + "/subscription"}
}
