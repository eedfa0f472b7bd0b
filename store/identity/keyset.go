package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// minRSA is the shortest RSA modulus, in bits (RFC 7518, section 3.3).
const minRSA = 2048

// A key is one public key of the issuer and the algorithms that it may verify.
type key struct {
	id         string
	algorithms []string
	public     crypto.PublicKey
}

// A keySet is what the issuer published at one moment. It is never changed.
type keySet struct {
	keys    []key
	digest  [sha256.Size]byte // of the document
	fetched time.Time
}

// fitting are the keys for a token with that key id and algorithm; every key of
// the algorithm where the token names none.
func (s *keySet) fitting(kid, alg string) []key {
	var out []key
	for _, k := range s.keys {
		if (kid == "" || k.id == kid) && slices.Contains(k.algorithms, alg) {
			out = append(out, k)
		}
	}
	return out
}

// parseKeySet reads a JWK set (RFC 7517, section 5). Keys that aren't for us are
// left out; a set without any is a set: the issuer then vouches for nothing.
func parseKeySet(document []byte, fetched time.Time) (*keySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &raw); err != nil || raw.Keys == nil {
		return nil, errors.New("the document is no JWK set")
	}
	set := &keySet{digest: sha256.Sum256(document), fetched: fetched}
	for _, one := range raw.Keys {
		if k, ok := parseKey(one); ok {
			set.keys = append(set.keys, k)
		}
	}
	return set, nil
}

// parseKey is false for symmetric and private keys (a published secret is none),
// keys for encryption, weak keys, and types that we don't know.
func parseKey(document []byte) (key, bool) {
	parsed, err := jwk.ParseKey(document)
	if err != nil || !forVerifying(parsed) {
		return key{}, false
	}
	var public crypto.PublicKey
	if err := parsed.Raw(&public); err != nil {
		return key{}, false
	}
	fits := algorithmsOf(public)
	if alg := parsed.Algorithm().String(); alg != "" {
		fits = slices.DeleteFunc(fits, func(f string) bool { return f != alg })
	}
	return key{id: parsed.KeyID(), algorithms: fits, public: public}, len(fits) > 0
}

func forVerifying(k jwk.Key) bool {
	use, ops := k.KeyUsage(), k.KeyOps()
	return (use == "" || use == string(jwk.ForSignature)) &&
		(len(ops) == 0 || slices.Contains(ops, jwk.KeyOpVerify))
}

// algorithmsOf are the allowed algorithms of a public key's own type. Anything
// else, the bytes of an oct key for one, has none.
func algorithmsOf(public crypto.PublicKey) []string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSA {
			return []string{"RS256", "PS256"}
		}
	case *ecdsa.PublicKey:
		if _, err := k.ECDH(); err == nil && k.Curve == elliptic.P256() {
			return []string{"ES256"}
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize { // jwx parses any length, crypto/ed25519 panics
			return []string{"EdDSA"}
		}
	}
	return nil
}
