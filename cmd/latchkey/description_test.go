package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

// descriptions are the providers' own, by module.
func descriptions(t testing.TB) map[string]*tooltest.Description {
	t.Helper()
	found := map[string]*tooltest.Description{}
	for _, module := range allModules() {
		switch module.Provider {
		case "github":
			found[module.Name] = tooltest.GitHub(t, module)
		case "google":
			found[module.Name] = tooltest.GoogleCalendar(t, module)
		}
	}
	return found
}

// TestContractsAreDescribed holds every rule of every contract against the provider's
// own description: a path, a method or a query name that the provider doesn't have is
// a mistake.
func TestContractsAreDescribed(t *testing.T) {
	for name, d := range descriptions(t) {
		if d == nil {
			continue
		}
		for _, module := range allModules() {
			if module.Name != name {
				continue
			}
			for _, tool := range module.Tools {
				for _, rule := range tool.Spec().Egress {
					if err := d.CheckRule(rule); err != nil {
						t.Errorf("%s: %v", tool.Spec().Name, err)
					}
				}
			}
		}
		for _, wrong := range []tools.Rule{
			{Method: "GET", Host: "evil.example", Path: "/user"},
			{Method: "TRACE", Host: "api.github.com", Path: "/search/issues"},
			{Method: "GET", Host: "www.googleapis.com", Path: "/calendar/v3/calendars/{c}/events", Query: []string{"pageTokens"}},
		} {
			if d.CheckRule(wrong) == nil {
				t.Errorf("%s may be in a contract", wrong)
			}
		}
	}
}

// described has a demo's tools held against the descriptions, in every request that
// they send and every answer of the sandbox.
func described(t testing.TB) func(*config) {
	known := descriptions(t)
	return func(c *config) {
		c.Transport = &tooltest.Checker{
			T: t, Next: http.DefaultTransport, Answers: true,
			Of: func(req *http.Request) (*tooltest.Description, *http.Request) {
				if public := below(req, c.GitHub.APIURL, "api.github.com"); public != nil {
					return known["github"], public
				}
				if public := below(req, c.Google.APIURL, "www.googleapis.com"); public != nil {
					return known["calendar"], public
				}
				return nil, nil
			},
		}
	}
}

// below is req as if base were host, or nil where it isn't below base.
func below(req *http.Request, base, host string) *http.Request {
	rest, ok := strings.CutPrefix(req.URL.String(), base)
	u, err := url.Parse("https://" + host + rest)
	if !ok || err != nil {
		return nil
	}
	public := req.Clone(req.Context())
	public.URL = u
	return public
}
