package github_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/github"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

// Made-up names of commits and trees.
const (
	headSHA  = "1111111111111111111111111111111111111111"
	treeSHA  = "2222222222222222222222222222222222222222"
	docsSHA  = "3333333333333333333333333333333333333333"
	newTree  = "4444444444444444444444444444444444444444"
	newSHA   = "5555555555555555555555555555555555555555"
	movedSHA = "6666666666666666666666666666666666666666"
)

// writes are arguments with which each tool that writes sends something.
var writes = map[string]string{
	"github_write_issue":         `{"repo":"octo/app","title":"a"}`,
	"github_comment":             `{"repo":"octo/app","number":7,"body":"a"}`,
	"github_create_branch":       `{"repo":"octo/app","branch":"fix/a"}`,
	"github_push_files":          `{"repo":"octo/app","branch":"fix/a","expected_head_sha":"` + headSHA + `","message":"a","files":[{"path":"a","content":"a"}]}`,
	"github_write_pull_request":  `{"repo":"octo/app","title":"a","head":"fix/a","base":"main"}`,
	"github_review_pull_request": `{"repo":"octo/app","number":7,"commit_id":"` + headSHA + `","event":"approve"}`,
	"github_merge_pull_request":  `{"repo":"octo/app","number":7,"expected_head_sha":"` + headSHA + `"}`,
}

// An exchange is a request that must come, and its answer.
type exchange struct {
	request string // method, path and body
	status  int    // 200 if zero
	answer  string
}

// play answers as the exchanges say, one after the other, and returns what is left.
func play(t *testing.T, tool, arguments string, list ...exchange) (json.RawMessage, error) {
	t.Helper()
	got, err := call(t, tool, arguments, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request := strings.TrimSpace(r.Method + " " + r.URL.EscapedPath() + " " + string(body))
		if len(list) == 0 || request != list[0].request {
			t.Errorf("%s of %s: got %s, want %v", tool, arguments, request, list)
			http.Error(w, "", http.StatusTeapot)
			return
		}
		if list[0].status != 0 {
			w.WriteHeader(list[0].status)
		}
		io.WriteString(w, list[0].answer)
		list = list[1:]
	})
	if len(list) > 0 {
		t.Errorf("%s of %s: never sent %v", tool, arguments, list)
	}
	return got, err
}

// Requests of a push, in order.
var (
	askHead   = exchange{request: "GET /repos/octo/app/git/ref/heads/fix/a", answer: `{"object":{"sha":"` + headSHA + `"}}`}
	askCommit = exchange{request: "GET /repos/octo/app/git/commits/" + headSHA, answer: `{"tree":{"sha":"` + treeSHA + `"}}`}
	askRoot   = exchange{request: "GET /repos/octo/app/git/trees/" + treeSHA, answer: `{"tree":[
		{"path":"run.sh","mode":"100755","type":"blob","sha":"` + headSHA + `"},{"path":"old","mode":"100644","type":"blob","sha":"` + headSHA + `"},
		{"path":"link","mode":"120000","type":"blob","sha":"` + headSHA + `"},{"path":"module","mode":"160000","type":"commit","sha":"` + headSHA + `"},
		{"path":"docs","mode":"040000","type":"tree","sha":"` + docsSHA + `"}]}`}
	askDocs = exchange{request: "GET /repos/octo/app/git/trees/" + docsSHA, answer: `{"tree":[]}`}
	// of the plainest push
	makeTree   = exchange{request: "POST /repos/octo/app/git/trees " + `{"base_tree":"` + treeSHA + `","tree":[{"path":"a","mode":"100644","type":"blob","content":"a"}]}`, answer: `{"sha":"` + newTree + `"}`}
	makeCommit = exchange{request: "POST /repos/octo/app/git/commits " + `{"message":"a","tree":"` + newTree + `","parents":["` + headSHA + `"]}`, answer: `{"sha":"` + newSHA + `","html_url":"https://github.com/c"}`}
	moveBranch = exchange{request: "PATCH /repos/octo/app/git/refs/heads/fix/a " + `{"sha":"` + newSHA + `","force":false}`, answer: `{}`}
	askPull    = exchange{request: "GET /repos/octo/app/pulls/7", answer: `{"number":7,"state":"open","head":{"sha":"` + headSHA + `"}}`}
	putMerge   = exchange{request: "PUT /repos/octo/app/pulls/7/merge " + `{"sha":"` + headSHA + `","merge_method":"merge"}`, answer: `{"merged":true,"sha":"` + newSHA + `"}`}
	sendReview = exchange{request: "POST /repos/octo/app/pulls/7/reviews " + `{"commit_id":"` + headSHA + `","event":"APPROVE"}`, answer: `{"html_url":"https://github.com/r"}`}
	makeRef    = exchange{request: "POST /repos/octo/app/git/refs " + `{"ref":"refs/heads/fix/a","sha":"` + headSHA + `"}`, status: 201, answer: `{}`}
	askRepo    = exchange{request: "GET /repos/octo/app", answer: `{"default_branch":"main"}`}
	askMain    = exchange{request: "GET /repos/octo/app/git/ref/heads/main", answer: `{"object":{"sha":"` + headSHA + `"}}`}
	openPull   = exchange{request: "POST /repos/octo/app/pulls " + `{"title":"a","head":"fix/a","base":"main"}`, status: 201, answer: `{"number":7,"state":"open","html_url":"https://github.com/p","head":{"sha":"` + headSHA + `"}}`}
	makeIssue  = exchange{request: "POST /repos/octo/app/issues " + `{"title":"a"}`, status: 201, answer: `{"number":7,"state":"open","html_url":"https://github.com/i"}`}
	makeRemark = exchange{request: "POST /repos/octo/app/issues/7/comments " + `{"body":"a"}`, status: 201, answer: `{"html_url":"https://github.com/c"}`}
)

// plain are the exchanges of the calls in writes.
var plain = map[string][]exchange{
	"github_write_issue":         {makeIssue},
	"github_comment":             {makeRemark},
	"github_create_branch":       {askRepo, askMain, makeRef},
	"github_push_files":          {askHead, askCommit, askRoot, makeTree, makeCommit, moveBranch},
	"github_write_pull_request":  {openPull},
	"github_review_pull_request": {askPull, sendReview},
	"github_merge_pull_request":  {putMerge},
}

func (e exchange) with(status int, answer string) exchange {
	e.status, e.answer = status, answer
	return e
}

func TestWritesSend(t *testing.T) {
	edit := func(body, answer string) []exchange {
		return []exchange{{request: "PATCH /repos/octo/app/pulls/7 " + body, answer: answer}}
	}
	const pull = `{"number":7,"state":"closed","html_url":"https://github.com/p","head":{"sha":"` + headSHA + `"}}`
	mergeWith := func(body string) []exchange {
		return []exchange{{request: "PUT /repos/octo/app/pulls/7/merge " + body, answer: putMerge.answer}}
	}
	type call struct {
		tool, arguments string
		list            []exchange
		want            string
	}
	calls := []call{
		{"github_create_branch", `{"repo":"octo/app","branch":"fix/a","from":"` + headSHA + `"}`, []exchange{makeRef}, `{"sha":"` + headSHA + `"}`},
		{"github_create_branch", `{"repo":"octo/app","branch":"fix/a","from":"main"}`, []exchange{askMain, makeRef}, `{"sha":"` + headSHA + `"}`},
		{"github_push_files", `{"repo":"octo/app","branch":"fix/a","expected_head_sha":"` + headSHA + `","message":"all",` +
			`"files":[{"path":"run.sh","content":"<b>"},{"path":"docs/new/deep.md","content":""}],"delete":["old","link"]}`,
			[]exchange{askHead, askCommit, askRoot, askDocs,
				{request: "POST /repos/octo/app/git/trees " + `{"base_tree":"` + treeSHA + `","tree":[{"path":"run.sh","mode":"100755","type":"blob","content":"<b>"},` +
					`{"path":"docs/new/deep.md","mode":"100644","type":"blob","content":""},{"path":"old","mode":"100644","type":"blob","sha":null},` +
					`{"path":"link","mode":"120000","type":"blob","sha":null}]}`, answer: makeTree.answer},
				{request: "POST /repos/octo/app/git/commits " + `{"message":"all","tree":"` + newTree + `","parents":["` + headSHA + `"]}`, answer: makeCommit.answer}, moveBranch},
			`{"sha":"` + newSHA + `","url":"https://github.com/c"}`},
		{"github_write_pull_request", `{"repo":"octo/app","number":7,"state":"closed"}`, edit(`{"state":"closed"}`, pull),
			`{"number":7,"state":"closed","head_sha":"` + headSHA + `","url":"https://github.com/p"}`},
		{"github_write_pull_request", `{"repo":"octo/app","number":7,"title":"t","body":"","base":"dev"}`, edit(`{"title":"t","body":"","base":"dev"}`, pull), ""},
		{"github_write_pull_request", `{"repo":"octo/app","title":"t","head":"mona:x","base":"main","draft":true}`,
			[]exchange{{request: "POST /repos/octo/app/pulls " + `{"title":"t","head":"mona:x","base":"main","draft":true}`, answer: pull}}, ""},
		{"github_review_pull_request", `{"repo":"octo/app","number":7,"commit_id":"` + headSHA + `","event":"request_changes","body":"no","comments":[` +
			`{"path":"a","line":3,"body":"x"},{"path":"b","start_line":2,"line":3,"side":"LEFT","body":"y"}]}`,
			[]exchange{askPull, {request: "POST /repos/octo/app/pulls/7/reviews " + `{"commit_id":"` + headSHA + `","event":"REQUEST_CHANGES","body":"no","comments":[` +
				`{"path":"a","body":"x","line":3,"side":"RIGHT"},{"path":"b","body":"y","line":3,"side":"LEFT","start_line":2,"start_side":"LEFT"}]}`, answer: sendReview.answer}},
			`{"url":"https://github.com/r"}`},
		{"github_merge_pull_request", `{"repo":"octo/app","number":7,"expected_head_sha":"` + headSHA + `","method":"squash","commit_message":"T\n\nwhy\n"}`,
			mergeWith(`{"sha":"` + headSHA + `","merge_method":"squash","commit_title":"T","commit_message":"why"}`), `{"sha":"` + newSHA + `"}`},
		{"github_merge_pull_request", `{"repo":"octo/app","number":7,"expected_head_sha":"` + headSHA + `","commit_message":"T"}`,
			mergeWith(`{"sha":"` + headSHA + `","merge_method":"merge","commit_title":"T","commit_message":""}`), ""},
		{"github_write_issue", `{"repo":"octo/app","number":7,"labels":["Bug"],"assignees":["mona"]}`,
			[]exchange{{request: `PATCH /repos/octo/app/issues/7 {"labels":["Bug"],"assignees":["mona"]}`, answer: `{"number":7,"state":"open","html_url":"u","labels":[{"name":"bug"}]}`}},
			`{"number":7,"state":"open","not_applied":["assignees"],"url":"u"}`},
		{"github_write_issue", `{"repo":"octo/app","number":7,"labels":[]}`,
			[]exchange{{request: `PATCH /repos/octo/app/issues/7 {"labels":[]}`, answer: `{"number":7,"state":"open","html_url":"u","labels":[{"name":"bug"}]}`}},
			`{"number":7,"state":"open","not_applied":["labels"],"url":"u"}`},
	}
	for tool, arguments := range writes {
		calls = append(calls, call{tool, arguments, plain[tool], ""})
	}
	for _, c := range calls {
		got, err := play(t, c.tool, c.arguments, c.list...)
		if err != nil || c.want != "" && string(got) != c.want {
			t.Errorf("%s of %s: got %s, %v; want %s", c.tool, c.arguments, got, err, c.want)
		}
	}
}

// Nothing of this may reach GitHub.
func TestWritesRefuse(t *testing.T) {
	push := func(rest string) string {
		return `{"repo":"octo/app","branch":"fix/a","expected_head_sha":"` + headSHA + `","message":"a",` + rest + `}`
	}
	file := func(path string) string { return push(`"files":[{"path":"` + path + `","content":"a"}]`) }
	review := func(rest string) string {
		return `{"repo":"octo/app","number":7,"commit_id":"` + headSHA + `",` + rest + `}`
	}
	many := strings.Repeat(`"a",`, 100) + `"b"`
	for _, c := range []struct{ tool, arguments, want string }{
		{"github_comment", `{"repo":"octo/app","number":7,"body":" \u200b\n"}`, "blank"},
		{"github_comment", `{"repo":"octo/app","body":"x"}`, "number is missing"},
		{"github_comment", `{"repo":"octo/..","number":7,"body":"x"}`, "no repository"},
		{"github_comment", `{"repo":"octo/app","number":7,"body":"x","idempotency_key":"a b"}`, "idempotency_key must be"},
		{"github_comment", `{"repo":"octo/app","number":7,"body":"x","idempotency_key":""}`, "idempotency_key must be"},
		{"github_create_branch", `{"repo":"octo/app","branch":"refs/heads/a"}`, "no branch's name"},
		{"github_create_branch", `{"repo":"octo/app","branch":"` + headSHA + `"}`, "looks like a commit"},
		{"github_create_branch", `{"repo":"octo/app","branch":"a","from":"main~1"}`, "no branch's name"},
		{"github_push_files", push(`"files":[]`), "Nothing to commit"},
		{"github_push_files", push(`"delete":[` + many + `]`), "100 files"},
		{"github_push_files", push(`"files":[{"path":"a","content":"` + strings.Repeat("x", 500_001) + `"}]`), "500001 bytes"},
		{"github_push_files", push(`"files":[{"path":"a","content":"1"}],"delete":["a"]`), "twice"},
		{"github_push_files", push(`"files":[{"path":"a","content":"1"},{"path":"a-b","content":"1"},{"path":"a/b","content":"1"}]`), "file and a directory"},
		{"github_push_files", `{"repo":"octo/app","branch":"a","expected_head_sha":"main","message":"a","delete":["a"]}`, "expected_head_sha must be"},
		{"github_push_files", `{"repo":"octo/app","branch":"a","expected_head_sha":"` + headSHA + `","message":" ","delete":["a"]}`, "message is blank"},
		{"github_push_files", `{"repo":"octo/app","branch":"a b","expected_head_sha":"` + headSHA + `","message":"a","delete":["a"]}`, "no branch's name"},
		{"github_push_files", file("../a"), "no path"},
		{"github_push_files", file("/a"), "no path"},
		{"github_push_files", file("a/"), "no path"},
		{"github_push_files", file("a//b"), "no path"},
		{"github_push_files", file("a/./b"), "no path"},
		{"github_push_files", file(".git/config"), "no path"},
		{"github_push_files", file("sub/.GIT/hooks/x"), "no path"},
		{"github_push_files", file(`a\\b`), "no path"},
		{"github_push_files", file(`a\nb`), "no path"},
		{"github_push_files", file(`a\u202egnp.exe`), "no path"},
		{"github_push_files", file(".github/workflows/ci.yml"), "scope workflow"},
		{"github_push_files", file(".github/Workflows/ci.yml"), "scope workflow"},
		{"github_push_files", push(`"delete":[".github/workflows/ci.yml"]`), "scope workflow"},
		{"github_push_files", push(`"delete":[".github/workflows"]`), "scope workflow"},
		{"github_push_files", push(`"delete":["a"],"force":true`), "force is not an argument"},
		{"github_write_pull_request", `{"repo":"octo/app","title":"a","head":"b"}`, "give title, head and base"},
		{"github_write_pull_request", `{"repo":"octo/app","title":" ","head":"b","base":"c"}`, "title is blank"},
		{"github_write_pull_request", `{"repo":"octo/app","title":"a","head":"b","base":"c","state":"open"}`, "leave state out"},
		{"github_write_pull_request", `{"repo":"octo/app","number":7}`, "Nothing to change"},
		{"github_write_pull_request", `{"repo":"octo/app","number":7,"head":"x"}`, "leave head out"},
		{"github_write_pull_request", `{"repo":"octo/app","number":7,"draft":false}`, "on its page"},
		{"github_write_pull_request", `{"repo":"octo/app","number":7,"state":"merged"}`, "state must be one of"},
		{"github_review_pull_request", review(`"event":"comment"`), "says why"},
		{"github_review_pull_request", review(`"event":"request_changes","body":" "`), "says why"},
		{"github_review_pull_request", review(`"event":"dismiss"`), "event must be one of"},
		{"github_review_pull_request", review(`"event":"comment","comments":[{"path":"a","line":2,"start_line":2,"body":"x"}]`), "start_line 2"},
		{"github_review_pull_request", `{"repo":"octo/app","number":7,"event":"approve"}`, "commit_id is missing"},
		{"github_review_pull_request", `{"repo":"octo/app","number":7,"event":"approve","commit_id":"` + headSHA[:7] + `"}`, "commit_id must be"},
		{"github_merge_pull_request", `{"repo":"octo/app","number":7}`, "expected_head_sha is missing"},
		{"github_merge_pull_request", `{"repo":"octo/app","number":7,"expected_head_sha":""}`, "expected_head_sha must be"},
		{"github_merge_pull_request", `{"repo":"octo/app","number":7,"expected_head_sha":"` + headSHA + `","method":"rebase","commit_message":"x"}`, "rebase keeps"},
	} {
		result, err := call(t, c.tool, c.arguments, func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%s: sent %s %s", c.arguments, r.Method, r.URL)
		})
		if got := message(t, result, err); !strings.Contains(got, c.want) || len(got) > 600 {
			t.Errorf("%s of %.200s: got %q, want %q", c.tool, c.arguments, got, c.want)
		}
	}
}

func TestBranchNames(t *testing.T) {
	for name, fine := range map[string]bool{
		"main": true, "fix/login-2": true, "v1.2": true, "größe": true, "a@b": true, "@": false, "-a": false, "a..b": false, "a@{1}": false, "a b": false,
		"a~1": false, "a^": false, "a:b": false, "a?": false, "a*": false, "a[1": false, `a\b`: false, "/a": false, "a/": false, "a//b": false, ".a": false,
		"a/.b": false, "a.lock": false, "a.lock/b": false, "a.": false, "a%2f..": false, "a;b": false, "a\u200b": false, "a\n": false, "refs/heads/a": false,
	} {
		sent := false
		_, err := call(t, "github_create_branch", fmt.Sprintf(`{"repo":"octo/app","branch":"x","from":%q}`, name), func(w http.ResponseWriter, _ *http.Request) {
			sent = true
			http.NotFound(w, nil)
		})
		if err == nil || sent != fine {
			t.Errorf("%q: sent %v, %v", name, sent, err)
		}
	}
}

func TestWritesFail(t *testing.T) {
	moved := askHead.with(200, `{"object":{"sha":"`+movedSHA+`"}}`)
	lost := func(e exchange) exchange { return e.with(422, `{"message":"Update is not a fast forward"}`) }
	refuse := func(text string) exchange { return putMerge.with(405, `{"message":"`+text+`"}`) }
	state := func(rest string) exchange {
		return askPull.with(200, `{"number":7,"head":{"sha":"`+headSHA+`"},`+rest+`}`)
	}
	prepared := []exchange{askHead, askCommit, askRoot, makeTree, makeCommit}
	list := func(before []exchange, more ...exchange) []exchange {
		return append(before[:len(before):len(before)], more...)
	}
	const branch, nothing = "Branch fix/a of octo/app", "nothing of this push is in it"
	for name, c := range map[string]struct {
		tool string
		list []exchange
		want []string
	}{
		"branch is there":            {"github_create_branch", []exchange{askRepo, askMain, makeRef.with(422, `{"message":"Reference already exists"}`), moved}, []string{branch + " exists already, at " + movedSHA}},
		"no start":                   {"github_create_branch", []exchange{askRepo, askMain.with(404, `{}`)}, []string{"Branch main of octo/app doesn't exist"}},
		"no repository":              {"github_create_branch", []exchange{askRepo.with(404, `{}`)}, []string{"The repository octo/app doesn't exist"}},
		"no default branch":          {"github_create_branch", []exchange{askRepo.with(200, `{}`)}, []string{"no default branch"}},
		"odd default branch":         {"github_create_branch", []exchange{askRepo.with(200, `{"default_branch":"../../user"}`)}, []string{"no default branch"}},
		"odd head":                   {"github_create_branch", []exchange{askRepo, askMain.with(200, `{"object":{"sha":"x"}}`)}, []string{"didn't answer as it should"}},
		"branch, broken":             {"github_create_branch", []exchange{askRepo, askMain, makeRef.with(500, ``)}, []string{"outcome is unknown: look with github_list_branches"}},
		"empty repository":           {"github_create_branch", []exchange{askRepo, askMain.with(409, `{"message":"Git Repository is empty."}`)}, []string{"Git Repository is empty"}},
		"head moved before":          {"github_push_files", []exchange{moved}, []string{branch + " has moved: its head is " + movedSHA + " now, not " + headSHA, "as expected_head_sha", nothing}},
		"head moved meanwhile":       {"github_push_files", list(prepared, lost(moveBranch), moved), []string{"has moved: its head is " + movedSHA, nothing}},
		"protected":                  {"github_push_files", list(prepared, moveBranch.with(422, `{"message":"Changes must be made through a pull request."}`), askHead), []string{"Changes must be made through a pull request. If it is protected", nothing}},
		"protected, unseen":          {"github_push_files", list(prepared, moveBranch.with(409, `{"message":"no"}`), askHead.with(500, ``)), []string{"doesn't take the commit: no", nothing}},
		"broken at the end":          {"github_push_files", list(prepared, moveBranch.with(502, ``)), []string{"outcome is unknown: look with github_list_branches: at " + newSHA + ", it did"}},
		"slow down at the end":       {"github_push_files", list(prepared, moveBranch.with(429, `{}`)), []string{"slow down"}},
		"no branch":                  {"github_push_files", []exchange{askHead.with(404, `{}`)}, []string{branch + " doesn't exist", nothing}},
		"broken at the tree":         {"github_push_files", []exchange{askHead, askCommit, askRoot, makeTree.with(502, ``)}, []string{"(status 502). Try again", nothing}},
		"no access at the tree":      {"github_push_files", []exchange{askHead, askCommit, askRoot, makeTree.with(404, `{}`)}, []string{"The repository octo/app doesn't exist", "may not write there", nothing}},
		"broken at the commit":       {"github_push_files", []exchange{askHead, askCommit, askRoot, makeTree, makeCommit.with(500, ``)}, []string{nothing}},
		"nothing changes":            {"github_push_files", []exchange{askHead, askCommit, askRoot, makeTree.with(201, `{"sha":"`+treeSHA+`"}`)}, []string{"nothing to commit"}},
		"odd commit":                 {"github_push_files", []exchange{askHead, askCommit.with(200, `null`)}, []string{"didn't answer as it should", nothing}},
		"odd tree":                   {"github_push_files", []exchange{askHead, askCommit, askRoot, makeTree.with(200, `{}`)}, []string{"didn't answer as it should", nothing}},
		"odd new commit":             {"github_push_files", []exchange{askHead, askCommit, askRoot, makeTree, makeCommit.with(200, `{}`)}, []string{"didn't answer as it should", nothing}},
		"odd directory":              {"github_push_files", []exchange{askHead, askCommit, askRoot.with(200, `{"tree":[{"path":"a","type":"tree","sha":"../x"}]}`)}, []string{"didn't answer as it should"}},
		"endless directory":          {"github_push_files", []exchange{askHead, askCommit, askRoot.with(200, `{"tree":[],"truncated":true}`)}, []string{"too large"}},
		"pull request is there":      {"github_write_pull_request", []exchange{openPull.with(422, `{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for octo:fix/a."}]}`)}, []string{"The repository octo/app: GitHub refuses", "already exists for octo:fix/a"}},
		"no access to branches":      {"github_create_branch", []exchange{askRepo, askMain, makeRef.with(404, `{}`)}, []string{"The repository octo/app doesn't exist", "may not write there"}},
		"no access to open":          {"github_write_pull_request", []exchange{openPull.with(404, `{}`)}, []string{"The repository octo/app doesn't exist", "may not write there"}},
		"no access to merge":         {"github_merge_pull_request", []exchange{putMerge.with(404, `{}`)}, []string{"Pull request 7 of octo/app doesn't exist", "may not write there"}},
		"pull request, broken":       {"github_write_pull_request", []exchange{openPull.with(500, ``)}, []string{"outcome is unknown: look with github_list_pull_requests"}},
		"pull request, odd":          {"github_write_pull_request", []exchange{openPull.with(201, `null`)}, []string{"outcome is unknown"}},
		"reviewed another":           {"github_review_pull_request", []exchange{askPull.with(200, `{"head":{"sha":"`+movedSHA+`"}}`)}, []string{"Pull request 7 of octo/app has moved: its head is " + movedSHA, "as commit_id"}},
		"own":                        {"github_review_pull_request", []exchange{askPull, sendReview.with(422, `{"message":"Unprocessable Entity","errors":["Can not approve your own pull request"]}`)}, []string{"Can not approve your own pull request"}},
		"review, broken":             {"github_review_pull_request", []exchange{askPull, sendReview.with(504, ``)}, []string{"outcome is unknown: look with github_read_pull_request"}},
		"review, odd":                {"github_review_pull_request", []exchange{askPull, sendReview.with(200, `{}`)}, []string{"outcome is unknown"}},
		"review of nothing":          {"github_review_pull_request", []exchange{askPull.with(404, `{}`)}, []string{"Pull request 7 of octo/app doesn't exist"}},
		"review, odd head":           {"github_review_pull_request", []exchange{askPull.with(200, `{}`)}, []string{"didn't answer as it should"}},
		"merge of another":           {"github_merge_pull_request", []exchange{putMerge.with(409, `{"message":"Head branch was modified."}`), askPull.with(200, `{"state":"open","head":{"sha":"`+movedSHA+`"}}`)}, []string{"has moved: its head is " + movedSHA, "as expected_head_sha"}},
		"merged before":              {"github_merge_pull_request", []exchange{refuse("Pull Request is not mergeable"), state(`"merged":true,"state":"closed"`)}, []string{"isn't merged: Pull Request is not mergeable. It was merged before"}},
		"closed":                     {"github_merge_pull_request", []exchange{refuse("x"), state(`"state":"closed"`)}, []string{"It is closed"}},
		"draft":                      {"github_merge_pull_request", []exchange{refuse("x"), state(`"state":"open","draft":true`)}, []string{"It is a draft"}},
		"conflicts":                  {"github_merge_pull_request", []exchange{refuse("x"), state(`"state":"open","mergeable_state":"dirty"`)}, []string{"conflicts with its base"}},
		"protected base":             {"github_merge_pull_request", []exchange{refuse("x"), state(`"state":"open","mergeable_state":"blocked"`)}, []string{"protected: reviews or checks"}},
		"behind":                     {"github_merge_pull_request", []exchange{refuse("x"), state(`"state":"open","mergeable_state":"behind"`)}, []string{"must be updated"}},
		"not known yet":              {"github_merge_pull_request", []exchange{refuse("x"), state(`"state":"open","mergeable_state":"unknown"`)}, []string{"in a few seconds"}},
		"method":                     {"github_merge_pull_request", []exchange{refuse("Merge commits are not allowed on this repository."), state(`"state":"open","mergeable_state":"clean"`)}, []string{"Merge commits are not allowed", "another method"}},
		"workflows":                  {"github_merge_pull_request", []exchange{putMerge.with(403, "{\"message\":\"refusing to allow an OAuth App to create or update workflow `.github/workflows/x.yml` without `workflow` scope\"}")}, []string{"changes workflow files", "on its page"}},
		"refused, unseen":            {"github_merge_pull_request", []exchange{refuse("no"), askPull.with(500, ``)}, []string{"isn't merged: no."}},
		"merge, broken":              {"github_merge_pull_request", []exchange{putMerge.with(500, ``)}, []string{"outcome is unknown: look with github_read_pull_request"}},
		"merge, odd":                 {"github_merge_pull_request", []exchange{putMerge.with(200, `{}`)}, []string{"outcome is unknown"}},
		"comment, broken":            {"github_comment", []exchange{makeRemark.with(500, ``)}, []string{"outcome is unknown: look with github_read_issue"}},
		"comment, odd":               {"github_comment", []exchange{makeRemark.with(201, `{}`)}, []string{"outcome is unknown"}},
		"comment on nothing":         {"github_comment", []exchange{makeRemark.with(404, `{}`)}, []string{"Issue or pull request 7 of octo/app doesn't exist"}},
		"comment on what is locked":  {"github_comment", []exchange{makeRemark.with(403, `{"message":"Unable to create comment because issue is locked."}`)}, []string{"issue is locked"}},
		"comment, words of GitHub's": {"github_comment", []exchange{makeRemark.with(422, `{"message":"a\u202eb `+strings.Repeat("x", 900)+`"}`)}, []string{"ab xxx"}},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := play(t, c.tool, writes[c.tool], c.list...)
			got := message(t, result, err)
			for _, want := range c.want {
				if !strings.Contains(got, want) || len(got) > 600 {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			if strings.Contains(got, nothing) && strings.Contains(got, "unknown") {
				t.Errorf("contradicts itself: %q", got)
			}
		})
	}
}

// What is where decides what a push may do, before anything is written.
func TestPushLooksFirst(t *testing.T) {
	for rest, want := range map[string]string{
		`"files":[{"path":"link","content":"x"}]`:                "symbolic link",
		`"files":[{"path":"docs","content":"x"}]`:                "directory or a submodule",
		`"files":[{"path":"module","content":"x"}]`:              "directory or a submodule",
		`"files":[{"path":"module/a","content":"x"}]`:            "no directory",
		`"files":[{"path":"old/below","content":"x"}]`:           "no directory",
		`"delete":["gone"]`:                                      "isn't in the branch",
		`"delete":["nowhere/gone"]`:                              "isn't in the branch",
		`"delete":["docs"]`:                                      "directory or a submodule",
		`"files":[{"path":"a","content":"x"}],"delete":["gone"]`: "isn't in the branch",
	} {
		arguments := `{"repo":"octo/app","branch":"fix/a","expected_head_sha":"` + headSHA + `","message":"a",` + rest + `}`
		result, err := play(t, "github_push_files", arguments, askHead, askCommit, askRoot)
		if got := message(t, result, err); !strings.Contains(got, want) || !strings.Contains(got, "The branch is as it was") {
			t.Errorf("%s: got %q, want %q", rest, got, want)
		}
	}
}

func TestPushReadsSoManyDirectories(t *testing.T) {
	var paths []string
	for i := range 65 {
		paths = append(paths, fmt.Sprintf(`"d%d/x"`, i))
	}
	reads := 0
	result, err := call(t, "github_push_files", `{"repo":"octo/app","branch":"fix/a","expected_head_sha":"`+headSHA+`","message":"a","delete":[`+strings.Join(paths, ",")+`]}`,
		func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.Contains(r.URL.Path, "/ref/"):
				io.WriteString(w, askHead.answer)
			case strings.Contains(r.URL.Path, "/commits/"):
				io.WriteString(w, askCommit.answer)
			default:
				reads++
				var lines []string
				for i := range 65 {
					lines = append(lines, fmt.Sprintf(`{"path":"d%d","mode":"040000","type":"tree","sha":"%s"},{"path":"x","mode":"100644","type":"blob","sha":"%s"}`, i, docsSHA, docsSHA))
				}
				io.WriteString(w, `{"tree":[`+strings.Join(lines, ",")+`]}`)
			}
		})
	if got := message(t, result, err); !strings.Contains(got, "60 directories") || reads != 60 {
		t.Errorf("got %q after %d", got, reads)
	}
}

// A caller that gives up before the branch moves leaves it alone.
func TestPushStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var told []string
	bench := tooltest.At(t, github.Module(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPatch:
			t.Error("moved the branch")
		case strings.Contains(r.URL.Path, "/ref/"):
			io.WriteString(w, askHead.answer)
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/commits/"):
			io.WriteString(w, askCommit.answer)
		case r.Method == http.MethodGet:
			io.WriteString(w, askRoot.answer)
		case strings.HasSuffix(r.URL.Path, "/trees"):
			io.WriteString(w, makeTree.answer)
		default:
			cancel()
			io.WriteString(w, makeCommit.answer)
		}
	}))
	bench.Facts = tools.Facts{Progress: func(done, total float64, message string) {
		told = append(told, fmt.Sprintf("%v/%v %s", done, total, message))
	}}
	if got, err := bench.CallContext(ctx, t, "github_push_files", writes["github_push_files"]); err == nil {
		t.Errorf("got %s", got)
	}
	if len(told) < 3 || told[0] != "1/5 The branch is where it was expected" {
		t.Errorf("progress %q", told)
	}
}
