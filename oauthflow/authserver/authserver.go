// Package authserver is the built-in authorization server: OAuth 2.1
// authorization code with PKCE for MCP clients, and OpenID Connect for our own
// pages' sign-in.
//
// It guarantees that it is an ordinary issuer on paths of its own: nothing else in
// Latchkey knows it but through its published metadata and keys. Codes are single
// use, redirects match exactly, refresh tokens rotate and a reused one revokes its
// family.
package authserver

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

// Config is what a Server is made of.
type Config struct {
	Issuer   string   // our public origin, exactly
	Resource string   // the only resource that tokens are issued for (RFC 8707)
	Scopes   []string // what clients may ask for, beside openid and offline_access
	Vault    *store.Vault
	// PagesClientID and PagesClientSecret are our own pages' confidential OpenID
	// client; PagesRedirectURI is its only redirect. It needs no consent.
	PagesClientID, PagesClientSecret, PagesRedirectURI string
	// People are made-up people who sign in with one click: demo only. Exactly
	// one of People and Upstream is set.
	People   []string
	Upstream *Upstream
	// HTTPClient reaches the upstream issuer; nil means one with a timeout.
	// Client metadata documents are fetched by a guarded client of our own.
	HTTPClient *http.Client
	Log        *slog.Logger
	Now        func() time.Time // nil means time.Now
}

// Upstream is an OpenID provider at which people sign in. Its redirect URI is
// Issuer + "/authorize/upstream".
type Upstream struct{ Issuer, ClientID, ClientSecret string }

// A Server is the authorization server. It is safe for concurrent use.
type Server struct{}

// New checks cfg and makes signing keys on first start.
func New(ctx context.Context, cfg Config) (*Server, error) { panic("not written yet") }

// Handler serves /authorize, /authorize/*, /token, /register, /jwks,
// /.well-known/oauth-authorization-server and /.well-known/openid-configuration.
func (s *Server) Handler() http.Handler { panic("not written yet") }

// ClientName is the name that a client registered with, or "".
func (s *Server) ClientName(ctx context.Context, clientID string) string {
	panic("not written yet")
}
