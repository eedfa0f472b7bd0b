// Package authserver is the built-in authorization server: OAuth 2.1
// authorization code with PKCE for MCP clients, and OpenID Connect for our own
// pages' sign-in.
//
// It guarantees that it is an ordinary issuer on paths of its own: nothing else in
// Latchkey knows it but through its published metadata and keys. Codes are single
// use, redirects match exactly, refresh tokens rotate and a reused one revokes its
// family. Nobody but our own pages gets a code without a person's consent to that
// very request, in that very browser.
//
// Whom the vault forgets is forgotten here: their codes, refresh families and open
// questions are their own records, and a sign-in from before no longer counts.
//
// What strangers can make it do or keep is bounded: registrations, sign-ins and
// look-ups of published clients are limited per address (page.Limiter says what
// that means behind a proxy), and what no person says yes to is gone in a day.
package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/tink-crypto/tink-go/v2/tink"
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
type Server struct {
	cfg       Config
	public    *url.URL // cfg.Issuer
	log       *slog.Logger
	now       func() time.Time
	seal      tink.AEAD // of session cookies
	keys      *keys
	documents *documents
	upstream  *upstream // nil where made-up people sign in

	registrations, logins, lookUps *page.Limiter

	clients  store.Table[client]
	consents store.Table[consent]
	codes    store.Table[code]
	families store.Table[family]
}

// New checks cfg and makes signing keys on first start.
func New(ctx context.Context, cfg Config) (*Server, error) {
	public, err := cfg.check()
	if err != nil {
		return nil, fmt.Errorf("authorization server: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.HTTPClient = withoutRedirects(cfg.HTTPClient)
	s := newServer(cfg, public)
	if _, err := s.keys.ring(ctx); err != nil {
		return nil, fmt.Errorf("authorization server: signing keys: %w", err)
	}
	return s, nil
}

func newServer(cfg Config, public *url.URL) *Server {
	s := &Server{
		cfg: cfg, public: public, log: cfg.Log, now: cfg.Now,
		seal:          cfg.Vault.AEAD("authserver session"),
		keys:          newKeys(cfg.Vault, cfg.Now),
		documents:     newDocuments(guardedClient(), cfg.Now),
		registrations: page.NewLimiter(cfg.Now, page.Rate{Every: 10 * time.Second, Burst: 60}),
		logins:        page.NewLimiter(cfg.Now, page.Rate{Every: time.Second / 5, Burst: 100}),
		lookUps:       page.NewLimiter(cfg.Now, page.Rate{Every: time.Second, Burst: 20}),
		clients:       store.NewTable[client](cfg.Vault, "authserver client"),
		consents:      store.NewTable[consent](cfg.Vault, "authserver consent"),
		codes:         store.NewTable[code](cfg.Vault, "authserver code"),
		families:      store.NewTable[family](cfg.Vault, "authserver refresh family"),
	}
	if cfg.Upstream != nil {
		s.upstream = newUpstream(*cfg.Upstream, cfg)
	}
	return s
}

// withoutRedirects is a copy of client, or of one with a timeout, that takes a
// redirect for an answer: a code and our secret go to the token endpoint that the
// issuer named, and nowhere that it points to.
func withoutRedirects(client *http.Client) *http.Client {
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second}
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// check says what is wrong with cfg, all of it, and parses the issuer.
func (cfg Config) check() (*url.URL, error) {
	public, err := url.Parse(cfg.Issuer)
	if err != nil || public.Host == "" || public.Scheme+"://"+public.Host != cfg.Issuer {
		return nil, fmt.Errorf("the issuer %q must be an origin, like https://latchkey.example.com", cfg.Issuer)
	}
	var all []error
	if public.Scheme != "https" && !isLoopback(public) {
		all = append(all, fmt.Errorf("the issuer %q must be https, or http on loopback", cfg.Issuer))
	}
	if cfg.Vault == nil {
		all = append(all, errors.New("no vault"))
	}
	if cfg.Resource == "" || len(cfg.Scopes) == 0 {
		all = append(all, errors.New("no resource or no scopes to issue tokens for"))
	}
	if (len(cfg.People) > 0) == (cfg.Upstream != nil) {
		all = append(all, errors.New("name either an upstream issuer or made-up people, not both"))
	}
	if cfg.PagesClientID == "" || cfg.PagesClientSecret == "" || cfg.PagesRedirectURI == "" {
		all = append(all, errors.New("the pages' own client needs an id, a secret and a redirect URI"))
	}
	return public, errors.Join(all...)
}

// Handler serves /authorize, /authorize/*, /token, /register, /jwks,
// /.well-known/oauth-authorization-server and /.well-known/openid-configuration.
// Whoever serves it lets only requests for the issuer's own host through: under a
// name that somebody made resolve to us, their page would be of our own origin.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /authorize", s.browser(s.authorize))
	mux.Handle("GET /authorize/upstream", s.browser(s.upstreamCallback))
	mux.Handle("POST /authorize/signin", s.ownForm(s.signIn))
	mux.Handle("POST /authorize/consent", s.ownForm(s.decide))
	open := func(method, path string, h handler) {
		mux.Handle(method+" "+path, cors(s.api(h)))
		mux.Handle("OPTIONS "+path, cors(http.HandlerFunc(preflight)))
	}
	open("POST", "/token", s.token)
	open("POST", "/register", s.register)
	open("GET", "/jwks", s.jwks)
	open("GET", "/.well-known/oauth-authorization-server", s.metadata)
	open("GET", "/.well-known/openid-configuration", s.metadata)
	return mux
}

// ownForm is browser for the POST of a form of ours: same origin only, and small.
func (s *Server) ownForm(h handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(s.browser(func(http.ResponseWriter, *http.Request) error {
		return &pageError{http.StatusForbidden, "This came from another site",
			"Nothing was changed. Go back to your app and connect again from there."}
	}))
	return guard.Handler(s.browser(func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, 32<<10)
		if err := r.ParseForm(); err != nil {
			return &pageError{http.StatusBadRequest, "This form could not be read",
				"Go back to your app and connect again from there."}
		}
		return h(w, r)
	}))
}

// show writes the named template as a page.
func (s *Server) show(w http.ResponseWriter, status int, p page.Page, name string, data any) error {
	body, err := page.Render(pages, name, data)
	if err != nil {
		return err
	}
	p.Body, p.Demo = body, len(s.cfg.People) > 0
	return page.Write(w, status, p)
}

// redirect answers 303, so that a POST is never repeated at the target.
func redirect(w http.ResponseWriter, to string) error {
	page.Harden(w.Header())
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
