package identity

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// ErrInvalidToken is in every error of Verifier.Verify that means "not this
// token" (HTTP 401, RFC 6750 invalid_token). What was wrong is in the text,
// without any part of the token.
var ErrInvalidToken = errors.New("invalid access token")

// ErrUnavailable means that the issuer's keys can't be had at the moment and no
// good copy is left (HTTP 503): the token was neither accepted nor refused.
var ErrUnavailable = errors.New("the issuer's keys are unavailable")

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
type Verifier struct{}

// NewVerifier checks cfg; it does not reach out to the issuer.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) { panic("not written yet") }

// Verify checks rawToken (RFC 9068, section 4) and says who calls. Errors are
// ErrInvalidToken or ErrUnavailable.
func (v *Verifier) Verify(ctx context.Context, rawToken string) (Caller, error) {
	panic("not written yet")
}
