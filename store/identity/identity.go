// Package identity says who is asking, and is the only place that can.
//
// It guarantees that a Principal exists only because a credential was verified:
// the types have no exported fields and no decoder, and the only ways to one are
// Verifier.Verify (an access token, RFC 9068) and Browser (an ID token at
// sign-in, and the sealed session cookie that follows from it). Everything else
// in Latchkey takes the Caller that this package made, so that no function,
// tool or HTTP parameter can name a person.
package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"
)

// A Principal is one verified person: the exact issuer that vouches for them and
// the subject it knows them by (RFC 7519, sections 4.1.1 and 4.1.2). The zero
// value is nobody. An e-mail address is never part of it.
type Principal struct{ issuer, subject string }

// Issuer is the issuer identifier, exactly as the credential gave it. It is for
// associated data and pages, never for a look-up.
func (p Principal) Issuer() string { return p.issuer }

// Subject is the issuer's own identifier of the person, for associated data and
// pages, never for a look-up.
func (p Principal) Subject() string { return p.subject }

// IsZero reports whether p is nobody.
func (p Principal) IsZero() bool { return p == Principal{} }

// Digest names p in rows and sealed states. Two principals have the same digest
// only if issuer and subject are both the same.
func (p Principal) Digest() Digest {
	if p.IsZero() {
		return Digest{}
	}
	h := sha256.New()
	for _, part := range []string{"latchkey principal v1", p.issuer, p.subject} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return Digest(h.Sum(nil))
}

// OwnerOf is the Digest that the principal of that issuer and subject has. It is for
// the built-in authorization server, which knows people by subject before anybody
// has verified them, to own the records that it keeps on them. Nobody becomes a
// Caller by it, and no credential is released for a Digest.
func OwnerOf(issuer, subject string) Digest {
	if issuer == "" || subject == "" {
		return Digest{}
	}
	return Principal{issuer, subject}.Digest()
}

// A Digest is SHA-256 over a principal's issuer and subject, each with its
// length before it. The zero value belongs to nobody.
type Digest [sha256.Size]byte

// String is d in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d belongs to nobody.
func (d Digest) IsZero() bool { return d == Digest{} }

// A Caller is a Principal together with what the credential says of this
// request: the OAuth client that sends it, the scopes it was given, and when it
// was issued and ends. The zero value is nobody. Callers are values, safe to
// copy and to use from several goroutines.
type Caller struct {
	principal Principal
	clientID  string
	scopes    []string
	issuedAt  time.Time
	expiresAt time.Time
}

// Principal is the person who calls.
func (c Caller) Principal() Principal { return c.principal }

// ClientID is the OAuth client identifier (RFC 9068, section 2.2), or "" where
// the credential is a browser session.
func (c Caller) ClientID() string { return c.clientID }

// HasScope reports whether the credential carries the OAuth scope, exactly.
func (c Caller) HasScope(scope string) bool { return slices.Contains(c.scopes, scope) }

// Scopes are the OAuth scopes of the credential, as a copy.
func (c Caller) Scopes() []string { return slices.Clone(c.scopes) }

// IssuedAt is when the credential was issued; zero where it doesn't say.
func (c Caller) IssuedAt() time.Time { return c.issuedAt }

// ExpiresAt is when the credential ends.
func (c Caller) ExpiresAt() time.Time { return c.expiresAt }

// IsZero reports whether c is nobody.
func (c Caller) IsZero() bool { return c.principal.IsZero() }
