package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/latchkey-mcp/latchkey/oauthflow"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// TestBadTokens holds that every bad token of the table is refused, that none
// reaches a tool, and that a good one does.
func TestBadTokens(t *testing.T) {
	var asked atomic.Int64
	provider := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(provider.Close)
	issuer := storetest.NewIssuer(t, nil)
	d := startServe(t, func(public string) config {
		issuer.Resource = public + "/mcp"
		return config{
			External: &externalIssuer{issuer.URL, "pages", "secret"},
			GitHub:   &oauthflow.Settings{ClientID: "id", ClientSecret: "secret", OAuthURL: provider.URL, APIURL: provider.URL},
		}
	})
	table := storetest.BadTokens(issuer)
	if len(table) < 25 {
		t.Fatalf("only %d bad tokens", len(table))
	}
	for _, bad := range table {
		t.Run(bad.Name, func(t *testing.T) {
			for _, d := range []*mcpClient{newMCPClient(d.URL, modern), newMCPClient(d.URL, plain)} {
				d.token = bad.Token
				a, header, err := d.roundTrip("tools/call", map[string]any{
					"name": "github_search_issues", "arguments": map[string]any{"query": "is:issue"},
				})
				check(t, err)
				if a.Status != http.StatusUnauthorized || !strings.Contains(header.Get("WWW-Authenticate"), "resource_metadata=") {
					t.Errorf("%s: got %d %q: %s", d.dialect, a.Status, header.Get("WWW-Authenticate"), a.Body)
				}
			}
		})
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
	good := newMCPClient(d.URL, modern)
	good.token = issuer.Token("alice")
	a, err := good.call("github_search_issues", map[string]any{"query": "is:issue"})
	check(t, err)
	if a.Status != http.StatusOK || a.Link == "" {
		t.Errorf("a good token: got %d: %s", a.Status, a.Body)
	}
}
