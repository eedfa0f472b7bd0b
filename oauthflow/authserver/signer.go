package authserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// This is the only file of the package that knows the JOSE library.

// signingAlgorithm is ES256: a key is made in no time, and tokens stay short.
const signingAlgorithm = "ES256"

// The header types of what is signed (RFC 9068, section 2.1).
const (
	typeAccess = "at+jwt"
	typeID     = "JWT"
)

// newSigningKey is a fresh private key as a JWK.
func newSigningKey() (signingKey, error) {
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return signingKey{}, err
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return signingKey{}, err
	}
	id := rand.Text()
	for name, value := range map[string]any{
		jwk.KeyIDKey: id, jwk.AlgorithmKey: jwa.ES256, jwk.KeyUsageKey: jwk.ForSignature,
	} {
		if err := key.Set(name, value); err != nil {
			return signingKey{}, err
		}
	}
	private, err := json.Marshal(key)
	return signingKey{ID: id, Private: private}, err
}

// publicSet is the JWKS (RFC 7517) of all, without a private part.
func publicSet(all []signingKey) (any, error) {
	set := jwk.NewSet()
	for _, k := range all {
		key, err := jwk.ParseKey(k.Private)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
		}
		if err := set.AddKey(key); err != nil {
			return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
		}
	}
	return jwk.PublicSetOf(set)
}

// sign is claims as a compact JWS of that header type.
func sign(k signingKey, typ string, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	key, err := jwk.ParseKey(k.Private)
	if err != nil {
		return "", fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	header := jws.NewHeaders()
	if err := header.Set(jws.TypeKey, typ); err != nil {
		return "", err
	}
	signed, err := jws.Sign(payload, jws.WithKey(jwa.ES256, key, jws.WithProtectedHeaders(header)))
	return string(signed), err
}
