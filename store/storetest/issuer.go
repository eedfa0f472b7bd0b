// Package storetest holds what tests of the vault share: the one suite that every
// backend passes, and a real issuer on loopback, written on the standard library
// alone so that it doesn't share a bug with the verifier under test.
package storetest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// Resource is the audience of an Issuer's access tokens.
const Resource = "https://latchkey.test/mcp"

var signingKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	return rsa.GenerateKey(rand.Reader, 2048)
})

// An Issuer publishes metadata and one RS256 key, and signs whatever it is told.
type Issuer struct {
	URL      string
	Resource string // the audience of Claims; Resource unless changed
	Now      func() time.Time
	Key      *rsa.PrivateKey
	t        testing.TB
	verifier *identity.Verifier
}

// NewIssuer starts an issuer on loopback; it ends with the test. now is nil for
// the real clock.
func NewIssuer(t testing.TB, now func() time.Time) *Issuer {
	t.Helper()
	key, err := signingKey()
	if err != nil {
		t.Fatal(err)
	}
	if now == nil {
		now = time.Now
	}
	iss := &Issuer{Resource: Resource, Now: now, Key: key, t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", iss.metadata)
	mux.HandleFunc("GET /.well-known/openid-configuration", iss.metadata)
	mux.HandleFunc("GET /jwks", iss.jwks)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	iss.URL = server.URL
	return iss
}

func (i *Issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/jwks",
		"authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (i *Issuer) jwks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1",
		"n": b64(i.Key.N.Bytes()), "e": b64(big.NewInt(int64(i.Key.E)).Bytes()),
	}}})
}

// Claims are those of a good access token for subject, from the client
// "test-client" with both of our scopes.
func (i *Issuer) Claims(subject string) map[string]any {
	now := i.Now()
	return map[string]any{
		"iss": i.URL, "sub": subject, "aud": i.Resource, "client_id": "test-client",
		"scope": "tools:read tools:write", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
}

// Sign is claims as a compact RS256 JWT; header overrides typ at+jwt and kid k1.
func (i *Issuer) Sign(header, claims map[string]any) string {
	i.t.Helper()
	h := map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": "k1"}
	maps.Copy(h, header)
	input := b64(marshal(i.t, h)) + "." + b64(marshal(i.t, claims))
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, i.Key, crypto.SHA256, sum[:])
	if err != nil {
		i.t.Fatal(err)
	}
	return input + "." + b64(sig)
}

// Token is a good access token for subject.
func (i *Issuer) Token(subject string) string { return i.Sign(nil, i.Claims(subject)) }

// Verifier is a real verifier of this issuer's tokens.
func (i *Issuer) Verifier() *identity.Verifier {
	i.t.Helper()
	if i.verifier == nil {
		v, err := identity.NewVerifier(identity.VerifierConfig{Issuer: i.URL, Resource: i.Resource, Now: i.Now})
		if err != nil {
			i.t.Fatal(err)
		}
		i.verifier = v
	}
	return i.verifier
}

// Caller is subject, through a token and the verifier: there is no other way.
func (i *Issuer) Caller(subject string) identity.Caller {
	i.t.Helper()
	c, err := i.Verifier().Verify(i.t.Context(), i.Token(subject))
	if err != nil {
		i.t.Fatal(fmt.Errorf("a good token of %s: %w", subject, err))
	}
	return c
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
