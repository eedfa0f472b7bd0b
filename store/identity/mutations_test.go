package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"hash"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A mutator makes one forgery.
type mutator struct {
	*forger
	*rand.Rand
}

// A mutation makes a text out of a specimen; now and then it may be the specimen's
// own. It has no issuer's private key.
type mutation struct {
	name  string
	forge func(m mutator, s specimen) string
}

var mutations = []mutation{
	{"itself", func(_ mutator, s specimen) string { return s.text }},
	{"flipped bit of the text", mutator.flipText},
	{"other characters", mutator.replace},
	{"something inserted", mutator.insert},
	{"something cut out", mutator.cut},
	{"cut short", func(m mutator, s specimen) string { return s.text[:m.IntN(len(s.text))] }},
	{"extended", func(m mutator, s specimen) string { return s.text + m.noise() }},
	{"spare bits", mutator.spareBits},
	{"padded", mutator.pad},
	{"other alphabet", mutator.alphabet},
	{"other case", mutator.otherCase},
	{"looks alike", mutator.lookAlike},
	{"segments of several", mutator.mix},
	{"segments in another order", mutator.shuffle},
	{"spliced", mutator.splice},
	{"flipped bit", mutator.flip},
	{"flipped bit", mutator.flip},
	{"flipped bit", mutator.flip},
	{"other bytes", mutator.bytes},
	{"other bytes", mutator.bytes},
	{"edited header", mutator.editHeader},
	{"edited header", mutator.editHeader},
	{"edited claims", mutator.editClaims},
	{"edited claims", mutator.editClaims},
	{"name twice", mutator.twice},
	{"same JSON otherwise", mutator.respell},
	{"algorithm none", mutator.none},
	{"HMAC with what is public", mutator.confuse},
	{"forger's own key", func(m mutator, _ specimen) string { return pick(m.Rand, m.own) }},
	{"counted signature", mutator.arithmetic},
	{"counted signature", mutator.arithmetic},
	{"signature of odd size", mutator.size},
	{"envelope", mutator.envelope},
}

// specimen is a good one half of the time.
func (m mutator) specimen() specimen {
	s := pick(m.Rand, m.specimens)
	for m.IntN(2) == 0 && s.lab.good[s.text].clientID == "" {
		s = pick(m.Rand, m.specimens)
	}
	return s
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func (m mutator) flipText(s specimen) string {
	b := []byte(s.text)
	b[m.IntN(len(b))] ^= 1 << m.IntN(8)
	return string(b)
}

func (m mutator) replace(s specimen) string {
	b := []byte(s.text)
	for range 1 + m.IntN(3) {
		b[m.IntN(len(b))] = base64url[m.IntN(len(base64url))]
	}
	return string(b)
}

// noise is a little of what lenient parsers skip or stop at.
func (m mutator) noise() string {
	return pick(m.Rand, []string{
		"=", "==", " ", "\t", "\n", "\r\n", "\x00", ".", "..", "%3D", "%2e", "+", "/", "\ufeff", "\u200b", "\u00a0", ",", ";", "~", "\"", "{}",
		"A", "AA", "AAAA", "é", "Bearer ", string(base64url[m.IntN(len(base64url))]),
	})
}

func (m mutator) insert(s specimen) string {
	at := pick(m.Rand, []int{0, len(s.text), len(s.segments[0]), len(s.segments[0]) + 1, m.IntN(len(s.text))})
	return s.text[:at] + m.noise() + s.text[at:]
}

func (m mutator) cut(s specimen) string {
	at := m.IntN(len(s.text))
	end := min(len(s.text), at+1+m.IntN(pick(m.Rand, []int{1, 4, 40})))
	return s.text[:at] + s.text[end:]
}

// spareBits sets bits of a segment's last character that stand for nothing.
func (m mutator) spareBits(s specimen) string {
	i := m.IntN(3)
	last := strings.IndexByte(base64url, s.segments[i][len(s.segments[i])-1])
	if last < 0 {
		return s.text
	}
	spare := map[int]int{2: 15, 3: 3}[len(s.segments[i])%4]
	s.segments[i] = s.segments[i][:len(s.segments[i])-1] + string(base64url[last^m.IntN(spare+1)])
	return strings.Join(s.segments[:], ".")
}

func (m mutator) pad(s specimen) string {
	i := m.IntN(3)
	s.segments[i] += strings.Repeat("=", 1+m.IntN(3))
	return strings.Join(s.segments[:], ".")
}

func (m mutator) alphabet(s specimen) string {
	i := m.IntN(3)
	s.segments[i] = strings.NewReplacer("-", "+", "_", "/").Replace(s.segments[i])
	return strings.Join(s.segments[:], ".")
}

func (m mutator) otherCase(s specimen) string {
	if m.IntN(4) == 0 {
		return pick(m.Rand, []func(string) string{strings.ToUpper, strings.ToLower})(s.text)
	}
	b := []byte(s.text)
	b[m.IntN(len(b))] ^= 0x20
	return string(b)
}

// lookAlike replaces a character by one that a normalising reader takes for it.
func (m mutator) lookAlike(s specimen) string {
	at := m.IntN(len(s.text))
	wide := string(rune(s.text[at]) + 0xfee0) // full width
	return s.text[:at] + pick(m.Rand, []string{wide, "\u2024", "\u3002", "\u212a", "\u017f", "%" + string("0123456789ABCDEF"[s.text[at]>>4]) + string("0123456789ABCDEF"[s.text[at]&15])}) + s.text[at+1:]
}

func (m mutator) mix(s specimen) string {
	for i := range 3 {
		if m.IntN(2) == 0 {
			s.segments[i] = pick(m.Rand, m.specimens).segments[i]
		}
	}
	return strings.Join(s.segments[:], ".")
}

func (m mutator) shuffle(s specimen) string {
	list := append(slices.Clone(s.segments[:]), pick(m.Rand, m.specimens).segments[m.IntN(3)], "")
	m.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return strings.Join(list[:1+m.IntN(5)], ".")
}

func (m mutator) splice(s specimen) string {
	other := pick(m.Rand, m.specimens).text
	at := m.IntN(min(len(s.text), len(other)))
	return s.text[:at] + other[at:]
}

// flip flips a bit of a segment's bytes; what comes out is canonical.
func (m mutator) flip(s specimen) string {
	i := m.IntN(3)
	if len(s.decoded[i]) == 0 {
		return s.text
	}
	b := slices.Clone(s.decoded[i])
	b[m.IntN(len(b))] ^= 1 << m.IntN(8)
	return s.with(i, b)
}

func (m mutator) bytes(s specimen) string {
	i := 1 + m.IntN(2)
	b := slices.Clone(s.decoded[i])
	for range 1 + m.IntN(4) {
		switch at := m.IntN(len(b) + 1); m.IntN(3) {
		case 0:
			b = slices.Insert(b, at, byte(m.IntN(256)))
		case 1:
			b = slices.Delete(b, min(at, len(b)), min(at+1, len(b)))
		default:
			if at < len(b) {
				b[at] = byte(m.IntN(256))
			}
		}
	}
	return s.with(i, b)
}

// edit changes members of a segment's object, and leaves the signature.
func (m mutator) edit(s specimen, segment int, names []string, values []any) string {
	var object map[string]any
	if json.Unmarshal(s.decoded[segment], &object) != nil || object == nil {
		return s.text
	}
	for range 1 + m.IntN(2) {
		name := pick(m.Rand, names)
		if m.IntN(5) == 0 {
			delete(object, name)
		} else {
			object[name] = pick(m.Rand, values)
		}
	}
	b, err := json.Marshal(object)
	if err != nil {
		return s.text
	}
	return s.with(segment, b)
}

func (m mutator) editHeader(s specimen) string {
	return m.edit(s, 0, append([]string{"alg", "alg", "kid", "kid", "typ"}, headerNames...), []any{
		"none", "HS256", "RS256", "PS256", "ES256", "EdDSA", "ES384", "RS512", "es256", "k1", "k2", "k3", "k4", "k6", "k7", "", 1, true, nil,
		"at+jwt", "JWT", "application/at+jwt", "AT+JWT", []string{"alg"}, "https://evil.example/jwks", map[string]any{"kty": "oct", "k": "AA"},
	})
}

func (m mutator) editClaims(s specimen) string {
	return m.edit(s, 1, append([]string{"sub", "sub", "exp", "aud", "iss", "client_id", "scope"}, claimNames...), []any{
		"alice", "bob", "mallory", resource, "https://strict.test", "https://lax.test", "tools:read tools:write", 9999999999, 0, nil, []any{resource}, "client-1",
	})
}

func (m mutator) twice(s specimen) string {
	i := m.IntN(2)
	member := pick(m.Rand, []string{`"sub":"mallory"`, `"alg":"none"`, `"exp":9999999999`, `"aud":"x"`, `"kid":"k2"`, `"Sub":"mallory"`, `"s\u0075b":"mallory"`})
	b := s.decoded[i]
	if len(b) < 3 {
		return s.text
	}
	if m.IntN(2) == 0 {
		return s.with(i, slices.Concat([]byte("{"+member+","), b[1:]))
	}
	return s.with(i, slices.Concat(b[:len(b)-1], []byte(","+member+"}")))
}

// respell writes a segment's JSON in other bytes that mean the same.
func (m mutator) respell(s specimen) string {
	i := m.IntN(2)
	var out bytes.Buffer
	switch m.IntN(4) {
	case 0:
		if json.Indent(&out, s.decoded[i], "", pick(m.Rand, []string{"", " ", "\t"})) != nil {
			return s.text
		}
	case 1:
		return s.with(i, slices.Concat([]byte(pick(m.Rand, []string{" ", "\n", "\xef\xbb\xbf"})), s.decoded[i]))
	case 2:
		return s.with(i, append(slices.Clone(s.decoded[i]), pick(m.Rand, []string{" ", "\n", "\x00", "{}"})...))
	default:
		out.WriteString(strings.NewReplacer(`"sub"`, `"\u0073ub"`, `"alg"`, `"\u0061lg"`, `:`, ` : `).Replace(string(s.decoded[i])))
	}
	return s.with(i, out.Bytes())
}

func (m mutator) none(s specimen) string {
	header := `{"alg":"` + pick(m.Rand, []string{"none", "None", "NONE", "nOnE", "", "null"}) + `","typ":"at+jwt","kid":"k1"}`
	text := s.with(0, []byte(header))
	if m.IntN(2) == 0 {
		return text[:strings.LastIndexByte(text, '.')+1] + pick(m.Rand, []string{"", "AA", "e30"})
	}
	return text
}

// know keeps what is public about a key, in every form that a careless verifier
// could take for a shared secret.
func (f *forger) know(s signer) {
	var public any
	switch k := s.private.(type) {
	case *rsa.PrivateKey:
		public = &k.PublicKey
		f.moduli = append(f.moduli, k.N)
		f.secrets = append(f.secrets, k.N.Bytes(), []byte(base64.RawURLEncoding.EncodeToString(k.N.Bytes())))
	case *ecdsa.PrivateKey:
		public = &k.PublicKey
		point, _ := k.PublicKey.Bytes()
		f.secrets = append(f.secrets, point, point[1:])
	case ed25519.PrivateKey:
		public = k.Public()
		f.secrets = append(f.secrets, k.Public().(ed25519.PublicKey))
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	jwk, _ := json.Marshal(s.jwk(nil))
	f.secrets = append(f.secrets, der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), jwk, nil, []byte("a secret that was published"))
}

func (m mutator) confuse(s specimen) string {
	alg, size := "HS256", sha256.New
	switch m.IntN(5) {
	case 0:
		alg, size = "HS384", sha512.New384
	case 1:
		alg, size = "HS512", sha512.New
	case 2:
		alg = pick(m.Rand, algorithms)
	}
	header := `{"alg":"` + alg + `","typ":"at+jwt","kid":"` + pick(m.Rand, []string{"k1", "k2", "k3", "k4", "k7"}) + `"}`
	text := s.with(0, []byte(header))
	input := text[:strings.LastIndexByte(text, '.')]
	return input + "." + base64.RawURLEncoding.EncodeToString(mac(size, pick(m.Rand, m.secrets), input))
}

func mac(size func() hash.Hash, secret []byte, input string) []byte {
	h := hmac.New(size, secret)
	h.Write([]byte(input))
	return h.Sum(nil)
}

// bringOwnKeys signs good claims with keys of the forger's, which each token brings
// along or names.
func (f *forger) bringOwnKeys(t *testing.T) {
	for _, s := range newSigners() {
		for _, l := range f.labs {
			issuer := &issuer{URL: "https://" + l.name + ".test", clock: newClock(), t: t}
			for _, odd := range []oddity{
				{}, set("kid", nil), set("typ", "JWT"), set("jwk", s.jwk(nil)), set("jku", "https://evil.example/jwks"),
				{set: map[string]any{"kid": nil, "jwk": s.jwk(nil)}}, {set: map[string]any{"kid": nil, "typ": "JWT"}},
			} {
				f.own = append(f.own, s.signBytes(t, withHeader(t, s, nil, odd), marshal(t, issuer.claims(nil))))
			}
		}
	}
}

// arithmetic replaces a signature by one that differs in what a careless check
// doesn't look at: numbers above the group's order, zeroes, r and s exchanged.
func (m mutator) arithmetic(s specimen) string {
	sig := slices.Clone(s.decoded[2])
	switch {
	case len(sig) == 64 && s.alg == "ES256":
		return s.with(2, m.ecdsa(sig))
	case len(sig) == 64 && s.alg == "EdDSA":
		return s.with(2, m.eddsa(sig))
	case len(sig) == 256:
		n := new(big.Int).SetBytes(sig)
		n.Add(n, pick(m.Rand, m.moduli))
		return s.with(2, pick(m.Rand, [][]byte{
			n.Bytes(), append([]byte{0}, sig...), make([]byte, 256), append(make([]byte, 255), 1), pick(m.Rand, m.moduli).Bytes(),
		}))
	}
	return s.with(2, make([]byte, len(sig)))
}

func (m mutator) ecdsa(sig []byte) []byte {
	order := elliptic.P256().Params().N
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	der, _ := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	zero, one := make([]byte, 32), append(make([]byte, 31), 1)
	return pick(m.Rand, [][]byte{
		twin(sig), slices.Concat(sig[32:], sig[:32]), der, make([]byte, 64), slices.Concat(zero, sig[32:]), slices.Concat(sig[:32], zero),
		slices.Concat(one, one), slices.Concat(order.Bytes(), order.Bytes()), slices.Concat(sig[:32], order.Bytes()),
		new(big.Int).Add(r, order).FillBytes(make([]byte, 64)),
		slices.Concat(append([]byte{0}, sig[:32]...), append([]byte{0}, sig[32:]...)), slices.Concat(sig, sig),
	})
}

// groupOrder is that of edwards25519, and eddsa adds it to S, which a check of the
// equation alone doesn't notice (RFC 8032, section 5.1.7).
var groupOrder, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func (m mutator) eddsa(sig []byte) []byte {
	s := slices.Clone(sig[32:])
	slices.Reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), groupOrder)
	more := sum.FillBytes(make([]byte, 33))[1:]
	slices.Reverse(more)
	identity := append([]byte{1}, make([]byte, 63)...) // R is the neutral element, S is 0
	return pick(m.Rand, [][]byte{slices.Concat(sig[:32], more), identity, make([]byte, 64), slices.Concat(sig[32:], sig[:32])})
}

func (m mutator) size(s specimen) string {
	sig := s.decoded[2]
	if len(sig) == 0 {
		return s.text
	}
	return s.with(2, pick(m.Rand, [][]byte{
		sig[:len(sig)-1], sig[1:], append(slices.Clone(sig), 0), append([]byte{0}, sig...), sig[:len(sig)/2], sig[:1], slices.Concat(sig, sig), {},
	}))
}

// envelope puts a good token into a JWS in JSON, with other claims beside it.
func (m mutator) envelope(s specimen) string {
	inner := s.segments
	object := map[string]any{"iss": "https://" + s.lab.name + ".test", "sub": "mallory", "aud": resource, "client_id": "client", "exp": 9999999999}
	if m.IntN(3) == 0 {
		clear(object)
	}
	object["payload"] = inner[1]
	if m.IntN(2) == 0 {
		object["protected"], object["signature"] = inner[0], inner[2]
	} else {
		object["signatures"] = []any{map[string]any{"protected": inner[0], "signature": inner[2]}}
	}
	b, _ := json.Marshal(object)
	switch m.IntN(4) {
	case 0:
		return string(b)
	case 1: // two dots, and no others
		return `{"x":"..",` + strings.ReplaceAll(string(b[1:]), ".", `\u002e`)
	case 2:
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return s.with(1, b)
}
