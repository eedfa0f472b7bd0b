// Package mcpserver is the MCP face: one http.Handler that serves the tools over
// streamable HTTP, in both protocol eras, to whoever a verified access token says
// is asking.
//
// It guarantees that the caller is derived anew from each request's token, that
// nothing is looked up by MCP session, and that bind is the only place where a
// caller meets a grant. A handler's requests pass a transport that enforces the
// tool's egress contract on every hop and attaches the caller's own credential.
package mcpserver

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/tools"
)

// Our own OAuth scopes. ScopeWrite includes ScopeRead.
const (
	ScopeRead  = "tools:read"
	ScopeWrite = "tools:write"
)

// Config is what a Server is made of.
type Config struct {
	Version   string // of this program, for serverInfo
	PublicURL string // our origin; the resource is PublicURL + "/mcp"
	Issuer    string // the authorization server that the metadata names (RFC 9728)
	Verifier  *identity.Verifier
	Vault     *store.Vault
	Modules   []tools.Module
	// ConnectLink makes a link at which the caller can connect what need says.
	ConnectLink func(ctx context.Context, c identity.Caller, need store.Need) (string, error)
	// BaseURLs maps a provider's public API host ("api.github.com") to the base
	// URL that requests really go to ("https://ghe.example/api/v3"); a host that
	// isn't here is reached as it is.
	BaseURLs map[string]string
	// AllowedOrigins may call from a browser, beside PublicURL.
	AllowedOrigins []string
	// Transport reaches providers; nil means one of our own with timeouts.
	Transport http.RoundTripper
	Log       *slog.Logger
	Now       func() time.Time // nil means time.Now
}

// New checks cfg and builds the handler, which serves /mcp and the protected
// resource metadata (RFC 9728) at its root and its path-qualified URL.
func New(cfg Config) (http.Handler, error) { panic("not written yet") }
