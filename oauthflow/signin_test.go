package oauthflow

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func (b *browser) cookie(name string) string {
	home, _ := url.Parse(b.w.url)
	for _, c := range b.jar.Cookies(home) {
		if strings.HasPrefix(c.Name, name+"-") {
			return c.Value
		}
	}
	return ""
}

// session is the id of the browser's session.
func (b *browser) session() string {
	b.w.t.Helper()
	return must(b.w.flow.Browser.Open(b.cookie("session")))(b.w.t).ID()
}

// A return that a browser could take for another site goes to the connections
// page instead.
func TestSignInReturnsToOurOwnPagesOnly(t *testing.T) {
	for raw, want := range map[string]string{
		"/connections":                  "/connections",
		"/connect/abc":                  "/connect/abc",
		"":                              "/connections",
		"//evil.example":                "/connections",
		"///evil.example":               "/connections",
		"/\\evil.example":               "/connections",
		"\\/evil.example":               "/connections",
		"https://evil.example":          "/connections",
		"https:/evil.example":           "/connections",
		"javascript:alert(1)":           "/connections",
		"evil.example":                  "/connections",
		"/\t/evil.example":              "/connections",
		"/\n/evil.example":              "/connections",
		"\t//evil.example":              "/connections",
		" //evil.example":               "/connections",
		"/a\r\nSet-Cookie: x=y":         "/connections",
		"/%":                            "/connections",
		"/" + strings.Repeat("a", 2000): "/connections",
	} {
		if got := localPath(raw); got != want {
			t.Errorf("%q goes to %q", raw, got)
		}
	}
	w := newWorld(t)
	w.iss.person = "alice"
	b := w.browser()
	got := b.get("/signin?" + url.Values{"return": {"//evil.example"}}.Encode())
	got = b.get(got.location)
	if got = b.get(got.location); got.status != http.StatusSeeOther || got.location != "/connections" {
		t.Errorf("%d %s", got.status, got.location)
	}
}

func TestSignInIsACodeFlowWithPKCEAndNonce(t *testing.T) {
	w := newWorld(t)
	w.as("alice")
	w.browser().get(w.browser().get("/signin?switch=1").location)
	plain, switching := w.iss.requests[0], w.iss.requests[1]
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(plain.Get(name)) < 43 || plain.Get(name) == switching.Get(name) {
			t.Errorf("%s is %q", name, plain.Get(name))
		}
	}
	if plain.Has("prompt") || switching.Get("prompt") != "login" {
		t.Errorf("prompts: %q, %q", plain.Get("prompt"), switching.Get("prompt"))
	}
}

// Login CSRF: an attacker's answer must not sign a victim's browser in as the
// attacker.
func TestASignInIsBoundToItsBrowser(t *testing.T) {
	w := newWorld(t)
	w.iss.person = "mallory"
	mallory := w.browser()
	answer := mallory.get(mallory.get("/signin").location).location
	for name, victim := range map[string]*browser{"fresh": w.browser(), "signing in too": func() *browser {
		b := w.browser()
		b.get("/signin")
		return b
	}()} {
		got := victim.get(answer)
		if got.status == http.StatusSeeOther || victim.cookie("session") != "" {
			t.Errorf("%s: signed in with %d", name, got.status)
		}
	}
	if w.iss.tokens != 0 {
		t.Error("the code was sent")
	}
}

func TestASignInAnswerWorksOnce(t *testing.T) {
	w := newWorld(t)
	w.iss.person = "alice"
	b := w.browser()
	answer := b.get(b.get("/signin").location).location
	late := b.get(b.get("/signin").location).location
	if got := b.get(answer); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.text())
	}
	b.get(answer).wants(t, http.StatusGone)
	w.pass(11 * time.Minute)
	b.get(late).wants(t, http.StatusGone)
	b.get("/signin/callback").wants(t, http.StatusGone)
}

func TestABadSignInAnswerSignsNobodyIn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*anIssuer)
		status int
		text   string
	}{
		"denied":       {func(i *anIssuer) { i.deny = true }, http.StatusBadRequest, "Signing in did not work"},
		"wrong iss":    {func(i *anIssuer) { i.iss = []string{"https://evil.example"} }, http.StatusBadRequest, "Signing in did not work"},
		"wrong nonce":  {func(i *anIssuer) { i.claims = map[string]any{"nonce": "other"} }, http.StatusBadGateway, "Signing in did not work"},
		"other client": {func(i *anIssuer) { i.claims = map[string]any{"aud": "other"} }, http.StatusBadGateway, "Signing in did not work"},
		"other issuer": {func(i *anIssuer) { i.claims = map[string]any{"iss": "https://evil.example"} }, http.StatusBadGateway, "Signing in did not work"},
		"expired":      {func(i *anIssuer) { i.claims = map[string]any{"exp": 1} }, http.StatusBadGateway, "Signing in did not work"},
		"wrong secret": {func(i *anIssuer) { i.refuse = true }, http.StatusBadGateway, "Signing in did not work"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.iss.person = "alice"
			b := w.browser()
			to := b.get("/signin?return=/connections").location
			c.change(w.iss)
			b.get(b.get(to).location).wants(t, c.status, c.text)
			if b.cookie("session") != "" {
				t.Error("there is a session")
			}
		})
	}
}

// x/oauth2's AuthStyleAutoDetect would send the code a second time, another way.
func TestASignInCodeIsSentOnce(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	to := b.get("/signin?return=/connections").location
	w.iss.with(func() { w.iss.refuse = true })
	b.get(b.get(to).location).wants(t, http.StatusBadGateway)
	if w.iss.tokens != 1 {
		t.Errorf("the code was sent %d times", w.iss.tokens)
	}
}

// Whose answer it is counts before what it says (RFC 9207, section 2.4).
func TestTheIssuerOfASignInComesBeforeItsCode(t *testing.T) {
	for name, c := range map[string]struct {
		iss      []string
		sendsIss bool
		good     bool
	}{
		"another":      {iss: []string{"https://evil.example"}},
		"one of two":   {iss: []string{"", "https://evil.example"}},
		"missing":      {sendsIss: true},
		"never said":   {good: true},
		"our issuer's": {good: true, sendsIss: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.iss.person, w.iss.iss, w.iss.sendsIss = "alice", c.iss, c.sendsIss
			if c.good && c.sendsIss {
				w.iss.iss = []string{w.iss.URL}
			}
			b := w.browser()
			got := b.get(b.get(b.get("/signin").location).location)
			if signedIn := b.cookie("session") != ""; signedIn != c.good || (w.iss.tokens == 1) != c.good {
				t.Errorf("%d: signed in %v, %d token requests", got.status, signedIn, w.iss.tokens)
			}
		})
	}
}

// Strangers begin only so many sign-ins, and a person gets on a little later.
func TestSignInsThatBeginAreLimited(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for range 100 {
		b.get("/signin")
	}
	if got := b.get("/signin"); got.status != http.StatusTooManyRequests || len(got.cookies) != 0 {
		t.Fatalf("the next one: %d", got.status)
	}
	w.pass(time.Second)
	w.as("alice")
}

// A new sign-in has a new session, and the old one is dead wherever its cookie is.
func TestASignInEndsTheSessionBefore(t *testing.T) {
	w := newWorld(t)
	b := w.as("alice")
	before := b.cookie("session")
	thief := w.browser()
	home, _ := url.Parse(w.url)
	thief.jar.SetCookies(home, b.jar.Cookies(home))
	thief.get("/connections").wants(t, http.StatusOK)
	b.signIn("alice")
	if b.cookie("session") == before {
		t.Error("the session cookie is the same")
	}
	if got := thief.get("/connections"); got.status != http.StatusSeeOther {
		t.Errorf("the old session still works: %d", got.status)
	}
}

func TestSigningOutEndsTheSession(t *testing.T) {
	w := newWorld(t)
	b := w.as("alice")
	home, _ := url.Parse(w.url)
	kept := b.jar.Cookies(home)
	b.post("/signout", url.Values{}).wants(t, http.StatusOK, "signed out")
	if b.cookie("session") != "" {
		t.Error("the cookie is still there")
	}
	b.jar.SetCookies(home, kept)
	if got := b.get("/connections"); got.status != http.StatusSeeOther {
		t.Errorf("the cookie still works: %d", got.status)
	}
}

// The issuer still knows who it was: the next person must be asked all the same.
func TestAfterSigningOutTheIssuerAsks(t *testing.T) {
	w := newWorld(t)
	b := w.as("alice")
	b.post("/signout", url.Values{})
	prompt := func() string {
		b.get(b.get(b.get("/signin").location).location)
		return w.iss.requests[len(w.iss.requests)-1].Get("prompt")
	}
	if got := prompt(); got != "login" {
		t.Errorf("prompt %q after signing out", got)
	}
	if got := prompt(); got != "" {
		t.Errorf("prompt %q after signing in again", got)
	}
}

func TestASessionEnds(t *testing.T) {
	w := newWorld(t)
	b := w.as("alice")
	w.pass(13 * time.Hour)
	if got := b.get("/connections"); got.status != http.StatusSeeOther {
		t.Errorf("it still works after 13 hours: %d", got.status)
	}
}

// A session cookie that opens, but for which there is no record or somebody
// else's, is worth nothing.
func TestASessionNeedsItsRecord(t *testing.T) {
	w := newWorld(t)
	b := w.as("alice")
	id := b.session()
	if _, err := w.flow.sessions.Take(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := w.flow.sessions.Put(t.Context(), id, w.iss.Caller("bob").Principal().Digest(), time.Hour, signedIn{}); err != nil {
		t.Fatal(err)
	}
	if got := b.get("/connections"); got.status != http.StatusSeeOther {
		t.Errorf("%d", got.status)
	}
}

func TestCookiesAreOurs(t *testing.T) {
	w := newWorld(t)
	w.iss.person = "alice"
	b := w.browser()
	start := b.get("/signin")
	end := b.get(b.get(start.location).location)
	cookies := append(start.cookies, end.cookies...)
	if len(cookies) != 2 {
		t.Fatalf("cookies: %v", cookies)
	}
	for _, c := range cookies {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge <= 0 || c.Secure {
			t.Errorf("%+v", c)
		}
	}
}
