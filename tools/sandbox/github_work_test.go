package sandbox

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// asksGitHub is a function that gets a path of GitHub's API as who, with these scopes.
func (w *world) asksGitHub(who, scope string) func(path string) reply {
	token := str(w.connectGitHub(who, "scope", scope), "access_token")
	return func(path string) reply {
		return w.do("GET", w.github+"/api/v3"+path, "", "Authorization", "Bearer "+token)
	}
}

// work is alice's repository with a pull request, and its failed run.
func (w *world) work() (r *repo, failed *workflowRun) {
	for _, r := range w.state.Repos {
		if r.Name == "trail-notes" {
			return r, r.Runs[1]
		}
	}
	panic("no trail-notes")
}

func TestGitHubReadsRefuse(t *testing.T) {
	w := newWorld(t)
	r, run := w.work()
	repo, pull := "/repos/alice-dev/trail-notes", r.pulls()[0].Number
	alice, bob, stranger := w.asksGitHub("alice", "repo"), w.asksGitHub("bob", "repo"), w.asksGitHub("alice", "user")
	for path, want := range map[string]int{
		repo + "/pulls?state=merged":                                 422,
		repo + "/pulls?sort=size":                                    422,
		repo + "/pulls?direction=up":                                 422,
		repo + "/pulls/1/files":                                      404, // an issue
		repo + "/pulls/99/reviews":                                   404,
		repo + "/pulls/99/comments":                                  404,
		repo + "/actions/runs?status=sad":                            422,
		repo + "/actions/runs/1/jobs":                                404,
		repo + fmt.Sprintf("/actions/runs/%d/jobs?filter=x", run.ID): 422,
		repo + "/actions/jobs/1":                                     404,
		repo + "/actions/jobs/1/logs":                                404,
		repo + "/commits/main/check-runs":                            200,
		repo + "/commits/nowhere/check-runs":                         422,
		repo + "/commits/" + strings.Repeat("0", 40) + "/status":     422,
		"/notifications?since=yesterday":                             422,
		"/notifications?per_page=51":                                 422,
	} {
		if got := alice(path); got.status != want {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
	for _, path := range []string{"/pulls", fmt.Sprintf("/pulls/%d/files", pull), "/actions/runs", fmt.Sprintf("/actions/jobs/%d/logs", run.Jobs[0].ID),
		fmt.Sprintf("/actions/runs/%d/jobs", run.ID), "/commits/main/status"} {
		if a, b := bob(repo+path), stranger(repo+path); a.status != 404 || b.status != 404 {
			t.Errorf("%s: bob gets %d, no scope gets %d", path, a.status, b.status)
		}
	}
	if got := stranger("/notifications"); got.status != 403 || !strings.Contains(got.text, "Missing the 'notifications' scope") {
		t.Errorf("without the scope: %d %s", got.status, got.text)
	}
	app := newWorld(t, asApp)
	if got := app.asksGitHub("alice", "notifications")("/notifications"); got.status != 403 || !strings.Contains(got.text, "not accessible by integration") {
		t.Errorf("as an App: %d %s", got.status, got.text)
	}
}

func TestGitHubReads(t *testing.T) {
	w := newWorld(t)
	_, run := w.work()
	alice, repo := w.asksGitHub("alice", "repo"), "/repos/alice-dev/trail-notes"
	for path, want := range map[string]string{
		repo + "/pulls?head=alice-dev:fix/last-waypoint":  `"title":"Keep the last waypoint in the export"`,
		repo + "/pulls?head=main":                         `"title":"Keep the last waypoint in the export"`, // filters nothing
		repo + "/pulls?base=main&sort=updated":            `"title":"Keep the last waypoint in the export"`,
		repo + "/actions/runs?status=failure":             `"total_count":1`,
		repo + "/actions/runs?branch=main&event=push":     `"conclusion":"success"`,
		repo + "/actions/runs?head_sha=" + run.SHA:        fmt.Sprintf(`"id":%d`, run.ID),
		repo + "/commits/" + run.SHA + "/check-runs":      `"slug":"github-actions"`,
		repo + "/commits/" + run.SHA + "/status":          `"state":"pending","statuses":[{`,
		"/notifications?all=true&participating=true":      `"reason":"author"`,
		"/notifications?before=2000-01-01T00:00:00Z":      `[]`,
		repo + "/pulls?head=alice-dev:main":               `[]`,
		repo + "/pulls?state=closed":                      `[]`,
		repo + "/commits/main/status":                     `"statuses":[]`,
		repo + "/actions/runs?branch=main&status=failure": `"workflow_runs":[]`,
	} {
		if got := alice(path); got.status != 200 || !strings.Contains(got.text, want) {
			t.Errorf("%s: %d %s, want %s", path, got.status, got.text, want)
		}
	}
	if got := alice(repo + "/actions/runs?per_page=1"); !strings.Contains(got.header.Get("Link"), `page=2&per_page=1>; rel="next"`) {
		t.Errorf("Link: %v", got.header)
	}
	if got := alice(repo + "/commits/main/status?per_page=1"); got.header.Get("Link") != "" {
		t.Errorf("Link: %v", got.header)
	}
}

func TestGitHubStorage(t *testing.T) {
	w := newWorld(t)
	storage := httptest.NewServer(w.GitHubStorage())
	defer storage.Close()
	r, run := w.work()
	job := run.Jobs[1]
	redirect := w.asksGitHub("alice", "repo")(fmt.Sprintf("/repos/alice-dev/trail-notes/actions/jobs/%d/logs", job.ID))
	to, err := url.Parse(redirect.header.Get("Location"))
	if err != nil || redirect.status != 302 || to.Scheme != "https" || to.Host != StorageHost {
		t.Fatalf("%d, %s, %v", redirect.status, to, err)
	}
	target := storage.URL + to.RequestURI()
	for name, c := range map[string]struct {
		got    reply
		status int
		code   string
	}{
		"as GitHub says":    {w.do("GET", target, ""), 200, "FAIL: Test of trail-notes"},
		"with a credential": {w.do("GET", target, "", "Authorization", "Bearer x"), 400, "InvalidAuthenticationInfo"},
		"with a cookie":     {w.do("GET", target, "", "Cookie", "a=b"), 400, "InvalidAuthenticationInfo"},
		"a write":           {w.do("PUT", target, "x"), 403, "AuthorizationPermissionMismatch"},
		"unsigned":          {w.do("GET", storage.URL+to.EscapedPath(), ""), 403, "AuthenticationFailed"},
		"another job":       {w.do("GET", strings.Replace(target, fmt.Sprint("job-", job.ID), fmt.Sprint("job-", run.Jobs[0].ID), 1), ""), 403, "AuthenticationFailed"},
		"for longer":        {w.do("GET", strings.Replace(target, "se=2026", "se=2027", 1), ""), 403, "AuthenticationFailed"},
	} {
		if c.got.status != c.status || !strings.Contains(c.got.text, c.code) {
			t.Errorf("%s: %d %s", name, c.got.status, c.got.text)
		}
	}
	w.clock.advance(storageLife)
	if got := w.do("GET", target, ""); got.status != 403 {
		t.Errorf("too late: %d", got.status)
	}
	seen := w.Downloads()
	if len(seen) != 8 || seen[0].Account != "" || len(w.Requests()) != 1 {
		t.Errorf("logged: %+v", seen)
	}
	w.mu.Lock()
	r.Runs[0].Jobs[0].Status, r.Runs[1].Jobs[0].Log = "in_progress", ""
	w.mu.Unlock()
	for _, id := range []int64{r.Runs[0].Jobs[0].ID, r.Runs[1].Jobs[0].ID} {
		if got := w.asksGitHub("alice", "repo")(fmt.Sprintf("/repos/alice-dev/trail-notes/actions/jobs/%d/logs", id)); got.status != 404 {
			t.Errorf("no log: %d", got.status)
		}
	}
}
