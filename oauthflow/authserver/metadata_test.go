package authserver

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMetadata(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	got := b.get("/.well-known/oauth-authorization-server").json(t)
	if diff := cmp.Diff(got, b.get("/.well-known/openid-configuration").json(t)); diff != "" {
		t.Errorf("the two documents differ: %s", diff)
	}
	want := map[string]any{
		"issuer": w.url, "authorization_endpoint": w.url + "/authorize", "token_endpoint": w.url + "/token",
		"registration_endpoint": w.url + "/register", "jwks_uri": w.url + "/jwks",
		"response_types_supported": []any{"code"}, "response_modes_supported": []any{"query"},
		"grant_types_supported":                          []any{"authorization_code", "refresh_token"},
		"code_challenge_methods_supported":               []any{"S256"},
		"token_endpoint_auth_methods_supported":          []any{"none", "client_secret_basic", "client_secret_post"},
		"scopes_supported":                               []any{"tools:read", "tools:write", "openid", "offline_access"},
		"authorization_response_iss_parameter_supported": true, "client_id_metadata_document_supported": true,
		"subject_types_supported": []any{"public"}, "id_token_signing_alg_values_supported": []any{"ES256"},
		"protected_resources": []any{w.url + "/mcp"},
	}
	for name, value := range want {
		if diff := cmp.Diff(value, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// CORS is for what a client in a browser fetches, never for what a session opens.
func TestCORS(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	origin := http.Header{"Origin": {"https://inspector.example"}, "Access-Control-Request-Method": {"POST"}}
	for path, method := range map[string]string{
		"/token": "POST", "/register": "POST", "/jwks": "GET",
		"/.well-known/oauth-authorization-server": "GET", "/.well-known/openid-configuration": "GET",
	} {
		asked := b.do("OPTIONS", path, nil, origin)
		if asked.StatusCode != http.StatusNoContent || asked.Header.Get("Access-Control-Allow-Headers") == "" ||
			asked.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("preflight %s: %d %v", path, asked.StatusCode, asked.Header)
		}
		if a := b.do(method, path, nil, origin); a.Header.Get("Access-Control-Allow-Origin") != "*" ||
			a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s: %v", method, path, a.Header)
		}
	}
	for path, method := range map[string]string{
		"/authorize": "GET", "/authorize/upstream": "GET", "/authorize/signin": "POST", "/authorize/consent": "POST",
	} {
		for _, m := range []string{method, "OPTIONS"} {
			if a := b.do(m, path, nil, origin); a.Header.Get("Access-Control-Allow-Origin") != "" || a.StatusCode < 400 {
				t.Errorf("%s %s: %d %v", m, path, a.StatusCode, a.Header)
			}
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	w := newWorld(t, nil)
	for name, change := range map[string]func(*Config){
		"plain http":            func(c *Config) { c.Issuer = "http://latchkey.example" },
		"issuer with a path":    func(c *Config) { c.Issuer += "/" },
		"no issuer":             func(c *Config) { c.Issuer = "" },
		"nobody signs in":       func(c *Config) { c.People = nil },
		"both ways to sign in":  func(c *Config) { c.Upstream = &Upstream{Issuer: "https://up.example"} },
		"no vault":              func(c *Config) { c.Vault = nil },
		"no resource":           func(c *Config) { c.Resource = "" },
		"no scopes":             func(c *Config) { c.Scopes = nil },
		"pages without secret":  func(c *Config) { c.PagesClientSecret = "" },
		"pages without address": func(c *Config) { c.PagesRedirectURI = "" },
	} {
		cfg := w.cfg
		change(&cfg)
		if _, err := New(t.Context(), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
