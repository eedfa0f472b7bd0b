package oauthflow

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// everyPage is one answer of each kind: pages, redirects and errors.
func everyPage(w *world) map[string]answer {
	alice := w.as("alice")
	link := w.link("alice", "google", readEvents)
	pages := map[string]answer{
		"home": alice.get("/"), "connections": alice.get("/connections"), "consent": alice.get(link),
		"no ticket": alice.get("/connect/x"), "not found": alice.get("/x/../y"), "method": alice.post("/connections", nil),
		"wrong person": w.as("bob").get(link), "sign in": w.browser().get("/signin"), "signed out": w.browser().post(link, nil),
		"cross origin": alice.do(http.MethodPost, link, nil, http.Header{"Sec-Fetch-Site": {"cross-site"}}),
		"start":        alice.post(link, nil), "callback": alice.get("/callback/google"),
		"connected": alice.connect(w.link("alice", "google", readEvents)),
	}
	w.google.with(func() { w.google.person = "2002" })
	pages["replace"] = alice.connect(w.link("alice", "google", readEvents))
	pages["permit"] = alice.post("/clients/permission", nil)
	pages["approve"] = alice.get(w.approveLink("alice", deed(`{"title":"x"}`)))
	pages["approved"] = alice.post(w.approveLink("alice", deed(`{"title":"x"}`)), url.Values{"answer": {"approve"}})
	pages["declined"] = alice.post(w.approveLink("alice", deed(`{"title":"x"}`)), nil)
	pages["choose"] = alice.post("/connections/google/choose", nil)
	pages["disconnect"] = alice.disconnect("google", "1001")
	pages["sign out"] = alice.post("/signout", nil)
	return pages
}

func TestEveryAnswerIsHardened(t *testing.T) {
	w := newWorld(t)
	for name, got := range everyPage(w) {
		csp := got.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: the policy lacks %s: %q", name, part, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: %q", name, csp)
		}
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got.header.Get(header) != want {
				t.Errorf("%s: %s is %q", name, header, got.header.Get(header))
			}
		}
		if got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: other sites may read it", name)
		}
		if strings.Contains(got.body, "<script") || strings.Contains(got.body, "style=") || strings.Contains(got.body, " onclick") {
			t.Errorf("%s: script or inline style", name)
		}
	}
}

// Chromium holds form-action against the redirects after a POST: the consent page
// lists where its own goes, and no other page lists anything.
func TestFormActionListsTheProviderOnTheConsentPageOnly(t *testing.T) {
	w := newWorld(t)
	for name, got := range everyPage(w) {
		_, action, _ := strings.Cut(got.header.Get("Content-Security-Policy"), "form-action ")
		action, _, _ = strings.Cut(action, ";")
		want := "'self'"
		if name == "consent" {
			want += " " + w.google.url
		}
		if action != want {
			t.Errorf("%s: form-action %s, want %s", name, action, want)
		}
	}
}

// A form on another site, with the cookies that a lax browser would send, does
// nothing.
func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	alice.connect(w.link("alice", "github", "repo"))
	link := w.link("alice", "google", readEvents)
	approve := w.approveLink("alice", deed(`{"title":"x"}`))
	for name, header := range map[string]http.Header{
		"cross-site": {"Sec-Fetch-Site": {"cross-site"}}, "same-site": {"Sec-Fetch-Site": {"same-site"}},
		"an old browser": {"Origin": {"https://evil.example"}}, "no origin": {"Origin": {"null"}},
		"another port": {"Origin": {"http://127.0.0.1:1"}},
	} {
		for _, path := range []string{link, "/disconnect/github", "/signout", "/connections/github/connect", "/connections/github/replace", "/connections/github/choose", "/clients/permission", approve} {
			got := alice.do(http.MethodPost, path, url.Values{"answer": {"approve"}, "writing": {"allow"}, "client": {testClient}}, header)
			got.wants(t, http.StatusForbidden, "This came from another site")
			if t.Failed() {
				t.Fatalf("%s at %s", name, path)
			}
		}
	}
	if w.account("alice", "github") == "" || len(w.google.requests) != 0 {
		t.Error("something was done")
	}
	alice.get(approve).wants(t, http.StatusOK, "Nothing is done yet")
	alice.connect(link).wants(t, http.StatusOK)
}

func TestOtherHosts(t *testing.T) {
	w := newWorld(t)
	home, _ := url.Parse(w.url)
	ask := func(method, host, path string) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := w.browser().c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return answer{status: resp.StatusCode, location: resp.Header.Get("Location")}
	}
	for _, c := range []struct {
		method, host string
		status       int
		location     string
	}{
		{"GET", "localhost:" + home.Port(), http.StatusTemporaryRedirect, w.url + "/connect/a%2Fb?c=d%26e"},
		{"GET", "[::1]:" + home.Port(), http.StatusTemporaryRedirect, w.url + "/connect/a%2Fb?c=d%26e"},
		{"POST", "localhost:" + home.Port(), http.StatusMisdirectedRequest, ""},
		{"GET", "localhost:1", http.StatusMisdirectedRequest, ""},
		{"GET", "evil.example:" + home.Port(), http.StatusMisdirectedRequest, ""},
		{"GET", "127.0.0.1.evil.example:" + home.Port(), http.StatusMisdirectedRequest, ""},
		{"GET", "evil.example", http.StatusMisdirectedRequest, ""},
	} {
		got := ask(c.method, c.host, "/connect/a%2Fb?c=d%26e")
		if got.status != c.status || got.location != c.location {
			t.Errorf("%s %s: %d %q", c.method, c.host, got.status, got.location)
		}
	}
}

// Neither a log nor a page holds what makes somebody else of its reader.
func TestLogsHoldNoSecrets(t *testing.T) {
	w := newWorld(t)
	everyPage(w)
	alice := w.as("alice")
	link := w.link("bob", "github", "repo")
	answer := alice.callbackURL(w.link("alice", "github", "repo"))
	alice.get(link)
	w.github.with(func() { w.github.down = true })
	alice.get(answer).wants(t, http.StatusBadGateway)
	where, _ := url.Parse(answer)
	log := w.log.String()
	if !strings.Contains(log, "somebody else's") || !strings.Contains(log, "answered 503") {
		t.Fatalf("the log lacks what happened: %s", log)
	}
	approve := w.approveLink("alice", deed(`{"title":"what only she may read"}`))
	alice.get(approve)
	w.as("bob").get(approve).wants(t, http.StatusForbidden)
	alice.post(approve, url.Values{"answer": {"approve"}})
	alice.get(approve).wants(t, http.StatusGone)
	log = w.log.String()
	secrets := []string{strings.TrimPrefix(approve, "/approve/"), "only she may read", link, strings.TrimPrefix(link, "/connect/"), where.Query().Get("code"), where.Query().Get("state"), alice.cookie("session"), pagesSecret, w.github.secret, w.google.secret}
	for token := range maps.Keys(w.google.living) {
		secrets = append(secrets, token)
	}
	for _, secret := range secrets {
		if secret == "" || strings.Contains(log, secret) {
			t.Errorf("the log holds %q: %s", secret, log)
		}
	}
}

func TestTheDemoIsLoud(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Demo = true })
	w.as("alice").get("/connections").wants(t, http.StatusOK, "Demo. The people and accounts here are made up")
	if got := newWorld(t).as("alice").get("/connections"); strings.Contains(got.text(), "Demo.") {
		t.Error("a banner outside of the demo")
	}
}

func TestABigBodyIsCut(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	form := secondAccount(t, w, alice)
	form.Set("padding", strings.Repeat("x", 65<<10))
	form.Set("replace", "1001")
	alice.post("/connections/google/replace", form)
	if got := w.account("alice", "google"); got != "g1001@example.com" {
		t.Errorf("a body of 65 KiB was read: %q", got)
	}
}

func TestNewChecksItsConfig(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*Config){
		"no vault": func(c *Config) { c.Vault = nil }, "no browser": func(c *Config) { c.Browser = nil },
		"no providers": func(c *Config) { c.Providers = nil }, "no secret": func(c *Config) { c.ClientSecret = "" },
		"a path": func(c *Config) { c.PublicURL += "/x" }, "a slash": func(c *Config) { c.PublicURL += "/" },
		"http elsewhere": func(c *Config) { c.PublicURL = "http://latchkey.example" }, "no URL": func(c *Config) { c.PublicURL = "" },
	} {
		cfg := w.flow.Config
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// Over https every cookie has the __Host- prefix, and with it Secure.
func TestCookiesOverHTTPS(t *testing.T) {
	w := newWorld(t)
	public, err := publicOrigin("https://latchkey.example")
	if err != nil {
		t.Fatal(err)
	}
	w.flow.public = public
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/signin", nil)
	req.Host = "latchkey.example"
	resp, err := w.browser().c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	i := slices.IndexFunc(resp.Cookies(), func(c *http.Cookie) bool { return c.Name == "__Host-signin" })
	if i < 0 || !resp.Cookies()[i].Secure || resp.Cookies()[i].MaxAge != int((10*time.Minute).Seconds()) {
		t.Errorf("cookies: %v", resp.Cookies())
	}
}
