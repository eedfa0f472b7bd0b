package identity

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// Whatever comes, Verify answers with ErrInvalidToken, and accepts only the one
// text that the issuer signed.
func FuzzVerify(f *testing.F) {
	s := es256("")
	i := newIssuer(f, s.jwk(nil))
	v := i.verifier(nil)
	good := i.token(s, nil, nil)
	header, rest, _ := strings.Cut(good, ".")
	f.Add(good)
	f.Add(good + "=")
	f.Add(header + ".." + rest)
	f.Add(`{"payload":"","protected":"` + header + `","signature":""}`)
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + rest)
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := v.Verify(t.Context(), token)
		if (err == nil) != (token == good) || c.IsZero() != (err != nil) {
			t.Errorf("caller %+v, error %v", c, err)
		}
		if err != nil && !errors.Is(err, ErrInvalidToken) {
			t.Errorf("error %v, want ErrInvalidToken", err)
		}
	})
}

// Whatever the issuer signs, the subject is the one that it says, and none other.
func FuzzVerifiedClaims(f *testing.F) {
	s := es256("")
	i := newIssuer(f, s.jwk(nil))
	v := i.verifier(nil)
	common := `"iss":"` + i.URL + `","aud":"` + resource + `","client_id":"c","exp":1800000600`
	f.Add(`{` + common + `,"sub":"alice"}`)
	f.Add(`{` + common + `,"sub":"alice","Sub":"bob"}`)
	f.Add(`{` + common + `,"sub":"alice","payload":"e30","signatures":[]}`)
	f.Add(`{` + common + `,"sub":"alice","iat":1e9}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, claims string) {
		c, err := v.parseClaims(compact{typ: "at+jwt"}, []byte(claims))
		if err == nil && (!validSubject(c.Principal().Subject()) || c.Principal().Issuer() != i.URL || c.ClientID() == "") {
			t.Errorf("caller %+v", c)
		}
		if err != nil && (!errors.Is(err, ErrInvalidToken) || !c.IsZero()) {
			t.Errorf("caller %+v, error %v", c, err)
		}
	})
}

func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"","e":""},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		set, err := parseKeySet(document, newClock().Now())
		if err != nil {
			return
		}
		for _, k := range set.keys {
			if len(algorithmsOf(k.public)) == 0 {
				t.Errorf("a key for no allowed algorithm: %T", k.public)
			}
		}
	})
}
