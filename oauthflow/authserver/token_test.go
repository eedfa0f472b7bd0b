package authserver

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// claimsOf is the payload of a JWT, unverified.
func claimsOf(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestWrongRedemptions(t *testing.T) {
	w := newWorld(t, nil)
	id, other := w.register(appRedirect), w.register(appRedirect)
	cases := []struct {
		name, parameter, value string
		status                 int
		code                   string
	}{
		{"no code", "code", "", 400, "invalid_grant"},
		{"invented code", "code", "x", 400, "invalid_grant"},
		{"no verifier", "code_verifier", "", 400, "invalid_grant"},
		{"wrong verifier", "code_verifier", strings.Repeat("x", 43), 400, "invalid_grant"},
		{"challenge as verifier", "code_verifier", challenge(verifier), 400, "invalid_grant"},
		{"another redirect", "redirect_uri", "https://app.example/other", 400, "invalid_grant"},
		{"another client", "client_id", other, 400, "invalid_grant"},
		{"unknown client", "client_id", "nobody", 401, "invalid_client"},
		{"no client", "client_id", "", 401, "invalid_client"},
		{"a secret that it hasn't", "client_secret", "x", 401, "invalid_client"},
		{"the pages' client without secret", "client_id", pagesID, 401, "invalid_client"},
		{"another resource", "resource", "https://other.example", 400, "invalid_target"},
		{"no grant type", "grant_type", "", 400, "invalid_request"},
		{"another grant type", "grant_type", "password", 400, "unsupported_grant_type"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			form := redemption(id, appRedirect, w.codeFor(id, appRedirect))
			w.refused(with(form, c.parameter, c.value), c.status, c.code)
		})
	}
	twice := redemption(id, appRedirect, w.codeFor(id, appRedirect))
	twice["code"] = []string{twice.Get("code"), "x"}
	w.refused(twice, 400, "invalid_request")
}

// RFC 7636, section 4.1: a verifier too short to be random is none, even if it fits.
func TestVerifierLength(t *testing.T) {
	for n, want := range map[int]bool{42: false, 43: true, 128: true, 129: false} {
		v := strings.Repeat("v", n)
		if verifies(v, challenge(v)) != want {
			t.Errorf("%d characters: %v", n, !want)
		}
	}
}

// A wrong attempt uses the code up: a thief gets one guess, not many.
func TestAttemptUsesTheCodeUp(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	form := redemption(id, appRedirect, w.codeFor(id, appRedirect))
	w.refused(with(form, "code_verifier", strings.Repeat("x", 43)), 400, "invalid_grant")
	w.refused(form, 400, "invalid_grant")
}

func TestCodesLiveAMinute(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	form := redemption(id, appRedirect, w.codeFor(id, appRedirect))
	w.clock.add(codeLife)
	w.refused(form, 400, "invalid_grant")
}

// RFC 6749, section 4.1.2: a code that comes twice revokes what it gave.
func TestReplayedCodeRevokes(t *testing.T) {
	for name, wait := range map[string]time.Duration{"at once": 0, "when the code is over": time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.register(appRedirect)
			form := redemption(id, appRedirect, w.codeFor(id, appRedirect))
			first := w.tokensFrom(form)
			second := w.tokensFrom(refreshing(id, first["refresh_token"].(string)))
			w.clock.add(wait)
			w.refused(form, 400, "invalid_grant")
			w.refused(refreshing(id, second["refresh_token"].(string)), 400, "invalid_grant")
		})
	}
}

// A replay that comes before the first use has made its family still wins.
func TestReplayDuringTheFirstUse(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	raw := w.codeFor(id, appRedirect)
	granted, err := w.use(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	w.refused(redemption(id, appRedirect, raw), 400, "invalid_grant")
	if _, err := w.startFamily(t.Context(), raw, granted); err == nil {
		t.Error("the family begins although its code was replayed")
	}
}

func TestConcurrentRedemption(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	form := redemption(id, appRedirect, w.codeFor(id, appRedirect))
	if won := w.race(8, form); won > 1 {
		t.Errorf("%d of 8 redeemed one code", won)
	}
}

// race posts form n times at once and says how many succeeded.
func (w *world) race(n int, form url.Values) int {
	var wg sync.WaitGroup
	status := make([]int, n)
	for i := range n {
		wg.Go(func() {
			resp, err := http.PostForm(w.url+"/token", form)
			if err != nil {
				w.t.Error(err)
				return
			}
			resp.Body.Close()
			status[i] = resp.StatusCode
		})
	}
	wg.Wait()
	won := 0
	for _, s := range status {
		if s == http.StatusOK {
			won++
		} else if s != http.StatusBadRequest {
			w.t.Errorf("status %d", s)
		}
	}
	return won
}

func TestAnswersAreNotCached(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	for _, form := range []url.Values{redemption(id, appRedirect, w.codeFor(id, appRedirect)), {}} {
		if a := w.post(form); a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d: headers %v", a.StatusCode, a.Header)
		}
	}
}

func TestTokenRequestsAreForms(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	form := redemption(id, appRedirect, w.codeFor(id, appRedirect))
	b := w.browser()
	inQuery := b.do("POST", "/token?"+form.Encode(), nil, formHeader)
	if inQuery.StatusCode == http.StatusOK {
		t.Error("parameters in the query count")
	}
	asJSON := b.do("POST", "/token", strings.NewReader(`{}`), http.Header{"Content-Type": {"application/json"}})
	if asJSON.StatusCode != http.StatusBadRequest {
		t.Errorf("JSON: %d", asJSON.StatusCode)
	}
	if a := w.post(with(form, "x", strings.Repeat("x", maxForm))); a.StatusCode != http.StatusBadRequest {
		t.Errorf("a large form: %d", a.StatusCode)
	}
}

func TestConfidentialClients(t *testing.T) {
	w := newWorld(t, nil)
	for _, method := range []string{"", methodBasic, methodPost} {
		a := w.registerAs(map[string]any{"redirect_uris": []string{appRedirect}, "token_endpoint_auth_method": method}).json(t)
		id, secret := a["client_id"].(string), a["client_secret"].(string)
		form := func() url.Values { return redemption(id, appRedirect, w.codeFor(id, appRedirect)) }
		w.refused(form(), 401, "invalid_client")
		w.refused(with(form(), "client_secret", secret+"x"), 401, "invalid_client")
		got := w.tokensFrom(with(form(), "client_secret", secret))
		if got["refresh_token"] != nil {
			t.Error("a refresh token for a client that didn't register for it")
		}
		basic := func(user, password string) answer {
			header := formHeader.Clone()
			header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(user)+":"+url.QueryEscape(password))))
			return w.browser().do("POST", "/token", strings.NewReader(with(form(), "client_id", "").Encode()), header)
		}
		if a := basic(id, secret); a.StatusCode != http.StatusOK {
			t.Errorf("basic: %d %s", a.StatusCode, a.body)
		}
		if a := basic(id, "wrong"); a.StatusCode != 401 || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic") {
			t.Errorf("wrong basic: %d %v", a.StatusCode, a.Header)
		}
		if a := basic(w.register(appRedirect), ""); a.StatusCode != 400 {
			t.Errorf("another, public client with an empty secret: %d %s", a.StatusCode, a.body)
		}
	}
}

func TestRefreshReuseRevokesTheFamily(t *testing.T) {
	w := newWorld(t, nil)
	id, first := w.connected()
	second := w.tokensFrom(refreshing(id, first["refresh_token"].(string)))
	w.refused(refreshing(id, first["refresh_token"].(string)), 400, "invalid_grant")
	w.refused(refreshing(id, second["refresh_token"].(string)), 400, "invalid_grant")
}

func TestConcurrentRefreshOneWins(t *testing.T) {
	w := newWorld(t, nil)
	id, first := w.connected()
	if won := w.race(8, refreshing(id, first["refresh_token"].(string))); won != 1 {
		t.Errorf("%d of 8 refreshes with one token succeeded", won)
	}
	w.refused(refreshing(id, first["refresh_token"].(string)), 400, "invalid_grant")
}

func TestWrongRefreshes(t *testing.T) {
	w := newWorld(t, nil)
	id, first := w.connected()
	good := refreshing(id, first["refresh_token"].(string))
	other := w.register(appRedirect)
	w.refused(with(good, "client_id", other), 400, "invalid_grant")
	w.refused(with(good, "client_id", pagesID), 401, "invalid_client")
	w.refused(with(good, "client_id", "https://app.example/client.json"), 400, "invalid_grant")
	w.refused(with(good, "refresh_token", ""), 400, "invalid_grant")
	w.refused(with(good, "refresh_token", first["access_token"].(string)), 400, "invalid_grant")
	w.refused(with(good, "resource", "https://other.example"), 400, "invalid_target")
	w.refused(with(good, "scope", "tools:read admin"), 400, "invalid_scope")
	w.tokensFrom(good) // none of these used the token up
}

func TestRefreshNarrowsOnce(t *testing.T) {
	w := newWorld(t, nil)
	id, first := w.connected()
	narrow := w.tokensFrom(with(refreshing(id, first["refresh_token"].(string)), "scope", "tools:read"))
	if narrow["scope"] != "tools:read" || claimsOf(t, narrow["access_token"].(string))["scope"] != "tools:read" {
		t.Errorf("scope %v", narrow["scope"])
	}
	if wide := w.tokensFrom(refreshing(id, narrow["refresh_token"].(string))); wide["scope"] != "tools:read tools:write" {
		t.Errorf("the next one: %v", wide["scope"])
	}
}

func TestFamiliesEnd(t *testing.T) {
	w := newWorld(t, nil)
	id, tokens := w.connected()
	_, idle := w.connected()
	for range 3 {
		w.clock.add(29 * 24 * time.Hour)
		tokens = w.tokensFrom(refreshing(id, tokens["refresh_token"].(string)))
	}
	w.refused(refreshing(id, idle["refresh_token"].(string)), 400, "invalid_grant")
	w.clock.add(3 * 24 * time.Hour)
	w.refused(refreshing(id, tokens["refresh_token"].(string)), 400, "invalid_grant")
}

// A made-up person who was taken off the list is gone.
func TestRefreshOfSomebodyGone(t *testing.T) {
	w := newWorld(t, nil)
	id, tokens := w.connected()
	w.cfg.People = []string{"bob"}
	w.refused(refreshing(id, tokens["refresh_token"].(string)), 400, "invalid_grant")
}

// The access token is at+jwt, and another resource's verifier refuses it.
func TestAccessTokenIsForOurResource(t *testing.T) {
	w := newWorld(t, nil)
	_, tokens := w.connected()
	access := tokens["access_token"].(string)
	v, err := identity.NewVerifier(identity.VerifierConfig{Issuer: w.url, Resource: w.url + "/other", Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), access); err == nil {
		t.Error("another resource accepts it")
	}
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(access, ".")[0])
	if err != nil || !strings.Contains(string(header), `"typ":"at+jwt"`) || !strings.Contains(string(header), `"kid":`) {
		t.Errorf("header %s (%v)", header, err)
	}
	claims := claimsOf(t, access)
	for _, name := range []string{"iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti"} {
		if claims[name] == nil {
			t.Errorf("no %s in %v", name, claims)
		}
	}
	w.clock.add(accessLife + time.Minute)
	if _, err := w.verifier().Verify(t.Context(), access); err == nil {
		t.Error("it lives longer than 15 minutes")
	}
}
