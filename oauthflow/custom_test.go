package oauthflow

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
)

// slack is a description of s, as an operator would write it.
func slack(s *standIn) Custom {
	return Custom{
		Name: "slack", Title: "Slack", ClientID: s.id, ClientSecret: s.secret,
		AuthorizeURL: s.url + "/authorize", TokenURL: s.url + "/token", RevokeURL: s.url + "/revoke",
		AccountURL: s.url + "/userinfo", AccountID: "sub", AccountLabel: "email", APIURL: s.url,
		Scopes: []string{"channels:read"}, Words: map[string]string{"channels:read": "See your channels"},
		Parameters: map[string]string{"user_scope": "x"},
	}
}

// A provider that an operator describes is connected, renewed, disconnected like any.
func TestACustomProvider(t *testing.T) {
	s := newStandIn(t, "slack")
	w := newWorld(t, func(c *Config) {
		list := []Provider{c.Providers.byName["github"], must(slack(s).Provider())(t)}
		*c.Providers = *NewProviders(nil, list...)
		c.Providers.Now = c.Now
	})
	s.redirect = w.url + "/callback/slack"
	alice := w.as("alice")
	link := w.link("alice", "slack")
	alice.get(link).wants(t, http.StatusOK, "Connect Slack", "See your channels", "Nothing by itself")
	alice.connect(link).wants(t, http.StatusOK, "Slack is connected", "g1001@example.com")
	if got := s.requests[0].Get("user_scope") + " " + s.requests[0].Get("scope"); got != "x channels:read" {
		t.Errorf("asked for %q", got)
	}
	before := must(w.keyring("alice").Grant(t.Context(), store.Call{Need: store.Need{Provider: "slack", Scopes: []string{"channels:read"}}, Tool: "slack_read"}))(t)
	after := must(w.keyring("alice").Grant(t.Context(), store.Call{Need: store.Need{Provider: "slack"}, Tool: "slack_read", Rejected: before.Version}))(t)
	if after.Access.Equal(before.Access) {
		t.Error("not renewed")
	}
	if err := w.keyring("alice").Delete(t.Context(), "slack", "1001"); err != nil || len(s.revocations()) != 1 {
		t.Errorf("%v; %q were revoked", err, s.revocations())
	}
}

func TestACustomProviderWithoutRevocation(t *testing.T) {
	s := newStandIn(t, "slack")
	c := slack(s)
	c.RevokeURL = ""
	w := newWorld(t, func(cfg *Config) {
		*cfg.Providers = *NewProviders(nil, must(c.Provider())(t))
		cfg.Providers.Now = cfg.Now
	})
	s.redirect = w.url + "/callback/slack"
	w.as("alice").connect(w.link("alice", "slack")).wants(t, http.StatusOK)
	err := w.keyring("alice").Delete(t.Context(), "slack", "1001")
	if err == nil || w.account("alice", "slack") != "" {
		t.Errorf("%v, and connected as %q", err, w.account("alice", "slack"))
	}
}

func TestCustomMistakes(t *testing.T) {
	s := newStandIn(t, "slack")
	for says, change := range map[string]func(*Custom){
		"name must be":                   func(c *Custom) { c.Name = "Slack" },
		"and not github":                 func(c *Custom) { c.Name = "github" },
		"title is missing":               func(c *Custom) { c.Title = " " },
		"client_id is missing":           func(c *Custom) { c.ClientID = "" },
		"client_secret is missing":       func(c *Custom) { c.ClientSecret = "" },
		"account_id is missing":          func(c *Custom) { c.AccountID = "" },
		"client_authentication must be":  func(c *Custom) { c.ClientAuth = "none" },
		"can't set redirect_uri":         func(c *Custom) { c.Parameters = map[string]string{"redirect_uri": "https://evil.example"} },
		"can't set code_challenge_metho": func(c *Custom) { c.Parameters = map[string]string{"code_challenge_method": "plain"} },
		"token_url":                      func(c *Custom) { c.TokenURL = "http://slack.example/token" },
		"authorize_url":                  func(c *Custom) { c.AuthorizeURL = "" },
		"account_url":                    func(c *Custom) { c.AccountURL = "slack.example" },
		"api_url":                        func(c *Custom) { c.APIURL = "https://u:" + s.secret + "@slack.example" },
		"revoke_url":                     func(c *Custom) { c.RevokeURL = "javascript:x" },
		"remove_url":                     func(c *Custom) { c.RemoveURL = "javascript:x" },
		"scope_separator must be":        func(c *Custom) { c.Separator = "+" },
		"api_host can't be api.github":   func(c *Custom) { c.APIHost = "api.github.com" },
		"api_host can't be www.google":   func(c *Custom) { c.APIHost = "www.googleapis.com" },
		"api_host must be":               func(c *Custom) { c.APIHost = "https://slack.com" },
		"title is missing\ntoken_url":    func(c *Custom) { *c = Custom{Name: "unknown", ClientID: "id", ClientSecret: s.secret} },
	} {
		c := slack(s)
		change(&c)
		_, err := c.Provider()
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), s.secret) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

// Of a provider that Latchkey knows, a client is enough; one URL more, and nothing is
// added to it.
func TestKnownProviders(t *testing.T) {
	for _, own := range known() {
		c := Custom{Name: own.Name, ClientID: "id", ClientSecret: "secret"}
		p := must(c.Provider())(t)
		if p.title != own.Title || p.clientID != "id" || p.clientSecret != "secret" || p.endpoints.token != own.TokenURL || p.moved {
			t.Errorf("%+v", p)
		}
		for _, scope := range own.Scopes {
			if p.words[scope] == "" {
				t.Errorf("%s: nothing says what %s is", own.Name, scope)
			}
		}
		c.APIURL = "https://elsewhere.example"
		if p, err := c.Provider(); err == nil {
			t.Errorf("completed to %+v", p)
		}
	}
}

// Contracts name the public host, wherever the API is.
func TestCustomAPIHost(t *testing.T) {
	s := newStandIn(t, "slack")
	c := slack(s)
	if got := NewProviders(nil, must(c.Provider())(t)).BaseURLs(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	c.APIHost, c.APIURL = "slack.com", s.url+"/api/"
	if got := NewProviders(nil, must(c.Provider())(t)).BaseURLs(); len(got) != 1 || got["slack.com"] != s.url+"/api" {
		t.Errorf("%v", got)
	}
}

func TestCustomScopes(t *testing.T) {
	c := slack(newStandIn(t, "slack"))
	c.Separator, c.Implies = ",", map[string][]string{"write": {"read"}}
	p := must(c.Provider())(t)
	to := must(url.Parse(p.authorizeURL(p.endpoints, "https://us.example", "state", "verifier", []string{"read", "channels:read"}, nil)))(t)
	if got := to.Query().Get("scope"); got != "read,channels:read" {
		t.Errorf("asks for %q", got)
	}
	if got := p.missing([]string{"write"}, []string{"read"}); len(got) != 0 {
		t.Errorf("%q are missing", got)
	}
}

func TestTextAt(t *testing.T) {
	answer := map[string]any{
		"id": 12.0, "half": 1.5, "huge": 1e300, "user": map[string]any{"id": "U1", "deep": map[string]any{"name": "x"}}, "list": []any{"a"},
	}
	for path, want := range map[string]string{
		"id": "12", "half": "", "huge": "", "user.id": "U1", "user.deep.name": "x", "user": "", "user.id.x": "", "list": "", "none": "", "": "",
	} {
		if got := textAt(answer, path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}
