package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// reads is a function that gets a target as alice, with the scopes.
func reads(w *world, scope string) func(target string) reply {
	token := str(w.connectGitHub("alice", "scope", scope), "access_token")
	return func(target string) reply {
		return w.do("GET", w.github+"/api/v3"+target, "", "Authorization", "Bearer "+token)
	}
}

const (
	trails   = "/repos/" + AliceLogin + "/trail-notes"
	workshop = "/repos/" + BobLogin + "/workshop"
	meadow   = "/repos/" + PublicRepo
)

func TestGitHubReadRefusals(t *testing.T) {
	w := newWorld(t)
	whole, public := reads(w, "repo"), reads(newWorld(t), "public_repo")
	for _, c := range []struct {
		get    func(string) reply
		target string
		status int
		want   string
	}{
		{whole, workshop + "/contents", 404, "Not Found"},
		{whole, workshop + "/contents/README.md", 404, "Not Found"},
		{whole, workshop + "/commits", 404, "Not Found"},
		{whole, workshop + "/commits/main", 404, "Not Found"},
		{whole, workshop + "/branches", 404, "Not Found"},
		{whole, workshop + "/issues/1/comments", 404, "Not Found"},
		{whole, trails + "/contents/gone.md", 404, "Not Found"},
		{whole, trails + "/contents/README.md/x", 404, "Not Found"},
		{whole, trails + "/contents/README.md?ref=gone", 404, "No commit found for the ref gone"},
		{whole, trails + "/commits?sha=gone", 404, "Not Found"},
		{whole, trails + "/commits?since=yesterday", 422, "since"},
		{whole, trails + "/commits/000000", 422, "No commit found for SHA: 000000"},
		{whole, trails + "/issues/99/comments", 404, "Not Found"},
		{whole, trails + "/issues/1/comments?since=x", 422, "since"},
		{whole, "/search/code?q=", 422, "missing"},
		{whole, "/search/code?q=repo:" + AliceLogin + "/garden", 422, "no term"},
		{whole, "/search/code?q=x+language:go", 422, "language:go"},
		{whole, "/search/repositories?q=x+stars:1", 422, "stars:1"},
		{whole, "/search/repositories?q=x&sort=created", 422, "sort"},
		{whole, "/search/repositories?q=" + strings.Repeat("x", 257), 422, "256"},
		{whole, "/search/repositories?q=x&page=11&per_page=100", 422, "first 1000"},
		{whole, "/search/issues?advanced_search=true&q=", 422, "missing"},
		{whole, "/search/issues?advanced_search=true&q=(a", 422, "parsed"},
		{whole, "/search/issues?advanced_search=true&q=a)", 422, "parsed"},
		{whole, "/search/issues?advanced_search=true&q=a+OR", 422, "parsed"},
		{whole, "/search/issues?advanced_search=true&q=(a+OR+stars:1)", 422, "stars:1"},
		{whole, "/search/issues?advanced_search=true&q=a+OR+b+OR+c+OR+d+OR+e+OR+f+OR+g", 422, "More than five"},
		{whole, "/search/issues?q=a+OR+b", 422, "advanced search alone"},
		{public, trails + "/contents", 404, "Not Found"},
		{public, trails + "/commits", 404, "Not Found"},
		{public, trails + "/branches", 404, "Not Found"},
	} {
		if got := c.get(c.target); got.status != c.status || !strings.Contains(got.text, c.want) {
			t.Errorf("%s: got %d %s", c.target, got.status, got.text)
		}
	}
}

func TestGitHubContents(t *testing.T) {
	w := newWorld(t)
	for _, get := range []func(string) reply{reads(w, "repo"), reads(w, "public_repo")} {
		var file struct{ Type, Encoding, Content, SHA string }
		got := get(meadow + "/contents/docs/notes.md?ref=cornflower")
		if err := json.Unmarshal([]byte(got.text), &file); err != nil || got.status != 200 || file.Type != "file" || file.Encoding != "base64" {
			t.Fatalf("got %d %s", got.status, got.text)
		}
		text, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(file.Content, "\n", ""))
		if err != nil || string(text) != strings.Replace(notes, "Second line\n", "", 1) || file.SHA != gitName("blob", string(text)) {
			t.Errorf("got %q, %v", text, err)
		}
		var list []struct{ Type, Path string }
		got = get(meadow + "/contents/docs")
		if err := json.Unmarshal([]byte(got.text), &list); err != nil || len(list) != 1 || list[0].Path != "docs/notes.md" {
			t.Errorf("got %d %s", got.status, got.text)
		}
	}
}

// A link to a file of the repository is that file, as at GitHub; another one isn't.
func TestGitHubContentsOfLinks(t *testing.T) {
	w := newWorld(t)
	get := reads(w, "repo")
	r := w.state.Repos[1]
	files := r.Git.filesAt(r.Git.Branches["main"])
	files["docs/readme"] = entry{modeLink, r.Git.blob("../README.md").SHA}
	files["docs/out"] = entry{modeLink, r.Git.blob("../../elsewhere").SHA}
	files["docs/dir"] = entry{modeLink, r.Git.blob("../scripts").SHA}
	r.Git.Branches["main"] = r.Git.commit(&commit{Tree: r.Git.writeTree(files), Author: r.Owner, Message: "Link"})
	for name, want := range map[string]string{"readme": `"type":"file"`, "out": `"type":"symlink"`, "dir": `"target":"../scripts"`} {
		if got := get("/repos/" + r.Owner + "/" + r.Name + "/contents/docs/" + name); !strings.Contains(got.text, want) {
			t.Errorf("%s: got %s", name, got.text)
		}
	}
}

func TestGitHubHistoryPages(t *testing.T) {
	get := reads(newWorld(t), "repo")
	got := get(trails + "/commits?sha=fix/last-waypoint&per_page=2")
	if link := got.header.Get("Link"); !strings.Contains(link, `page=2`) || !strings.Contains(link, `rel="next"`) || strings.Count(got.text, `"html_url"`) < 2 {
		t.Errorf("got %s %s", link, got.text)
	}
	if got.header.Get("X-RateLimit-Remaining") == "" || got.header.Get("X-RateLimit-Reset") == "" {
		t.Error("no rate limit in the headers")
	}
	for target, want := range map[string]int{
		trails + "/commits?path=docs/notes.md": 1, trails + "/commits?author=" + AliceLogin + "@users.noreply.sandbox.example": 2,
		trails + "/commits?author=nobody": 0, trails + "/commits?until=2001-01-01T00:00:00Z": 0, trails + "/branches": 2, trails + "/branches?protected=true": 0,
		trails + "/issues/1/comments": 2, trails + "/issues/1/comments?since=2100-01-01T00:00:00Z": 0, trails + "/issues/2/comments": 0,
	} {
		var list []any
		if got := get(target); json.Unmarshal([]byte(got.text), &list) != nil || len(list) != want {
			t.Errorf("%s: got %s", target, got.text)
		}
	}
}

func TestGitHubSearches(t *testing.T) {
	get := reads(newWorld(t), "repo")
	for target, want := range map[string]int{
		"/search/repositories?q=user:@me": 2, "/search/repositories?q=user:@me+-hiking": 1, "/search/repositories?q=is:public": 1,
		"/search/repositories?q=user:" + BobLogin: 0, "/search/repositories?q=" + DecoyMarker: 0,
		"/search/code?q=eighth+user:@me": 2, "/search/code?q=echo+extension:sh+path:scripts+user:@me": 2, "/search/code?q=eighth+filename:x": 0,
		"/search/code?q=eighth+user:" + BobLogin:                                        0,
		"/search/issues?advanced_search=true&q=(label:bug+OR+label:urgent)+user:@me":    2,
		"/search/issues?advanced_search=true&q=label:bug+OR+(label:urgent+AND+x)":       2,
		"/search/issues?advanced_search=true&q=NOT+is:closed+AND+user:@me+is:issue":     4,
		"/search/issues?advanced_search=true&q=(%22raised+beds%22+OR+ridge)+-is:closed": 2,
	} {
		got := get(target)
		if prefix := fmt.Sprintf(`"total_count":%d`, want); got.status != 200 || !strings.Contains(got.text, prefix) {
			t.Errorf("%s: got %d %s", target, got.status, got.text[:min(len(got.text), 300)])
		}
	}
}
