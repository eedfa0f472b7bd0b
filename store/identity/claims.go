package identity

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v2/jwt"
)

// skew is how far the issuer's clock may be off from ours.
const skew = 30 * time.Second

// maxSubject is the longest subject, in bytes (OpenID Connect Core, section 2).
const maxSubject = 255

// claimNames have a meaning to us; none may appear in another case.
var claimNames = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp", "cid", "scope", "scp",
	"nonce", "at_hash", "c_hash", "s_hash", "events", "cnf", "typ", "token_use",
	"payload", "protected", "signature", "signatures",
}

// otherTokens are claims of things that are no bearer access token, whatever
// their typ says: ID tokens (OpenID Connect Core, section 3.1.3.6), logout and
// security event tokens (RFC 8417), tokens bound to a sender's key (RFC 7800,
// RFC 9449), and a JWS in JSON, which jwt.Parse would open.
var otherTokens = []string{
	"nonce", "at_hash", "c_hash", "s_hash", "events", "cnf",
	"payload", "protected", "signature", "signatures",
}

// parseClaims checks a payload whose signature was verified (RFC 9068, section
// 4) and is the caller that it speaks of.
func (v *Verifier) parseClaims(t compact, payload []byte) (Caller, error) {
	m, err := parseMembers(payload, claimNames)
	if err != nil {
		return Caller{}, refuse("its claims are malformed")
	}
	if name := m.hasAny(otherTokens...); name != "" {
		return Caller{}, refuse("it is no bearer access token: it has " + name)
	}
	token, err := v.validate(payload)
	if err != nil {
		return Caller{}, refuse(reason(err))
	}
	c, err := callerOf(m, v.cfg.Issuer)
	if err != nil {
		return Caller{}, err
	}
	if token.Subject() != c.principal.subject || !token.Expiration().Equal(c.expiresAt) {
		return Caller{}, refuse("its claims are malformed")
	}
	return c, checkKind(t, m, c)
}

// validate is jwx's reading of the claims. The payload was verified before, so
// that nothing is taken from an envelope.
func (v *Verifier) validate(payload []byte) (jwt.Token, error) {
	return jwt.Parse(payload, jwt.WithVerify(false), jwt.WithValidate(true),
		jwt.WithClock(jwt.ClockFunc(v.cfg.Now)), jwt.WithAcceptableSkew(skew),
		jwt.WithIssuer(v.cfg.Issuer), jwt.WithAudience(v.cfg.Resource),
		jwt.WithRequiredClaim(jwt.ExpirationKey), jwt.WithRequiredClaim(jwt.SubjectKey))
}

// reason is err in words of ours: jwx's may quote the token.
func reason(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{jwt.ErrTokenExpired(), "it has expired"},
		{jwt.ErrTokenNotYetValid(), "it is not valid yet"},
		{jwt.ErrInvalidIssuedAt(), "it was issued in the future"},
		{jwt.ErrInvalidIssuer(), "it is from another issuer"},
		{jwt.ErrInvalidAudience(), "it is for another audience"},
		{jwt.ErrRequiredClaim(), "a claim is missing"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return "its claims are malformed"
}

func callerOf(m members, issuer string) (Caller, error) {
	subject, ok := m.text("sub")
	if !ok || !validSubject(subject) {
		return Caller{}, refuse("its subject is missing or malformed")
	}
	expires, ok := m.date("exp")
	if !ok {
		return Caller{}, refuse("its expiry is missing or malformed")
	}
	issued, ok := m.date("iat")
	if m.has("iat") && !ok {
		return Caller{}, refuse("its issue time is malformed")
	}
	if _, ok := m.date("nbf"); m.has("nbf") && !ok {
		return Caller{}, refuse("its start time is malformed")
	}
	client := clientOf(m)
	if client == "" {
		return Caller{}, refuse("it names no client")
	}
	if client == subject {
		return Caller{}, refuse("it speaks for a client, not for a person")
	}
	scopes, ok := scopesOf(m)
	if !ok {
		return Caller{}, refuse("its scope is malformed")
	}
	return Caller{
		principal: Principal{issuer: issuer, subject: subject},
		clientID:  client, scopes: scopes, issuedAt: issued, expiresAt: expires,
	}, nil
}

// validSubject refuses what could look like another subject, or be stored as one.
func validSubject(s string) bool {
	return s != "" && len(s) <= maxSubject && s == strings.TrimSpace(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}

// clientOf is client_id (RFC 9068, section 2.2), or what issuers without it have
// in its place.
func clientOf(m members) string {
	name := m.hasAny("client_id", "azp", "cid")
	client, _ := m.text(name)
	return client
}

// scopesOf is scope, a string with spaces (RFC 9068, section 2.2.3), or else scp,
// which some issuers send as a string and some as an array.
func scopesOf(m members) ([]string, bool) {
	switch m.hasAny("scope", "scp") {
	case "scope":
		s, ok := m.text("scope")
		return strings.Fields(s), ok
	case "scp":
		all, ok := m.texts("scp")
		return strings.Fields(strings.Join(all, " ")), ok
	}
	return nil, true
}

// checkKind tells access tokens from ID tokens where the header's "typ: JWT"
// doesn't: an ID token names the client as its audience and has no scope, and
// some issuers say the kind in a claim.
func checkKind(t compact, m members, c Caller) error {
	if t.typ == "at+jwt" {
		return nil
	}
	audience, _ := m.texts("aud")
	switch {
	case m.hasAny("scope", "scp") == "", slices.Contains(audience, c.clientID):
		return refuse("it looks like an ID token")
	case m.has("typ") && !m.is("typ", "bearer"), m.has("token_use") && !m.is("token_use", "access"):
		return refuse("it is no access token")
	}
	return nil
}

func (m members) is(name, want string) bool {
	s, ok := m.text(name)
	return ok && strings.EqualFold(s, want)
}
