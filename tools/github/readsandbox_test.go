package github_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools/sandbox"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

const trails = `"repo":"` + sandbox.AliceLogin + `/trail-notes"`

// ask calls the tool and reads its result.
func ask[T any](t *testing.T, as func(name, arguments string) (json.RawMessage, error), name, arguments string) T {
	t.Helper()
	result, err := as(name, arguments)
	var out T
	if err != nil || json.Unmarshal(result, &out) != nil {
		t.Fatalf("%s %s: got %s, %v", name, arguments, result, err)
	}
	if strings.Contains(string(result), sandbox.DecoyMarker) {
		t.Errorf("%s: the decoy's: %s", name, result)
	}
	return out
}

// What one tool answers is what the next one is asked with.
func TestReadingAtTheSandbox(t *testing.T) {
	for _, app := range []bool{false, true} {
		as := alice(t, app)
		me := ask[struct {
			Login     string
			Scopes    []string
			Remaining int `json:"rate_limit_remaining"`
		}](t, as, "github_context", `{}`)
		if me.Login != sandbox.AliceLogin || len(me.Scopes) > 0 || me.Remaining == 0 {
			t.Errorf("got %+v", me)
		}
		repos := ask[struct {
			Total        int
			Repositories []struct {
				Repo    string
				Private bool
			}
		}](t, as, "github_search_repositories", `{"query":"user:@me hiking"}`)
		if repos.Total != 1 || repos.Repositories[0].Repo != sandbox.AliceLogin+"/trail-notes" || !repos.Repositories[0].Private {
			t.Fatalf("got %+v", repos)
		}
		code := ask[struct {
			Files []struct {
				Path      string
				Fragments []string
			}
		}](t, as, "github_search_code", `{"query":"eighth `+strings.ReplaceAll(trails[1:], `":"`, ":")+`}`)
		if len(code.Files) != 1 || code.Files[0].Path != "docs/notes.md" || !strings.Contains(code.Files[0].Fragments[0], "Eighth line") {
			t.Fatalf("got %+v", code)
		}
	}
}

func TestFilesAtTheSandbox(t *testing.T) {
	as := alice(t, false)
	type contents struct {
		Type, Text string
		Lines      int `json:"total_lines"`
		Entries    []struct{ Name, Type string }
	}
	top := ask[contents](t, as, "github_get_file", `{`+trails+`}`)
	if fmt.Sprint(top.Entries) != "[{README.md file} {docs dir} {scripts dir}]" {
		t.Errorf("got %+v", top)
	}
	file := ask[contents](t, as, "github_get_file", `{`+trails+`,"path":"docs/notes.md","ref":"fix/last-waypoint","start_line":5,"end_line":6}`)
	if file.Type != "file" || file.Text != "Fifth line, with the summit\nSixth line" || file.Lines != 9 {
		t.Errorf("got %+v", file)
	}
	for arguments, want := range map[string]string{
		trails + `,"path":"docs/gone.md"`:                          "docs/gone.md in " + sandbox.AliceLogin + "/trail-notes doesn't exist",
		trails + `,"ref":"gone"`:                                   "at gone doesn't exist",
		`"repo":"` + sandbox.BobLogin + `/workshop"`:               "doesn't see it",
		`"repo":"` + sandbox.DecoyLogin + `/decoy-secrets"`:        "doesn't see it",
		`"repo":"` + sandbox.BobLogin + `/workshop","path":"docs"`: "doesn't see it",
	} {
		result, err := as("github_get_file", `{`+arguments+`}`)
		if told := message(t, result, err); !strings.Contains(told, want) {
			t.Errorf("%s: got %q", arguments, told)
		}
	}
}

func TestHistoryAtTheSandbox(t *testing.T) {
	as := alice(t, false)
	type commits struct {
		Commits []struct{ SHA, Title, Author string }
	}
	type branches struct {
		Default  string `json:"default_branch"`
		Branches []struct{ Name, SHA string }
	}
	all := ask[branches](t, as, "github_list_branches", `{`+trails+`}`)
	if all.Default != "main" || len(all.Branches) != 2 || all.Branches[0].Name != "fix/last-waypoint" {
		t.Fatalf("got %+v", all)
	}
	list := ask[commits](t, as, "github_list_commits", `{`+trails+`,"ref":"fix/last-waypoint"}`)
	if len(list.Commits) != 3 || list.Commits[0].SHA != all.Branches[0].SHA || list.Commits[0].Author != sandbox.AliceLogin {
		t.Fatalf("got %+v", list)
	}
	for arguments, want := range map[string]int{
		``: 2, `,"path":"README.md"`: 1, `,"path":"docs"`: 1, `,"author":"` + sandbox.AliceLogin + `"`: 2, `,"author":"nobody"`: 0,
		`,"until":"2020-01-01"`: 0, `,"since":"2020-01-01T00:00:00+02:00"`: 2,
	} {
		if got := ask[commits](t, as, "github_list_commits", `{`+trails+arguments+`}`); len(got.Commits) != want {
			t.Errorf("%s: got %+v", arguments, got)
		}
	}
	one := ask[struct {
		SHA, Message string
		Files        []struct{ Path, Status, Patch string }
	}](t, as, "github_get_commit", `{`+trails+`,"ref":"`+list.Commits[0].SHA[:10]+`"}`)
	if one.SHA != list.Commits[0].SHA || len(one.Files) != 1 || one.Files[0].Status != "modified" ||
		!strings.Contains(one.Files[0].Patch, "-Fifth line\n+Fifth line, with the summit") {
		t.Errorf("got %+v", one)
	}
	result, err := as("github_get_commit", `{`+trails+`,"ref":"0000000000"}`)
	if told := message(t, result, err); !strings.Contains(told, "No commit found for SHA: 0000000000") {
		t.Errorf("got %q", told)
	}
}

func TestIssuesAtTheSandbox(t *testing.T) {
	as := alice(t, false)
	type whole struct {
		Title, Author, Association string
		Comments                   []struct {
			Author      string
			Association string `json:"author_association"`
		}
	}
	issue := ask[whole](t, as, "github_read_issue", `{`+trails+`,"number":1}`)
	if len(issue.Comments) != 2 || issue.Comments[0].Association != "NONE" || issue.Comments[1].Association != "OWNER" {
		t.Errorf("got %+v", issue)
	}
	for n := range 25 {
		if _, err := as("github_write_issue", fmt.Sprintf(`{%s,"title":"Plum %d"}`, trails, n)); err != nil {
			t.Fatal(err)
		}
	}
	type page struct {
		Total  int
		Issues []struct{ Number int }
		Next   string `json:"next_cursor"`
	}
	first := ask[page](t, as, "github_search_issues", `{"query":"plum"}`)
	second := ask[page](t, as, "github_search_issues", `{"query":"plum","cursor":"`+first.Next+`"}`)
	if first.Total != 25 || len(first.Issues) != 20 || len(second.Issues) != 5 || second.Next != "" || first.Issues[19] == second.Issues[0] {
		t.Errorf("got %+v, then %+v", first, second)
	}
	either := ask[page](t, as, "github_search_issues", `{"query":"label:bug OR label:enhancement","state":"open"}`)
	if either.Total != 3 {
		t.Errorf("got %+v", either)
	}
	pulls := ask[page](t, as, "github_search_issues", `{"query":"waypoint","type":"pull_request"}`)
	if pulls.Total != 1 {
		t.Errorf("got %+v", pulls)
	}
}

// The world's trouble, one for each kind of it.
func TestTroubleAtTheSandbox(t *testing.T) {
	world := tooltest.Sandbox(t, nil)
	as := signedIn(t, world)
	for status, want := range map[int]string{429: "slow down", 500: "Try again in a minute", 503: "Try again in a minute"} {
		world.Fail(1, status)
		result, err := as("github_list_commits", `{`+trails+`}`)
		if told := message(t, result, err); !strings.Contains(told, want) {
			t.Errorf("%d: got %q", status, told)
		}
	}
	world.Revoke(sandbox.AliceLogin)
	result, err := as("github_get_file", `{`+trails+`}`)
	if told := message(t, result, err); !strings.Contains(told, "connect it again") {
		t.Errorf("got %q", told)
	}
}

// A cancelled call ends its request at GitHub, and says that it was cancelled.
func TestCancellationReachesGitHub(t *testing.T) {
	for _, tool := range module().Tools {
		arguments, reads := reads()[tool.Spec().Name]
		if !reads {
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		client := &http.Client{Transport: waiting{cancel}}
		if _, err := tool.Call(ctx, client, json.RawMessage(arguments)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", tool.Spec().Name, err)
		}
		cancel()
	}
}

// A waiting transport has the call cancelled, and answers when its request is.
type waiting struct{ cancel context.CancelFunc }

func (w waiting) RoundTrip(req *http.Request) (*http.Response, error) {
	w.cancel()
	<-req.Context().Done()
	return nil, req.Context().Err()
}
