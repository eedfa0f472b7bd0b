package oauthflow

import (
	"context"
	"net/http"

	"github.com/latchkey-mcp/latchkey/store"
)

// Settings are what an operator says of a provider.
type Settings struct {
	ClientID, ClientSecret string
	// OAuthURL and APIURL replace the provider's own base URLs: GitHub Enterprise
	// Server, a proxy, an emulator. "" means the provider's own. For Google, a
	// set OAuthURL is an issuer whose discovery document names the endpoints.
	OAuthURL, APIURL string
	// App says that a GitHub client is a GitHub App, whose user tokens carry
	// permissions instead of scopes.
	App bool
}

// A Provider is where people have accounts: its endpoints, and its ways.
type Provider struct{}

// GitHub is github.com or GitHub Enterprise Server.
func GitHub(s Settings) (Provider, error) { panic("not written yet") }

// Google is Google's accounts and APIs.
func Google(s Settings) (Provider, error) { panic("not written yet") }

// Providers are the configured providers; it is the vault's Exchange.
type Providers struct{}

// NewProviders is the set of list. client reaches the providers; nil means one
// with timeouts.
func NewProviders(client *http.Client, list ...Provider) *Providers { panic("not written yet") }

// BaseURLs maps public API hosts to the configured base URLs.
func (p *Providers) BaseURLs() map[string]string { panic("not written yet") }

// Refresh implements store.Exchange.
func (p *Providers) Refresh(ctx context.Context, provider string, t store.Token) (store.Token, error) {
	panic("not written yet")
}

// Revoke implements store.Exchange.
func (p *Providers) Revoke(ctx context.Context, provider string, t store.Token) error {
	panic("not written yet")
}

// Missing implements store.Exchange.
func (p *Providers) Missing(provider string, granted, needed []string) []string {
	panic("not written yet")
}
