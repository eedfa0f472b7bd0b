package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"
)

func id(n int) [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func remembers(t *testing.T, v *Verifier, token string) bool {
	t.Helper()
	_, ok := v.tokens.get(sha256.Sum256([]byte(token)), v.keys.usable(), v.cfg.Now())
	return ok
}

func TestRememberedTokenEndsAtItsExpiry(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	token := i.token(s, nil, map[string]any{"exp": i.Now().Add(time.Minute).Unix()})
	accepted(t, v, token)
	i.advance(time.Minute + skew - time.Second)
	accepted(t, v, token)
	if !remembers(t, v, token) {
		t.Error("the token was forgotten, so that this test shows nothing")
	}
	i.advance(time.Second)
	refused(t, v, token)
}

func TestRememberedTokenEndsAfterFiveMinutes(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	token := i.token(s, nil, nil)
	accepted(t, v, token)
	i.advance(rememberFor - time.Second)
	accepted(t, v, token)
	if !remembers(t, v, token) {
		t.Error("forgotten too early")
	}
	i.advance(time.Second)
	if remembers(t, v, token) {
		t.Error("remembered for more than five minutes")
	}
	accepted(t, v, token)
}

func TestRememberedTokensEndWithTheirKeySet(t *testing.T) {
	s, next := es256("k1"), es256("k2")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	token := i.token(s, nil, nil)
	accepted(t, v, token)
	i.publish(next.jwk(nil))
	accepted(t, v, i.token(next, nil, nil)) // an unknown key: the new set is fetched
	if remembers(t, v, token) {
		t.Error("remembered under another key set")
	}
	refused(t, v, token)
}

func TestSameKeySetAgainForgetsNothing(t *testing.T) {
	s := es256("k1")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	token := i.token(s, nil, nil)
	accepted(t, v, token)
	refused(t, v, i.token(es256("k2"), nil, nil))
	fetched(t, i, 2)
	if !remembers(t, v, token) {
		t.Error("forgotten, though the key set is the same")
	}
}

func TestRefusedTokensAreNotRemembered(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	for range 3 {
		refused(t, v, i.token(s, nil, map[string]any{"aud": "x"}))
	}
	if n := len(v.tokens.young) + len(v.tokens.old); n != 0 {
		t.Errorf("%d tokens remembered", n)
	}
}

func TestTokenCacheIsBounded(t *testing.T) {
	var c tokenCache
	now := time.Unix(1_800_000_000, 0)
	set := &keySet{}
	caller := Caller{expiresAt: now.Add(time.Hour)}
	for n := range 3 * maxRemembered {
		c.put(id(n), set, caller, now)
		if size := len(c.young) + len(c.old); size > maxRemembered {
			t.Fatalf("%d tokens after %d", size, n+1)
		}
		if _, ok := c.get(id(0), set, now); !ok {
			t.Fatalf("a token in use was forgotten after %d others", n)
		}
	}
	if _, ok := c.get(id(1), set, now); ok {
		t.Error("a token that nobody used is still there")
	}
}
