package authserver

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRegistration(t *testing.T) {
	w := newWorld(t, nil)
	a := w.registerAs(map[string]any{
		"client_name": "An app", "redirect_uris": []string{appRedirect, localRedirect}, "token_endpoint_auth_method": "none",
		"grant_types":    []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"},
		"response_types": []string{"code"}, "scope": "tools:read", "logo_uri": "https://app.example/logo.svg",
	})
	if a.StatusCode != http.StatusCreated || a.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	got := a.json(t)
	if id, _ := got["client_id"].(string); len(id) < 26 {
		t.Errorf("client_id %q", id)
	}
	delete(got, "client_id")
	want := map[string]any{
		"client_id_issued_at": float64(w.clock.now().Unix()), "client_name": "An app",
		"redirect_uris": []any{appRedirect, localRedirect}, "token_endpoint_auth_method": "none",
		"grant_types": []any{"authorization_code", "refresh_token"}, "response_types": []any{"code"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A registration can't choose its id, or become somebody else.
func TestRegistrationIgnoresAnID(t *testing.T) {
	w := newWorld(t, nil)
	got := w.registerAs(map[string]any{
		"client_id": pagesID, "client_secret": "mine", "redirect_uris": []string{appRedirect}, "pages": true,
	}).json(t)
	if got["client_id"] == pagesID || got["client_secret"] == "mine" {
		t.Errorf("registered as %v", got)
	}
}

func TestBadRegistrations(t *testing.T) {
	w := newWorld(t, nil)
	with := func(name string, value any) map[string]any {
		return map[string]any{"redirect_uris": []string{appRedirect}, name: value}
	}
	cases := []struct {
		name string
		body any
		want string
	}{
		{"javascript", with("redirect_uris", []string{"javascript:alert(1)"}), "invalid_redirect_uri"},
		{"javascript with an authority", with("redirect_uris", []string{"javascript://x/%0aalert(1)"}), "invalid_redirect_uri"},
		{"data", with("redirect_uris", []string{"data:text/html,x"}), "invalid_redirect_uri"},
		{"plain http", with("redirect_uris", []string{"http://app.example/cb"}), "invalid_redirect_uri"},
		{"fragment", with("redirect_uris", []string{appRedirect + "#f"}), "invalid_redirect_uri"},
		{"one bad of two", with("redirect_uris", []string{appRedirect, "file:///x"}), "invalid_redirect_uri"},
		{"none", with("redirect_uris", []string{}), "invalid_redirect_uri"},
		{"too long together", with("redirect_uris", slices.Repeat([]string{appRedirect + "/" + strings.Repeat("x", 1500)}, 3)), "invalid_redirect_uri"},
		{"too many", with("redirect_uris", slices.Repeat([]string{appRedirect}, maxRedirects+1)), "invalid_redirect_uri"},
		{"private_key_jwt", with("token_endpoint_auth_method", "private_key_jwt"), "invalid_client_metadata"},
		{"implicit only", with("response_types", []string{"token"}), "invalid_client_metadata"},
		{"client credentials only", with("grant_types", []string{"client_credentials"}), "invalid_client_metadata"},
		{"a list", []string{appRedirect}, "invalid_client_metadata"},
		{"a wrong type", with("client_name", 7), "invalid_client_metadata"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := w.registerAs(c.body)
			if a.StatusCode != http.StatusBadRequest || a.json(t)["error"] != c.want {
				t.Errorf("%d %s, want %s", a.StatusCode, a.body, c.want)
			}
		})
	}
	if a := w.registerAs(with("client_name", strings.Repeat("n", maxRegistration))); a.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("oversize: %d", a.StatusCode)
	}
	asForm := w.browser().post("/register", nil)
	if asForm.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a form, as any page could send it: %d", asForm.StatusCode)
	}
}

// What strangers register goes by itself, what a person said yes to stays.
func TestUnusedRegistrationsEnd(t *testing.T) {
	w := newWorld(t, nil)
	unused, denied, used := w.register(appRedirect), w.register(appRedirect), w.register(appRedirect)
	b := w.browser()
	b.allow(w.request(used, appRedirect), "alice")
	b.decide(b.signIn(with(w.request(denied, appRedirect), "prompt", "login"), "alice").field(t, "ticket"), "deny")
	for id, life := range map[string]time.Duration{unused: unusedLife, denied: unusedLife, used: clientLife} {
		item, err := w.clients.Get(t.Context(), id)
		if left := item.Expires.Sub(w.clock.now()); err != nil || left > life || left < life-time.Minute {
			t.Errorf("it lives %s, want %s (%v)", left, life, err)
		}
	}
	w.clock.add(30 * 24 * time.Hour)
	b.allow(w.request(used, appRedirect), "alice")
	item, err := w.clients.Get(t.Context(), used)
	if left := item.Expires.Sub(w.clock.now()); err != nil || left < clientLife-time.Minute {
		t.Errorf("a second yes leaves %s (%v)", left, err)
	}
}

func TestRegistrationIsRateLimited(t *testing.T) {
	w := newWorld(t, nil)
	good := map[string]any{"redirect_uris": []string{appRedirect}}
	for i := range 60 {
		if a := w.registerAs(good); a.StatusCode != http.StatusCreated {
			t.Fatalf("registration %d: %d", i, a.StatusCode)
		}
	}
	a := w.registerAs(good)
	if a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" {
		t.Errorf("registration 61: %d %v", a.StatusCode, a.Header)
	}
	w.clock.add(10 * time.Second)
	if a := w.registerAs(good); a.StatusCode != http.StatusCreated {
		t.Errorf("later: %d", a.StatusCode)
	}
}

func hex(i int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[i>>12&15], digits[i>>8&15], digits[i>>4&15], digits[i&15]})
}
