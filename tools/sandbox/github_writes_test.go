package sandbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Names as git itself gives them.
func TestGitNames(t *testing.T) {
	g := newGit()
	if got := g.writeTree(nil); got != "4b825dc642cb6eb9a060e54bf8d69288fbee4904" {
		t.Errorf("the empty tree is %s", got)
	}
	if got := g.blob("hello\n").SHA; got != "ce013625030ba8dba906f756967f9e9ca394464a" {
		t.Errorf("a blob is %s", got)
	}
	files := map[string]entry{"a/b.txt": g.blob("hello\n"), "a.txt": g.blob("hello\n"), "a-run": {modeRuns, g.blob("hello\n").SHA}}
	root := g.writeTree(files)
	if root != "fd29a5db1b7123d68dfba96983c2aef8152eccc8" {
		t.Errorf("a tree is %s", root)
	}
	if diff := cmp.Diff(files, g.files(root)); diff != "" {
		t.Error(diff)
	}
}

func TestGitPatch(t *testing.T) {
	g := newGit()
	for _, c := range []struct{ before, after, want string }{
		{"", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b"},
		{"a\n", "", "@@ -1,1 +0,0 @@\n-a"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\ny\n6\n7\n8\n9\n", "@@ -2,7 +2,8 @@\n 2\n 3\n 4\n-5\n+x\n+y\n 6\n 7\n 8"},
		{"1\n1\n", "1\n1\n1\n", "@@ -1,2 +1,3 @@\n 1\n 1\n+1"},
	} {
		got, _, _ := g.patch(change{Before: g.blob(c.before), After: g.blob(c.after)})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q to %q: %s", c.before, c.after, diff)
		}
	}
}

func TestGitMerge(t *testing.T) {
	w := newWorld(t)
	g, now := newGit(), w.clock.now()
	base := g.commit(&commit{Tree: g.writeTree(map[string]entry{"a": g.blob("a"), "b": g.blob("b"), "c": g.blob("c")}), At: now})
	ours := g.edit(base, "x", "ours", now, map[string]string{"a": "A", "new": "n"})
	theirs := g.edit(base, "x", "theirs", now, map[string]string{"b": "B", "new": "n"})
	if tree, clean := g.merge(ours, theirs); !clean || len(g.files(tree)) != 4 || g.files(tree)["b"] != g.blob("B") || g.files(tree)["a"] != g.blob("A") {
		t.Errorf("%v %v", g.files(tree), clean)
	}
	if _, clean := g.merge(ours, g.edit(base, "x", "no", now, map[string]string{"a": "B"})); clean {
		t.Error("both changed a")
	}
}

// TestGitHubWriteRefusals: everything in it is as GitHub says it.
func TestGitHubWriteRefusals(t *testing.T) {
	w, app := newWorld(t), newWorld(t, asApp)
	alice, bob := str(w.connectGitHub("alice"), "access_token"), str(w.connectGitHub("bob"), "access_token")
	bare, apps := str(w.connectGitHub("alice", "scope", "read:user"), "access_token"), str(app.connectGitHub("alice"), "access_token")
	trails, guide := "/repos/alice-dev/trail-notes", "/repos/"+PublicRepo
	main := w.repo("trail-notes").Git.Branches["main"]
	root := w.repo("trail-notes").Git.Commits[main].Tree
	head := w.repo("trail-notes").Git.Branches["fix/last-waypoint"]
	unknown := strings.Repeat("1", 40)
	tree := func(line string) string { return `{"base_tree":"` + root + `","tree":[` + line + `]}` }
	for _, tt := range []struct {
		name, token, call, body string
		status                  int
		says                    string
	}{
		{"no such branch", alice, "GET " + trails + "/git/ref/heads/none", "", 404, "Not Found"},
		{"another's branch", bob, "GET " + trails + "/git/ref/heads/main", "", 404, "Not Found"},
		{"branch, not the owner", alice, "POST " + guide + "/git/refs", `{"ref":"refs/heads/x","sha":"` + main + `"}`, 404, "Not Found"},
		{"branch, no scope", bare, "POST " + guide + "/git/refs", `{"ref":"refs/heads/x","sha":"` + main + `"}`, 404, "Not Found"},
		{"branch, not installed", apps, "POST " + guide + "/git/refs", `{"ref":"refs/heads/x","sha":"` + main + `"}`, 403, "not accessible by integration"},
		{"branch is there", alice, "POST " + trails + "/git/refs", `{"ref":"refs/heads/main","sha":"` + main + `"}`, 422, "Reference already exists"},
		{"branch in the way", alice, "POST " + trails + "/git/refs", `{"ref":"refs/heads/fix","sha":"` + main + `"}`, 422, "Reference update failed"},
		{"branch of nothing", alice, "POST " + trails + "/git/refs", `{"ref":"refs/heads/x","sha":"` + unknown + `"}`, 422, "Object does not exist"},
		{"half a reference", alice, "POST " + trails + "/git/refs", `{"ref":"x","sha":"` + main + `"}`, 422, "must start with 'refs/'"},
		{"odd reference", alice, "POST " + trails + "/git/refs", `{"ref":"refs/heads/a..b","sha":"` + main + `"}`, 422, "must start with 'refs/'"},
		{"unknown field", alice, "POST " + trails + "/git/refs", `{"ref":"refs/heads/x","sha":"` + main + `","force":true}`, 422, "force"},
		{"backwards", alice, "PATCH " + trails + "/git/refs/heads/fix/last-waypoint", `{"sha":"` + main + `"}`, 422, "Update is not a fast forward"},
		{"no branch to move", alice, "PATCH " + trails + "/git/refs/heads/none", `{"sha":"` + main + `"}`, 422, "Reference does not exist"},
		{"to nothing", alice, "PATCH " + trails + "/git/refs/heads/main", `{"sha":"` + unknown + `"}`, 422, "Object does not exist"},
		{"no such commit", alice, "GET " + trails + "/git/commits/" + unknown, "", 404, "Not Found"},
		{"no such tree", alice, "GET " + trails + "/git/trees/" + unknown, "", 404, "Not Found"},
		{"commit of no tree", alice, "POST " + trails + "/git/commits", `{"message":"x","tree":"` + unknown + `","parents":[]}`, 422, "Tree SHA does not exist"},
		{"commit on nothing", alice, "POST " + trails + "/git/commits", `{"message":"x","tree":"` + root + `","parents":["` + unknown + `"]}`, 422, "Parent SHA does not exist"},
		{"commit without words", alice, "POST " + trails + "/git/commits", `{"message":" ","tree":"` + root + `","parents":[]}`, 422, "missing_field"},
		{"no tree", alice, "POST " + trails + "/git/trees", `{}`, 422, "Invalid tree info"},
		{"unknown base", alice, "POST " + trails + "/git/trees", `{"base_tree":"` + unknown + `","tree":[]}`, 422, "base_tree"},
		{"path outside", alice, "POST " + trails + "/git/trees", tree(`{"path":"../x","mode":"100644","type":"blob","content":"x"}`), 422, "malformed path"},
		{"path of git's", alice, "POST " + trails + "/git/trees", tree(`{"path":"a/.git/x","mode":"100644","type":"blob","content":"x"}`), 422, "malformed path"},
		{"no mode", alice, "POST " + trails + "/git/trees", tree(`{"path":"x","type":"blob","content":"x"}`), 422, "tree.mode"},
		{"no content", alice, "POST " + trails + "/git/trees", tree(`{"path":"x","mode":"100644","type":"blob"}`), 422, "either tree.sha or tree.content"},
		{"content and sha", alice, "POST " + trails + "/git/trees", tree(`{"path":"x","mode":"100644","type":"blob","content":"x","sha":null}`), 422, "either tree.sha or tree.content"},
		{"delete nothing", alice, "POST " + trails + "/git/trees", tree(`{"path":"x","mode":"100644","type":"blob","sha":null}`), 422, "BadObjectState"},
		{"workflow", alice, "POST " + trails + "/git/trees", tree(`{"path":".github/workflows/x.yml","mode":"100644","type":"blob","content":"x"}`), 404, "Not Found"},
		{"pull request without words", alice, "POST " + trails + "/pulls", `{"head":"main","base":"main"}`, 422, "missing_field"},
		{"pull request without ends", alice, "POST " + trails + "/pulls", `{"title":"x"}`, 422, "weren't supplied"},
		{"pull request to nowhere", alice, "POST " + trails + "/pulls", `{"title":"x","head":"main","base":"none"}`, 422, "base"},
		{"pull request is there", alice, "POST " + trails + "/pulls", `{"title":"x","head":"alice-dev:fix/last-waypoint","base":"main"}`, 422, "already exists for alice-dev:fix/last-waypoint"},
		{"another's pull request", bob, "PATCH " + trails + "/pulls/3", `{"title":"x"}`, 404, "Not Found"},
		{"others' pull request", alice, "PATCH " + guide + "/pulls/3", `{"title":"x"}`, 403, "admin rights"},
		{"an issue is none", alice, "GET " + trails + "/pulls/1", "", 404, "Not Found"},
		{"head can't change", alice, "PATCH " + trails + "/pulls/3", `{"head":"main"}`, 422, "head"},
		{"merge of another head", alice, "PUT " + trails + "/pulls/3/merge", `{"sha":"` + main + `"}`, 409, "Head branch was modified"},
		{"merge by nobody's leave", alice, "PUT " + guide + "/pulls/3/merge", `{}`, 404, "Not Found"},
		{"odd method", alice, "PUT " + trails + "/pulls/3/merge", `{"merge_method":"octopus"}`, 422, "merge_method"},
		{"own approval", alice, "POST " + trails + "/pulls/3/reviews", `{"event":"APPROVE"}`, 422, "Can not approve your own"},
		{"own refusal", alice, "POST " + trails + "/pulls/3/reviews", `{"event":"REQUEST_CHANGES","body":"x"}`, 422, "Can not request changes on your own"},
		{"odd event", alice, "POST " + guide + "/pulls/3/reviews", `{"event":"PRAISE"}`, 422, "$event"},
		{"review without words", alice, "POST " + guide + "/pulls/3/reviews", `{"event":"COMMENT"}`, 422, "can't be blank"},
		{"review of another commit", alice, "POST " + guide + "/pulls/3/reviews", `{"event":"APPROVE","commit_id":"` + head + `"}`, 422, "not part of the pull request"},
		{"comment on no file", alice, "POST " + guide + "/pulls/3/reviews", `{"event":"COMMENT","comments":[{"path":"none","line":1,"body":"x"}]}`, 422, "Path could not be resolved"},
		{"comment on no line", alice, "POST " + guide + "/pulls/3/reviews", `{"event":"COMMENT","comments":[{"path":"docs/notes.md","line":9,"body":"x"}]}`, 422, "Line could not be resolved"},
		{"comment on nothing", alice, "POST " + trails + "/issues/99/comments", `{"body":"x"}`, 404, "Not Found"},
		{"comment without words", alice, "POST " + trails + "/issues/1/comments", `{"body":" "}`, 422, "missing_field"},
		{"comment too long", alice, "POST " + trails + "/issues/1/comments", `{"body":"` + strings.Repeat("x", 65537) + `"}`, 422, "too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := w
			if tt.token == apps {
				in = app
			}
			method, path, _ := strings.Cut(tt.call, " ")
			r := in.do(method, in.github+"/api/v3"+path, tt.body, "Authorization", "Bearer "+tt.token)
			if r.status != tt.status || !strings.Contains(r.text, tt.says) || r.json["message"] == nil {
				t.Errorf("%d %s", r.status, r.text)
			}
		})
	}
	if got := w.repo("trail-notes").Git.Branches; got["main"] != main || len(got) != 2 {
		t.Errorf("branches %v", got)
	}
}

func TestMergesAndConflicts(t *testing.T) {
	w := newWorld(t)
	token := str(w.connectGitHub("alice"), "access_token")
	call := func(method, path, body string, status int) reply {
		t.Helper()
		r := w.do(method, w.github+"/api/v3/repos/alice-dev/trail-notes"+path, body, "Authorization", "Bearer "+token)
		if r.status != status {
			t.Fatalf("%s %s: %d %s", method, path, r.status, r.text)
		}
		return r
	}
	g := w.repo("trail-notes").Git
	commitOn := func(branch, path, text string) {
		w.repo("trail-notes").moveBranch(branch, g.edit(g.Branches[branch], AliceLogin, "edit", w.clock.now(), map[string]string{path: text}))
	}
	commitOn("main", "docs/notes.md", "Other words\n")
	if p := call("GET", "/pulls/3", "", 200).json; p["mergeable"] != false || p["mergeable_state"] != "dirty" || p["changed_files"] != 1.0 || p["commits"] != 1.0 {
		t.Errorf("a conflict: %v %v %v %v", p["mergeable"], p["mergeable_state"], p["changed_files"], p["commits"])
	}
	call("PUT", "/pulls/3/merge", `{}`, 405)
	call("POST", "/git/refs", `{"ref":"refs/heads/apart","sha":"`+g.Branches["main"]+`"}`, 201)
	commitOn("apart", "one.md", "1\n")
	commitOn("apart", "two.md", "2\n")
	commitOn("main", "three.md", "3\n")
	call("POST", "/pulls", `{"title":"Apart","head":"apart","base":"main","draft":true}`, 201)
	call("PUT", "/pulls/4/merge", `{}`, 405)
	w.repo("trail-notes").pull("4").Pull.Draft = false
	before := g.Branches["main"]
	merged := str(call("PUT", "/pulls/4/merge", `{"merge_method":"rebase"}`, 200).json, "sha")
	if files := g.filesAt(merged); files["one.md"] != g.blob("1\n") || files["three.md"] != g.blob("3\n") || g.Branches["main"] != merged || len(g.history(merged)) != len(g.history(before))+2 {
		t.Errorf("rebased: %v", files)
	}
	call("PUT", "/pulls/4/merge", `{}`, 405)
	call("PATCH", "/pulls/4", `{"state":"open"}`, 422)
	call("PATCH", "/pulls/4", `{"base":"apart"}`, 422)
	if p := call("GET", "/pulls/4", "", 200).json; p["merged"] != true || p["state"] != "closed" || p["commits"] != 2.0 {
		t.Errorf("merged: %v %v %v", p["merged"], p["state"], p["commits"])
	}
}

func (w *world) repo(name string) *repo {
	for _, r := range w.state.Repos {
		if r.Name == name {
			return r
		}
	}
	w.t.Fatalf("no repository %s", name)
	return nil
}

// TestEmptyRepository: one without branches answers 409.
func TestEmptyRepository(t *testing.T) {
	w := newWorld(t)
	token := str(w.connectGitHub("alice"), "access_token")
	w.repo("garden").Git = newGit()
	for _, call := range []string{"GET /git/ref/heads/main", "POST /git/refs"} {
		method, path, _ := strings.Cut(call, " ")
		if r := w.do(method, w.github+"/api/v3/repos/alice-dev/garden"+path, "{}", "Authorization", "Bearer "+token); r.status != 409 {
			t.Errorf("%s: %d %s", call, r.status, r.text)
		}
	}
}

// TestGitKept: what was pushed is there after a restart.
func TestGitKept(t *testing.T) {
	w := newWorld(t)
	b, err := json.Marshal(w.state)
	var again state
	if err != nil || json.Unmarshal(b, &again) != nil {
		t.Fatal(err)
	}
	for i, r := range w.state.Repos {
		if diff := cmp.Diff(r, again.Repos[i]); diff != "" {
			t.Error(fmt.Sprint(r.Name, diff))
		}
	}
}
