// Package sandbox is the demo's and the tests' outside world: strict stand-ins for
// GitHub and Google, OAuth and API, on loopback.
//
// It guarantees to refuse what the real ones refuse (unknown or revoked tokens, a
// missing scope, a wrong verifier, a replayed code, an unregistered redirect, a
// spent refresh token), because a stand-in that accepts more hides bugs.
package sandbox

import (
	"errors"
	"net/http"
	"sync"
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

// The accounts. Alice and Bob can be signed in as; the decoy is the first account
// of both providers, owns only private things, and can never be signed in as:
// whatever shows DecoyMarker took "the first account" for the caller's.
const (
	AliceLogin = "alice-dev"             // at GitHub
	AliceEmail = "alice@sandbox.example" // at Google
	BobLogin   = "bob-builds"
	BobEmail   = "bob@sandbox.example"

	DecoyLogin  = "decoy-nobody"
	DecoyEmail  = "decoy@sandbox.example"
	DecoyMarker = "decoy" // in every login, address and title of the decoy's

	// PublicRepo is a public repository that belongs to neither and that everyone
	// reads. A GitHub App is not installed on it.
	PublicRepo = "open-meadow/field-guide"
)

// A Sandbox is both providers. It is safe for concurrent use.
type Sandbox struct {
	cfg Config

	mu        sync.Mutex // guards everything below
	state     state
	dirty     bool // state has changes that the file hasn't
	calls     []Request
	exchanges []Request
	mails     []Mail
	downloads []Request
	apiFail   failure
	tokenFail failure
}

// New makes the providers with their people: alice and bob (and nobody's decoy),
// each with repositories, issues and calendars of their own.
func New(cfg Config) (*Sandbox, error) {
	for _, c := range []Client{cfg.GitHub, cfg.Google} {
		if c.ID == "" || c.Secret == "" || len(c.RedirectURIs) == 0 {
			return nil, errors.New("sandbox: each client needs an ID, a secret and at least one redirect URI")
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Sandbox{cfg: cfg}
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// GitHub serves the OAuth paths of github.com (/login/oauth/…) and the REST API
// below /api/v3, like GitHub Enterprise Server.
func (s *Sandbox) GitHub() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /login/oauth/authorize", s.serve(s.githubAuthorize))
	mux.Handle("POST /login/oauth/authorize", s.serve(s.githubDecide))
	mux.Handle("POST /login/oauth/access_token", s.exchange(s.githubToken))
	mux.Handle("DELETE /api/v3/applications/{client}/{what}", s.exchange(s.githubRevoke))
	for pattern, h := range map[string]handler{
		"GET /user":                                   s.githubUser,
		"GET /search/issues":                          s.githubSearch,
		"GET /repos/{owner}/{repo}":                   s.githubRepo,
		"GET /repos/{owner}/{repo}/issues":            s.githubIssues,
		"GET /repos/{owner}/{repo}/issues/{number}":   s.githubIssue,
		"POST /repos/{owner}/{repo}/issues":           s.githubCreateIssue,
		"PATCH /repos/{owner}/{repo}/issues/{number}": s.githubEditIssue,
		"GET /notifications":                          s.githubNotifications,
	} {
		mux.Handle(below("/api/v3", pattern), s.githubAPI(h))
	}
	for _, routes := range []map[string]handler{s.gitRoutes(), s.pullRoutes(), s.readRoutes(), s.pullReadRoutes(), s.actionsRoutes()} {
		for pattern, h := range routes {
			mux.Handle(below("/api/v3", pattern), s.githubAPI(h))
		}
	}
	mux.Handle("/api/v3/", s.githubAPI(func(*call) answer { return githubNotFound() }))
	mux.Handle("/", s.serve(func(c *call) answer { return noWebsite(c, githubName) }))
	return exactPaths(mux)
}

// Google serves discovery, authorization, token, revocation, userinfo and the
// Calendar API (/calendar/v3/…).
func (s *Sandbox) Google() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /.well-known/openid-configuration", s.serve(googleDiscovery))
	mux.Handle("GET /oauth2/v3/certs", s.serve(s.googleKeys))
	mux.Handle("GET /o/oauth2/v2/auth", s.serve(s.googleAuthorize))
	mux.Handle("POST /o/oauth2/v2/auth", s.serve(s.googleDecide))
	mux.Handle("POST /token", s.exchange(s.googleToken))
	mux.Handle("POST /revoke", s.exchange(s.googleRevoke))
	mux.Handle("GET /v1/userinfo", s.googleAPI(s.googleUserinfo))
	for pattern, h := range map[string]handler{
		"GET /users/me/calendarList":                      s.calendarList,
		"GET /calendars/{calendar}":                       s.getCalendar,
		"GET /calendars/{calendar}/events":                s.listEvents,
		"POST /calendars/{calendar}/events":               s.insertEvent,
		"POST /calendars/{calendar}/events/quickAdd":      s.quickAdd,
		"GET /calendars/{calendar}/events/{id}/instances": s.instances,
		"GET /calendars/{calendar}/events/{id}":           s.getEvent,
		"PATCH /calendars/{calendar}/events/{id}":         s.patchEvent,
		"DELETE /calendars/{calendar}/events/{id}":        s.deleteEvent,
		"POST /freeBusy":                                  s.freeBusy,
	} {
		mux.Handle(below("/calendar/v3", pattern), s.googleAPI(h))
	}
	mux.Handle("/calendar/v3/", s.googleAPI(func(*call) answer { return googleNotFound() }))
	mux.Handle("/", s.serve(func(c *call) answer { return noWebsite(c, googleName) }))
	return exactPaths(mux)
}
