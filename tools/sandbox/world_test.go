package sandbox

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNewRefusesHalfAClient(t *testing.T) {
	whole := Client{"id", "secret", []string{callback}}
	for _, bad := range []Client{{"", "secret", []string{callback}}, {"id", "", []string{callback}}, {"id", "secret", nil}} {
		if _, err := New(Config{GitHub: bad, Google: whole}); err == nil {
			t.Errorf("GitHub %v", bad)
		}
		if _, err := New(Config{GitHub: whole, Google: bad}); err == nil {
			t.Errorf("Google %v", bad)
		}
	}
}

// TestOwnDataOnly reads all that each person can read: it has nothing of the
// other's and nothing of the decoy's.
func TestOwnDataOnly(t *testing.T) {
	w := newWorld(t)
	seen := map[string]string{}
	for _, who := range []string{"alice", "bob"} {
		gh := str(w.connectGitHub(who, "scope", "repo user"), "access_token")
		g := str(w.connectGoogle(who, "scope", "openid email profile "+calendarScope), "access_token")
		for _, target := range []string{w.github + "/api/v3/user", w.github + "/api/v3/search/issues?q=is:issue",
			w.google + "/v1/userinfo", w.google + "/calendar/v3/users/me/calendarList", w.google + "/calendar/v3/calendars/primary/events"} {
			token := g
			if strings.HasPrefix(target, w.github) {
				token = gh
			}
			r := w.do("GET", target, "", "Authorization", "Bearer "+token)
			if r.status != 200 || len(r.text) < 50 {
				t.Fatalf("%s: %d %s", target, r.status, r.text)
			}
			seen[who] += strings.ToLower(r.text)
		}
	}
	for who, strangers := range map[string][]string{
		"alice": {DecoyMarker, "bob", "walnut", "roadmap call", "oscillator"},
		"bob":   {DecoyMarker, "alice", "tomatoes", "design review", "gpx"},
	} {
		for _, stranger := range strangers {
			if strings.Contains(seen[who], stranger) {
				t.Errorf("%s sees %q", who, stranger)
			}
		}
	}
	if !strings.Contains(seen["alice"], "design review") || !strings.Contains(seen["bob"], "walnut") {
		t.Error("they don't see their own")
	}
	if decoy().ID != 1 || w.state.Repos[0].Owner != DecoyLogin || w.state.Calendars[0].Owner != DecoyEmail {
		t.Error("the decoy isn't first")
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	for name, link := range map[string]string{"GitHub": w.githubURL(), "Google": w.googleURL()} {
		r := w.do("GET", link+"&account=alice-dev&granted="+url.QueryEscape(eventsRW), "")
		for _, want := range []string{`id="as-alice"`, `id="as-bob"`, `id="cancel"`, "Sandbox " + name, "No real " + name} {
			if strings.Count(r.text, want) == 0 {
				t.Errorf("%s: no %s", name, want)
			}
		}
		for _, never := range []string{"<script", DecoyMarker, `type="hidden" name="account"`, `type="hidden" name="granted"`} {
			if strings.Contains(r.text, never) {
				t.Errorf("%s: %s", name, never)
			}
		}
	}
	google := w.do("GET", w.googleURL(), "").text
	if strings.Count(google, `type="checkbox"`) != 1 || !strings.Contains(google, `id="scope-calendar.events" checked`) {
		t.Error("one check box for each scope that isn't about signing in")
	}
	if r := w.do("GET", w.githubURL("state", `"><script>alert(1)</script>`), ""); strings.Contains(r.text, "<script") {
		t.Error("the state is not escaped")
	}
	if _, err := Approve(context.Background(), w.githubURL("client_id", "x"), "alice"); err == nil || !strings.Contains(err.Error(), "404 No such application") {
		t.Errorf("Approve at an error page: %v", err)
	}
	for path, status := range map[string]int{"/": 200, "/alice-dev/garden/issues/1": 404} {
		if r := w.do("GET", w.github+path, ""); r.status != status || !strings.Contains(r.text, "Only its API") && !strings.Contains(r.text, "not the website") {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
}

func TestRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	kept := func(cfg *Config) { cfg.File = file }
	w := newWorld(t, kept, asApp)
	gh, g := w.connectGitHub("alice"), w.connectGoogle("bob")
	code := w.approve(w.googleURL(), "alice").Get("code")
	spent := w.approve(w.googleURL(), "alice").Get("code")
	w.post(w.google+"/token", w.googleForm("code", spent))
	w.do("POST", w.github+"/api/v3/repos/alice-dev/garden/issues", `{"title":"Kept"}`, "Authorization", "Bearer "+str(gh, "access_token"))
	w.post(w.github+"/login/oauth/access_token", w.githubForm("grant_type", "refresh_token", "refresh_token", str(gh, "refresh_token")))
	keys := w.do("GET", w.google+"/oauth2/v3/certs", "").text

	again := newWorld(t, kept, asApp)
	if again.user(str(gh, "access_token")) != 401 || again.events(str(g, "access_token")) != 200 {
		t.Error("the tokens are others after the restart")
	}
	if r := again.post(again.github+"/login/oauth/access_token", again.githubForm("grant_type", "refresh_token", "refresh_token", str(gh, "refresh_token"))); r.json["error"] != "bad_refresh_token" {
		t.Errorf("the restart forgot that the refresh token was spent: %s", r.text)
	}
	if r := again.post(again.google+"/token", again.googleForm("code", spent)); r.status != 400 {
		t.Errorf("the restart forgot that the code was spent: %s", r.text)
	}
	if r := again.post(again.google+"/token", again.googleForm("code", code)); r.status != 200 {
		t.Errorf("the restart forgot the code: %s", r.text)
	}
	if got := again.do("GET", again.google+"/oauth2/v3/certs", "").text; got != keys {
		t.Error("other signing keys after the restart")
	}
	fresh := again.connectGitHub("alice")
	if r := again.do("GET", again.github+"/api/v3/repos/alice-dev/garden/issues/4", "", "Authorization", "Bearer "+str(fresh, "access_token")); r.json["title"] != "Kept" {
		t.Errorf("the issue: %s", r.text)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file mode %v, %v", info.Mode(), err)
	}
	b, _ := os.ReadFile(file)
	for _, secret := range []string{str(g, "access_token"), str(g, "refresh_token"), str(fresh, "refresh_token"), code, "go-secret"} {
		if strings.Contains(string(b), secret) {
			t.Error("a secret is in the file")
		}
	}
	if rest, _ := filepath.Glob(file + ".*"); len(rest) > 0 {
		t.Errorf("left behind: %v", rest)
	}
}

func TestRestartOfAnotherClient(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	g := newWorld(t, func(cfg *Config) { cfg.File = file }).connectGoogle("bob")
	other := newWorld(t, func(cfg *Config) { cfg.File, cfg.Google.ID = file, "other-client" })
	if other.events(str(g, "access_token")) != 401 || other.googleRefreshes(str(g, "refresh_token"), "client_id", "other-client").status != 400 {
		t.Error("another client's tokens work")
	}
}

func TestBadFiles(t *testing.T) {
	for name, text := range map[string]string{"not JSON": "hello", "another format": `{"Format":99}`, "empty": ""} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "sandbox.json")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			client := Client{"id", "secret", []string{callback}}
			if _, err := New(Config{GitHub: client, Google: client, File: file}); err == nil || !strings.Contains(err.Error(), "delete it to start over") {
				t.Errorf("New: %v", err)
			}
		})
	}
	client := Client{"id", "secret", []string{callback}}
	if _, err := New(Config{GitHub: client, Google: client, File: filepath.Join(t.TempDir(), "none", "sandbox.json")}); err == nil {
		t.Error("New without a folder")
	}
}

// TestNothingKeptNothingSaid takes the folder away: what can't be kept must not be
// acknowledged.
func TestNothingKeptNothingSaid(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(cfg *Config) { cfg.File = filepath.Join(dir, "sandbox.json") })
	code := w.approve(w.googleURL(), "alice").Get("code")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if r := w.post(w.google+"/token", w.googleForm("code", code)); r.status != 500 || strings.Contains(r.text, "ya29") {
		t.Errorf("%d %s", r.status, r.text)
	}
}

// TestDaysMove: a demo that is started again days later has its appointments
// today, but for those that somebody changed.
func TestDaysMove(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	w := newWorld(t, func(cfg *Config) { cfg.File = file })
	token := str(w.connectGoogle("alice"), "access_token")
	dentist := "/calendar/v3/calendars/primary/events/" + w.find(AliceEmail, "Dentist")
	review := "/calendar/v3/calendars/primary/events/" + w.find(AliceEmail, "Design review")
	w.do("PATCH", w.google+dentist, `{"location":"elsewhere"}`, "Authorization", "Bearer "+token)
	// Summer time begins in between: ten o'clock stays ten o'clock.
	later := func() time.Time { return time.Date(2026, 4, 2, 7, 0, 0, 0, time.UTC) }
	again := newWorld(t, func(cfg *Config) { cfg.File, cfg.Now = file, later })
	token = str(again.connectGoogle("alice"), "access_token")
	for path, want := range map[string]string{review: "2026-04-02T10:00:00+02:00", dentist: "2026-03-11T08:30:00+01:00"} {
		r := again.do("GET", again.google+path, "", "Authorization", "Bearer "+token)
		if start, _ := r.json["start"].(map[string]any); start["dateTime"] != want {
			t.Errorf("%s: %s", want, r.text)
		}
	}
}

func TestLogAndLevers(t *testing.T) {
	w := newWorld(t, asApp)
	gh, g := w.connectGitHub("alice"), w.connectGoogle("bob")
	w.user(str(gh, "access_token"))
	w.events(str(g, "access_token"))
	w.user("ghu_made-up")
	w.do("GET", w.google+"/v1/userinfo?x=1", "")
	user, events := "/api/v3/user", "/calendar/v3/calendars/primary/events"
	want := []Request{
		{"GitHub", "GET", user, url.Values{}, AliceLogin, TokenHash(str(gh, "access_token")), 200},
		{"Google", "GET", events, url.Values{}, BobEmail, TokenHash(str(g, "access_token")), 200},
		{"GitHub", "GET", user, url.Values{}, "", TokenHash("ghu_made-up"), 401},
		{"Google", "GET", "/v1/userinfo", url.Values{"x": {"1"}}, "", "", 401},
	}
	if diff := cmp.Diff(want, w.Requests()); diff != "" {
		t.Error(diff)
	}
	wantExchanges := []Request{
		{"GitHub", "POST", "/login/oauth/access_token", url.Values{}, AliceLogin, "", 200},
		{"Google", "POST", "/token", url.Values{}, BobEmail, "", 200},
	}
	if diff := cmp.Diff(wantExchanges, w.Exchanges()); diff != "" {
		t.Error(diff)
	}
	w.Fail(2, 503)
	if a, b, c := w.user(str(gh, "access_token")), w.events(str(g, "access_token")), w.user(str(gh, "access_token")); a != 503 || b != 503 || c != 200 {
		t.Errorf("two failures: %d %d %d", a, b, c)
	}
	w.Fail(1, 429)
	if r := w.do("GET", w.github+user, "", "Authorization", "Bearer "+str(gh, "access_token")); r.status != 429 || r.header.Get("Retry-After") == "" || r.json["message"] == nil {
		t.Errorf("429: %v %s", r.header, r.text)
	}
	w.FailExchanges(1, 500)
	if r := w.googleRefreshes(str(g, "refresh_token")); r.status != 500 {
		t.Errorf("failing exchange: %d", r.status)
	}
	w.ExpireAccessTokens()
	if w.user(str(gh, "access_token")) != 401 || w.events(str(g, "access_token")) != 401 {
		t.Error("access tokens live on")
	}
	g = w.googleRefreshes(str(g, "refresh_token")).json
	if w.events(str(g, "access_token")) != 200 {
		t.Error("the refresh token had to live on, and a failed exchange must not spend it")
	}
	w.Revoke(BobEmail)
	if w.events(str(g, "access_token")) != 401 || w.googleRefreshes(str(g, "refresh_token")).status != 400 {
		t.Error("revoked tokens live on")
	}
	fresh := w.post(w.github+"/login/oauth/access_token", w.githubForm("grant_type", "refresh_token", "refresh_token", str(gh, "refresh_token")))
	if fresh.json["access_token"] == nil {
		t.Errorf("bob's revocation ended alice's grant: %s", fresh.text)
	}
}

// TestOnce: of many at the same time, one wins.
func TestOnce(t *testing.T) {
	w := newWorld(t, asApp)
	code := w.approve(w.googleURL(), "alice").Get("code")
	gh := w.connectGitHub("alice")
	var codes, refreshes, calls int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			a := w.post(w.google+"/token", w.googleForm("code", code))
			b := w.post(w.github+"/login/oauth/access_token", w.githubForm("grant_type", "refresh_token", "refresh_token", str(gh, "refresh_token")))
			c := w.events(str(a.json, "access_token"))
			mu.Lock()
			defer mu.Unlock()
			if a.json["access_token"] != nil {
				codes++
			}
			if b.json["access_token"] != nil {
				refreshes++
			}
			if c == 200 {
				calls++
			}
		})
	}
	all.Wait()
	if codes != 1 || refreshes != 1 || calls != 1 {
		t.Errorf("%d codes, %d refreshes, %d calls", codes, refreshes, calls)
	}
	if w.user(str(gh, "access_token")) != 401 {
		t.Error("the old access token lives on")
	}
}

func TestSweep(t *testing.T) {
	w := newWorld(t, asApp)
	w.connectGitHub("alice")
	w.connectGoogle("bob")
	w.clock.advance(33 * time.Hour)
	w.approve(w.githubURL(), "alice")
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.state.Codes) != 1 || len(w.state.Tokens) != 2 { // the refresh tokens
		t.Errorf("%d codes, %d tokens", len(w.state.Codes), len(w.state.Tokens))
	}
}
