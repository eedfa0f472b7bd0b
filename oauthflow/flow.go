// Package oauthflow is the browser's face: a person signs in, connects an account
// at a provider, sees what is connected, and disconnects it.
//
// It guarantees that a credential is always filed under the browser session's own
// (issuer, subject). The ticket in a connect link is a hint and an equality check:
// a bug in that check would put Bob's account into Bob's own vault. A GET changes
// nothing that a person did not ask for by a POST, except that the provider's
// answer, which only the browser session that asked for it can use, is spent.
//
// Whoever has themselves forgotten is left with nothing that they can't see: what was
// under way then is taken back when it ends.
package oauthflow

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/tink-crypto/tink-go/v2/tink"
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
type Flow struct {
	Config
	public   *url.URL
	client   *http.Client
	sessions store.Table[signedIn]
	signins  store.Table[signin]
	tickets  store.Table[ticket]
	pending  store.Table[pending]
	parked   store.Table[replacement]
	forgets  tink.AEAD // confirmations of forgetting
	cross    *http.CrossOriginProtection
	limit    *page.Limiter // of sign-ins that begin
}

// New checks cfg.
func New(cfg Config) (*Flow, error) {
	public, err := publicOrigin(cfg.PublicURL)
	if err != nil {
		return nil, err
	}
	if cfg.Vault == nil || cfg.Browser == nil || cfg.Providers == nil {
		return nil, errors.New("oauthflow: a vault, a browser and providers are needed")
	}
	if cfg.ClientID == "" || cfg.ClientSecret == "" {
		return nil, errors.New("oauthflow: the pages need a client id and secret at the issuer")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Flow{
		Config: cfg, public: public, client: noRedirects(cfg.HTTPClient),
		sessions: store.NewTable[signedIn](cfg.Vault, "session"),
		signins:  store.NewTable[signin](cfg.Vault, "signin"),
		tickets:  store.NewTable[ticket](cfg.Vault, "ticket"),
		pending:  store.NewTable[pending](cfg.Vault, "flow"),
		parked:   store.NewTable[replacement](cfg.Vault, "replacement"),
		forgets:  cfg.Vault.AEAD("forget me"),
		cross:    http.NewCrossOriginProtection(),
		limit:    page.NewLimiter(cfg.Now, page.Rate{Every: time.Second / 10, Burst: 100}),
	}, nil
}

// publicOrigin is raw if it is an origin: https, or http on this machine.
func publicOrigin(raw string) (*url.URL, error) {
	if err := checkURL("the public URL", raw); err != nil {
		return nil, err
	}
	if origin(raw) != raw {
		return nil, fmt.Errorf("the public URL must be an origin like https://latchkey.example, not %q", raw)
	}
	return url.Parse(raw)
}

// Handler serves /, /connections, /connections/*, /connect/{ticket},
// /approve/{ticket}, /callback/{provider}, /clients/permission, /disconnect/{provider}, /forget,
// /forget/confirm, /signin, /signin/callback and /signout. Whatever else reaches it is answered with a page that says 404.
func (f *Flow) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"GET /{$}":                             f.home,
		"GET /connections":                     f.withSession(f.connections),
		"POST /connections/{provider}/connect": f.withSession(f.connectProvider),
		"POST /connections/{provider}/replace": f.withSession(f.replace),
		"POST /connections/{provider}/choose":  f.withSession(f.choose),
		"POST /disconnect/{provider}":          f.withSession(f.disconnect),
		"POST /clients/permission":             f.withSession(f.permit),
		"GET /approve/{ticket}":                f.withSession(f.approval),
		"POST /approve/{ticket}":               f.withSession(f.decide),
		"POST /forget":                         f.withSession(f.askForget),
		"POST /forget/confirm":                 f.withSession(f.forgetMe),
		"GET /connect/{ticket}":                f.withSession(f.consent),
		"POST /connect/{ticket}":               f.withSession(f.start),
		"GET /callback/{provider}":             f.callback,
		"GET /signin":                          f.signIn,
		"GET /signin/callback":                 f.signInCallback,
		"POST /signout":                        f.signOut,
		"/":                                    notFound,
	} {
		mux.Handle(pattern, f.adapt(h))
	}
	return f.adapt(func(w http.ResponseWriter, r *http.Request) error {
		if done, err := f.guard(w, r); done || err != nil {
			return err
		}
		mux.ServeHTTP(w, r)
		return nil
	})
}

// guard is what holds for every request: our own host, no POST from other sites,
// a small body. It reports whether it has answered.
func (f *Flow) guard(w http.ResponseWriter, r *http.Request) (bool, error) {
	page.Harden(w.Header())
	w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if !strings.EqualFold(r.Host, f.public.Host) {
		return f.otherHost(w, r)
	}
	if err := f.cross.Check(r); err != nil {
		return false, fmt.Errorf("%w: %w", errCrossOrigin, err)
	}
	return false, nil
}

// otherHost sends a browser that used another name of this machine to the one
// that cookies and redirects are made for, and refuses any other host: a name
// that somebody made resolve to us.
func (f *Flow) otherHost(w http.ResponseWriter, r *http.Request) (bool, error) {
	asked := url.URL{Host: r.Host}
	alias := isLoopback(f.public.Hostname()) && isLoopback(asked.Hostname()) && asked.Port() == f.public.Port()
	if !alias || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false, errHost
	}
	to := url.URL{Scheme: f.public.Scheme, Host: f.public.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
	return true, nil
}

func (f *Flow) home(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/connections", http.StatusSeeOther)
	return nil
}

func notFound(http.ResponseWriter, *http.Request) error { return errNotFound }

// newKey is 256 random bits in base64url: a ticket, a state, a nonce.
func newKey() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
