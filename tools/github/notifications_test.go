package github_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools/github"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

type notificationsOut struct {
	Notifications []struct {
		Repo, Type, Title string
		Number            int
	}
	NextCursor string `json:"next_cursor"`
}

func TestListNotifications(t *testing.T) {
	bench := tooltest.At(t, github.Module(), stub{"/notifications": func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.RawQuery; got != "page=1&per_page=30&since=2026-01-31T08%3A00%3A00Z" {
			t.Errorf("asked with %s", got)
		}
		fmt.Fprint(w, `[{"id":"1","unread":true,"reason":"mention","updated_at":"2026-02-01T00:00:00Z","repository":{"full_name":"octo/app"},
			"subject":{"title":"Fix\u202e it","type":"PullRequest","url":"https://api.github.com/repos/octo/app/pulls/7"}},
			{"id":"2","reason":"ci_activity","repository":{"full_name":"octo/app"},"subject":{"title":"CI failed","type":"CheckSuite","url":null}}]`)
	}})
	got, err := bench.Call(t, "github_list_notifications", `{"since":"2026-01-31T09:00:00+01:00"}`)
	want := `{"notifications":[{"repo":"octo/app","type":"PullRequest","number":7,"title":"Fix it","reason":"mention","updated_at":"2026-02-01T00:00:00Z"},` +
		`{"repo":"octo/app","type":"CheckSuite","title":"CI failed","reason":"ci_activity","updated_at":""}],"untrusted":"`
	if err != nil || !strings.HasPrefix(string(got), want) {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestListNotificationsPages(t *testing.T) {
	page := func(n int) string {
		item := `{"subject":{"title":"` + strings.Repeat("<", 300) + `"}},`
		return "[" + strings.TrimSuffix(strings.Repeat(item, n), ",") + "]"
	}
	bench := tooltest.At(t, github.Module(), stub{"/notifications": pages(page(30), page(4))})
	count, calls := 0, 0
	for cursor := ""; ; {
		out := read[notificationsOut](t, bench, "github_list_notifications", with(`{}`, cursor))
		count += len(out.Notifications)
		calls++
		if cursor = out.NextCursor; cursor == "" {
			break
		}
	}
	if count != 34 || calls < 3 {
		t.Errorf("%d in %d calls", count, calls)
	}
}

func TestNotificationsAtTheSandbox(t *testing.T) {
	world := tooltest.Sandbox(t, nil)
	for who, own := range map[string]string{"alice": sandbox.AliceLogin, "bob": sandbox.BobLogin} {
		bench := tooltest.AtGitHub(t, github.Module(), world, who) // with the scope notifications alone
		out := read[notificationsOut](t, bench, "github_list_notifications", `{}`)
		if len(out.Notifications) == 0 {
			t.Errorf("%s has none", who)
		}
		for _, n := range out.Notifications {
			if !strings.HasPrefix(n.Repo, own+"/") && n.Repo != sandbox.PublicRepo || n.Number == 0 {
				t.Errorf("%s sees %+v", who, n)
			}
		}
		if later := read[notificationsOut](t, bench, "github_list_notifications", `{"since":"2100-01-01T00:00:00Z"}`); len(later.Notifications) != 0 {
			t.Errorf("%s of the future: %+v", who, later)
		}
	}
	app := tooltest.AtGitHub(t, github.Module(), tooltest.Sandbox(t, func(c *sandbox.Config) { c.GitHubApp = true }), "alice")
	if got := told(t, app, "github_list_notifications", `{}`); !strings.Contains(got, "GitHub doesn't give them to GitHub Apps") {
		t.Errorf("as an App: %s", got)
	}
	for _, c := range [][2]string{
		{"github_list_pull_requests", `"}`}, {"github_read_pull_request", `","number":3}`}, {"github_read_actions", `"}`},
	} {
		if _, err := app.Call(t, c[0], `{"repo":"`+sandbox.AliceLogin+`/trail-notes`+c[1]); err != nil {
			t.Errorf("%s as an App: %v", c[0], err)
		}
	}
}
