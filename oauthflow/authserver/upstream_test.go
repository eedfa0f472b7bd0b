package authserver

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// above is an upstream issuer that says what a test tells it to say.
type above struct {
	*storetest.Issuer
	url      string
	claims   map[string]any // override those of the ID token
	methods  []string       // token_endpoint_auth_methods_supported
	sendsIss bool
	requests []url.Values // token requests
	basic    bool         // whether the last one authenticated by header
	nonce    string
}

func newAbove(t testing.TB, c *clock) *above {
	a := &above{Issuer: storetest.NewIssuer(t, c.now)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = writeJSON(w, 200, map[string]any{
			"issuer": a.url, "jwks_uri": a.URL + "/jwks", "authorization_endpoint": a.url + "/authorize",
			"token_endpoint": a.url + "/token", "token_endpoint_auth_methods_supported": a.methods,
			"authorization_response_iss_parameter_supported": a.sendsIss,
			"id_token_signing_alg_values_supported":          []string{"RS256"},
		})
	})
	mux.HandleFunc("POST /token", a.token)
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	a.url = web.URL
	return a
}

func (a *above) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	a.requests = append(a.requests, r.PostForm)
	_, _, a.basic = r.BasicAuth()
	moved := r.URL.Query().Has("moved")
	if r.PostForm.Get("code") == "moved" && !moved { // which would take the code and our secret along
		w.Header().Set("Location", a.url+"/token?moved")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	if r.PostForm.Get("code") != "good" && !moved {
		_ = writeJSON(w, 400, map[string]any{"error": "invalid_grant", "error_description": "secret words"})
		return
	}
	claims := a.Claims("person-1")
	claims["iss"], claims["aud"], claims["nonce"], claims["name"] = a.url, "up", a.nonce, "Person One"
	maps.Copy(claims, a.claims)
	_ = writeJSON(w, 200, map[string]any{
		"access_token": "x", "token_type": "Bearer", "id_token": a.Sign(map[string]any{"typ": "JWT"}, claims),
	})
}

func newWorldBelow(t testing.TB) (*world, *above) {
	c := &clock{t: time.Now()}
	a := newAbove(t, c)
	w := newWorldOn(t, c, storetest.OpenVault(t, storetest.NewIssuer(t, c.now), nil), func(cfg *Config) {
		cfg.People, cfg.Upstream = nil, &Upstream{Issuer: a.url, ClientID: "up", ClientSecret: "up secret"}
	})
	return w, a
}

// begin asks and is sent upstream; it returns what the upstream issuer is asked.
func (a *above) begin(b *browser, request url.Values) url.Values {
	b.t.Helper()
	asked := b.ask(request).to(b.t)
	if !strings.HasPrefix(asked.String(), a.url+"/authorize?") {
		b.t.Fatalf("sent to %s", asked)
	}
	a.nonce = asked.Query().Get("nonce")
	return asked.Query()
}

func callback(state, code string) string {
	return "/authorize/upstream?" + url.Values{"state": {state}, "code": {code}}.Encode()
}

func TestUpstreamSignIn(t *testing.T) {
	w, a := newWorldBelow(t)
	id := w.register(appRedirect)
	b := w.browser()
	asked := a.begin(b, with(w.request(id, appRedirect), "prompt", "login"))
	if asked.Get("prompt") != "login" || asked.Get("client_id") != "up" || asked.Get("redirect_uri") != w.url+"/authorize/upstream" ||
		asked.Get("code_challenge_method") != "S256" || !strings.Contains(asked.Get("scope"), "openid") {
		t.Errorf("asked upstream: %v", asked)
	}
	page := b.get(b.get(callback(asked.Get("state"), "good")).to(t).String())
	if !strings.Contains(page.body, "Signed in as <strong>Person One</strong>") || strings.Contains(page.body, "made up") {
		t.Errorf("consent page: %s", page.body)
	}
	code := b.decide(page.field(t, "ticket"), "allow").to(t).Query().Get("code")
	got := w.tokensFrom(redemption(id, appRedirect, code))
	caller, err := w.verifier().Verify(t.Context(), got["access_token"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if s := caller.Principal().Subject(); s != upstreamSubject(a.url, "person-1") || len(s) != 43 {
		t.Errorf("subject %q", s)
	}
	if challenge(a.requests[0].Get("code_verifier")) != asked.Get("code_challenge") || !a.basic {
		t.Errorf("redeemed with %v", a.requests[0])
	}
	// The next client finds the session; made-up people don't exist here.
	if a := b.ask(w.request(id, appRedirect)); a.StatusCode != http.StatusOK {
		t.Errorf("signed in, but sent to %s", a.Header.Get("Location"))
	}
	if a := b.post("/authorize/signin", url.Values{"person": {"alice"}, "request": {"x=y"}}); a.StatusCode != http.StatusForbidden {
		t.Errorf("alice signs in: %d", a.StatusCode)
	}
	if asked := a.begin(b, with(w.request(id, appRedirect), "prompt", "select_account")); asked.Get("prompt") != "login" {
		t.Errorf("switching: %v", asked)
	}
}

// Google refuses prompt=login and knows select_account instead.
func TestUpstreamSwitchPrompt(t *testing.T) {
	for issuer, want := range map[string]string{"https://accounts.google.com": "select_account", "https://login.example": "login"} {
		u := upstream{cfg: Upstream{Issuer: issuer}}
		if got := u.switchPrompt(); got != want {
			t.Errorf("%s: %s, want %s", issuer, got, want)
		}
	}
}

func TestUpstreamAnswersThatDontCount(t *testing.T) {
	cases := map[string]struct {
		claims map[string]any
		query  string
		iss    bool
	}{
		"wrong nonce":        {claims: map[string]any{"nonce": "other"}},
		"no nonce":           {claims: map[string]any{"nonce": ""}},
		"authorized another": {claims: map[string]any{"azp": "other"}},
		"one of two":         {claims: map[string]any{"aud": []string{"up", "other"}}},
		"redirected":         {query: "&code=moved"},
		"other audience":     {claims: map[string]any{"aud": "other"}},
		"other issuer":       {claims: map[string]any{"iss": "https://other.example"}},
		"expired":            {claims: map[string]any{"exp": 1}},
		"no subject":         {claims: map[string]any{"sub": ""}},
		"wrong code":         {query: "&code=bad"},
		"error":              {query: "&error=access_denied"},
		"iss of another":     {query: "&code=good&iss=https://other.example"},
		"iss left out":       {query: "&code=good", iss: true},
		"neither code nor e": {query: "&x=y"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w, a := newWorldBelow(t)
			a.claims, a.sendsIss = c.claims, c.iss
			id := w.register(appRedirect)
			b := w.browser()
			if c.query == "" {
				c.query = "&code=good"
			}
			state := a.begin(b, w.request(id, appRedirect)).Get("state")
			got := b.get("/authorize/upstream?state=" + state + c.query)
			if got.StatusCode != http.StatusForbidden || !strings.Contains(got.body, "Try again") || len(got.Cookies()) != 0 ||
				strings.Contains(got.body, "secret words") {
				t.Errorf("%d, cookies %v: %s", got.StatusCode, got.Cookies(), got.body)
			}
			if again := b.get(callback(state, "good")); again.StatusCode != http.StatusForbidden || len(again.Cookies()) != 0 {
				t.Errorf("the state works after an error: %d", again.StatusCode)
			}
		})
	}
}

// Who began a sign-in ends it, once, in time.
func TestUpstreamStateIsBound(t *testing.T) {
	w, a := newWorldBelow(t)
	id := w.register(appRedirect)
	request := w.request(id, appRedirect)
	refused := func(name string, got answer) {
		t.Helper()
		if got.StatusCode != http.StatusForbidden || len(got.Cookies()) != 0 {
			t.Errorf("%s: %d, cookies %v", name, got.StatusCode, got.Cookies())
		}
	}
	b, other := w.browser(), w.browser()
	refused("another browser", other.get(callback(a.begin(b, request).Get("state"), "good")))
	a.begin(other, request)
	refused("another browser with a sign-in of its own", other.get(callback(a.begin(b, request).Get("state"), "good")))
	refused("an invented state", b.get(callback("AAAAAAAAAAAAAAAAAAAAAAAAAA", "good")))
	refused("no state", b.get("/authorize/upstream?code=good"))
	state := a.begin(b, request).Get("state")
	b.get(callback(state, "good")).to(t)
	refused("a second use", b.get(callback(state, "good")))
	late := a.begin(b, with(request, "prompt", "login")).Get("state")
	w.clock.add(loginLife)
	refused("too late", b.get(callback(late, "good")))
	if n := len(a.requests); n != 1 {
		t.Errorf("%d codes were redeemed", n)
	}
}

// Two tabs of one browser can sign in side by side.
func TestUpstreamInTwoTabs(t *testing.T) {
	w, a := newWorldBelow(t)
	id := w.register(appRedirect)
	b := w.browser()
	first := a.begin(b, w.request(id, appRedirect))
	second := a.begin(b, w.request(id, appRedirect))
	for _, tab := range []url.Values{second, first} {
		a.nonce = tab.Get("nonce")
		b.get(callback(tab.Get("state"), "good")).to(t)
	}
}

func TestUpstreamClientSecretPost(t *testing.T) {
	w, a := newWorldBelow(t)
	a.methods = []string{"client_secret_post"}
	b := w.browser()
	id := w.register(appRedirect)
	b.get(callback(a.begin(b, w.request(id, appRedirect)).Get("state"), "good")).to(t)
	if a.basic || a.requests[0].Get("client_secret") != "up secret" || len(a.requests) != 1 {
		t.Errorf("redeemed by header %v with %v", a.basic, a.requests)
	}
}

func TestUpstreamDown(t *testing.T) {
	w, a := newWorldBelow(t)
	id := w.register(appRedirect)
	real := a.url
	w.upstream.cfg.Issuer = "http://127.0.0.1:1"
	if got := w.browser().ask(w.request(id, appRedirect)); got.StatusCode != http.StatusBadGateway || !strings.Contains(got.body, "Try again") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	w.upstream.cfg.Issuer = real
	a.begin(w.browser(), w.request(id, appRedirect))
}

// The lengths keep issuer and subject apart.
func TestUpstreamSubjectsNeverCollide(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range [][2]string{
		{"https://a", "b"}, {"https://ab", ""}, {"https://", "ab"}, {"https://a", "c"}, {"https://c", "b"}, {"b", "https://a"},
	} {
		s := upstreamSubject(p[0], p[1])
		if raw, err := base64.RawURLEncoding.DecodeString(s); err != nil || len(raw) != 32 || seen[s] {
			t.Errorf("%v: %q", p, s)
		}
		seen[s] = true
	}
}

// One of us can be the other's upstream.
func TestAnotherServerAsUpstream(t *testing.T) {
	c := &clock{t: time.Now()}
	vault := func() (v Config) {
		v.Vault = storetest.OpenVault(t, storetest.NewIssuer(t, c.now), nil)
		return v
	}
	var upper *world
	lower := newWorldOn(t, c, vault().Vault, func(cfg *Config) {
		upper = newWorldOn(t, c, vault().Vault, func(up *Config) { up.PagesRedirectURI = cfg.Issuer + "/authorize/upstream" })
		cfg.People, cfg.Upstream = nil, &Upstream{Issuer: upper.url, ClientID: pagesID, ClientSecret: pagesSecret}
	})
	id := lower.register(appRedirect)
	b, there := lower.browser(), upper.browser()
	upstairs := b.ask(lower.request(id, appRedirect)).to(t).Query()
	back := there.signIn(upstairs, "bob").to(t)
	page := b.get(b.get(back.String()).to(t).String())
	code := b.decide(page.field(t, "ticket"), "allow").to(t).Query().Get("code")
	claims := claimsOf(t, lower.tokensFrom(redemption(id, appRedirect, code))["access_token"].(string))
	if claims["sub"] != upstreamSubject(upper.url, "bob") {
		b, _ := json.Marshal(claims)
		t.Errorf("claims %s", b)
	}
}
