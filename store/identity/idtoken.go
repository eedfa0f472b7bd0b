package identity

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
)

// maxName is the longest name that pages show, in runes.
const maxName = 80

// SignIn verifies the ID token of a sign-in with that nonce (OpenID Connect Core,
// section 3.1.3.7) and starts a session with a new ID. The error is
// ErrUnavailable where the issuer's metadata can't be had, and else ErrSignedOut
// with what was wrong, without any part of the token.
func (b *Browser) SignIn(ctx context.Context, rawIDToken, nonce string) (Session, error) {
	if err := checkIDHeader(rawIDToken); err != nil {
		return Session{}, err
	}
	p, err := b.discover(ctx)
	if err != nil {
		return Session{}, err
	}
	token, err := b.verifier(p).Verify(oidc.ClientContext(ctx, b.client), rawIDToken)
	if err != nil {
		return Session{}, refuseID(idReason(err))
	}
	m, err := b.checkIDClaims(token, nonce)
	if err != nil {
		return Session{}, err
	}
	return b.start(Principal{issuer: token.Issuer, subject: token.Subject}, nameOf(m, token.Subject)), nil
}

func (b *Browser) verifier(p *provider) *oidc.IDTokenVerifier {
	return oidc.NewVerifier(b.cfg.Issuer, p.keys, &oidc.Config{
		ClientID: b.cfg.ClientID, SupportedSigningAlgs: algorithms, Now: b.cfg.Now,
	})
}

// checkIDHeader holds an ID token to the same shape as an access token. Its typ
// is JWT or missing; an access or logout token has another.
func checkIDHeader(rawIDToken string) error {
	t, err := parseCompact(rawIDToken)
	if err != nil {
		return refuseID("its shape or header is not allowed")
	}
	if t.typ != "" && t.typ != "jwt" {
		return refuseID("it is of another type")
	}
	return nil
}

// checkIDClaims checks what go-oidc leaves to us, or is lenient with.
func (b *Browser) checkIDClaims(token *oidc.IDToken, nonce string) (members, error) {
	var payload json.RawMessage
	if err := token.Claims(&payload); err != nil {
		return nil, refuseID("its claims are malformed")
	}
	m, err := parseMembers(payload, claimNames)
	if err != nil {
		return nil, refuseID("its claims are malformed")
	}
	subject, _ := m.text("sub")
	switch {
	case token.Issuer != b.cfg.Issuer:
		return nil, refuseID("it is from another issuer")
	case subject != token.Subject || !validSubject(subject):
		return nil, refuseID("its subject is missing or malformed")
	case m.has("events"):
		return nil, refuseID("it is a logout token")
	case nonce == "" || subtle.ConstantTimeCompare([]byte(nonce), []byte(token.Nonce)) != 1:
		return nil, refuseID("it is not from this sign-in")
	case !b.authorized(m, token.Audience):
		return nil, refuseID("it is for another client")
	case !b.timely(m):
		return nil, refuseID("its times are missing or wrong")
	}
	return m, nil
}

// authorized is the rule for azp: it is us where it is there, and it must be
// there where we are not the only audience.
func (b *Browser) authorized(m members, audience []string) bool {
	azp, _ := m.text("azp")
	if m.has("azp") || len(audience) > 1 {
		return azp == b.cfg.ClientID
	}
	return true
}

// timely requires exp and iat, and allows 30 s of skew where go-oidc allows five
// minutes (nbf) or doesn't look (iat).
func (b *Browser) timely(m members) bool {
	latest := b.cfg.Now().Add(skew)
	_, expires := m.date("exp")
	issued, ok := m.date("iat")
	begins, hasBegin := m.date("nbf")
	return expires && ok && !issued.After(latest) &&
		hasBegin == m.has("nbf") && !begins.After(latest)
}

func refuseID(reason string) error { return fmt.Errorf("%w: the ID token: %s", ErrSignedOut, reason) }

// idReason is err in words of ours: go-oidc's quote the token.
func idReason(err error) string {
	var expired *oidc.TokenExpiredError
	if errors.As(err, &expired) {
		return "it has expired"
	}
	return "its signature, issuer or audience is wrong"
}

// nameOf is what pages call the person. What isn't printable is left out: it
// could turn the text around it.
func nameOf(m members, subject string) string {
	for _, claim := range []string{"name", "preferred_username", "email"} {
		text, _ := m.text(claim)
		if name := printable(text); name != "" {
			return name
		}
	}
	return printable(subject)
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
	if runes := []rune(s); len(runes) > maxName {
		s = string(runes[:maxName])
	}
	return strings.TrimSpace(s)
}
