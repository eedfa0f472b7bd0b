package authserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

const (
	familyIdle = 30 * 24 * time.Hour // a family that isn't used for so long ends
	familyLife = 90 * 24 * time.Hour // and each ends then
)

// A family is a line of refresh tokens that began with one code. Only its newest
// token works; an older one means that two parties hold the line, and ends it.
//
// That is strict on purpose: a client that sends the same token twice at once, or
// loses the answer, has to sign in again. No server can tell it from a thief.
type family struct {
	ClientID string
	Subject  string
	Scopes   []string
	Current  []byte // SHA-256 of the newest token's secret
	Began    time.Time
	Revoked  bool
}

// A refresh token is the family's name, a dot, and a secret. Nobody knows the name
// who never held a token of the family.
func refreshToken(name, secret string) string { return name + "." + secret }

// familyOf is the name of the family that a code leads to.
func familyOf(code string) string {
	sum := sha256.Sum256([]byte("latchkey refresh family\x00" + code))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// A family is over before it would be forgotten that its person was.
const _ = uint(store.CutoffLife - familyLife)

// startFamily makes a code's family and its first token. A conflict means that
// the code was replayed meanwhile, which revoked the family before it began. Who was
// forgotten in this very moment has no family either.
func (s *Server) startFamily(ctx context.Context, raw string, granted code) (string, error) {
	name, secret := familyOf(raw), newSecret()
	err := s.families.Put(ctx, name, s.owner(granted.Subject), familyIdle, family{
		ClientID: granted.Request.ClientID, Subject: granted.Subject, Scopes: granted.Request.Scopes,
		Current: hashOf(secret), Began: s.now(),
	})
	if errors.Is(err, store.ErrConflict) {
		return "", invalidGrant
	}
	if err != nil {
		return "", err
	}
	counts, err := s.counts(ctx, granted.Subject, granted.SignedIn)
	if err == nil && !counts {
		_, _ = s.families.Take(ctx, name)
		return "", invalidGrant
	}
	return refreshToken(name, secret), err
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// refresh is the refresh grant (RFC 6749, section 6) with rotation (RFC 9700,
// section 4.14.2).
func (s *Server) refresh(ctx context.Context, c client, form url.Values) (map[string]any, error) {
	name, secret, _ := strings.Cut(form.Get("refresh_token"), ".")
	item, err := s.families.Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, invalidGrant
	}
	if err != nil {
		return nil, err
	}
	if item.Value.Revoked || item.Value.ClientID != c.ID || !s.exists(item.Value.Subject) {
		return nil, invalidGrant
	}
	if subtle.ConstantTimeCompare(hashOf(secret), item.Value.Current) != 1 {
		return nil, s.reused(ctx, name, c)
	}
	if counts, err := s.counts(ctx, item.Value.Subject, item.Value.Began); err != nil {
		return nil, err
	} else if !counts {
		return nil, invalidGrant
	}
	scopes, err := narrowed(form.Get("scope"), item.Value.Scopes)
	if err != nil {
		return nil, err
	}
	return s.rotate(ctx, c, name, item, scopes)
}

// rotate persists the next token before anybody learns it.
func (s *Server) rotate(ctx context.Context, c client, name string, item store.Item[family], scopes []string) (map[string]any, error) {
	answer, err := s.tokens(ctx, c, scopes, item.Value.Subject)
	if err != nil {
		return nil, err
	}
	secret := newSecret()
	item.Value.Current = hashOf(secret)
	item.Expires = earlier(s.now().Add(familyIdle), item.Value.Began.Add(familyLife))
	err = s.families.Replace(ctx, name, item)
	if errors.Is(err, store.ErrConflict) { // somebody else used the same token just now
		return nil, s.reused(ctx, name, c)
	}
	answer["refresh_token"] = refreshToken(name, secret)
	return answer, err
}

// exists reports whether a made-up person is still one; upstream people are
// asked for at the next sign-in.
func (s *Server) exists(subject string) bool {
	return s.upstream != nil || slices.Contains(s.cfg.People, subject)
}

func (s *Server) reused(ctx context.Context, name string, c client) error {
	s.log.WarnContext(ctx, "refresh token used twice: family revoked", "client", c.ID)
	return refusal(s.revoke(ctx, name))
}

// revoke ends a family, even one that is about to begin: what it leaves behind
// takes the name. Nobody can stop it by hanging up.
func (s *Server) revoke(ctx context.Context, name string) error {
	ctx = context.WithoutCancel(ctx)
	err := s.families.Put(ctx, name, identity.Digest{}, familyLife, family{Revoked: true})
	if errors.Is(err, store.ErrConflict) {
		return s.revokeExisting(ctx, name)
	}
	return err
}

// revokeExisting ends a family if there is one. Where a refresh changes it at the
// same moment, it is read again: there is always one writer that gets on.
func (s *Server) revokeExisting(ctx context.Context, name string) error {
	for {
		item, err := s.families.Get(ctx, name)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		item.Value = family{Revoked: true}
		err = s.families.Replace(ctx, name, item)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
