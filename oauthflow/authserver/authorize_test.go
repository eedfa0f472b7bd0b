package authserver

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// Nothing is sent anywhere before client and redirect are known to belong together.
func TestUntrustedRequestsGetAPage(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect, "http://127.0.0.1:7000/cb?x=1")
	good := w.request(id, appRedirect)
	redirects := []string{
		"", "https://app.example/callback/", "https://app.example/callback?x=1", "https://app.example/callback2",
		"https://app.example/Callback", "https://app.example:443/callback", "https://app.example:8443/callback",
		"https://app.example.evil.example/callback", "https://app.example@evil.example/callback",
		"https://user@app.example/callback", "http://app.example/callback", "https://app.example/x/../callback",
		"https://app.example/callback#", "//app.example/callback", "https://evil.example/https://app.example/callback",
		"http://127.0.0.1:7001/cb?x=2", "http://127.0.0.1:7001/cb", "http://127.0.0.1:7001/cb?x=1&y",
		"http://127.0.0.1:7001@evil.example/cb?x=1", "http://127.0.0.1.evil.example:7001/cb?x=1",
		"http://localhost:7000/cb?x=1", "https://127.0.0.1:7000/cb?x=1", "http://127.0.0.1:70000/cb?x=1",
		"http://127.0.0.1:0/cb?x=1", "http://127.0.0.1:/cb?x=1", "http://127.0.0.1:7001/cb?x=1#f",
	}
	cases := map[string]string{
		"unknown client": with(good, "client_id", "nobody").Encode(),
		"no client":      with(good, "client_id", "").Encode(),
		"two redirects":  good.Encode() + "&redirect_uri=" + url.QueryEscape(appRedirect),
		"two states":     good.Encode() + "&state=b",
		"not UTF-8":      with(good, "state", "\xff").Encode(),
		"too long":       with(good, "state", strings.Repeat("s", maxQuery)).Encode(),
		"bad escape":     good.Encode() + "&x=%zz",
	}
	for _, r := range redirects {
		cases["redirect "+r] = with(good, "redirect_uri", r).Encode()
	}
	for name, query := range cases {
		t.Run(name, func(t *testing.T) {
			a := w.browser().get("/authorize?" + query)
			if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" || !strings.Contains(a.body, "connect") {
				t.Errorf("status %d, Location %q, body %s", a.StatusCode, a.Header.Get("Location"), a.body)
			}
			if strings.Contains(a.body, "<form") {
				t.Error("the page has a form")
			}
		})
	}
}

func TestLoopbackRedirectsMayChooseThePort(t *testing.T) {
	w := newWorld(t, nil)
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost"} {
		for _, registered := range []string{"", ":7000"} {
			id := w.register("http://" + host + registered + "/cb?x=1")
			for _, asked := range []string{"", ":7000", ":65535"} {
				redirectURI := "http://" + host + asked + "/cb?x=1"
				back := w.browser().allow(w.request(id, redirectURI), "bob")
				if back.Get("code") == "" || back.Get("x") != "1" {
					t.Errorf("%s registered, %s asked: %v", registered, redirectURI, back)
				}
			}
		}
	}
}

// A rule about redirects holds for those that were registered before it, too.
func TestOldRegistrationsAreCheckedAgain(t *testing.T) {
	w := newWorld(t, nil)
	old := client{ID: "old", RedirectURIs: []string{"javascript://x/"}, GrantTypes: grantTypes, AuthMethod: methodNone}
	if err := w.clients.Put(t.Context(), old.ID, identity.Digest{}, 0, old); err != nil {
		t.Fatal(err)
	}
	a := w.browser().ask(w.request(old.ID, old.RedirectURIs[0]))
	if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" {
		t.Errorf("%d to %q", a.StatusCode, a.Header.Get("Location"))
	}
}

// An only redirect may be left out.
func TestRedirectDefaultsToTheOnlyOne(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	back := w.browser().allow(with(w.request(id, appRedirect), "redirect_uri", ""), "alice")
	w.tokensFrom(with(redemption(id, "", back.Get("code")), "redirect_uri", ""))
}

// Errors after that are for the client, with its state and our issuer (RFC 9207):
// at once where they stay on the computer, by a link where they go to a site that
// anybody may have registered (RFC 9700, section 4.11.2).
func TestErrorsGoToTheClient(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect, localRedirect, "cursor://anysphere.cursor-mcp/cb")
	good := w.request(id, localRedirect)
	cases := []struct{ name, parameter, value, want string }{
		{"no PKCE", "code_challenge", "", "invalid_request"},
		{"no PKCE method", "code_challenge_method", "", "invalid_request"},
		{"plain PKCE", "code_challenge_method", "plain", "invalid_request"},
		{"PKCE challenge too short", "code_challenge", challenge(verifier)[:42], "invalid_request"},
		{"PKCE challenge not base64url", "code_challenge", challenge(verifier)[:42] + "=", "invalid_request"},
		{"no response type", "response_type", "", "invalid_request"},
		{"implicit", "response_type", "token", "unsupported_response_type"},
		{"hybrid", "response_type", "code id_token", "unsupported_response_type"},
		{"fragment", "response_mode", "fragment", "invalid_request"},
		{"form post", "response_mode", "form_post", "invalid_request"},
		{"request object", "request", "e30", "request_not_supported"},
		{"request URI", "request_uri", "https://evil.example/r", "request_uri_not_supported"},
		{"prompt none", "prompt", "none", "login_required"},
		{"foreign resource", "resource", "https://other.example/mcp", "invalid_target"},
		{"our resource with a slash", "resource", w.url + "/mcp/", "invalid_target"},
		{"our resource in capitals", "resource", w.url + "/MCP", "invalid_target"},
		{"our resource with a fragment", "resource", w.url + "/mcp#", "invalid_target"},
		{"our origin", "resource", w.url, "invalid_target"},
		{"unknown scope only", "scope", "admin", "invalid_scope"},
		{"openid only", "scope", "openid", "invalid_scope"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := w.browser().ask(with(good, c.parameter, c.value)).to(t)
			q := got.Query()
			if !strings.HasPrefix(got.String(), localRedirect+"?") || q.Get("error") != c.want || q.Get("error_description") == "" {
				t.Errorf("redirected to %s, want %s", got, c.want)
			}
			if q.Get("state") != "st&ate" || q.Get("iss") != w.url || q.Has("code") {
				t.Errorf("parameters %v", q)
			}
			page := w.browser().ask(with(with(good, "redirect_uri", appRedirect), c.parameter, c.value))
			link := appRedirect + "?" + q.Encode()
			if page.StatusCode != http.StatusBadRequest || page.Header.Get("Location") != "" || !strings.Contains(html.UnescapeString(page.body), `href="`+link+`"`) ||
				!strings.Contains(page.body, ">go back to app.example<") {
				t.Errorf("%d to %q, want a link %s: %s", page.StatusCode, page.Header.Get("Location"), link, page.body)
			}
		})
	}
	w.browser().ask(with(with(good, "redirect_uri", "cursor://anysphere.cursor-mcp/cb"), "response_type", "token")).to(t)
	two := good.Encode() + "&resource=" + url.QueryEscape("https://other.example/")
	if got := w.browser().get("/authorize?" + two).to(t).Query().Get("error"); got != "invalid_target" {
		t.Errorf("a second, foreign resource: %q", got)
	}
}

func TestScopes(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	for asked, want := range map[string]string{
		"":                                  "tools:read tools:write",
		"tools:read":                        "tools:read",
		"tools:write tools:read":            "tools:read tools:write",
		"openid profile tools:read admin":   "tools:read",
		"tools:read offline_access":         "tools:read offline_access",
		"tools:read tools:read tools:READ":  "tools:read",
		"tools:write openid offline_access": "tools:write offline_access",
	} {
		back := w.browser().allow(with(w.request(id, appRedirect), "scope", asked), "alice")
		got := w.tokensFrom(redemption(id, appRedirect, back.Get("code")))
		if got["scope"] != want || got["id_token"] != nil {
			t.Errorf("asked %q: scope %q, ID token %v; want %q and none", asked, got["scope"], got["id_token"], want)
		}
	}
}

// No resource means our only one, and scheme and host have no case. The audience
// is written as we write it.
func TestResourceDefaultsToOurs(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	for _, resource := range []string{"", "HTTP" + w.url[len("http"):] + "/mcp"} {
		back := w.browser().allow(with(w.request(id, appRedirect), "resource", resource), "alice")
		got := w.tokensFrom(with(redemption(id, appRedirect, back.Get("code")), "resource", resource))
		if _, err := w.verifier().Verify(t.Context(), got["access_token"].(string)); err != nil {
			t.Errorf("%q: %v", resource, err)
		}
	}
}

func TestPromptAsksAgain(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	b := w.browser()
	good := w.request(id, appRedirect)
	b.signIn(good, "alice")
	if a := b.ask(good); !strings.Contains(a.body, `name="ticket"`) {
		t.Fatalf("signed in, but asked again: %s", a.body)
	}
	for _, prompt := range []string{"login", "select_account", "consent login"} {
		a := b.ask(with(good, "prompt", prompt))
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "I am bob") {
			t.Errorf("prompt=%s: %d %s", prompt, a.StatusCode, a.body)
		}
	}
	// Choosing leads on, not around.
	if a := b.signIn(with(good, "prompt", "login"), "bob"); !strings.Contains(a.body, "<strong><bdi>bob</bdi></strong>") {
		t.Errorf("after choosing: %s", a.body)
	}
}

func TestSignInKnowsOnlyListedPeople(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	b := w.browser()
	request := w.request(id, appRedirect)
	a := b.post("/authorize/signin", url.Values{"person": {"mallory"}, "request": {request.Encode()}})
	if a.StatusCode != http.StatusForbidden || len(a.Cookies()) != 0 {
		t.Errorf("status %d, cookies %v", a.StatusCode, a.Cookies())
	}
	if a := b.ask(request); !strings.Contains(a.body, "I am alice") {
		t.Errorf("signed in nevertheless: %s", a.body)
	}
}

func TestSessionsEndAndCantBeMade(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	request := w.request(id, appRedirect)
	b := w.browser()
	b.signIn(request, "alice")
	w.clock.add(sessionLife - 1)
	if a := b.ask(request); !strings.Contains(a.body, `name="ticket"`) {
		t.Errorf("the session ended early: %s", a.body)
	}
	w.clock.add(1)
	if a := b.ask(request); strings.Contains(a.body, `name="ticket"`) {
		t.Error("the session outlives its 12 hours")
	}
	w.clock.add(-1)
	w.cfg.People = []string{"bob"}
	if a := b.ask(request); strings.Contains(a.body, `name="ticket"`) {
		t.Error("somebody who was taken off the list is still signed in")
	}
	forged := http.Header{"Cookie": {"authserver-" + w.public.Port() + "=eyJTdWJqZWN0IjoiYWxpY2UifQ"}}
	if a := w.browser().do("GET", "/authorize?"+request.Encode(), nil, forged); strings.Contains(a.body, `name="ticket"`) {
		t.Error("a forged cookie signs in")
	}
}

// Our pages get codes without consent, and ID tokens; their access token is no use
// at the resource, and neither is an ID token.
func TestOurPagesSignIn(t *testing.T) {
	w := newWorld(t, nil)
	redirectURI := w.url + "/signin/callback"
	request := with(with(w.request(pagesID, redirectURI), "scope", "openid profile tools:write"), "nonce", "n-1")
	b := w.browser()
	signedIn := b.signIn(request, "alice")
	back := signedIn.to(t)
	if !strings.HasPrefix(back.String(), redirectURI+"?") {
		t.Fatalf("redirected to %s", back)
	}
	form := with(redemption(pagesID, redirectURI, back.Query().Get("code")), "client_secret", pagesSecret)
	got := w.tokensFrom(form)
	if got["scope"] != "openid" || got["refresh_token"] != nil {
		t.Errorf("token response %v", got)
	}
	claims := claimsOf(t, got["id_token"].(string))
	if claims["sub"] != "alice" || claims["nonce"] != "n-1" || claims["aud"] != pagesID || claims["name"] != "alice" || claims["auth_time"] == nil {
		t.Errorf("ID token %v", claims)
	}
	for _, name := range []string{"id_token", "access_token"} {
		if _, err := w.verifier().Verify(t.Context(), got[name].(string)); err == nil {
			t.Errorf("the pages' %s opens the resource", name)
		}
	}
	other := strings.Replace(redirectURI, w.public.Port(), "9", 1)
	if a := b.ask(with(request, "redirect_uri", other)); a.StatusCode != http.StatusBadRequest {
		t.Errorf("the pages' redirect with another port: %d to %s", a.StatusCode, a.Header.Get("Location"))
	}
}
