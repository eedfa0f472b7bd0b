package identity

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

// jwx reads claims beside the members of a JWS in JSON, which nobody signed.
// Three guards stand in its way; each has to do alone.
func TestUnsignedEnvelopeIsRefusedByEachGuardAlone(t *testing.T) {
	s := es256("k1")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	bobs := strings.Split(i.token(s, nil, map[string]any{"sub": "bob"}), ".")
	text, err := json.Marshal(i.claims(map[string]any{
		"protected": bobs[0], "payload": bobs[1], "signature": bobs[2],
	}))
	if err != nil {
		t.Fatal(err)
	}
	envelope := string(text)
	if _, err := parseCompact(envelope); err == nil {
		t.Error("its shape was accepted")
	}
	accepted(t, v, strings.Join(bobs, "."))
	if _, err := verifySignature(compact{raw: envelope, alg: "ES256", kid: "k1"}, v.keys.usable()); err == nil {
		t.Error("its signature was accepted")
	}
	if token, err := v.validate(text); err == nil && token.Subject() == "bob" {
		t.Error("signed claims were opened as an envelope")
	}
	if c, err := v.parseClaims(compact{typ: "at+jwt"}, text); err == nil {
		t.Errorf("its claims were accepted: %+v", c)
	}
}

// jwx alone, with the issuer's key, would open the envelope and take the claims
// beside the signed ones. NewVerifier tells all of jwx not to.
func TestNewVerifierMakesJWXCompactOnly(t *testing.T) {
	s := es256("k1")
	i := newIssuer(t, s.jwk(nil))
	i.verifier(nil)
	signed := i.token(s, nil, map[string]any{"sub": "bob"})
	bobs := strings.Split(signed, ".")
	envelope, err := json.Marshal(i.claims(map[string]any{
		"protected": bobs[0], "payload": bobs[1], "signature": bobs[2],
	}))
	if err != nil {
		t.Fatal(err)
	}
	with := jwt.WithKey(jwa.ES256, s.private.(*ecdsa.PrivateKey).Public())
	if _, err := jwt.Parse([]byte(signed), with, jwt.WithValidate(false)); err != nil {
		t.Fatalf("the signed token: %v", err)
	}
	if token, err := jwt.Parse(envelope, with, jwt.WithValidate(false)); err == nil {
		t.Errorf("jwx opened the envelope, as %s", token.Subject())
	}
}

func TestThreeSegments(t *testing.T) {
	segments := strings.Split(newIssuer(t).token(es256(""), nil, nil), ".")
	segments = append(segments, segments...)
	for n := range segments {
		if _, err := parseCompact(strings.Join(segments[:n], ".")); (err == nil) != (n == 3) {
			t.Errorf("%d segments: error %v", n, err)
		}
	}
}

func TestHeaderNamesNoKeysAndNoRules(t *testing.T) {
	i, s := newIssuer(t), es256("")
	for _, name := range []string{"crit", "b64", "jku", "jwk", "x5u", "x5c", "enc", "zip"} {
		for _, value := range []any{"x", true, []string{}} {
			if _, err := parseCompact(i.token(s, map[string]any{name: value}, nil)); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
}

// jwx checks the signature of a header without the white space around it, and so
// takes a token for good that nobody signed.
func TestWhiteSpaceAroundTheHeaderIsRefused(t *testing.T) {
	s := es256("k1")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	segments := strings.Split(i.token(s, nil, nil), ".")
	header, err := base64.RawURLEncoding.DecodeString(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, space := range []string{" ", "\t", "\r", "\n"} {
		for _, changed := range []string{space + string(header), string(header) + space} {
			segments[0] = base64.RawURLEncoding.EncodeToString([]byte(changed))
			refused(t, v, strings.Join(segments, "."))
		}
	}
}

// jwx lets these headers pass, or acts on them. The key provider refuses them,
// even if parseHeader hadn't.
func TestKeyProviderRefusesHeaders(t *testing.T) {
	s := es256("k1")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	accepted(t, v, i.token(s, nil, nil))
	set := v.keys.usable()
	for name, header := range map[string]map[string]any{
		"crit":          {"crit": []string{"x"}, "x": 1},
		"jku":           {"jku": i.URL + "/jwks"},
		"jwk":           {"jwk": s.jwk(nil)},
		"x5u":           {"x5u": i.URL},
		"x5c":           {"x5c": []string{base64.StdEncoding.EncodeToString([]byte("x"))}},
		"another alg":   {"alg": "ES384"},
		"another kid":   {"kid": "k2"},
		"no algorithm":  {"alg": nil},
		"no key id":     {"kid": nil},
		"algorithm off": {"alg": "none"},
	} {
		token := i.token(s, header, nil)
		if _, err := verifySignature(compact{raw: token, alg: "ES256", kid: "k1"}, set); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if name != "no key id" { // which is fine where the header is read as it is
			refused(t, v, token)
		}
	}
}

// jwx takes exp 0 for no expiry at all, and strings for times.
func TestExpiryIsAlwaysLimited(t *testing.T) {
	s := es256("k1")
	i := newIssuer(t, s.jwk(nil))
	for _, exp := range []any{nil, 0, 0.0, -1, json.Number("0.5"), json.Number("1e10"), "1900000000", lastSecond + 1} {
		refused(t, i.verifier(nil), i.token(s, nil, map[string]any{"exp": exp}))
	}
}

// jwx and we both want exp and sub; either has to notice alone, since each is read
// by a parser of its own.
func TestExpiryAndSubjectAreRequiredTwice(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier(nil)
	for _, claim := range []string{"exp", "sub", ""} {
		claims := i.claims(nil)
		delete(claims, claim)
		payload, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		m, err := parseMembers(payload, claimNames)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.validate(payload); (err == nil) != (claim == "") {
			t.Errorf("jwx, without %q: error %v", claim, err)
		}
		if _, err := callerOf(m, i.URL); (err == nil) != (claim == "") {
			t.Errorf("ours, without %q: error %v", claim, err)
		}
	}
}

func TestMembers(t *testing.T) {
	known := []string{"sub", "kid"}
	for text, ok := range map[string]bool{
		`{}`: true, ` {"sub":"a", "x":{"sub":1,"sub":2}} `: true, `{"Other":1,"other":2}`: true,
		``: false, `{`: false, `{"sub":"a"`: false, `{"sub":"a",}`: false, `{"sub"}`: false, `{"sub":}`: false,
		`{} {}`: false, `{}x`: false, `[]`: false, `"{}"`: false, `null`: false, "{\"x\":\"\xff\"}": false,
		`{"sub":1,"sub":1}`: false, `{"x":1,"\u0078":1}`: false,
		`{"Sub":1}`: false, `{"\u017fub":1}`: false, `{"\u212aid":1}`: false,
	} {
		if _, err := parseMembers([]byte(text), known); (err == nil) != ok {
			t.Errorf("%s: error %v, want accepted: %t", text, err, ok)
		}
	}
}

// Callers verify while keys rotate, sets go stale and the memory turns over.
func TestVerifyConcurrently(t *testing.T) {
	s, next := es256("k1"), es256("k2")
	i := newIssuer(t, s.jwk(nil), next.jwk(nil))
	v := i.verifier(nil)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 20 {
				i.advance(refreshAfter / 40)
				token := i.token([]signer{s, next}[n%2], nil, map[string]any{"exp": i.Now().Add(time.Hour).Unix()})
				if _, err := v.Verify(t.Context(), token); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 10 {
		i.publish(next.jwk(nil), s.jwk(nil))
		i.publish(s.jwk(nil), next.jwk(nil))
	}
	wg.Wait()
	land(t, v.keys)
}
