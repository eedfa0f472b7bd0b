package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	callback = "http://127.0.0.1:8420/callback"
	verifier = "a-verifier-of-more-than-forty-three-characters-0123"
	repoAll  = "repo"
	eventsRW = calendarScope + ".events"
	eventsRO = calendarScope + ".events.readonly"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// world is a sandbox on two loopback servers.
type world struct {
	*Sandbox
	t              *testing.T
	clock          *clock
	github, google string
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	c := &clock{t: time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)}
	cfg := Config{
		GitHub: Client{"gh-client", "gh-secret", []string{callback + "/github", callback + "/other"}},
		Google: Client{"go-client", "go-secret", []string{callback + "/google"}},
		Now:    c.now,
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	gh, g := httptest.NewServer(s.GitHub()), httptest.NewServer(s.Google())
	t.Cleanup(gh.Close)
	t.Cleanup(g.Close)
	return &world{s, t, c, gh.URL, g.URL}
}

func asApp(cfg *Config) { cfg.GitHubApp = true }

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// values makes a form of pairs; a value of "-" leaves the name out.
func values(base url.Values, pairs ...string) url.Values {
	v := url.Values{}
	for name, list := range base {
		v[name] = list
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			v.Del(pairs[i])
		} else {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func (w *world) githubURL(pairs ...string) string {
	return w.github + "/login/oauth/authorize?" + values(url.Values{"client_id": {"gh-client"},
		"redirect_uri": {callback + "/github"}, "scope": {repoAll}, "state": {"st-1"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}}, pairs...).Encode()
}

func (w *world) googleURL(pairs ...string) string {
	return w.google + "/o/oauth2/v2/auth?" + values(url.Values{"client_id": {"go-client"}, "response_type": {"code"},
		"redirect_uri": {callback + "/google"}, "scope": {"openid email " + eventsRW}, "state": {"st-2"},
		"access_type": {"offline"}, "prompt": {"consent"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}}, pairs...).Encode()
}

// approve is where the browser goes after who pressed the button.
func (w *world) approve(authorize, who string, untick ...string) url.Values {
	w.t.Helper()
	to, err := Approve(context.Background(), authorize, who, untick...)
	if err != nil {
		w.t.Fatal(err)
	}
	return to.Query()
}

// reply is an answer as the client got it.
type reply struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

func (w *world) do(method, target string, body string, header ...string) reply {
	w.t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	r := reply{status: res.StatusCode, header: res.Header, text: string(b)}
	json.Unmarshal(b, &r.json)
	return r
}

func (w *world) post(target string, form url.Values) reply {
	w.t.Helper()
	return w.do("POST", target, form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json")
}

func (w *world) githubForm(pairs ...string) url.Values {
	return values(url.Values{"client_id": {"gh-client"}, "client_secret": {"gh-secret"},
		"redirect_uri": {callback + "/github"}, "code_verifier": {verifier}}, pairs...)
}

func (w *world) googleForm(pairs ...string) url.Values {
	return values(url.Values{"client_id": {"go-client"}, "client_secret": {"go-secret"}, "grant_type": {"authorization_code"},
		"redirect_uri": {callback + "/google"}, "code_verifier": {verifier}}, pairs...)
}

// connectGitHub is what who's connection yields.
func (w *world) connectGitHub(who string, pairs ...string) map[string]any {
	w.t.Helper()
	q := w.approve(w.githubURL(pairs...), who)
	r := w.post(w.github+"/login/oauth/access_token", w.githubForm("code", q.Get("code")))
	if r.json["access_token"] == nil {
		w.t.Fatalf("no token: %s", r.text)
	}
	return r.json
}

// connectGoogle is what who's connection yields.
func (w *world) connectGoogle(who string, pairs ...string) map[string]any {
	w.t.Helper()
	q := w.approve(w.googleURL(pairs...), who)
	r := w.post(w.google+"/token", w.googleForm("code", q.Get("code")))
	if r.json["access_token"] == nil {
		w.t.Fatalf("no token: %s", r.text)
	}
	return r.json
}

func str(m map[string]any, name string) string { s, _ := m[name].(string); return s }

// user is the status of GET /user, and calendars that of the events list.
func (w *world) user(token string) int {
	w.t.Helper()
	return w.do("GET", w.github+"/api/v3/user", "", "Authorization", "Bearer "+token).status
}

func (w *world) events(token string) int {
	w.t.Helper()
	return w.do("GET", w.google+"/calendar/v3/calendars/primary/events", "", "Authorization", "Bearer "+token).status
}
