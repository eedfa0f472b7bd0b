package github_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools/github"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

// A desk is where a person works at the sandbox.
type desk struct {
	t     *testing.T
	bench *tooltest.Bench
}

// do is the result of a call that works, by field.
func (d desk) do(tool, arguments string) map[string]any {
	d.t.Helper()
	got, err := d.bench.Call(d.t, tool, arguments)
	var fields map[string]any
	if err != nil || json.Unmarshal(got, &fields) != nil {
		d.t.Fatalf("%s of %s: %s, %v", tool, arguments, got, err)
	}
	return fields
}

// fails is what a call that doesn't work tells.
func (d desk) fails(tool, arguments, want string) {
	d.t.Helper()
	got, err := d.bench.Call(d.t, tool, arguments)
	if told := tooltest.Message(d.t, got, err); !strings.Contains(told, want) {
		d.t.Errorf("%s of %s: got %q, want %q", tool, arguments, told, want)
	}
}

const (
	atTrails = `"repo":"` + sandbox.AliceLogin + `/trail-notes"`
	atGuide  = `"repo":"` + sandbox.PublicRepo + `"`
	atShop   = `"repo":"` + sandbox.BobLogin + `/workshop"`
)

// From a branch to a merge, as a model would.
func TestBranchToMerge(t *testing.T) {
	world := tooltest.Sandbox(t, nil)
	as := desk{t, tooltest.AtGitHub(t, github.Module(), world, "alice")}
	start := as.do("github_create_branch", `{`+atTrails+`,"branch":"docs/pass"}`)["sha"].(string)
	as.fails("github_create_branch", `{`+atTrails+`,"branch":"docs/pass"}`, "exists already, at "+start)
	as.fails("github_create_branch", `{`+atTrails+`,"branch":"docs"}`, "Reference update failed")
	as.fails("github_create_branch", `{`+atTrails+`,"branch":"x","from":"`+headSHA+`"}`, "has no commit "+headSHA)
	push := func(expected, rest string) string {
		return `{` + atTrails + `,"branch":"docs/pass","expected_head_sha":"` + expected + `","message":"Describe the pass",` + rest + `}`
	}
	as.fails("github_push_files", push(start, `"delete":["nowhere.md"]`), "isn't in the branch")
	head := as.do("github_push_files", push(start, `"files":[{"path":"scripts/build.sh","content":"#!/bin/sh\n"},{"path":"docs/pass.md","content":"Steep.\n"}],"delete":["README.md"]`))["sha"].(string)
	as.fails("github_push_files", push(start, `"files":[{"path":"docs/pass.md","content":"x"}]`), "its head is "+head+" now")
	as.fails("github_push_files", push(head, `"files":[{"path":"docs/pass.md","content":"Steep.\n"}]`), "nothing to commit")
	made := as.do("github_write_pull_request", `{`+atTrails+`,"title":"The pass","head":"docs/pass","base":"main"}`)
	if made["head_sha"] != head || made["state"] != "open" || made["number"] != 4.0 {
		t.Errorf("opened %v", made)
	}
	as.fails("github_write_pull_request", `{`+atTrails+`,"title":"Again","head":"docs/pass","base":"main"}`, "already exists")
	as.fails("github_write_pull_request", `{`+atTrails+`,"title":"None","head":"main","base":"main"}`, "No commits between")
	as.fails("github_write_pull_request", `{`+atTrails+`,"title":"None","head":"nothing","base":"main"}`, "head invalid")
	as.do("github_write_pull_request", `{`+atTrails+`,"number":4,"title":"Describe the pass","state":"closed"}`)
	as.fails("github_merge_pull_request", `{`+atTrails+`,"number":4,"expected_head_sha":"`+head+`"}`, "It is closed")
	as.do("github_write_pull_request", `{`+atTrails+`,"number":4,"state":"open"}`)
	as.do("github_comment", `{`+atTrails+`,"number":4,"body":"Ready?"}`)
	review := `{` + atTrails + `,"number":4,"commit_id":"` + head + `","event":`
	as.fails("github_review_pull_request", review+`"approve"}`, "Can not approve your own")
	as.do("github_review_pull_request", review+`"comment","comments":[{"path":"docs/pass.md","line":1,"body":"How steep?"}]}`)
	as.fails("github_review_pull_request", review+`"comment","comments":[{"path":"docs/pass.md","line":9,"body":"?"}]}`, "Line could not be resolved")
	as.fails("github_merge_pull_request", `{`+atTrails+`,"number":4,"expected_head_sha":"`+start+`"}`, "its head is "+head+" now")
	merged := as.do("github_merge_pull_request", `{`+atTrails+`,"number":4,"expected_head_sha":"`+head+`","method":"squash","commit_message":"Describe the pass\n\nIt is steep."}`)["sha"].(string)
	as.fails("github_merge_pull_request", `{`+atTrails+`,"number":4,"expected_head_sha":"`+head+`"}`, "It was merged before")
	if after := as.do("github_create_branch", `{`+atTrails+`,"branch":"next"}`)["sha"]; after != merged {
		t.Errorf("main is at %v, merged %v", after, merged)
	}
	for _, r := range world.Requests() {
		if r.Account != sandbox.AliceLogin {
			t.Errorf("%s %s as %q", r.Method, r.Path, r.Account)
		}
	}
}

func TestMergeMethods(t *testing.T) {
	for _, method := range []string{"merge", "squash", "rebase"} {
		as := desk{t, tooltest.AtGitHub(t, github.Module(), tooltest.Sandbox(t, nil), "alice")}
		head := as.do("github_write_pull_request", `{`+atTrails+`,"number":3,"body":"Soon."}`)["head_sha"].(string)
		got := as.do("github_merge_pull_request", `{`+atTrails+`,"number":3,"expected_head_sha":"`+head+`","method":"`+method+`"}`)
		if len(got["sha"].(string)) != 40 || got["sha"] == head {
			t.Errorf("%s: %v", method, got)
		}
	}
}

func TestReviewOthers(t *testing.T) {
	as := desk{t, tooltest.AtGitHub(t, github.Module(), tooltest.Sandbox(t, nil), "alice")}
	at := `{` + atGuide + `,"number":3,"event":"approve","commit_id":"`
	result, err := as.bench.Call(t, "github_review_pull_request", at+headSHA+`"}`)
	_, rest, _ := strings.Cut(tooltest.Message(t, result, err), "its head is ")
	head := rest[:40]
	if got := as.do("github_review_pull_request", at+head+`","body":"Fine."}`)["url"]; !strings.Contains(got.(string), "/pull/3#pullrequestreview-") {
		t.Errorf("got %v", got)
	}
	as.fails("github_merge_pull_request", `{`+atGuide+`,"number":3,"expected_head_sha":"`+head+`"}`, "doesn't see it")
	as.fails("github_write_pull_request", `{`+atGuide+`,"number":3,"title":"x"}`, "may not do that")
	if got := as.do("github_write_issue", `{`+atGuide+`,"title":"Typo","labels":["bug"],"assignees":["bob-builds"]}`)["not_applied"].([]any); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

// TestNobodyElses: what bob owns is not there for alice.
func TestNobodyElses(t *testing.T) {
	world := tooltest.Sandbox(t, nil)
	as := desk{t, tooltest.AtGitHub(t, github.Module(), world, "alice")}
	for tool, rest := range map[string]string{
		"github_write_issue": `"title":"x"`, "github_comment": `"number":1,"body":"x"`, "github_create_branch": `"branch":"x"`,
		"github_push_files":          `"branch":"main","expected_head_sha":"` + headSHA + `","message":"x","delete":["README.md"]`,
		"github_write_pull_request":  `"title":"x","head":"bench-legs","base":"main"`,
		"github_review_pull_request": `"number":4,"commit_id":"` + headSHA + `","event":"approve"`,
		"github_merge_pull_request":  `"number":4,"expected_head_sha":"` + headSHA + `"`,
	} {
		for _, repo := range []string{atShop, `"repo":"` + sandbox.DecoyLogin + `/decoy-secrets"`} {
			as.fails(tool, `{`+repo+`,`+rest+`}`, "doesn't see it")
		}
	}
	for _, r := range world.Requests() {
		if r.Status < 400 {
			t.Errorf("%s %s: %d", r.Method, r.Path, r.Status)
		}
	}
}

func TestWritesAsAnApp(t *testing.T) {
	world := tooltest.Sandbox(t, func(c *sandbox.Config) { c.GitHubApp = true })
	as := desk{t, tooltest.AtGitHub(t, github.Module(), world, "alice")}
	as.do("github_create_branch", `{`+atTrails+`,"branch":"x"}`)
	as.fails("github_comment", `{`+atGuide+`,"number":1,"body":"x"}`, "https://github.com/settings/installations")
}

func TestWritesAfterRevocation(t *testing.T) {
	for tool, arguments := range writes {
		world := tooltest.Sandbox(t, nil)
		as := desk{t, tooltest.AtGitHub(t, github.Module(), world, "alice")}
		arguments = strings.Replace(arguments, "octo/app", sandbox.AliceLogin+"/trail-notes", 1)
		as.bench.Call(t, tool, arguments) // signs in
		before := len(world.Requests())
		world.Fail(1, 503)
		as.fails(tool, arguments, "status 503")
		world.Fail(1, 429)
		as.fails(tool, arguments, "slow down")
		if sent := len(world.Requests()) - before; sent != 2 {
			t.Errorf("%s: %d requests in two failed calls", tool, sent)
		}
		world.Revoke(sandbox.AliceLogin)
		as.fails(tool, arguments, "connect it again")
	}
}
