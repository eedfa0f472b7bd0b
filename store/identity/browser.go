package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrSignedOut means that there is no usable browser session: sign in again.
var ErrSignedOut = errors.New("not signed in")

const (
	defaultLife   = 12 * time.Hour
	keepEndpoints = time.Hour
)

// BrowserConfig says at which issuer people sign in to our own pages.
type BrowserConfig struct {
	// Issuer is the same issuer that the access tokens come from.
	Issuer string
	// ClientID is our pages' own OpenID client, the audience of its ID tokens.
	ClientID string
	// Seal seals session cookies; from store.Vault.AEAD("browser session").
	Seal tink.AEAD
	// Life is how long a session lasts; zero means 12 hours.
	Life time.Duration
	// HTTPClient fetches metadata and keys; nil means a client with a timeout.
	HTTPClient *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Browser turns a sign-in at the issuer into a session, and a session's sealed
// cookie into a caller. It is safe for concurrent use.
type Browser struct {
	cfg      BrowserConfig
	client   *http.Client
	provider atomic.Pointer[provider]
}

// A provider is what discovery said, and when. Its keys are fetched as needed.
type provider struct {
	authorization, token string
	sendsIss             bool // RFC 9207, section 3
	keys                 oidc.KeySet
	fetched              time.Time
}

// NewBrowser checks cfg; it does not reach out to the issuer.
func NewBrowser(cfg BrowserConfig) (*Browser, error) {
	if err := checkIssuer(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	switch {
	case cfg.ClientID == "":
		return nil, errors.New("the pages' OpenID client id is missing")
	case cfg.Seal == nil:
		return nil, errors.New("the key that seals sessions is missing")
	case cfg.Life < 0:
		return nil, errors.New("a session's life must be positive")
	case cfg.Life == 0:
		cfg.Life = defaultLife
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client := withoutRedirects(cfg.HTTPClient)
	client.Transport = bounded{client.Transport}
	return &Browser{cfg: cfg, client: client}, nil
}

// Endpoints are the issuer's authorization and token endpoints, from its OpenID
// discovery document (fetched on first use, then kept for an hour). The error is
// ErrUnavailable where it can't be had.
func (b *Browser) Endpoints(ctx context.Context) (authorization, token string, err error) {
	p, err := b.discover(ctx)
	if err != nil {
		return "", "", err
	}
	return p.authorization, p.token, nil
}

// Issuer is the issuer, and whether it says that its authorization responses carry
// iss (RFC 9207, section 3). The error is ErrUnavailable, as with Endpoints.
func (b *Browser) Issuer(ctx context.Context) (issuer string, sendsIss bool, err error) {
	p, err := b.discover(ctx)
	if err != nil {
		return "", false, err
	}
	return b.cfg.Issuer, p.sendsIss, nil
}

// discover holds no lock while it fetches: on a cold start a few sign-ins may do
// so at once, and none waits for another's.
func (b *Browser) discover(ctx context.Context) (*provider, error) {
	now := b.cfg.Now()
	if p := b.provider.Load(); p != nil && now.Sub(p.fetched) < keepEndpoints {
		return p, nil
	}
	p, err := b.fetchProvider(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	b.provider.Store(p)
	return p, nil
}

func (b *Browser) fetchProvider(ctx context.Context, now time.Time) (*provider, error) {
	ctx = oidc.ClientContext(ctx, b.client)
	found, err := oidc.NewProvider(ctx, b.cfg.Issuer)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("OpenID discovery of %s: %w", b.cfg.Issuer, ctx.Err())
	}
	if err != nil {
		// go-oidc's error holds the whole answer, whatever page that was.
		return nil, fmt.Errorf("OpenID discovery of %s: %.120q", b.cfg.Issuer, err.Error())
	}
	var m struct {
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		Keys          string `json:"jwks_uri"`
		SendsIss      bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&m); err != nil {
		return nil, err
	}
	for _, location := range []string{m.Authorization, m.Token, m.Keys} {
		if err := checkURL(location); err != nil {
			return nil, fmt.Errorf("OpenID discovery of %s: endpoint %q: %w", b.cfg.Issuer, location, err)
		}
	}
	keys := oidc.NewRemoteKeySet(ctx, m.Keys)
	return &provider{authorization: m.Authorization, token: m.Token, sendsIss: m.SendsIss, keys: keys, fetched: now}, nil
}

// bounded ends every answer at maxDocument bytes: go-oidc reads whatever comes.
type bounded struct{ next http.RoundTripper }

func (t bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = boundedBody{io.LimitReader(resp.Body, maxDocument), resp.Body}
	return resp, nil
}

type boundedBody struct {
	io.Reader
	io.Closer
}
