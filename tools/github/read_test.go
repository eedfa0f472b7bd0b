package github_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
)

// answers serves what each request line is to get; any other one is an error.
func answers(t *testing.T, list map[string]string) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := list[r.URL.RequestURI()]
		if !ok || r.Method != http.MethodGet {
			t.Errorf("sent %s %s", r.Method, r.URL.RequestURI())
		}
		if link, rest, linked := strings.Cut(body, "\n"); linked && strings.HasPrefix(link, "<") {
			w.Header().Set("Link", link)
			body = rest
		}
		io.WriteString(w, body)
	}
}

const hidden = "a\u202eb\u200bc\x07" // what Clean takes out, around abc

func TestReads(t *testing.T) {
	const untrusted = `"untrusted":"` + tools.Untrusted + `"}`
	const next = `<https://api.github.com/x?page=2>; rel="next"` + "\n"
	quoted, err := json.Marshal(hidden)
	if err != nil {
		t.Fatal(err)
	}
	odd := string(quoted)
	for name, c := range map[string]struct {
		tool, arguments string
		answers         map[string]string
		want            string
	}{
		"repositories": {"github_search_repositories", `{"query":"user:octo","sort":"stars"}`, map[string]string{
			"/search/repositories?page=1&per_page=20&q=user%3Aocto&sort=stars": next + `{"total_count":31,"items":[{"full_name":"octo/app",
				"description":` + odd + `,"private":true,"archived":true,"language":"Go","stargazers_count":3,"pushed_at":"2026-01-02T03:04:05+01:00"},
				{"full_name":"octo/b","description":null,"language":null}]}`,
		}, `{"total":31,"repositories":[{"repo":"octo/app","description":"abc","private":true,"archived":true,"language":"Go","stars":3,` +
			`"pushed_at":"2026-01-02T02:04:05Z"},{"repo":"octo/b","stars":0}],"next_cursor":{"p":2},` + untrusted},
		"code": {"github_search_code", `{"query":"f OR x repo:octo/app"}`, map[string]string{
			"/search/code?page=1&per_page=20&q=f+OR+x+repo%3Aocto%2Fapp": `{"total_count":1,"incomplete_results":true,"items":[{"path":"a/f.go",
				"repository":{"full_name":"octo/app"},"text_matches":[{"property":"path","fragment":"a/f.go"},{"property":"content","fragment":` + odd + `}]}]}`,
		}, `{"total":1,"files":[{"repo":"octo/app","path":"a/f.go","fragments":["abc"]}],"incomplete":true,` + untrusted},
		"a directory": {"github_get_file", `{"repo":"octo/app","path":"/a b/c#/","ref":"feature/x"}`, map[string]string{
			"/repos/octo/app/contents/a%20b/c%23?ref=feature%2Fx": `[{"type":"dir","name":"d","size":0},{"type":"file","name":"e.go","size":9}]`,
		}, `{"type":"dir","entries":[{"name":"d","type":"dir"},{"name":"e.go","type":"file","size":9}],` + untrusted},
		"the top": {"github_get_file", `{"repo":"octo/app"}`, map[string]string{
			"/repos/octo/app/contents": `[]`,
		}, `{"type":"dir",` + untrusted},
		"a link": {"github_get_file", `{"repo":"octo/app","path":"l"}`, map[string]string{
			"/repos/octo/app/contents/l": `{"type":"symlink","size":4,"target":"../x"}`,
		}, `{"type":"symlink","size":4,"note":"It points to ../x.",` + untrusted},
		"a submodule": {"github_get_file", `{"repo":"octo/app","path":"m"}`, map[string]string{
			"/repos/octo/app/contents/m": `{"type":"submodule","sha":"abc","submodule_git_url":"https://github.com/octo/m"}`,
		}, `{"type":"submodule","note":"It is another repository: https://github.com/octo/m at abc.",` + untrusted},
		"commits": {"github_list_commits", goOn("github_list_commits", `{"repo":"octo/app","ref":"feature/x","path":"a/b.go","author":"mona","since":"2026-01-02","until":"2026-01-03T01:00:00+02:00"}`, 2, 1), map[string]string{
			"/repos/octo/app/commits?author=mona&page=2&path=a%2Fb.go&per_page=30&sha=feature%2Fx&since=2026-01-02T00%3A00%3A00Z&until=2026-01-02T23%3A00%3A00Z": `[{"sha":"1"},
				{"sha":"2","author":null,"commit":{"message":"  It ` + `works\n\nand more","author":{"name":` + odd + `},"committer":{"date":"2026-01-02T03:04:05Z"}}}]`,
		}, `{"commits":[{"sha":"2","title":"It works","author":"abc","date":"2026-01-02T03:04:05Z"}],` + untrusted},
		"a commit": {"github_get_commit", `{"repo":"octo/app","ref":"v1.0"}`, map[string]string{
			"/repos/octo/app/commits/v1.0?page=1&per_page=100": next + `{"sha":"2","author":{"login":"mona"},"commit":{"message":"It works\n\nand more","committer":{"date":"2026-01-02T03:04:05Z"}},
				"files":[{"filename":"a","previous_filename":"b","status":"renamed","patch":"@@ -1 +1 @@\n-` + `x"},{"filename":"c.png","status":"added"}]}`,
		}, `{"sha":"2","message":"It works\n\nand more","author":"mona","date":"2026-01-02T03:04:05Z","files":[{"path":"a","previous_path":"b","status":"renamed",` +
			`"patch":"@@ -1 +1 @@\n-x"},{"path":"c.png","status":"added"}],"next_cursor":{"p":2},` + untrusted},
		"the rest of a commit": {"github_get_commit", goOn("github_get_commit", `{"repo":"octo/app","ref":"2"}`, 2, 0), map[string]string{
			"/repos/octo/app/commits/2?page=2&per_page=100": `{"sha":"2","author":{"login":"mona"},"commit":{"message":"again"},"files":[]}`,
		}, `{"sha":"2","author":"mona","date":"","files":[],` + untrusted},
		"branches": {"github_list_branches", `{"repo":"octo/app"}`, map[string]string{
			"/repos/octo/app": `{"default_branch":"trunk"}`,
			"/repos/octo/app/branches?page=1&per_page=100": `[{"name":"trunk","commit":{"sha":"1"}},{"name":"a/b","commit":{"sha":"2"},"protected":true}]`,
		}, `{"default_branch":"trunk","branches":[{"name":"trunk","sha":"1"},{"name":"a/b","sha":"2"}],` + untrusted},
		"an issue": {"github_read_issue", `{"repo":"octo/app","number":7}`, map[string]string{
			"/repos/octo/app/issues/7":                             strings.Replace(issue, `"BODY"`, odd, 1),
			"/repos/octo/app/issues/7/comments?page=1&per_page=50": next + `[{"id":1,"user":null,"author_association":"NONE","body":` + odd + `,"created_at":"2026-01-02T03:04:05Z"}]`,
		}, `{"title":"It fails","state":"open","author":"mona","author_association":"MEMBER","labels":["bug"],"assignees":["lisa"],` +
			`"created_at":"2026-01-02T03:04:05Z","body":"abc","comments":[{"author_association":"NONE","created_at":"2026-01-02T03:04:05Z","body":"abc"}],` +
			`"next_cursor":{"p":2},` + untrusted},
		"a pull request nobody commented on": {"github_read_issue", `{"repo":"octo/app","number":8}`, map[string]string{
			"/repos/octo/app/issues/8": `{"title":"x","state":"closed","comments":0,"pull_request":{"url":"x"},"body":null}`,
		}, `{"title":"x","state":"closed","pull_request":true,"labels":[],"assignees":[],"comments":[],` + untrusted},
		"more comments": {"github_read_issue", goOn("github_read_issue", `{"repo":"octo/app","number":7}`, 2, 0), map[string]string{
			"/repos/octo/app/issues/7":                             issue,
			"/repos/octo/app/issues/7/comments?page=2&per_page=50": `[]`,
		}, `{"title":"It fails","state":"open","author":"mona","author_association":"MEMBER","labels":["bug"],"assignees":["lisa"],` +
			`"created_at":"2026-01-02T03:04:05Z","comments":[],` + untrusted},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := call(t, c.tool, c.arguments, answers(t, c.answers))
			if diff := cmp.Diff(c.want, opened(got)); diff != "" || err != nil {
				t.Errorf("%v: %s", err, diff)
			}
		})
	}
}

func TestContext(t *testing.T) {
	for header, scopes := range map[string]string{"repo, read:org": `["repo","read:org"]`, "": `[]`} {
		got, err := call(t, "github_context", `{}`, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-OAuth-Scopes", header)
			w.Header().Set("X-RateLimit-Remaining", "4711")
			w.Header().Set("X-RateLimit-Reset", "1800000090")
			io.WriteString(w, `{"login":"mona"}`)
		})
		want := `{"login":"mona","scopes":` + scopes + `,"rate_limit_remaining":4711,"rate_limit_resets_at":"2027-01-15T08:01:30Z"}`
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}

// file is GitHub's answer about a file with that text.
func file(text string) string {
	encoded := base64.StdEncoding.EncodeToString([]byte(text))
	if len(encoded) > 60 {
		encoded = encoded[:60] + `\n` + encoded[60:]
	}
	return fmt.Sprintf(`{"type":"file","size":%d,"encoding":"base64","content":"%s\n"}`, len(text), encoded)
}

func TestGetFile(t *testing.T) {
	ten := "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"
	for name, c := range map[string]struct{ arguments, answer, want string }{
		"whole":              {``, file(ten), `"text":"1\n2\n3\n4\n5\n6\n7\n8\n9\n10","total_lines":10,`},
		"without a last end": {``, file("a\nb"), `"text":"a\nb","total_lines":2,`},
		"a range":            {`,"start_line":3,"end_line":5`, file(ten), `"text":"3\n4\n5","total_lines":10,`},
		"past the end":       {`,"start_line":9,"end_line":99`, file(ten), `"text":"9\n10","total_lines":10,`},
		"one line":           {`,"start_line":10`, file(ten), `"text":"10","total_lines":10,`},
		"up to":              {`,"end_line":1`, file(ten), `"text":"1","total_lines":10,`},
		"empty lines":        {``, file("\n\n"), `"text":"\n","total_lines":2,`},
		"empty":              {``, file(""), `{"type":"file","untrusted"`},
		"Windows":            {``, file("a\r\nb\r\n"), `"text":"a\nb","total_lines":2,"note":"The file's lines end with CR LF: keep that`},
		"hidden characters":  {``, file(hidden), `"text":"abc","total_lines":1,"note":"The file has invisible characters, which are left out here: to write`},
		"nothing to note":    {``, file("a\n"), `"text":"a","total_lines":1,"untrusted"`},
		"binary":             {``, file("a\x00b"), `"note":"No text: the file is binary."`},
		"not UTF-8":          {``, file("a\xffb"), `"note":"No text: the file is binary."`},
		"large":              {``, `{"type":"file","size":2000000,"encoding":"none","content":""}`, `"size":2000000,"note":"No text: the file is larger`},
		"a long line":        {``, file(strings.Repeat("x", 2001) + "\ny\n"), strings.Repeat("x", 2000) + `…\ny","total_lines":2,"note":"Lines of more than 2000 bytes`},
	} {
		got, err := call(t, "github_get_file", `{"repo":"octo/app","path":"f"`+c.arguments+`}`, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, c.answer)
		})
		if err != nil || !strings.Contains(string(got), c.want) {
			t.Errorf("%s: got %s, %v; want %s", name, got, err, c.want)
		}
	}
	for arguments, c := range map[string]struct {
		status       int
		answer, want string
	}{
		`,"start_line":11`:               {200, file(ten), "only 10 lines"},
		`,"start_line":-3,"end_line":-2`: {200, file(ten), "end_line -2 is before start_line 1"},
		`,"end_line":9`:                  {404, `{"message":"This repository is empty."}`, "The repository octo/app is empty"},
		`,"ref":"v9"`:                    {404, `{"message":"No commit found for the ref v9"}`, "f in octo/app at v9 doesn't exist"},
		``:                               {403, `{"message":"This API returns blobs up to 1 MB in size.","errors":[{"resource":"Blob","field":"data","code":"too_large"}]}`, "larger than the 1 MB"},
		`,"end_line":2`:                  {301, `{}`, "f in octo/app has moved"},
	} {
		result, err := call(t, "github_get_file", `{"repo":"octo/app","path":"f"`+arguments+`}`, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(c.status)
			io.WriteString(w, c.answer)
		})
		if got := message(t, result, err); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", arguments, got, c.want)
		}
	}
}

// Markup takes up to six bytes in JSON for one of its own; next_start_line goes on
// without a gap until the file is read.
func TestGetFileFitsTheBudget(t *testing.T) {
	var text strings.Builder
	for n := range 3000 {
		fmt.Fprintf(&text, "%d <&>\n", n+1)
	}
	var lines []string
	for next := 1; next > 0; {
		result, err := call(t, "github_get_file", fmt.Sprintf(`{"repo":"octo/app","path":"f","start_line":%d}`, next),
			func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, file(text.String())) })
		var out struct {
			Text string
			Next int `json:"next_start_line"`
		}
		if err != nil || len(result) > tools.Budget || json.Unmarshal(result, &out) != nil || len(lines) > 3000 {
			t.Fatalf("%d bytes, %v", len(result), err)
		}
		lines, next = append(lines, strings.Split(out.Text, "\n")...), out.Next
	}
	if got := strings.Join(lines, "\n") + "\n"; got != text.String() {
		t.Errorf("%d of %d lines", len(lines), 3000)
	}
}

// However large GitHub's answers are, each result keeps its budget, and the cursors
// lead through all of it.
func TestReadsFitTheBudget(t *testing.T) {
	many := func(n int, one string) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
	fat := strings.Repeat("<", 3000)
	for name, c := range map[string]struct {
		tool, arguments, list string
		answers               map[string]string
		items                 int
	}{
		"entries": {"github_get_file", `"repo":"octo/app"`, "entries", map[string]string{
			"/repos/octo/app/contents": many(1000, `{"type":"file","name":"a-rather-long-name-of-a-file.go","size":1234}`)}, 1000},
		"commits": {"github_list_commits", `"repo":"octo/app"`, "commits", map[string]string{
			"/repos/octo/app/commits?page=1&per_page=30": many(30, `{"sha":"1","commit":{"message":"`+fat+`","author":{"name":"`+fat+`"}}}`)}, 30},
		"files": {"github_get_commit", `"repo":"octo/app","ref":"1"`, "files", map[string]string{
			"/repos/octo/app/commits/1?page=1&per_page=100": `{"commit":{"message":"` + fat + `"},"files":` + many(20, `{"filename":"a","patch":"`+fat+`"}`) + `}`}, 20},
		"branches": {"github_list_branches", `"repo":"octo/app"`, "branches", map[string]string{
			"/repos/octo/app": `{}`, "/repos/octo/app/branches?page=1&per_page=100": many(100, `{"name":"`+strings.Repeat("<", 240)+`"}`)}, 100},
		"comments": {"github_read_issue", `"repo":"octo/app","number":7`, "comments", map[string]string{
			"/repos/octo/app/issues/7":                             `{"comments":50,"body":"` + fat + `"}`,
			"/repos/octo/app/issues/7/comments?page=1&per_page=50": many(50, `{"body":"`+fat+`"}`)}, 50},
		"code": {"github_search_code", `"query":"x"`, "files", map[string]string{
			"/search/code?page=1&per_page=20&q=x": `{"items":` + many(20, `{"path":"a","text_matches":`+many(5, `{"property":"content","fragment":"`+fat+`"}`)+`}`) + `}`}, 20},
		"repositories": {"github_search_repositories", `"query":"x"`, "repositories", map[string]string{
			"/search/repositories?page=1&per_page=20&q=x": `{"items":` + many(20, `{"description":"`+fat+`"}`) + `}`}, 20},
	} {
		total, next := 0, ""
		for range c.items {
			result, err := call(t, c.tool, `{`+c.arguments+`,"cursor":"`+next+`"}`, answers(t, c.answers))
			var out map[string]any
			if err != nil || len(result) > tools.Budget || json.Unmarshal(result, &out) != nil {
				t.Fatalf("%s: %d bytes, %v", name, len(result), err)
			}
			list, _ := out[c.list].([]any)
			total += len(list)
			if next, _ = out["next_cursor"].(string); next == "" {
				break
			}
		}
		if total != c.items || next != "" {
			t.Errorf("%s: %d of %d, then %q", name, total, c.items, next)
		}
	}
}

// The rest of a long body comes with the cursor, before the comments, and without a gap.
func TestReadIssueToTheEnd(t *testing.T) {
	body := strings.Repeat("<é> ", 4000) + "end"
	quoted, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var comments, bodies int
	for next := ""; ; {
		result, err := call(t, "github_read_issue", `{"repo":"octo/app","number":7,"cursor":"`+next+`"}`, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/comments") {
				io.WriteString(w, `[{"body":"a","user":null,"created_at":"2026-01-02T03:04:05Z"}]`)
				return
			}
			io.WriteString(w, strings.Replace(issue, `"BODY"`, string(quoted), 1))
		})
		var out struct {
			Body       string
			Truncated  bool `json:"body_truncated"`
			Comments   []struct{}
			NextCursor string `json:"next_cursor"`
		}
		if err != nil || len(result) > tools.Budget || json.Unmarshal(result, &out) != nil || comments > 0 || bodies > 9 {
			t.Fatalf("%d bytes, %v", len(result), err)
		}
		part := out.Body
		if out.Truncated {
			part = strings.TrimSuffix(part, "…")
		}
		text.WriteString(part)
		bodies, comments = bodies+1, len(out.Comments)
		if next = out.NextCursor; next == "" {
			break
		}
	}
	if text.String() != body || bodies < 3 || comments != 1 {
		t.Errorf("%d of %d bytes in %d answers, %d comments", text.Len(), len(body), bodies, comments)
	}
}

// reads are arguments for each reading tool.
func reads() map[string]string {
	return map[string]string{
		"github_context": `{}`, "github_search_repositories": `{"query":"x"}`, "github_search_code": `{"query":"x"}`,
		"github_get_file": `{"repo":"octo/app","path":"f"}`, "github_list_commits": `{"repo":"octo/app"}`, "github_get_commit": `{"repo":"octo/app","ref":"1"}`,
		"github_list_branches": `{"repo":"octo/app"}`, "github_read_issue": `{"repo":"octo/app","number":7}`, "github_search_issues": `{"query":"x"}`,
		"github_list_pull_requests": `{"repo":"octo/app"}`, "github_read_pull_request": `{"repo":"octo/app","number":7}`,
		"github_read_actions": `{"repo":"octo/app"}`, "github_list_notifications": `{}`,
	}
}

// GitHub's trouble is told, and told apart, by every reading tool alike.
func TestReadErrors(t *testing.T) {
	for _, c := range []struct {
		status int
		header string
		body   string
		want   string
	}{
		{401, "", `{"message":"Bad credentials"}`, "connect it again"},
		{403, "X-GitHub-SSO: required; url=https://github.com/orgs/octo/sso", `{}`, "open https://github.com/orgs/octo/sso and"},
		{404, "", `{"message":"Not Found"}`, "doesn't exist, or the connected account doesn't see it"},
		{429, "", `{}`, "slow down"},
		{403, "X-RateLimit-Remaining: 0", `{}`, "rate limit for this account is used up"},
		{502, "", `<html>`, "Try again in a minute"},
		{301, "Location: https://evil.example/", `{}`, "has moved"},
	} {
		for tool, arguments := range reads() {
			sent := 0
			result, err := call(t, tool, arguments, func(w http.ResponseWriter, r *http.Request) {
				sent++
				if name, value, ok := strings.Cut(c.header, ": "); ok {
					w.Header().Set(name, value)
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			if got := message(t, result, err); !strings.Contains(got, c.want) || sent != 1 {
				t.Errorf("%s, status %d: got %q in %d requests, want %q", tool, c.status, got, sent, c.want)
			}
		}
	}
	for tool, c := range map[string]struct {
		arguments    string
		status       int
		answer, want string
	}{
		"github_list_commits": {`{"repo":"octo/app"}`, 409, `{"message":"Git Repository is empty."}`, "octo/app is empty"},
		"github_get_commit":   {`{"repo":"octo/app","ref":"1"}`, 422, `{"message":"No commit found for SHA: 1"}`, "Commit 1 of octo/app: GitHub refuses what was given: No commit found for SHA: 1."},
		"github_read_issue":   {`{"repo":"octo/app","number":7}`, 410, `{"message":"This issue was deleted"}`, "Issue 7 of octo/app is gone"},
	} {
		result, err := call(t, tool, c.arguments, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(c.status)
			io.WriteString(w, c.answer)
		})
		if got := message(t, result, err); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", tool, got, c.want)
		}
	}
}
