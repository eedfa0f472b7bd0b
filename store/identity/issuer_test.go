package identity

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const resource = "https://latchkey.test/mcp"

// A clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// An issuer publishes what a test tells it to, rightly or wrongly.
type issuer struct {
	*clock
	URL     string
	t       testing.TB
	fetches atomic.Int32 // of the key set

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
}

func newIssuer(t testing.TB, keys ...map[string]any) *issuer {
	t.Helper()
	i := &issuer{clock: newClock(), t: t, handlers: map[string]http.HandlerFunc{}}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.URL = server.URL
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		i.answer(path, i.metadata(i.URL))
	}
	i.publish(keys...)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/jwks" {
		i.fetches.Add(1)
	}
	i.mu.Lock()
	handle := i.handlers[r.URL.Path]
	i.mu.Unlock()
	if handle == nil {
		http.NotFound(w, r)
		return
	}
	handle(w, r)
}

func (i *issuer) handle(path string, h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handlers[path] = h
}

func (i *issuer) answer(path string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		i.t.Fatal(err)
	}
	i.handle(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
}

func (i *issuer) metadata(issuer string) map[string]any {
	return map[string]any{
		"issuer": issuer, "jwks_uri": i.URL + "/jwks",
		"authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
	}
}

func (i *issuer) publish(keys ...map[string]any) {
	i.answer("/jwks", map[string]any{"keys": append([]map[string]any{}, keys...)})
}

// hang makes the path wait until the returned function is called, at the latest
// at the end of the test; entered gets a value for each request that waits.
func (i *issuer) hang(path string) (entered <-chan struct{}, release func()) {
	i.mu.Lock()
	next := i.handlers[path]
	i.mu.Unlock()
	waiting, released := make(chan struct{}, 100), make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	i.t.Cleanup(release)
	i.handle(path, func(w http.ResponseWriter, r *http.Request) {
		waiting <- struct{}{}
		<-released
		next(w, r)
	})
	return waiting, release
}

func (i *issuer) verifier(change func(*VerifierConfig)) *Verifier {
	i.t.Helper()
	cfg := VerifierConfig{Issuer: i.URL, Resource: resource, Now: i.Now}
	if change != nil {
		change(&cfg)
	}
	v, err := NewVerifier(cfg)
	if err != nil {
		i.t.Fatal(err)
	}
	return v
}

// claims are those of a good access token, but for the overrides; nil takes a
// claim out.
func (i *issuer) claims(override map[string]any) map[string]any {
	now := i.Now()
	c := map[string]any{
		"iss": i.URL, "sub": "alice", "aud": resource, "client_id": "client", "scope": "tools:read",
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	maps.Copy(c, override)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// A signer signs under one key id and algorithm.
type signer struct {
	kid, alg string
	private  any
}

// token is a good access token, but for the overrides.
func (i *issuer) token(s signer, header, override map[string]any) string {
	return s.sign(i.t, header, i.claims(override))
}

func (s signer) sign(t testing.TB, override, claims map[string]any) string {
	t.Helper()
	h := map[string]any{"alg": s.alg, "typ": "at+jwt", "kid": s.kid}
	maps.Copy(h, override)
	maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
	input := encode(t, h) + "." + encode(t, claims)
	signature, err := s.signature([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func (s signer) signature(input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	switch k := s.private.(type) {
	case *rsa.PrivateKey:
		if s.alg == "PS256" {
			return rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32})
		}
		return rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		digest := sum[:]
		if s.alg == "ES384" {
			long := sha512.Sum384(input)
			digest = long[:]
		}
		r, sig, err := ecdsa.Sign(rand.Reader, k, digest)
		if err != nil {
			return nil, err
		}
		size := (k.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), sig.FillBytes(make([]byte, size))...), nil
	case ed25519.PrivateKey:
		return ed25519.Sign(k, input), nil
	}
	mac := hmac.New(sha256.New, s.private.([]byte))
	mac.Write(input)
	return mac.Sum(nil), nil
}

// jwk is the signer's public key as the issuer publishes it, with the overrides;
// nil takes a member out.
func (s signer) jwk(override map[string]any) map[string]any {
	m := map[string]any{"kid": s.kid, "alg": s.alg, "use": "sig"}
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := s.private.(type) {
	case *rsa.PrivateKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PrivateKey:
		point, err := k.PublicKey.Bytes() // 4, x, y
		if err != nil {
			panic(err)
		}
		half := (len(point) + 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", k.Params().Name, b64(point[1:half]), b64(point[half:])
	case ed25519.PrivateKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k.Public().(ed25519.PublicKey))
	case []byte:
		m["kty"], m["k"] = "oct", b64(k)
	}
	maps.Copy(m, override)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

var rsaKeys = sync.OnceValue(func() map[int]*rsa.PrivateKey {
	keys := map[int]*rsa.PrivateKey{}
	for _, bits := range []int{1024, 2048} {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		keys[bits] = k
	}
	return keys
})

func ecKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func edKey() ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

// es256 is a new signer; most tests don't care which, and it is the quickest.
func es256(kid string) signer {
	return signer{kid: cmp.Or(kid, "k1"), alg: "ES256", private: ecKey(elliptic.P256())}
}
