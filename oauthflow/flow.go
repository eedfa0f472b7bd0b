// Package oauthflow is the browser's face: a person signs in, connects an account
// at a provider, sees what is connected, and disconnects it.
//
// It guarantees that a credential is always filed under the browser session's own
// (issuer, subject). The ticket in a connect link is a hint and an equality check:
// a bug in that check would put Bob's account into Bob's own vault.
package oauthflow

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/tools"
)

// Config is what a Flow is made of.
type Config struct {
	PublicURL string // our origin
	Vault     *store.Vault
	Browser   *identity.Browser
	// ClientID and ClientSecret are our pages' own OpenID client at the issuer,
	// with the redirect URI PublicURL + "/signin/callback".
	ClientID, ClientSecret string
	Providers              *Providers
	Modules                []tools.Module
	// ClientName is what is known of the MCP client with that id, for pages; nil
	// or "" means that the id itself is shown.
	ClientName func(ctx context.Context, clientID string) string
	Demo       bool         // shows the demo banner
	HTTPClient *http.Client // reaches the issuer; nil means one with a timeout
	Log        *slog.Logger
	Now        func() time.Time // nil means time.Now
}

// A Flow serves the pages. It is safe for concurrent use.
type Flow struct{}

// New checks cfg.
func New(cfg Config) (*Flow, error) { panic("not written yet") }

// Handler serves /, /connections, /connect/{ticket}, /callback/{provider},
// /disconnect/{provider}, /signin, /signin/callback and /signout.
func (f *Flow) Handler() http.Handler { panic("not written yet") }

// ConnectLink makes a single-use link, PublicURL + "/connect/<ticket>", at which c
// can connect what need says, within ten minutes.
func (f *Flow) ConnectLink(ctx context.Context, c identity.Caller, need store.Need) (string, error) {
	panic("not written yet")
}
