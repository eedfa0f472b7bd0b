package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwt"
)

// ErrInvalidToken is in every error of Verifier.Verify that means "not this
// token" (HTTP 401, RFC 6750 invalid_token). What was wrong is in the text,
// without any part of the token.
var ErrInvalidToken = errors.New("invalid access token")

// ErrUnavailable means that the issuer's keys can't be had at the moment and no
// good copy is left (HTTP 503): the token was neither accepted nor refused.
var ErrUnavailable = errors.New("the issuer's keys are unavailable")

func refuse(reason string) error { return fmt.Errorf("%w: %s", ErrInvalidToken, reason) }

// VerifierConfig says whose access tokens are accepted, and for what.
type VerifierConfig struct {
	// Issuer is the exact issuer identifier: an https URL, or http on loopback.
	Issuer string
	// Resource is our own resource identifier, which must be in aud (RFC 8707).
	Resource string
	// AcceptJWTType also accepts the header "typ: JWT", for issuers that don't
	// follow RFC 9068. ID tokens are still refused.
	AcceptJWTType bool
	// HTTPClient fetches metadata and keys; nil means a client with a timeout.
	HTTPClient *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Verifier turns access tokens into callers. It is safe for concurrent use.
//
// Verified tokens are remembered for at most five minutes, never beyond their
// expiry and never beyond the key set that they were verified with.
type Verifier struct {
	cfg    VerifierConfig
	keys   *keyCache
	tokens tokenCache
}

// NewVerifier checks cfg; it does not reach out to the issuer.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	if err := checkIssuer(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	resource, err := url.Parse(cfg.Resource)
	if err != nil || !resource.IsAbs() || resource.Fragment != "" {
		return nil, errors.New("resource: it must be an absolute URL without a fragment (RFC 8707)")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	// A second lock behind parseCompact. It is global to jwx, so nothing relies on it.
	jwt.Settings(jwt.WithCompactOnly(true))
	keys := newKeyCache(cfg.Issuer, cfg.HTTPClient, cfg.Now)
	return &Verifier{cfg: cfg, keys: keys}, nil
}

// Verify checks rawToken (RFC 9068, section 4) and says who calls. Errors are
// ErrInvalidToken or ErrUnavailable. It never waits longer than ctx does.
func (v *Verifier) Verify(ctx context.Context, rawToken string) (Caller, error) {
	if len(rawToken) > maxToken {
		return Caller{}, refuse("it is too long")
	}
	id := sha256.Sum256([]byte(rawToken))
	if c, ok := v.tokens.get(id, v.keys.usable(), v.cfg.Now()); ok {
		return c, nil
	}
	t, err := parseCompact(rawToken)
	if err != nil {
		return Caller{}, err
	}
	if !v.accepts(t.typ) {
		return Caller{}, refuse("its type is not at+jwt")
	}
	payload, set, err := v.verifySignature(ctx, t)
	if err != nil {
		return Caller{}, err
	}
	c, err := v.parseClaims(t, payload)
	if err != nil {
		return Caller{}, err
	}
	v.tokens.put(id, set, c, v.cfg.Now())
	return c, nil
}

func (v *Verifier) accepts(typ string) bool {
	return typ == "at+jwt" || typ == "jwt" && v.cfg.AcceptJWTType
}

// verifySignature tries the keys we have, and once more with newer ones where
// none of ours fits; the set is the one that did.
func (v *Verifier) verifySignature(ctx context.Context, t compact) ([]byte, *keySet, error) {
	set, err := v.keys.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	payload, err := verifySignature(t, set)
	if errors.Is(err, errNoKey) {
		if set, err = v.keys.newer(ctx, set); err != nil {
			return nil, nil, err
		}
		payload, err = verifySignature(t, set)
	}
	if errors.Is(err, errNoKey) {
		return nil, nil, refuse("it is signed by no key of the issuer")
	}
	return payload, set, err
}
