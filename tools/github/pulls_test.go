package github_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/github"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

// read is a call's result, which must fit into the budget.
func read[T any](t *testing.T, bench *tooltest.Bench, name, arguments string) T {
	t.Helper()
	got, err := bench.Call(t, name, arguments)
	if err != nil {
		t.Fatalf("%s %s: %v", name, arguments, err)
	}
	if len(got) > tools.Budget {
		t.Errorf("%s %s: %d bytes", name, arguments, len(got))
	}
	var out T
	if err := json.Unmarshal(got, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// told is the sentence of a call that fails.
func told(t *testing.T, bench *tooltest.Bench, name, arguments string) string {
	t.Helper()
	result, err := bench.Call(t, name, arguments)
	return tooltest.Message(t, result, err)
}

// with is arguments and a cursor.
func with(arguments, cursor string) string {
	switch {
	case cursor == "":
		return arguments
	case arguments == "{}":
		return fmt.Sprintf(`{"cursor":%q}`, cursor)
	}
	return strings.TrimSuffix(arguments, "}") + fmt.Sprintf(`,"cursor":%q}`, cursor)
}

// A stub answers for GitHub by path, for all of a test's requests.
type stub map[string]func(w http.ResponseWriter, r *http.Request)

func (s stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer, ok := s[r.URL.Path]; ok {
		answer(w, r)
		return
	}
	http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
}

func body(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

// pages answers with a page of list for each number, and links to the next.
func pages(lists ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		var page int
		_, err := fmt.Sscan(r.URL.Query().Get("page"), &page)
		if err != nil || page < 1 || page > len(lists) {
			http.Error(w, `{"message":"no such page"}`, http.StatusUnprocessableEntity)
			return
		}
		if page < len(lists) {
			w.Header().Set("Link", fmt.Sprintf(`<https://api.github.com/x?page=%d>; rel="next"`, page+1))
		}
		fmt.Fprint(w, lists[page-1])
	}
}

type pullPage struct {
	PullRequests []struct {
		Number int
		Title  string
	} `json:"pull_requests"`
	NextCursor string `json:"next_cursor"`
}

func TestListPullRequests(t *testing.T) {
	list := `[{"number":7,"title":"Fix\u202e it","state":"open","draft":true,"user":{"login":"mona"},"author_association":"CONTRIBUTOR",
		"head":{"label":"mona:fix","ref":"fix","sha":"aaa"},"base":{"label":"octo:main","ref":"main"},"updated_at":"2026-01-03T03:04:05Z"},
		{"number":6,"title":"Done","state":"closed","merged_at":"2026-01-03T03:04:05Z","user":null,"author_association":"OWNER",
		"head":{"label":"octo:done","ref":"done","sha":"bbb"},"base":{"label":"octo:main","ref":"main"},"updated_at":"2026-01-02T03:04:05Z"}]`
	bench := tooltest.At(t, github.Module(), stub{"/repos/octo/app/pulls": func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.RawQuery; got != "base=main&head=octo%3Afix&page=1&per_page=30&state=all" {
			t.Errorf("asked with %s", got)
		}
		fmt.Fprint(w, list)
	}})
	got, err := bench.Call(t, "github_list_pull_requests", `{"repo":"octo/app","state":"all","head":"fix","base":"main"}`)
	want := `{"pull_requests":[{"number":7,"title":"Fix it","state":"draft","author":"mona","author_association":"CONTRIBUTOR",` +
		`"head":"mona:fix","base":"main","updated_at":"2026-01-03T03:04:05Z"},` +
		`{"number":6,"title":"Done","state":"merged","author":"","author_association":"OWNER","head":"done","base":"main",` +
		`"updated_at":"2026-01-02T03:04:05Z"}],"untrusted":"` + tools.Untrusted + `"}`
	if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// What doesn't fit is reached by cursors, each item once and in order.
func TestListPullRequestsPages(t *testing.T) {
	page := func(from, n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(`{"number":%d,"title":"%s","state":"open"}`, from+i, strings.Repeat("<", 400)))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	bench := tooltest.At(t, github.Module(), stub{"/repos/octo/app/pulls": pages(page(0, 30), page(30, 30), page(60, 5))})
	cursor, numbers, calls := "", 0, 0
	for {
		out := read[pullPage](t, bench, "github_list_pull_requests", with(`{"repo":"octo/app"}`, cursor))
		for _, p := range out.PullRequests {
			if p.Number != numbers {
				t.Fatalf("got %d, want %d", p.Number, numbers)
			}
			numbers++
		}
		calls++
		if cursor = out.NextCursor; cursor == "" {
			break
		}
	}
	if numbers != 65 || calls < 4 {
		t.Errorf("%d items in %d calls", numbers, calls)
	}
	out := read[pullPage](t, bench, "github_list_pull_requests", `{"repo":"octo/app"}`)
	if got := told(t, bench, "github_list_pull_requests", with(`{"repo":"octo/app","state":"all"}`, out.NextCursor)); !strings.Contains(got, "not of this call") {
		t.Errorf("another query with the cursor: %s", got)
	}
}

func TestBadInputOfReading(t *testing.T) {
	bench := tooltest.At(t, github.Module(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("sent %s %s", r.Method, r.URL)
	}))
	for _, c := range []struct{ tool, arguments, want string }{
		{"github_list_pull_requests", `{}`, "repo is missing"},
		{"github_list_pull_requests", `{"repo":"octo"}`, "no repository"},
		{"github_list_pull_requests", `{"repo":"octo/.."}`, "no repository"},
		{"github_list_pull_requests", `{"repo":"octo/app","state":"merged"}`, "state must be one of open, closed, all"},
		{"github_list_pull_requests", `{"repo":"octo/app","cursor":"x"}`, "not of this call"},
		{"github_read_pull_request", `{"repo":"octo/app"}`, "number is missing"},
		{"github_read_pull_request", `{"repo":"octo/app","number":"1"}`, "number must be"},
		{"github_read_pull_request", `{"repo":"../app","number":1}`, "no repository"},
		{"github_read_pull_request", `{"repo":"octo/app","number":1,"part":"commits"}`, "part must be one of"},
		{"github_read_pull_request", `{"repo":"octo/app","number":1,"part":"diff","cursor":"x"}`, "not of this call"},
		{"github_read_pull_request", `{"repo":"octo/app","number":1,"cursor":"x"}`, "summary is one answer"},
		{"github_read_pull_request", `{"repo":"octo/app","number":1,"part":"checks","cursor":"x"}`, "not of this call"},
		{"github_read_actions", `{"repo":"octo/app","run_id":1,"job_id":2}`, "not both"},
		{"github_read_actions", `{"repo":"octo/app","job_id":2,"branch":"main"}`, "leave them out"},
		{"github_read_actions", `{"repo":"octo/app","job_id":1e30}`, "whole number"},
		{"github_read_actions", `{"repo":"octo/app","job_id":2,"cursor":"x"}`, "not of this call"},
		{"github_list_notifications", `{"since":"2026-01-31T09:00:00"}`, "a time with its zone"},
		{"github_list_notifications", `{"since":"yesterday"}`, "a time with its zone"},
		{"github_list_notifications", `{"all":true}`, "all is not an argument"},
	} {
		if got := told(t, bench, c.tool, c.arguments); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: got %q, want %q", c.tool, c.arguments, got, c.want)
		}
	}
}

// What GitHub refuses is a sentence, whichever request of a call it is.
func TestErrorsOfReading(t *testing.T) {
	refusals := map[string]struct {
		status int
		header map[string]string
		body   string
		want   string
	}{
		"dead credential": {401, nil, `{"message":"Bad credentials"}`, "connect it again"},
		"rate limit":      {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000090"}, `{}`, "at 08:01:30 UTC (in 1m30s)"},
		"slow down":       {429, nil, `{}`, "slow down"},
		"sign-on":         {403, map[string]string{"X-GitHub-SSO": "required; url=https://github.com/orgs/octo/sso?x=1"}, `{"message":"Resource protected"}`, "https://github.com/orgs/octo/sso?x=1"},
		"not found":       {404, nil, `{"message":"Not Found"}`, ""},
		"out of order":    {502, nil, `<html>`, "problem at the moment (status 502)"},
	}
	for _, c := range []struct{ tool, arguments, path, missing string }{
		{"github_list_pull_requests", `{"repo":"octo/app"}`, "/repos/octo/app/pulls", "The repository octo/app doesn't exist, or"},
		{"github_read_pull_request", `{"repo":"octo/app","number":7}`, "/repos/octo/app/pulls/7", "Pull request 7 of octo/app doesn't exist, or"},
		{"github_read_pull_request", `{"repo":"octo/app","number":7,"part":"diff"}`, "/repos/octo/app/pulls/7/files", "Pull request 7"},
		{"github_read_pull_request", `{"repo":"octo/app","number":7,"part":"files"}`, "/repos/octo/app/pulls/7/files", "Pull request 7"},
		{"github_read_pull_request", `{"repo":"octo/app","number":7,"part":"reviews"}`, "/repos/octo/app/pulls/7/reviews", "Pull request 7"},
		{"github_read_pull_request", `{"repo":"octo/app","number":7,"part":"comments"}`, "/repos/octo/app/issues/7/comments", "Pull request 7"},
		{"github_read_pull_request", `{"repo":"octo/app","number":7,"part":"checks"}`, "/repos/octo/app/pulls/7", "Pull request 7"},
		{"github_read_actions", `{"repo":"octo/app"}`, "/repos/octo/app/actions/runs", "The repository octo/app"},
		{"github_read_actions", `{"repo":"octo/app","run_id":5}`, "/repos/octo/app/actions/runs/5/jobs", "Run 5 of octo/app doesn't exist, or"},
		{"github_read_actions", `{"repo":"octo/app","job_id":6}`, "/repos/octo/app/actions/jobs/6", "Job 6 of octo/app doesn't exist, or"},
		{"github_list_notifications", `{}`, "/notifications", "The list of notifications"},
	} {
		for name, refusal := range refusals {
			bench := tooltest.At(t, github.Module(), stub{c.path: func(w http.ResponseWriter, r *http.Request) {
				for key, value := range refusal.header {
					w.Header().Set(key, value)
				}
				w.WriteHeader(refusal.status)
				fmt.Fprint(w, refusal.body)
			}})
			want := refusal.want
			if name == "not found" {
				want = c.missing
			}
			if got := told(t, bench, c.tool, c.arguments); !strings.Contains(got, want) || len(got) > 600 {
				t.Errorf("%s %s, %s: got %q, want %q", c.tool, c.arguments, name, got, want)
			}
		}
	}
}

// TestPullRequestsAtTheSandbox is a person's way from the list to the failed check.
func TestPullRequestsAtTheSandbox(t *testing.T) {
	world := tooltest.Sandbox(t, nil)
	bench := tooltest.AtGitHub(t, github.Module(), world, "alice")
	repo := `{"repo":"` + sandbox.AliceLogin + `/trail-notes"`
	list := read[pullPage](t, bench, "github_list_pull_requests", repo+`}`)
	if len(list.PullRequests) != 1 || list.PullRequests[0].Title != "Keep the last waypoint in the export" {
		t.Fatalf("got %+v", list)
	}
	for arguments, want := range map[string]int{`,"state":"closed"}`: 0, `,"head":"fix/last-waypoint"}`: 1, `,"head":"main"}`: 0, `,"state":"all"}`: 1} {
		if got := read[pullPage](t, bench, "github_list_pull_requests", repo+arguments); len(got.PullRequests) != want {
			t.Errorf("%s: %+v", arguments, got)
		}
	}
	one := fmt.Sprintf(`%s,"number":%d`, repo, list.PullRequests[0].Number)
	for part, want := range map[string]string{
		"summary":  `"head":"fix/last-waypoint","head_sha":"`,
		"files":    `"text":"modified +1 -1 docs/notes.md"`,
		"diff":     `-Fifth line\n+Fifth line, with the summit`,
		"reviews":  `"author":"quiet-reviewer","author_association":"NONE","state":"CHANGES_REQUESTED"`,
		"comments": `"where":"docs/notes.md:`,
		"checks":   `pending preview/trail-notes https://preview.example/trail-notes`,
	} {
		got, err := bench.Call(t, "github_read_pull_request", fmt.Sprintf(`%s,"part":%q}`, one, part))
		if err != nil || !strings.Contains(string(got), want) || !strings.Contains(string(got), tools.Untrusted) {
			t.Errorf("%s: got %s, %v, want %s", part, got, err, want)
		}
	}
	if got := told(t, bench, "github_read_pull_request", repo+`,"number":1}`); !strings.Contains(got, "Pull request 1") {
		t.Errorf("an issue that is no pull request: %s", got)
	}
	if got := told(t, bench, "github_list_pull_requests", `{"repo":"`+sandbox.BobLogin+`/workshop"}`); !strings.Contains(got, "doesn't see it") {
		t.Errorf("somebody else's: %s", got)
	}
	world.Revoke(sandbox.AliceLogin)
	if got := told(t, bench, "github_list_pull_requests", repo+`}`); !strings.Contains(got, "connect it again") {
		t.Errorf("revoked: %s", got)
	}
}
