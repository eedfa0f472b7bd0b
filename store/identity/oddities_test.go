package identity

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"
)

// An oddity is what an issuer may be brought to sign, or signs for another purpose:
// members set (nil takes one out), or the JSON's text changed.
type oddity struct {
	set  map[string]any
	text func(json string) string
}

func set(name string, value any) oddity { return oddity{set: map[string]any{name: value}} }

func text(change func(string) string) oddity { return oddity{text: change} }

// first puts a member in front of the others, where a parser may find it first.
func first(member string) oddity {
	return text(func(s string) string { return "{" + member + "," + s[1:] })
}

func last(member string) oddity {
	return text(func(s string) string { return s[:len(s)-1] + "," + member + "}" })
}

// bytes is object with the oddity.
func (o oddity) bytes(t testing.TB, object map[string]any) []byte {
	t.Helper()
	object = maps.Clone(object)
	maps.Copy(object, o.set)
	maps.DeleteFunc(object, func(_ string, v any) bool { return v == nil })
	b := marshal(t, object)
	if o.text != nil {
		b = []byte(o.text(string(b)))
	}
	return b
}

// withHeader is the header of s under the lab's own overrides, and odd's.
func withHeader(t testing.TB, s signer, override map[string]any, odd oddity) []byte {
	h := map[string]any{"alg": s.alg, "typ": "at+jwt", "kid": s.kid}
	maps.Copy(h, override)
	return odd.bytes(t, h)
}

// oddHeaders are well signed, each with good claims, and must be refused.
func oddHeaders(i *issuer, s signer) []oddity {
	list := []oddity{
		set("crit", []string{"x"}), set("crit", []string{}), set("b64", true), set("zip", "DEF"), set("enc", "A256GCM"),
		set("jku", i.URL+"/jwks"), set("x5u", i.URL), set("x5c", []string{"MA=="}), set("jwk", s.jwk(nil)),
		set("typ", nil), set("typ", ""), set("typ", 7), set("typ", "logout+jwt"), set("typ", "dpop+jwt"), set("typ", "oauth-id-jag+jwt"),
		set("kid", ""), set("kid", 7), set("kid", "k9"), set("kid", "k6"), set("kid", "k7"),
		set("alg", "none"), set("alg", nil), set("alg", 7), set("alg", strings.ToLower(s.alg)), set("alg", "HS256"),
		set("ALG", "none"), set("Typ", "JWT"), set("\u212aid", "k1"),
		first(`"alg":"none"`), last(`"alg":"none"`), first(`"typ":"JWT"`), last(`"kid":"k9"`), first(`"a\u006cg":"none"`),
		text(func(s string) string { return s + s }), text(func(s string) string { return s + "x" }),
		text(func(s string) string { return "[" + s + "]" }), text(func(s string) string { return s[:len(s)-1] }),
		last("\"x\":\"\xff\""),
	}
	for _, alg := range append([]string{"RS512", "ES384", "PS512"}, algorithms...) {
		if alg != s.alg {
			list = append(list, set("alg", alg))
		}
	}
	return list
}

// oddClaims are well signed, under a good header, and must be refused. inner is a
// good token of another.
func oddClaims(i *issuer, inner specimen) []oddity {
	at := func(d time.Duration) int64 { return i.Now().Add(d).Unix() }
	return []oddity{
		set("exp", nil), set("exp", 0), set("exp", "4102444800"), set("exp", at(-time.Hour)), set("exp", json.Number("1e10")),
		set("nbf", at(time.Hour)), set("nbf", "1"), set("iat", at(time.Hour)), set("iat", "1"),
		set("aud", "https://other.test/mcp"), set("aud", nil), set("aud", resource+"/"), set("aud", []string{}),
		set("iss", "https://issuer.test"), set("iss", nil), set("iss", i.URL+"/"),
		set("sub", nil), set("sub", ""), set("sub", 7), set("sub", "alice "), set("sub", "alice\x00"), set("sub", strings.Repeat("a", 256)),
		set("client_id", nil), set("client_id", "alice"), set("client_id", 7), set("scope", 7),
		set("nonce", "n"), set("at_hash", "h"), set("events", map[string]any{}), set("cnf", map[string]any{"jkt": "x"}),
		{set: map[string]any{"protected": inner.segments[0], "payload": inner.segments[1], "signature": inner.segments[2]}},
		{set: map[string]any{"payload": inner.segments[1], "signatures": []any{
			map[string]any{"protected": inner.segments[0], "signature": inner.segments[2]},
		}}},
		set("Sub", "bob"), set("SUB", "bob"), set("\u017fub", "bob"), set("Iss", "x"), set("AUD", resource), set("Exp", 1),
		first(`"sub":"bob"`), last(`"sub":"bob"`), first(`"s\u0075b":"bob"`), first(`"aud":"https://other.test"`), last(`"exp":9999999999`),
		text(func(s string) string { return s + s }), text(func(s string) string { return s + " x" }),
		text(func(s string) string { return "[" + s + "]" }), text(func(string) string { return "null" }),
		text(func(string) string { return `"alice"` }), text(func(string) string { return inner.text }),
		text(func(s string) string { return strings.Replace(s, `"alice"`, "\"alice\xff\"", 1) }),
	}
}
