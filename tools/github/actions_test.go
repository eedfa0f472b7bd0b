package github_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/github"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

type actionsOut struct {
	Items []struct {
		ID         int64
		Name       string
		Status     string
		FailedStep string `json:"failed_step"`
	}
	Log        string
	NextCursor string `json:"next_cursor"`
}

func TestReadActionsLists(t *testing.T) {
	bench := tooltest.At(t, github.Module(), stub{
		"/repos/octo/app/actions/runs": func(w http.ResponseWriter, r *http.Request) {
			if got := r.URL.RawQuery; got != "branch=a%2Fb&exclude_pull_requests=true&page=1&per_page=30&status=failure" {
				t.Errorf("asked with %s", got)
			}
			fmt.Fprint(w, `{"total_count":2,"workflow_runs":[
				{"id":30433642,"name":"CI","display_title":"Fix\u202e it","status":"completed","conclusion":"failure","head_branch":"a/b","head_sha":"abc","created_at":"2026-01-02T03:04:05Z"},
				{"id":9,"name":null,"status":"in_progress","conclusion":null,"head_branch":null}]}`)
		},
		"/repos/octo/app/actions/runs/5/jobs": body(`{"jobs":[
			{"id":6,"name":"test","status":"completed","conclusion":"failure","steps":[{"name":"a","conclusion":"cancelled"},{"name":"b","conclusion":"failure"}]},
			{"id":7,"name":"lint","status":"completed","conclusion":"cancelled","steps":[{"name":"a","conclusion":"success"},{"name":"c","conclusion":"cancelled"}]},
			{"id":8,"name":"later","status":"queued"}]}`),
	})
	for arguments, want := range map[string]string{
		`,"branch":"a/b","status":"failure"}`: `{"items":[{"id":30433642,"name":"CI","status":"failure","title":"Fix it","branch":"a/b","sha":"abc","created_at":"2026-01-02T03:04:05Z"},` +
			`{"id":9,"name":"","status":"in_progress"}],"untrusted":"`,
		`,"run_id":5}`: `{"items":[{"id":6,"name":"test","status":"failure","failed_step":"b"},{"id":7,"name":"lint","status":"cancelled","failed_step":"c"},` +
			`{"id":8,"name":"later","status":"queued"}],"untrusted":"`,
	} {
		got, err := bench.Call(t, "github_read_actions", `{"repo":"octo/app"`+arguments)
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}

// Runs go on by cursor, over pages of GitHub's and within one.
func TestReadActionsPages(t *testing.T) {
	page := func(from, n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(`{"id":%d,"display_title":"%s"}`, from+i, strings.Repeat("<", 300)))
		}
		return `{"workflow_runs":[` + strings.Join(items, ",") + `]}`
	}
	bench := tooltest.At(t, github.Module(), stub{"/repos/octo/app/actions/runs": pages(page(0, 30), page(30, 3))})
	next, calls := int64(0), 0
	for cursor := ""; ; {
		out := read[actionsOut](t, bench, "github_read_actions", with(`{"repo":"octo/app"}`, cursor))
		for _, item := range out.Items {
			if item.ID != next {
				t.Fatalf("got %d, want %d", item.ID, next)
			}
			next++
		}
		calls++
		if cursor = out.NextCursor; cursor == "" {
			break
		}
	}
	if next != 33 || calls < 3 {
		t.Errorf("%d runs in %d calls", next, calls)
	}
}

const store = "https://productionresultssa7.blob.core.windows.net/log.txt?sig=a%2Bb"

// logs answers for one job: its state, and a log at the storage.
func logs(job, log string) stub {
	return stub{
		"/repos/octo/app/actions/jobs/6": body(job),
		"/repos/octo/app/actions/jobs/6/logs": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", store)
			w.WriteHeader(http.StatusFound)
		},
		"/log.txt": body(log),
	}
}

const failedJob = `{"id":6,"status":"completed","conclusion":"failure","html_url":"https://github.com/octo/app/actions/runs/5/job/6","steps":[
	{"name":"Set up","conclusion":"success","started_at":"2026-01-02T03:04:00Z","completed_at":"2026-01-02T03:04:05Z"},
	{"name":"Run\u202e tests","conclusion":"failure","started_at":"2026-01-02T03:04:05Z","completed_at":"2026-01-02T03:04:09Z"},
	{"name":"Clean up","conclusion":"success","started_at":"2026-01-02T03:04:09Z","completed_at":"2026-01-02T03:04:10Z"}]}`

const jobLog = "\ufeff2026-01-02T03:04:01.0000000Z setting up\n" +
	"2026-01-02T03:04:05.5000000Z ##[group]Run make test\n" +
	"2026-01-02T03:04:08.0000000Z \x1b[31mit fails\x1b[0m\r\n" +
	"with a\u202e second line\n" +
	"2026-01-02T03:04:09.2000000Z ##[error]Process completed with exit code 1.\n" +
	"2026-01-02T03:04:09.3000000Z cleaning up\n"

func TestReadActionsLog(t *testing.T) {
	head := "The log of the step \"Run tests\" (failure):\n"
	unsure := "The whole log, in which the step \"Run tests\" failed (failure):\n"
	untimed := strings.ReplaceAll(failedJob, "2026-01-02T03:04", "2020-01-01T00:00")
	for name, c := range map[string]struct{ job, log, want string }{
		"the failed step's": {failedJob, jobLog, head + "##[group]Run make test\nit fails\nwith a second line\n##[error]Process completed with exit code 1."},
		"none failed":       {`{"status":"completed","conclusion":"success","steps":[]}`, jobLog, "The whole log:\nsetting up\n##[group]Run make test\nit fails\nwith a second line\n##[error]Process completed with exit code 1.\ncleaning up"},
		"no error line":     {failedJob, strings.ReplaceAll(jobLog, "##[error]", ""), head + "##[group]Run make test\nit fails\nwith a second line\nProcess completed with exit code 1.\ncleaning up"},
		"times of no use":   {untimed, jobLog, unsure + "setting up\n"},
		"no times":          {failedJob, "one\ntwo", unsure + "one\ntwo"},
		"an empty log":      {failedJob, "", unsure},
	} {
		bench := tooltest.At(t, github.Module(), logs(c.job, c.log))
		out := read[actionsOut](t, bench, "github_read_actions", `{"repo":"octo/app","job_id":6}`)
		if !strings.HasPrefix(out.Log, c.want) || name == "the failed step's" && out.Log != c.want {
			t.Errorf("%s: %s", name, cmp.Diff(c.want, out.Log))
		}
	}
}

// The log's end comes first, and cursors lead to its start: each line once.
func TestReadActionsLogGoesBack(t *testing.T) {
	var log strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&log, "2026-01-02T03:04:06.0000000Z line %d <&>\n", i)
	}
	log.WriteString("2026-01-02T03:04:06.0000000Z " + strings.Repeat("<", 1<<20))
	bench := tooltest.At(t, github.Module(), logs(failedJob, log.String()))
	var lines []string
	calls := 0
	for cursor := ""; ; {
		out := read[actionsOut](t, bench, "github_read_actions", with(`{"repo":"octo/app","job_id":6}`, cursor))
		_, text, _ := strings.Cut(out.Log, "\n")
		lines = append(strings.Split(text, "\n"), lines...)
		calls++
		if cursor = out.NextCursor; cursor == "" {
			break
		}
	}
	if len(lines) != 3001 || calls < 3 || lines[0] != "line 0 <&>" || lines[2999] != "line 2999 <&>" || lines[3000] != strings.Repeat("<", 1000)+"…" {
		t.Errorf("%d lines in %d calls, from %.40q to %.40q", len(lines), calls, lines[0], lines[len(lines)-2])
	}
}

func TestReadActionsLogRefusals(t *testing.T) {
	at := func(path string, status int, header ...string) stub {
		s := logs(failedJob, jobLog)
		s[path] = func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			fmt.Fprint(w, `{"message":"refused"}`)
		}
		return s
	}
	const log, page = "/repos/octo/app/actions/jobs/6/logs", "https://github.com/octo/app/actions/runs/5/job/6"
	for name, c := range map[string]struct {
		github stub
		want   string
	}{
		"not completed":       {logs(`{"status":"in_progress"}`, jobLog), "Job 6 is not completed (in_progress)"},
		"no log":              {at(log, 404), "no log of job 6 any more"},
		"an old log":          {at(log, 410), "no log of job 6 any more"},
		"forbidden":           {at(log, 403, "X-GitHub-SSO", "required; url=https://github.com/orgs/octo/sso"), "https://github.com/orgs/octo/sso"},
		"slow down":           {at(log, 429), "slow down"},
		"out of order":        {at(log, 500), "problem at the moment (status 500)"},
		"moved":               {at(log, 301, "Location", "https://api.github.com/repositories/1/actions/jobs/6/logs"), "Job 6 of octo/app has moved"},
		"redirects elsewhere": {at(log, 302, "Location", "https://evil.example/log.txt"), "can't be read from here. Ask the user to open " + page},
		"redirects to http":   {at(log, 302, "Location", strings.Replace(store, "https", "http", 1)), "can't be read from here"},
		"redirects to itself": {at(log, 302, "Location", "https://api.github.com/user"), "can't be read from here"},
		"answers itself":      {at(log, 200), "can't be read from here"},
		"answers elsewhere":   {at(log, 200, "Location", "https://evil.example/log.txt"), "can't be read from here"},
		"redirects nowhere":   {at(log, 302), "can't be read from here"},
		"storage refuses":     {at("/log.txt", 403), "doesn't give it (status 403). Try again in a minute, or ask the user to open " + page},
		"storage is down":     {at("/log.txt", 503), "doesn't give it (status 503)"},
	} {
		bench := tooltest.At(t, github.Module(), c.github)
		if got := told(t, bench, "github_read_actions", `{"repo":"octo/app","job_id":6}`); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// A limited body ends as the bound client's do that are too large.
type limited struct {
	io.Reader
	err error
}

func (l limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err == io.EOF {
		err = l.err
	}
	return n, err
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Of a log that is larger than an answer may be, the start is read.
func TestReadActionsLogTooLarge(t *testing.T) {
	read := func(job, log string, end error) (string, error) {
		tool := func() tools.Tool {
			for _, one := range github.Module().Tools {
				if one.Spec().Name == "github_read_actions" {
					return one
				}
			}
			panic("no tool")
		}()
		github := logs(job, log)
		client := &http.Client{Transport: trip(func(req *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			github.ServeHTTP(w, req)
			resp := w.Result()
			resp.Request = req
			if req.URL.Path == "/log.txt" {
				resp.Body = io.NopCloser(limited{resp.Body, end})
			}
			return resp, nil
		})}
		got, err := tool.Call(t.Context(), client, json.RawMessage(`{"repo":"octo/app","job_id":6}`))
		var out actionsOut
		_ = json.Unmarshal(got, &out)
		return out.Log, err
	}
	large := &tools.Error{Message: "larger than 8 MiB"}
	if got, err := read(failedJob, jobLog, large); err != nil || !strings.Contains(got, "its end is missing)\n##[group]Run make test\n") {
		t.Errorf("got %q, %v", got, err)
	}
	before := strings.SplitAfter(jobLog, "\n")[0]
	if _, err := read(failedJob, before, large); err == nil || !strings.Contains(err.Error(), "is beyond that. Ask the user to open https://github.com/octo/app/actions/runs/5/job/6") {
		t.Errorf("got %v", err)
	}
	if _, err := read(failedJob, before, io.EOF); err != nil {
		t.Errorf("a log that ends early: %v", err)
	}
	cut := errors.New("the connection broke")
	if _, err := read(failedJob, jobLog, cut); !errors.Is(err, cut) {
		t.Errorf("got %v", err)
	}
}

func TestActionsAtTheSandbox(t *testing.T) {
	world := tooltest.Sandbox(t, nil)
	bench := tooltest.AtGitHub(t, github.Module(), world, "alice")
	repo := `{"repo":"` + sandbox.AliceLogin + `/trail-notes"`
	runs := read[actionsOut](t, bench, "github_read_actions", repo+`}`)
	if len(runs.Items) != 2 || runs.Items[0].Status != "failure" || runs.Items[1].Status != "success" {
		t.Fatalf("got %+v", runs)
	}
	if got := read[actionsOut](t, bench, "github_read_actions", repo+`,"branch":"main"}`); len(got.Items) != 1 || got.Items[0].ID != runs.Items[1].ID {
		t.Errorf("of a branch: %+v", got)
	}
	jobs := read[actionsOut](t, bench, "github_read_actions", fmt.Sprintf(`%s,"run_id":%d}`, repo, runs.Items[0].ID))
	if len(jobs.Items) != 2 || jobs.Items[1].FailedStep != "Run make test" {
		t.Fatalf("got %+v", jobs)
	}
	log := read[actionsOut](t, bench, "github_read_actions", fmt.Sprintf(`%s,"job_id":%d}`, repo, jobs.Items[1].ID))
	want := "The log of the step \"Run make test\" (failure):\n##[group]Run make test\n##[endgroup]\n--- FAIL: Test of trail-notes\n##[error]Process completed with exit code 2."
	if diff := cmp.Diff(want, log.Log); diff != "" {
		t.Error(diff)
	}
	whole := read[actionsOut](t, bench, "github_read_actions", fmt.Sprintf(`%s,"job_id":%d}`, repo, jobs.Items[0].ID))
	if !strings.HasPrefix(whole.Log, "The whole log:\nCurrent runner version") {
		t.Errorf("got %s", whole.Log)
	}
	for _, d := range world.Downloads() {
		if d.TokenHash != "" || d.Status != 200 {
			t.Errorf("at the storage: %+v", d)
		}
	}
	if got := told(t, bench, "github_read_actions", fmt.Sprintf(`{"repo":"%s/workshop","job_id":%d}`, sandbox.BobLogin, jobs.Items[0].ID)); !strings.Contains(got, "doesn't see it") {
		t.Errorf("somebody else's: %s", got)
	}
}
