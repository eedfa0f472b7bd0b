// Package sandbox is the demo's and the tests' outside world: strict stand-ins for
// GitHub and Google, OAuth and API, on loopback.
//
// It guarantees to refuse what the real ones refuse (unknown or revoked tokens, a
// missing scope, a wrong verifier, a replayed code, an unregistered redirect, a
// spent refresh token), because a stand-in that accepts more hides bugs.
package sandbox

import (
	"net/http"
	"time"
)

// Config is what a Sandbox is made of.
type Config struct {
	GitHub, Google Client
	// GitHubApp makes the GitHub client a GitHub App: tokens carry no scopes, last
	// eight hours and come with a single-use refresh token.
	GitHubApp bool
	// File keeps the state over restarts; "" keeps it in memory.
	File string
	Now  func() time.Time // nil means time.Now
}

// A Client is Latchkey, as registered at the provider.
type Client struct {
	ID, Secret   string
	RedirectURIs []string
}

// A Sandbox is both providers. It is safe for concurrent use.
type Sandbox struct{}

// New makes the providers with their people: alice and bob (and nobody's decoy),
// each with repositories, issues and calendars of their own.
func New(cfg Config) (*Sandbox, error) { panic("not written yet") }

// GitHub serves the OAuth paths of github.com (/login/oauth/…) and the REST API
// below /api/v3, like GitHub Enterprise Server.
func (s *Sandbox) GitHub() http.Handler { panic("not written yet") }

// Google serves discovery, authorization, token, revocation, userinfo and the
// Calendar API (/calendar/v3/…).
func (s *Sandbox) Google() http.Handler { panic("not written yet") }
