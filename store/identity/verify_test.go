package identity

import (
	"crypto/elliptic"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestVerifyAlgorithms(t *testing.T) {
	for _, s := range []signer{
		{kid: "k", alg: "RS256", private: rsaKeys()[2048]},
		{kid: "k", alg: "PS256", private: rsaKeys()[2048]},
		{kid: "k", alg: "ES256", private: ecKey(elliptic.P256())},
		{kid: "k", alg: "EdDSA", private: edKey()},
	} {
		for name, jwk := range map[string]map[string]any{
			"as published":   s.jwk(nil),
			"without alg":    s.jwk(map[string]any{"alg": nil}),
			"without use":    s.jwk(map[string]any{"use": nil}),
			"for verifying":  s.jwk(map[string]any{"use": nil, "key_ops": []string{"verify"}}),
			"without key id": s.jwk(map[string]any{"kid": nil}),
		} {
			t.Run(s.alg+" "+name, func(t *testing.T) {
				i := newIssuer(t, jwk)
				token := i.token(s, map[string]any{"kid": jwk["kid"]}, nil)
				accepted(t, i.verifier(nil), token)
			})
		}
	}
}

func accepted(t *testing.T, v *Verifier, token string) Caller {
	t.Helper()
	c, err := v.Verify(t.Context(), token)
	if err != nil {
		t.Fatalf("a good token: %v", err)
	}
	return c
}

func refused(t *testing.T, v *Verifier, token string) {
	t.Helper()
	if c, err := v.Verify(t.Context(), token); !errors.Is(err, ErrInvalidToken) || !c.IsZero() {
		t.Fatalf("caller %+v, error %v, want ErrInvalidToken", c, err)
	}
}

// Keys that the issuer publishes, but that no access token may be verified with.
func TestVerifyRefusesKeys(t *testing.T) {
	rs := signer{kid: "k", alg: "RS256", private: rsaKeys()[2048]}
	weak := signer{kid: "k", alg: "RS256", private: rsaKeys()[1024]}
	secret := signer{kid: "k", alg: "HS256", private: []byte(strings.Repeat("s", 32))}
	p384 := signer{kid: "k", alg: "ES256", private: ecKey(elliptic.P384())}
	ed := signer{kid: "k", alg: "EdDSA", private: edKey()}
	private := rs.jwk(map[string]any{"d": rs.jwk(nil)["n"]})
	noAlg := map[string]any{"alg": nil}
	for _, test := range []struct {
		name  string
		jwk   map[string]any
		token signer
	}{
		{"a shared secret", secret.jwk(nil), secret},
		{"a shared secret without alg", secret.jwk(noAlg), secret},
		{"a shared secret that calls itself RS256", secret.jwk(map[string]any{"alg": "RS256"}), signer{"k", "RS256", secret.private}},
		{"for encryption", rs.jwk(map[string]any{"use": "enc"}), rs},
		{"for signing only", rs.jwk(map[string]any{"use": nil, "key_ops": []string{"sign"}}), rs},
		{"for PS256", rs.jwk(map[string]any{"alg": "PS256"}), rs},
		{"for RS512", rs.jwk(map[string]any{"alg": "RS512"}), rs},
		{"for RSA-OAEP", rs.jwk(map[string]any{"alg": "RSA-OAEP"}), rs},
		{"of 1024 bits", weak.jwk(nil), weak},
		{"on P-384", p384.jwk(noAlg), p384},
		{"private", private, rs},
		{"of an unknown type", map[string]any{"kty": "X", "kid": "k"}, rs},
		{"without its modulus", rs.jwk(map[string]any{"n": nil}), rs},
		{"too short for Ed25519", ed.jwk(map[string]any{"x": "AA"}), ed},
		{"of another id", rs.jwk(map[string]any{"kid": "other"}), rs},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := newIssuer(t, test.jwk)
			refused(t, i.verifier(nil), i.token(test.token, nil, nil))
			good := es256("good")
			i.publish(test.jwk, good.jwk(nil))
			i.advance(time.Minute)
			accepted(t, i.verifier(nil), i.token(good, nil, nil))
		})
	}
}

func TestParseKeyRefusesPrivateKeys(t *testing.T) {
	private := []byte(`{"kty":"OKP","crv":"Ed25519","kid":"k",
		"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
		"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)
	if k, ok := parseKey(private); ok {
		t.Errorf("key %q of RFC 8037, appendix A.1, was taken", k.id)
	}
}

func TestVerifySkew(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	for _, test := range []struct {
		claim string
		from  time.Duration
		ok    bool
	}{
		{"exp", -29 * time.Second, true}, {"exp", -30 * time.Second, false},
		{"nbf", 30 * time.Second, true}, {"nbf", 31 * time.Second, false},
		{"iat", 30 * time.Second, true}, {"iat", 31 * time.Second, false},
	} {
		token := i.token(s, nil, map[string]any{test.claim: i.Now().Add(test.from).Unix()})
		_, err := i.verifier(nil).Verify(t.Context(), token)
		if ok := err == nil; ok != test.ok {
			t.Errorf("%s %v from now: error %v, want accepted: %t", test.claim, test.from, err, test.ok)
		}
	}
}

func TestVerifyCaller(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	for _, test := range []struct {
		name     string
		override map[string]any
		client   string
		scopes   []string
	}{
		{"RFC 9068", nil, "client", []string{"tools:read"}},
		{"two scopes", map[string]any{"scope": "a b"}, "client", []string{"a", "b"}},
		{"no scope", map[string]any{"scope": nil}, "client", nil},
		{"empty scope", map[string]any{"scope": ""}, "client", nil},
		{"scp, an array", map[string]any{"scope": nil, "scp": []string{"a", "b"}}, "client", []string{"a", "b"}},
		{"scp, a string", map[string]any{"scope": nil, "scp": "a b"}, "client", []string{"a", "b"}},
		{"scope before scp", map[string]any{"scope": "a", "scp": "b"}, "client", []string{"a"}},
		{"azp", map[string]any{"client_id": nil, "azp": "authorized"}, "authorized", []string{"tools:read"}},
		{"cid", map[string]any{"client_id": nil, "cid": "okta"}, "okta", []string{"tools:read"}},
		{"client_id before azp", map[string]any{"azp": "authorized"}, "client", []string{"tools:read"}},
		{"several audiences", map[string]any{"aud": []string{"https://other.test", resource}}, "client", []string{"tools:read"}},
		{"fractions of a second", map[string]any{"iat": float64(i.Now().Unix()) + 0.5}, "client", []string{"tools:read"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := i.token(s, nil, test.override)
			first, again := accepted(t, v, token), accepted(t, v, token)
			for _, c := range []Caller{first, again} {
				if c.ClientID() != test.client || c.Principal() != (Principal{i.URL, "alice"}) {
					t.Errorf("caller %+v", c)
				}
				if got := c.Scopes(); len(got) != len(test.scopes) || cmp.Diff(test.scopes, append([]string(nil), got...)) != "" {
					t.Errorf("scopes %q, want %q", got, test.scopes)
				}
				if !c.IssuedAt().Equal(i.Now()) || !c.ExpiresAt().Equal(i.Now().Add(10*time.Minute)) {
					t.Errorf("from %v to %v", c.IssuedAt(), c.ExpiresAt())
				}
			}
		})
	}
}

func TestVerifyWithoutIssueTime(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	c := accepted(t, i.verifier(nil), i.token(s, nil, map[string]any{"iat": nil}))
	if !c.IssuedAt().IsZero() {
		t.Errorf("issued at %v", c.IssuedAt())
	}
}

func TestVerifyMediaTypes(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"} {
		accepted(t, i.verifier(nil), i.token(s, map[string]any{"typ": typ}, nil))
	}
	for _, typ := range []string{"application/jwt", "application/application/at+jwt", "x/at+jwt", "at+jwt "} {
		refused(t, i.verifier(nil), i.token(s, map[string]any{"typ": typ}, nil))
	}
}

func TestVerifyJWTType(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(func(c *VerifierConfig) { c.AcceptJWTType = true })
	for _, test := range []struct {
		name string
		typ  any
		m    map[string]any
		ok   bool
	}{
		{"at+jwt", "at+jwt", nil, true},
		{"JWT", "JWT", nil, true},
		{"Keycloak's access token", "JWT", map[string]any{"typ": "Bearer", "client_id": nil, "azp": "c"}, true},
		{"Cognito's access token", "JWT", map[string]any{"token_use": "access"}, true},
		{"no typ", nil, nil, false},
		{"logout token", "logout+jwt", nil, false},
		{"logout token by claim", "JWT", map[string]any{"events": map[string]any{}}, false},
		{"ID-JAG", "oauth-id-jag+jwt", nil, false},
		{"ID token with nonce", "JWT", map[string]any{"nonce": "n"}, false},
		{"ID token with at_hash", "JWT", map[string]any{"at_hash": "h"}, false},
		{"ID token with c_hash", "JWT", map[string]any{"c_hash": "h"}, false},
		{"ID token with azp", "JWT", map[string]any{"client_id": nil, "azp": "c", "scope": nil}, false},
		{"ID token for client and us", "JWT", map[string]any{"aud": []string{resource, "client"}}, false},
		{"ID token without any client", "JWT", map[string]any{"client_id": nil}, false},
		{"Keycloak's ID token", "JWT", map[string]any{"typ": "ID"}, false},
		{"Keycloak's refresh token", "JWT", map[string]any{"typ": "Refresh"}, false},
		{"kind no string", "JWT", map[string]any{"typ": 7}, false},
		{"Cognito's ID token", "JWT", map[string]any{"token_use": "id"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := i.token(s, map[string]any{"typ": test.typ}, test.m)
			if test.ok {
				accepted(t, v, token)
			} else {
				refused(t, v, token)
			}
		})
	}
}

func TestVerifyRefusesOtherVerifiersTokens(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	token := i.token(s, nil, nil)
	accepted(t, i.verifier(nil), token)
	refused(t, i.verifier(func(c *VerifierConfig) { c.Resource = "https://other.test/mcp" }), token)
}

func TestNewVerifierChecksItsConfig(t *testing.T) {
	for _, test := range []struct {
		issuer, resource string
		ok               bool
	}{
		{"https://issuer.test", resource, true},
		{"https://issuer.test/tenant/", resource, true},
		{"http://localhost:8420", resource, true},
		{"http://127.0.0.1:8420", resource, true},
		{"http://127.8.9.10", resource, true},
		{"http://[::1]:8420", "http://[::1]:8420/mcp", true},
		{"http://issuer.test", resource, false},
		{"http://localhost.issuer.test", resource, false},
		{"http://127.0.0.1.issuer.test", resource, false},
		{"http://192.168.0.1", resource, false},
		{"ftp://issuer.test", resource, false},
		{"issuer.test", resource, false},
		{"https://", resource, false},
		{"https://:443", resource, false},
		{"https://user@issuer.test", resource, false},
		{"https://issuer.test?x=1", resource, false},
		{"https://issuer.test#x", resource, false},
		{"https://issuer.test#", resource, false},
		{"", resource, false},
		{"https://issuer.test", "", false},
		{"https://issuer.test", "/mcp", false},
		{"https://issuer.test", resource + "#x", false},
	} {
		_, err := NewVerifier(VerifierConfig{Issuer: test.issuer, Resource: test.resource})
		if ok := err == nil; ok != test.ok {
			t.Errorf("issuer %q, resource %q: error %v, want accepted: %t", test.issuer, test.resource, err, test.ok)
		}
	}
}
