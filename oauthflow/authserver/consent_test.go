package authserver

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestConsentEveryTime(t *testing.T) {
	w := newWorld(t, nil)
	for _, redirectURI := range []string{appRedirect, localRedirect, "cursor://anysphere.cursor-mcp/cb"} {
		id := w.register(redirectURI)
		b := w.browser()
		b.allow(w.request(id, redirectURI), "alice")
		a := b.ask(w.request(id, redirectURI))
		if a.StatusCode != http.StatusOK || a.Header.Get("Location") != "" {
			t.Fatalf("%s: the second time: %d to %s", redirectURI, a.StatusCode, a.Header.Get("Location"))
		}
		a.field(t, "ticket")
	}
}

func TestConsentPage(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	a := w.browser().signIn(with(w.request(id, appRedirect), "scope", "tools:write offline_access"), "bob")
	for _, want := range []string{
		"Test app", id, "<strong>app.example</strong>", "Signed in as <strong>bob</strong>", "Switch person",
		"prompt=login", "change things", "while you are away", "made up",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q: %s", want, a.body)
		}
	}
	if strings.Contains(a.body, "tools that read") {
		t.Error("the page shows a scope that wasn't asked for")
	}
	if strings.Contains(a.body, "any program on this computer") {
		t.Error("the page warns of programs here, but the answer goes to a site")
	}
	csp := a.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "form-action 'self' https://app.example;") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("policy %q", csp)
	}
	if a.Header.Get("X-Frame-Options") != "DENY" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", a.Header)
	}
}

// Whether an app stays connected is what it registered for, whatever scope it names.
func TestConsentSaysWhoStaysConnected(t *testing.T) {
	w := newWorld(t, nil)
	brief := w.registerAs(map[string]any{"redirect_uris": []string{localRedirect}, "token_endpoint_auth_method": "none"}).json(t)["client_id"].(string)
	for id, want := range map[string]bool{w.register(localRedirect): true, brief: false} {
		for _, scope := range []string{"tools:read", "tools:read offline_access"} {
			page := w.browser().signIn(with(w.request(id, localRedirect), "scope", scope), "alice").body
			if strings.Contains(page, "while you are away") != want || !strings.Contains(page, "any program on this computer") {
				t.Errorf("scope %q, refresh %v: %s", scope, want, page)
			}
		}
	}
}

func TestHostileClientNames(t *testing.T) {
	w := newWorld(t, nil)
	a := w.registerAs(map[string]any{
		"client_name":   "<script>alert(1)</script>\u202egoogle\u0000\n\t  x" + strings.Repeat("y", 500),
		"redirect_uris": []string{appRedirect}, "token_endpoint_auth_method": "none",
	}).json(t)
	id := a["client_id"].(string)
	page := w.browser().signIn(w.request(id, appRedirect), "alice").body
	if strings.Contains(page, "<script") || strings.Contains(page, "\u202e") || strings.Contains(page, strings.Repeat("y", maxName)) {
		t.Errorf("the name gets through: %s", page)
	}
	if !strings.Contains(page, "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;google x") {
		t.Errorf("the name is lost: %s", page)
	}
	if name := w.ClientName(t.Context(), id); len([]rune(name)) != maxName || w.ClientName(t.Context(), "nobody") != "" {
		t.Errorf("ClientName %q", name)
	}
}

func TestDeny(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	for _, verdict := range []string{"deny", "", "ALLOW"} {
		b := w.browser()
		back := b.decide(b.signIn(w.request(id, appRedirect), "alice").field(t, "ticket"), verdict).to(t).Query()
		if back.Get("error") != "access_denied" || back.Get("state") != "st&ate" || back.Get("iss") != w.url || back.Has("code") {
			t.Errorf("answer %q: %v", verdict, back)
		}
	}
}

// Consent counts once, from the session that was asked, on our own page only.
func TestForgedConsent(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	request := w.request(id, appRedirect)
	form := func(ticket string) url.Values { return url.Values{"ticket": {ticket}, "answer": {"allow"}} }
	refused := func(name string, a answer) {
		t.Helper()
		if a.StatusCode != http.StatusForbidden || a.Header.Get("Location") != "" || !strings.Contains(a.body, "connect again") {
			t.Errorf("%s: %d to %q: %s", name, a.StatusCode, a.Header.Get("Location"), a.body)
		}
	}
	alice, bob := w.browser(), w.browser()
	bob.signIn(request, "bob")

	refused("no session", w.browser().decide(alice.signIn(request, "alice").field(t, "ticket"), "allow"))
	refused("another person's session", bob.decide(alice.ask(request).field(t, "ticket"), "allow"))
	other := w.browser()
	other.signIn(request, "alice")
	refused("the same person's other session", other.decide(alice.ask(request).field(t, "ticket"), "allow"))
	refused("an invented ticket", alice.decide("AAAAAAAAAAAAAAAAAAAAAAAAAA", "allow"))
	refused("no ticket", alice.decide("", "allow"))

	ticket := alice.ask(request).field(t, "ticket")
	for name, header := range map[string]http.Header{
		"cross-site":          {"Sec-Fetch-Site": {"cross-site"}},
		"same-site":           {"Sec-Fetch-Site": {"same-site"}},
		"foreign origin":      {"Origin": {"https://evil.example"}},
		"origin null":         {"Origin": {"null"}},
		"other loopback port": {"Origin": {"http://127.0.0.1:1"}},
	} {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		refused(name, alice.do("POST", "/authorize/consent", strings.NewReader(form(ticket).Encode()), header))
		signin := url.Values{"person": {"bob"}, "request": {request.Encode()}}
		refused(name+" sign-in", alice.do("POST", "/authorize/signin", strings.NewReader(signin.Encode()), header))
	}
	if code := alice.decide(ticket, "allow").to(t).Query().Get("code"); code == "" {
		t.Fatal("the ticket doesn't work where it should")
	}
	refused("a second use", alice.decide(ticket, "allow"))

	late := alice.ask(request).field(t, "ticket")
	w.clock.add(consentLife)
	refused("too late", alice.decide(late, "allow"))
}

// After switching the person, what the earlier one was asked is void.
func TestConsentDoesntSurviveSwitching(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	request := w.request(id, appRedirect)
	b := w.browser()
	ticket := b.signIn(request, "alice").field(t, "ticket")
	b.signIn(with(request, "prompt", "select_account"), "bob")
	if a := b.decide(ticket, "allow"); a.StatusCode != http.StatusForbidden {
		t.Errorf("alice's question, bob's answer: %d to %s", a.StatusCode, a.Header.Get("Location"))
	}
}

// A browser-based client waits in the window that opened this one.
func TestPopupsStayConnected(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	b := w.browser()
	request := w.request(id, appRedirect)
	first := b.ask(request)
	page := b.signIn(request, "alice")
	last := b.decide(page.field(t, "ticket"), "allow")
	for name, a := range map[string]answer{"sign-in": first, "consent": page, "redirect": last} {
		if a.Header.Get("Cross-Origin-Opener-Policy") != "" || a.Header.Get("Referrer-Policy") == "" {
			t.Errorf("%s: headers %v", name, a.Header)
		}
	}
}

func TestFormsAreSmallAndMethodsStrict(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	if a := b.decide(strings.Repeat("t", 40<<10), "allow"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("a large form: %d", a.StatusCode)
	}
	for _, path := range []string{"/authorize/consent", "/authorize/signin", "/token", "/register"} {
		if a := b.get(path); a.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", path, a.StatusCode)
		}
	}
	for _, path := range []string{"/authorize", "/authorize/upstream", "/jwks"} {
		if a := b.post(path, nil); a.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, a.StatusCode)
		}
	}
}
