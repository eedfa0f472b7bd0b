package authserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

const (
	verifier      = "a-verifier-of-at-least-forty-three-characters"
	pagesID       = "latchkey-pages"
	pagesSecret   = "pages secret / with + signs"
	appRedirect   = "https://app.example/callback"
	localRedirect = "http://127.0.0.1/callback"
)

// A clock is moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// A world is one authorization server with its vault, on loopback.
type world struct {
	*Server
	t     testing.TB
	url   string
	clock *clock
	vault *store.Vault
}

func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	c := &clock{t: time.Now()}
	return newWorldOn(t, c, storetest.OpenVault(t, storetest.NewIssuer(t, c.now), nil), change)
}

func newWorldOn(t testing.TB, c *clock, vault *store.Vault, change func(*Config)) *world {
	t.Helper()
	web := httptest.NewUnstartedServer(nil)
	w := &world{t: t, url: "http://" + web.Listener.Addr().String(), clock: c, vault: vault}
	cfg := Config{
		Issuer: w.url, Resource: w.url + "/mcp", Scopes: []string{"tools:read", "tools:write"}, Vault: vault,
		PagesClientID: pagesID, PagesClientSecret: pagesSecret, PagesRedirectURI: w.url + "/signin/callback",
		People: []string{"alice", "bob"}, Now: c.now,
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	web.Config.Handler = s.Handler()
	web.Start()
	t.Cleanup(web.Close)
	return w
}

// An answer is a response that has been read.
type answer struct {
	*http.Response
	body string
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("status %d, body %q: %v", a.StatusCode, a.body, err)
	}
	return m
}

// to is the redirect's target, which must be there.
func (a answer) to(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d, Location %q (%v), body %s", a.StatusCode, a.Header.Get("Location"), err, a.body)
	}
	return u
}

var hidden = regexp.MustCompile(`name="(ticket|request)" value="([^"]*)"`)

// field is what a form on the page holds.
func (a answer) field(t testing.TB, name string) string {
	t.Helper()
	for _, found := range hidden.FindAllStringSubmatch(a.body, -1) {
		if found[1] == name {
			return html.UnescapeString(found[2])
		}
	}
	t.Fatalf("status %d, no field %s in %s", a.StatusCode, name, a.body)
	return ""
}

// A browser keeps cookies and follows redirects only when told to.
type browser struct {
	t    testing.TB
	base string
	http *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w.t, w.url, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

func (b *browser) do(method, target string, body io.Reader, header http.Header) answer {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.base + target
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, target, body)
	if err != nil {
		b.t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp, string(text)}
}

func (b *browser) get(target string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, target, nil, nil)
}

var formHeader = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"same-origin"}}

func (b *browser) post(target string, form url.Values) answer {
	b.t.Helper()
	return b.do(http.MethodPost, target, strings.NewReader(form.Encode()), formHeader)
}

// ask sends an authorization request.
func (b *browser) ask(query url.Values) answer {
	b.t.Helper()
	return b.get("/authorize?" + query.Encode())
}

// signIn asks, chooses person on the page, and returns what comes then.
func (b *browser) signIn(query url.Values, person string) answer {
	b.t.Helper()
	form := b.ask(query).field(b.t, "request")
	chosen := b.post("/authorize/signin", url.Values{"person": {person}, "request": {form}})
	return b.get(chosen.to(b.t).String())
}

// allow signs person in, says yes, and returns the parameters at the redirect.
func (b *browser) allow(query url.Values, person string) url.Values {
	b.t.Helper()
	ticket := b.signIn(query, person).field(b.t, "ticket")
	return b.decide(ticket, "allow").to(b.t).Query()
}

func (b *browser) decide(ticket, verdict string) answer {
	b.t.Helper()
	return b.post("/authorize/consent", url.Values{"ticket": {ticket}, "answer": {verdict}})
}

// register registers a public client with these redirects and every grant.
func (w *world) register(redirects ...string) string {
	w.t.Helper()
	a := w.registerAs(map[string]any{
		"client_name": "Test app", "redirect_uris": redirects, "token_endpoint_auth_method": "none",
		"grant_types": grantTypes,
	})
	if a.StatusCode != http.StatusCreated {
		w.t.Fatalf("register: %d %s", a.StatusCode, a.body)
	}
	return a.json(w.t)["client_id"].(string)
}

func (w *world) registerAs(metadata any) answer {
	w.t.Helper()
	b, err := json.Marshal(metadata)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.browser().do(http.MethodPost, "/register", strings.NewReader(string(b)), http.Header{"Content-Type": {"application/json"}})
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// request is a good authorization request.
func (w *world) request(clientID, redirectURI string) url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirectURI}, "state": {"st&ate"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}, "resource": {w.url + "/mcp"},
	}
}

// with is v with name set to value, or without name where value is "".
func with(v url.Values, name, value string) url.Values {
	v = maps.Clone(v)
	v.Set(name, value)
	if value == "" {
		v.Del(name)
	}
	return v
}

// redemption is a good token request for code.
func redemption(clientID, redirectURI, code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "redirect_uri": {redirectURI},
		"code": {code}, "code_verifier": {verifier},
	}
}

func refreshing(clientID, token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "refresh_token": {token}}
}

func (w *world) post(form url.Values) answer {
	w.t.Helper()
	return w.browser().post("/token", form)
}

// tokens is a good token response.
func (w *world) tokensFrom(form url.Values) map[string]any {
	w.t.Helper()
	a := w.post(form)
	if a.StatusCode != http.StatusOK {
		w.t.Fatalf("token endpoint: %d %s", a.StatusCode, a.body)
	}
	return a.json(w.t)
}

// refused posts form and wants that status and error code.
func (w *world) refused(form url.Values, status int, code string) {
	w.t.Helper()
	a := w.post(form)
	if a.StatusCode != status || a.json(w.t)["error"] != code {
		w.t.Errorf("token endpoint: %d %s, want %d %s", a.StatusCode, a.body, status, code)
	}
}

// code goes through sign-in and consent as alice.
func (w *world) codeFor(clientID, redirectURI string) string {
	w.t.Helper()
	return w.browser().allow(w.request(clientID, redirectURI), "alice").Get("code")
}

// connected is a client with its first tokens.
func (w *world) connected() (clientID string, tokens map[string]any) {
	w.t.Helper()
	clientID = w.register(appRedirect)
	return clientID, w.tokensFrom(redemption(clientID, appRedirect, w.codeFor(clientID, appRedirect)))
}

func (w *world) verifier() *identity.Verifier {
	w.t.Helper()
	v, err := identity.NewVerifier(identity.VerifierConfig{Issuer: w.url, Resource: w.url + "/mcp", Now: w.clock.now})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func TestFullFlow(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	back := w.browser().allow(w.request(id, appRedirect), "alice")
	if back.Get("state") != "st&ate" || back.Get("iss") != w.url || back.Get("code") == "" {
		t.Fatalf("redirect parameters %v", back)
	}
	got := w.tokensFrom(redemption(id, appRedirect, back.Get("code")))
	if got["token_type"] != "Bearer" || got["expires_in"] != 900.0 || got["scope"] != "tools:read tools:write" || got["id_token"] != nil {
		t.Errorf("token response %v", got)
	}
	caller, err := w.verifier().Verify(t.Context(), got["access_token"].(string))
	if err != nil {
		t.Fatal(err)
	}
	p := caller.Principal()
	if p.Issuer() != w.url || p.Subject() != "alice" || caller.ClientID() != id {
		t.Errorf("caller %+v", caller)
	}
	if life := caller.ExpiresAt().Sub(caller.IssuedAt()); life > 15*time.Minute || !slices.Equal(caller.Scopes(), []string{"tools:read", "tools:write"}) {
		t.Errorf("life %v, scopes %v", life, caller.Scopes())
	}
	again := w.tokensFrom(refreshing(id, got["refresh_token"].(string)))
	if _, err := w.verifier().Verify(t.Context(), again["access_token"].(string)); err != nil {
		t.Error(err)
	}
	if again["refresh_token"] == got["refresh_token"] {
		t.Error("the refresh token didn't rotate")
	}
}
