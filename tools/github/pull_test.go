package github_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools/github"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

type pullOut struct {
	Title, State, Text string
	Comments           []struct {
		Author, State, Where, Time, Body string
		Truncated                        bool `json:"body_truncated"`
	}
	NextCursor string `json:"next_cursor"`
}

// collect calls part until there is no cursor.
func collect(t *testing.T, bench *tooltest.Bench, part string, each func(pullOut)) (calls int) {
	t.Helper()
	for cursor := ""; ; {
		out := read[pullOut](t, bench, "github_read_pull_request", with(`{"repo":"octo/app","number":7,"part":"`+part+`"}`, cursor))
		each(out)
		if calls++; out.NextCursor == "" || calls > 500 {
			return calls
		}
		cursor = out.NextCursor
	}
}

func TestReadPullRequestSummary(t *testing.T) {
	bench := tooltest.At(t, github.Module(), stub{"/repos/octo/app/pulls/7": body(`{"number":7,"title":"Fix","state":"open","user":{"login":"mona"},
		"author_association":"FIRST_TIMER","body":"` + strings.Repeat("<b>\u200b", 9000) + `","head":{"label":"octo:fix","ref":"fix","sha":"abc"},
		"base":{"label":"octo:main","ref":"main"},"mergeable_state":"dirty","commits":2,"changed_files":3,"additions":10,"deletions":4,
		"created_at":"2026-01-02T03:04:05Z"}`)})
	got, err := bench.Call(t, "github_read_pull_request", `{"repo":"octo/app","number":7}`)
	for _, want := range []string{
		`{"title":"Fix","state":"open","head":"fix","head_sha":"abc","base":"main","mergeable_state":"dirty",` +
			`"text":"commits: 2, files: 3, +10 -4","comments":[{"author":"mona","author_association":"FIRST_TIMER","time":"2026-01-02T03:04:05Z","body":"`,
		`…","body_truncated":true}]`,
	} {
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("got %.400s, %v; want %s", got, err, want)
		}
	}
	if out := read[pullOut](t, bench, "github_read_pull_request", `{"repo":"octo/app","number":7,"part":"summary"}`); strings.Contains(out.Comments[0].Body, "\u200b") {
		t.Error("invisible characters came through")
	}
}

// A diff comes whole over its cursors: files of two pages, one of them larger than
// an answer, one without text, and one with a line of a megabyte.
func TestReadPullRequestDiff(t *testing.T) {
	large, want := "@@ -1,2 +1,2 @@", []string{"@@ -1,2 +1,2 @@"}
	for i := range 4000 {
		large += fmt.Sprintf("\\n+line %d <&>", i)
		want = append(want, fmt.Sprintf("+line %d <&>", i))
	}
	first := `[{"filename":"a.txt","status":"added","patch":"@@ -0,0 +1 @@\n+x"},{"filename":"large.txt","status":"modified","patch":"` + large + `"},
		{"filename":"b.png","status":"modified"}]`
	second := `[{"filename":"new name","previous_filename":"old","status":"renamed","patch":"@@ -1 +1 @@\n-` + strings.Repeat("y", 1<<20) + `\n\\ No newline at end of file"}]`
	bench := tooltest.At(t, github.Module(), stub{"/repos/octo/app/pulls/7/files": pages(first, second)})
	var got []string
	calls := collect(t, bench, "diff", func(out pullOut) {
		if strings.HasPrefix(out.Text, "diff --git a/large.txt b/large.txt (continued)\n") {
			_, out.Text, _ = strings.Cut(out.Text, "\n")
		}
		got = append(got, strings.Split(out.Text, "\n")...)
	})
	want = append([]string{"diff --git a/a.txt b/a.txt (added)", "@@ -0,0 +1 @@", "+x", "diff --git a/large.txt b/large.txt"}, want...)
	want = append(want, "diff --git a/b.png b/b.png", "(no text to show: binary, too large, or its content is the same)",
		"diff --git a/old b/new name (renamed)", "@@ -1 +1 @@", "-"+strings.Repeat("y", 999)+"…", `\ No newline at end of file`)
	if diff := cmp.Diff(want, got); diff != "" || calls < 5 {
		t.Errorf("%d calls: %s", calls, diff)
	}
}

func TestReadPullRequestFiles(t *testing.T) {
	var page, want []string
	for i := range 30 {
		page = append(page, fmt.Sprintf(`{"filename":"%s%d","status":"modified","additions":%d,"deletions":2}`, strings.Repeat("<", 250), i, i))
		want = append(want, fmt.Sprintf("modified +%d -2 %s%d", i, strings.Repeat("<", 250), i))
	}
	moved := `[{"filename":"b","previous_filename":"a","status":"renamed"}]`
	bench := tooltest.At(t, github.Module(), stub{"/repos/octo/app/pulls/7/files": pages("["+strings.Join(page, ",")+"]", moved)})
	var got []string
	calls := collect(t, bench, "files", func(out pullOut) { got = append(got, strings.Split(out.Text, "\n")...) })
	if diff := cmp.Diff(append(want, "renamed +0 -0 a => b"), got); diff != "" || calls < 3 {
		t.Errorf("%d calls: %s", calls, diff)
	}
}

// The conversation comes first, then the comments on lines: each once.
func TestReadPullRequestComments(t *testing.T) {
	list := func(kind string, from, n, length int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(`{"user":{"login":"mona"},"author_association":"MEMBER","body":"%s %d %s","path":"%s","line":%d,"created_at":"2026-01-02T03:04:05Z"}`,
				kind, from+i, strings.Repeat("<", length), map[string]string{"line": "a.go"}[kind], map[string]int{"line": 3}[kind]))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	// Four and a small one leave less room than one takes.
	full := strings.TrimSuffix(list("talk", 3, 4, 2000), "]") + "," + strings.TrimPrefix(list("talk", 7, 1, 800), "[")
	bench := tooltest.At(t, github.Module(), stub{
		"/repos/octo/app/issues/7/comments": pages(list("talk", 0, 3, 2000), full),
		"/repos/octo/app/pulls/7/comments":  pages(list("line", 0, 2, 2000)),
	})
	var got []string
	collect(t, bench, "comments", func(out pullOut) {
		for _, c := range out.Comments {
			words := strings.Fields(c.Body)
			got = append(got, words[0]+words[1]+c.Where)
			if c.Truncated != (len(words[2]) != 800) || c.Author != "mona" || c.Time != "2026-01-02T03:04:05Z" {
				t.Errorf("got %+.100v", c)
			}
		}
	})
	if diff := cmp.Diff("talk0 talk1 talk2 talk3 talk4 talk5 talk6 talk7 line0a.go:3 line1a.go:3", strings.Join(got, " ")); diff != "" {
		t.Error(diff)
	}
	small := tooltest.At(t, github.Module(), stub{
		"/repos/octo/app/issues/7/comments": body(`[{"body":"a","user":null}]`), "/repos/octo/app/pulls/7/comments": body(`[{"body":"b","path":"x"}]`),
	})
	if calls := collect(t, small, "comments", func(out pullOut) {
		if len(out.Comments) != 2 || out.Comments[1].Where != "x" {
			t.Errorf("got %+v", out)
		}
	}); calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

func TestReadPullRequestReviews(t *testing.T) {
	bench := tooltest.At(t, github.Module(), stub{"/repos/octo/app/pulls/7/reviews": body(
		`[{"user":{"login":"mona"},"author_association":"MEMBER","state":"APPROVED","body":"","submitted_at":"2026-01-02T03:04:05Z"}]`)})
	got, err := bench.Call(t, "github_read_pull_request", `{"repo":"octo/app","number":7,"part":"reviews"}`)
	want := `{"comments":[{"author":"mona","author_association":"MEMBER","state":"APPROVED","time":"2026-01-02T03:04:05Z","body":""}],`
	if err != nil || !strings.HasPrefix(string(got), want) {
		t.Errorf("got %s, %v", got, err)
	}
}

// Checks are those of one commit, however the branch moves between two pages.
func TestReadPullRequestChecks(t *testing.T) {
	run := func(from int) string {
		var items []string
		for i := range 30 {
			items = append(items, fmt.Sprintf(`{"id":%d,"name":"run %d","status":"completed","conclusion":"failure","app":{"slug":"github-actions"}}`, 900+from+i, from+i))
		}
		return `{"check_runs":[` + strings.Join(items, ",") + `]}`
	}
	status := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "1" {
			fmt.Fprint(w, `{"total_count":31,"statuses":[`+strings.Repeat(`{"context":"old","state":"success","target_url":"javascript://ci.example/x"},`, 29)+`{"context":"old","state":"success"}]}`)
			return
		}
		fmt.Fprint(w, `{"total_count":31,"statuses":[{"context":"last","state":"pending","target_url":"https://ci.example/1"}]}`)
	}
	loads := 0
	bench := tooltest.At(t, github.Module(), stub{
		"/repos/octo/app/pulls/7": func(w http.ResponseWriter, _ *http.Request) {
			loads++
			fmt.Fprintf(w, `{"head":{"sha":"sha%d"}}`, loads)
		},
		"/repos/octo/app/commits/sha1/check-runs": pages(run(0), strings.Replace(run(30), `"completed","conclusion":"failure","app":{"slug":"github-actions"}`, `"in_progress","conclusion":null,"details_url":"https://ci.example/2","app":{"slug":"other"}`, 1)),
		"/repos/octo/app/commits/sha1/status":     status,
	})
	var got []string
	collect(t, bench, "checks", func(out pullOut) { got = append(got, strings.Split(out.Text, "\n")...) })
	if len(got) != 91 || loads != 1 {
		t.Fatalf("%d checks after %d loads", len(got), loads)
	}
	for i, want := range map[int]string{0: "failure run 0 (job_id 900)", 30: "in_progress run 30 https://ci.example/2", 60: "success old", 90: "pending last https://ci.example/1"} {
		if got[i] != want {
			t.Errorf("line %d: got %q, want %q", i, got[i], want)
		}
	}
}

// A name that is no segment of a path isn't put into one.
func TestReadPullRequestChecksOfNoCommit(t *testing.T) {
	for _, sha := range []string{"", "..", "a/b"} {
		bench := tooltest.At(t, github.Module(), stub{"/repos/octo/app/pulls/7": body(`{"head":{"sha":"` + sha + `"}}`)})
		if got := told(t, bench, "github_read_pull_request", `{"repo":"octo/app","number":7,"part":"checks"}`); !strings.Contains(got, "Try again in a minute") {
			t.Errorf("%q: %s", sha, got)
		}
	}
}

func TestReadPullRequestEndsWithTheCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	bench := tooltest.At(t, github.Module(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
		close(ended)
	}))
	if _, err := bench.CallContext(ctx, t, "github_read_pull_request", `{"repo":"octo/app","number":7,"part":"diff"}`); err == nil {
		t.Error("it succeeded")
	}
	<-ended
}
