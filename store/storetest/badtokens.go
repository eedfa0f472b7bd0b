package storetest

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"time"
)

// A BadToken is what an attacker, or an issuer's other token, could look like.
type BadToken struct{ Name, Token string }

// BadTokens are tokens that no resource server of i.Resource may accept. Each can
// be sent in an Authorization header as it is, within the next hour.
func BadTokens(i *Issuer) []BadToken {
	i.t.Helper()
	var all []BadToken
	for _, some := range [][]BadToken{
		i.badClaims(), i.badTimes(), i.badSubjects(), i.otherKinds(), i.badHeaders(),
		i.badSignatures(), i.badShapes(), i.badJSON(), i.envelopes(),
	} {
		all = append(all, some...)
	}
	return all
}

// without, in an override, takes the claim or header parameter out.
type without struct{}

// claims are good ones but for the overrides.
func (i *Issuer) claims(override map[string]any) map[string]any {
	c := i.Claims("alice")
	maps.Copy(c, override)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == any(without{}) })
	return c
}

// bad is a well signed token with those claims overridden.
func (i *Issuer) bad(name string, override map[string]any) BadToken {
	return BadToken{name, i.Sign(nil, i.claims(override))}
}

// one is bad for a single claim.
func (i *Issuer) one(name, claim string, value any) BadToken {
	return i.bad(name, map[string]any{claim: value})
}

func (i *Issuer) badClaims() []BadToken {
	return []BadToken{
		i.one("wrong audience", "aud", "https://other.test/mcp"),
		i.one("no audience", "aud", without{}),
		i.one("audience null", "aud", nil),
		i.one("audience a number", "aud", 7),
		i.one("audience an empty list", "aud", []string{}),
		i.one("audience below ours", "aud", i.Resource+"/other"),
		i.one("audience with trailing slash", "aud", i.Resource+"/"),
		i.one("wrong issuer", "iss", "https://issuer.test"),
		i.one("issuer with trailing slash", "iss", i.URL+"/"),
		i.one("no issuer", "iss", without{}),
		i.one("issuer a list", "iss", []string{i.URL}),
		i.one("no client", "client_id", without{}),
		i.one("client a number", "client_id", 7),
		i.one("a client's own token", "client_id", "alice"),
		i.one("scope a number", "scope", 7),
		i.one("scope a list", "scope", []string{"tools:read"}),
	}
}

func (i *Issuer) badTimes() []BadToken {
	at := func(d time.Duration) int64 { return i.Now().Add(d).Unix() }
	return []BadToken{
		i.one("expired", "exp", at(-time.Hour)),
		i.one("exp missing", "exp", without{}),
		i.one("exp null", "exp", nil),
		i.one("exp zero", "exp", 0),
		i.one("exp negative", "exp", -1),
		i.one("exp a string", "exp", "4102444800"),
		i.one("exp a date", "exp", "2100-01-01T00:00:00Z"),
		i.one("exp beyond all time", "exp", 1e300),
		i.one("not yet valid", "nbf", at(time.Hour)),
		i.one("nbf a string", "nbf", "1"),
		i.one("issued in the future", "iat", at(time.Hour)),
		i.one("iat a string", "iat", "1"),
	}
}

func (i *Issuer) badSubjects() []BadToken {
	return []BadToken{
		i.one("no subject", "sub", without{}),
		i.one("subject empty", "sub", ""),
		i.one("subject null", "sub", nil),
		i.one("subject a number", "sub", 7),
		i.one("subject a list", "sub", []string{"alice"}),
		i.one("subject an object", "sub", map[string]any{"sub": "alice"}),
		i.one("subject too long", "sub", strings.Repeat("a", 256)),
		i.one("subject with a NUL", "sub", "alice\x00"),
		i.one("subject with a space behind", "sub", "alice "),
		i.one("subject not Unicode", "sub", "alice\ufffd"),
	}
}

// otherKinds are well signed, for us and for alice, but no access tokens.
func (i *Issuer) otherKinds() []BadToken {
	typed := func(name string, typ any, override map[string]any) BadToken {
		header := map[string]any{"typ": typ}
		return BadToken{name, i.sign(header, i.claims(override))}
	}
	logout := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	return []BadToken{
		typed("typ JWT", "JWT", nil),
		typed("typ missing", without{}, nil),
		typed("typ a number", 7, nil),
		typed("typ empty", "", nil),
		typed("ID token", "JWT", map[string]any{"nonce": "n", "at_hash": "h", "scope": without{}}),
		typed("logout token", "logout+jwt", map[string]any{"events": logout}),
		typed("ID-JAG", "oauth-id-jag+jwt", nil),
		typed("DPoP proof", "dpop+jwt", nil),
		typed("encrypted type", "at+jwe", nil),
		i.one("events in an access token", "events", logout),
		i.one("nonce in an access token", "nonce", "n"),
		i.one("at_hash in an access token", "at_hash", "h"),
		i.one("bound to a sender's key", "cnf", map[string]any{"jkt": "x"}),
	}
}

// sign is Sign where an override may also be without{}.
func (i *Issuer) sign(override, claims map[string]any) string {
	return i.signWith(i.Key, header(override), marshal(i.t, claims))
}

func header(override map[string]any) map[string]any {
	h := map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": "k1"}
	maps.Copy(h, override)
	maps.DeleteFunc(h, func(_ string, v any) bool { return v == any(without{}) })
	return h
}

func (i *Issuer) signWith(key *rsa.PrivateKey, header map[string]any, payload []byte) string {
	return i.signBytes(key, marshal(i.t, header), payload)
}

func (i *Issuer) signBytes(key *rsa.PrivateKey, header, payload []byte) string {
	input := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		i.t.Fatal(err)
	}
	return input + "." + b64(sig)
}

func (i *Issuer) badHeaders() []BadToken {
	own := func(name string, override map[string]any) BadToken {
		return BadToken{name, i.sign(override, i.Claims("alice"))}
	}
	return []BadToken{
		own("crit unknown", map[string]any{"crit": []string{"x"}, "x": true}),
		own("crit empty", map[string]any{"crit": []string{}}),
		own("crit b64", map[string]any{"crit": []string{"b64"}, "b64": true}),
		own("b64 without crit", map[string]any{"b64": true}),
		own("jku", map[string]any{"jku": i.URL + "/jwks"}),
		own("x5u", map[string]any{"x5u": i.URL + "/x5u"}),
		own("x5c", map[string]any{"x5c": []string{"MA=="}}),
		own("zip", map[string]any{"zip": "DEF"}),
		own("ALG beside alg", map[string]any{"ALG": "none"}),
		own("Typ beside typ", map[string]any{"Typ": "JWT"}),
		own("no algorithm", map[string]any{"alg": without{}}),
		own("algorithm a number", map[string]any{"alg": 7}),
		own("algorithm in lower case", map[string]any{"alg": "rs256"}),
		own("key id a number", map[string]any{"kid": 7}),
		own("key id empty", map[string]any{"kid": ""}),
		own("key id unknown", map[string]any{"kid": "k2"}),
		own("PS256 over an RS256 signature", map[string]any{"alg": "PS256"}),
		own("ES256 with an RSA key", map[string]any{"alg": "ES256"}),
		own("EdDSA with an RSA key", map[string]any{"alg": "EdDSA"}),
		own("HS256 over an RS256 signature", map[string]any{"alg": "HS256"}),
	}
}

func (i *Issuer) badSignatures() []BadToken {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		i.t.Fatal(err)
	}
	jwk := map[string]any{
		"kty": "RSA", "alg": "RS256", "kid": "k1",
		"n": b64(other.N.Bytes()), "e": b64(big.NewInt(int64(other.E)).Bytes()),
	}
	payload := marshal(i.t, i.Claims("alice"))
	good, bobs := cut(i.Token("alice")), cut(i.Token("bob"))
	bad := []BadToken{
		{"unknown key under our key id", i.signWith(other, header(nil), payload)},
		{"unknown key without key id", i.signWith(other, header(map[string]any{"kid": without{}}), payload)},
		{"key embedded", i.signWith(other, header(map[string]any{"jwk": jwk}), payload)},
		{"key embedded, key id unknown", i.signWith(other, header(map[string]any{"jwk": jwk, "kid": "k9"}), payload)},
		{"signature of another token", join(good[0], good[1], bobs[2])},
		{"claims of another token", join(good[0], bobs[1], good[2])},
		{"signature cut short", join(good[0], good[1], b64(unb64(good[2])[:128]))},
		{"signature one byte", join(good[0], good[1], "AA")},
		{"signature zero", join(good[0], good[1], b64(make([]byte, 256)))},
		{"algorithm none, no signature", unsigned("none", payload) + "."},
		{"algorithm none, a signature", unsigned("none", payload) + "." + good[2]},
		{"algorithm None", unsigned("None", payload) + "." + good[2]},
		{"RS512", i.rs512(payload)},
	}
	return append(bad, i.hmacs(payload)...)
}

func unsigned(alg string, payload []byte) string {
	return b64([]byte(`{"alg":"`+alg+`","typ":"at+jwt","kid":"k1"}`)) + "." + b64(payload)
}

func (i *Issuer) rs512(payload []byte) string {
	input := unsigned("RS512", payload)
	sum := sha512.Sum512([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, i.Key, crypto.SHA512, sum[:])
	if err != nil {
		i.t.Fatal(err)
	}
	return input + "." + b64(sig)
}

// hmacs use what is public about the key as a shared secret.
func (i *Issuer) hmacs(payload []byte) []BadToken {
	pkix, err := x509.MarshalPKIXPublicKey(&i.Key.PublicKey)
	if err != nil {
		i.t.Fatal(err)
	}
	return []BadToken{
		{"HS256 with the public key in DER", HS256(pkix, payload)},
		{"HS256 with the public modulus", HS256(i.Key.N.Bytes(), payload)},
		{"HS256 with the public modulus as published", HS256([]byte(b64(i.Key.N.Bytes())), payload)},
		{"HS256 with no secret", HS256(nil, payload)},
	}
}

// HS256 is payload as a compact JWT under a shared secret, key id k1.
func HS256(secret, payload []byte) string {
	input := unsigned("HS256", payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + b64(mac.Sum(nil))
}

// badShapes all hold a good token's bytes, in a text that isn't its one text.
func (i *Issuer) badShapes() []BadToken {
	good := cut(i.ragged())
	pad := func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) }
	return []BadToken{
		{"two segments", join(good[:2]...)},
		{"four segments", join(append(good[:3:3], good[2])...)},
		{"five segments", join(append(good[:3:3], good[1], good[2])...)},
		{"empty fourth segment", join(append(good[:3:3], "")...)},
		{"no header", join("", good[1], good[2])},
		{"no payload", join(good[0], "", good[2])},
		{"only dots", ".."},
		{"header padded", join(pad(good[0]), good[1], good[2])},
		{"payload padded", join(good[0], pad(good[1]), good[2])},
		{"signature padded", join(good[0], good[1], pad(good[2]))},
		{"space inside", join(good[0], " "+good[1], good[2])},
		{"space in a segment", join(good[0], good[1][:8]+" "+good[1][8:], good[2])},
		{"header's last bits", join(lastBits(good[0]), good[1], good[2])},
		{"payload's last bits", join(good[0], lastBits(good[1]), good[2])},
		{"signature's last bits", join(good[0], good[1], lastBits(good[2]))},
		{"standard alphabet", join(standard(good[0]), standard(good[1]), standard(good[2]))},
		{"oversized", i.Sign(nil, i.claims(map[string]any{"pad": strings.Repeat("a", 8<<10)}))},
	}
}

// ragged is a good token none of whose segments ends on a full group of base64,
// and whose signature has a character that differs between the two alphabets.
func (i *Issuer) ragged() string {
	fill := func(m map[string]any) {
		for len(marshal(i.t, m))%3 != 1 {
			m["pad"], _ = m["pad"].(string)
			m["pad"] = m["pad"].(string) + "x"
		}
	}
	for {
		h, c := header(nil), i.Claims("alice")
		fill(h)
		fill(c)
		token := i.sign(h, c)
		if strings.ContainsAny(cut(token)[2], "-_") {
			return token
		}
	}
}

func standard(s string) string { return strings.NewReplacer("-", "+", "_", "/").Replace(s) }

// lastBits sets an unused bit of the last character: lax decoders ignore it.
func lastBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + alphabet[last|1:][:1]
}

// badJSON are well signed, and mean different things to different parsers.
func (i *Issuer) badJSON() []BadToken {
	h, c := string(marshal(i.t, header(nil))), string(marshal(i.t, i.Claims("alice")))
	payload := func(name, text string) BadToken {
		return BadToken{name, i.signBytes(i.Key, []byte(h), []byte(text))}
	}
	first := func(object, member string) string { return "{" + member + "," + object[1:] }
	return []BadToken{
		payload("sub twice", first(c, `"sub":"bob"`)),
		payload("aud twice", first(c, `"aud":"https://other.test"`)),
		payload("SUB beside sub", first(c, `"SUB":"bob"`)),
		payload("sub in another script beside sub", first(c, `"\u017fub":"bob"`)),
		payload("claims not UTF-8", strings.Replace(c, `"alice"`, "\"alice\xff\"", 1)),
		payload("claims with more behind", c+c),
		payload("claims a list", "["+c+"]"),
		payload("claims a string", `"alice"`),
		payload("claims null", "null"),
		payload("claims empty", "{}"),
		payload("claims cut short", c[:len(c)-1]),
		payload("claims a token", i.Token("alice")),
		{"alg twice", i.signBytes(i.Key, []byte(first(h, `"alg":"none"`)), []byte(c))},
		{"header a list", i.signBytes(i.Key, []byte("["+h+"]"), []byte(c))},
		{"header with more behind", i.signBytes(i.Key, []byte(h+h), []byte(c))},
	}
}

// envelopes put unsigned claims beside a good token of bob's, whose signature a
// library then finds right.
func (i *Issuer) envelopes() []BadToken {
	bobs := cut(i.Token("bob"))
	flat := map[string]any{"protected": bobs[0], "payload": bobs[1], "signature": bobs[2]}
	general := map[string]any{"payload": bobs[1], "signatures": []any{
		map[string]any{"protected": bobs[0], "signature": bobs[2]},
	}}
	as := func(jws map[string]any) string {
		claims := i.Claims("alice")
		maps.Copy(claims, jws)
		return string(marshal(i.t, claims))
	}
	// Escapes mean the same to a parser and leave two dots to count.
	segments := strings.ReplaceAll(as(flat), ".", `\u002e`)
	segments = `{"x":"..",` + segments[1:]
	text := func(v any) string { return string(marshal(i.t, v)) }
	return []BadToken{
		{"flattened JSON", text(flat)},
		{"general JSON", text(general)},
		{"flattened JSON with outer claims", as(flat)},
		{"general JSON with outer claims", as(general)},
		{"JSON envelope of three segments", segments},
		{"JSON envelope in base64url", b64([]byte(as(flat)))},
		{"JSON envelope as a payload", join(bobs[0], b64([]byte(as(flat))), bobs[2])},
		{"signed claims with an envelope's members", i.Sign(nil, i.claims(flat))},
		{"signed claims with general JSON's members", i.Sign(nil, i.claims(general))},
		{"two good tokens", i.Token("alice") + "." + i.Token("bob")},
		{"claims in the clear", text(json.RawMessage(marshal(i.t, i.Claims("alice"))))},
	}
}

func cut(token string) []string      { return strings.Split(token, ".") }
func join(segments ...string) string { return strings.Join(segments, ".") }
func unb64(s string) []byte          { b, _ := base64.RawURLEncoding.DecodeString(s); return b }
