package identity

import (
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
)

// A specimen is a token that a forger holds: a good one of somebody's, or one that
// is well signed and yet no access token. It is good at one lab at most.
type specimen struct {
	text     string
	segments [3]string
	decoded  [3][]byte
	alg      string
	lab      *lab
}

// A lab is one issuer's verifier, and what it must accept: the texts of the good
// tokens and nothing else. A twin is a good ES256 token whose signature (r, s) is
// replaced by (r, n-s). It is as valid by the mathematics of ECDSA, anybody can
// make it, and it says byte by byte the same; nothing may rely on it being refused.
type lab struct {
	name     string
	verifier *Verifier
	good     map[string]Caller
	twins    map[string]Caller
}

// A forger makes tokens out of specimens without any issuer's key.
type forger struct {
	labs      []*lab
	specimens []specimen
	own       []string // signed with the forger's own keys, under the issuer's names
	secrets   [][]byte // what is public about the keys, for HMACs
	moduli    []*big.Int
}

// A tally is what became of the forgeries.
type tally struct {
	original, twin, shape, signature, claims int
	faults                                   []string
}

func (a *tally) add(b tally) {
	a.original, a.twin, a.shape = a.original+b.original, a.twin+b.twin, a.shape+b.shape
	a.signature, a.claims = a.signature+b.signature, a.claims+b.claims
	a.faults = append(a.faults, b.faults...)
}

// proveTokens tries n forgeries. Each is made from seed and its own number, so that
// it can be made again.
func proveTokens(t *testing.T, seed uint64, n int, progress func(int)) {
	cryptotest.SetGlobalRandom(t, seed)
	f := newForger(t)
	f.goodOnes(t)
	var mu sync.Mutex
	var all tally
	var workers sync.WaitGroup
	count := runtime.GOMAXPROCS(0)
	for w := range count {
		workers.Go(func() {
			some := f.work(t, seed, w, count, n, progress)
			mu.Lock()
			defer mu.Unlock()
			all.add(some)
		})
	}
	workers.Wait()
	f.goodOnes(t)
	for _, fault := range all.faults[:min(len(all.faults), 10)] {
		t.Error(fault)
	}
	t.Logf("%d forgeries: %d accepted that weren't a good token's own text; refused for their shape %d, signature %d, claims %d; good texts %d, ECDSA twins %d",
		n, len(all.faults), all.shape, all.signature, all.claims, all.original, all.twin)
	if all.signature < n/4 || all.claims == 0 || all.original == 0 {
		t.Error("too few forgeries got as far as the signature: that proves little")
	}
}

// work is every count-th forgery.
func (f *forger) work(t *testing.T, seed uint64, from, count, n int, progress func(int)) tally {
	var some tally
	for i := from; i < n && len(some.faults) < 10; i += count {
		m := mutator{forger: f, Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		kind := mutations[m.IntN(len(mutations))]
		s := m.specimen()
		text := kind.forge(m, s)
		at := s.lab
		if m.IntN(16) == 0 {
			at = pick(m.Rand, f.labs)
		}
		if fault := at.judge(t, text, &some); fault != "" {
			some.faults = append(some.faults, fmt.Sprintf("forgery %d (%s): %s: %q", i, kind.name, fault, text))
		}
		progress(1)
	}
	return some
}

// judge has the lab's verifier look at text, and says what is wrong with the answer.
func (l *lab) judge(t *testing.T, text string, to *tally) string {
	c, err := l.verifier.Verify(t.Context(), text)
	want, good := l.good[text]
	if !good {
		if want, good = l.twins[text]; good && err == nil {
			to.twin++
		}
	} else {
		to.original++
	}
	switch {
	case err == nil && !good:
		return "accepted as " + c.principal.subject
	case err == nil && (c.principal != want.principal || c.clientID != want.clientID || !slices.Equal(c.scopes, want.scopes)):
		return "accepted as another caller than its own"
	case err != nil && l.good[text].clientID != "":
		return "refused, though it is a good token"
	case err != nil && (!errors.Is(err, ErrInvalidToken) || !c.IsZero()):
		return "refused in another way: " + err.Error()
	}
	to.refused(err)
	return ""
}

func (a *tally) refused(err error) {
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "sign"):
		a.signature++
	case strings.Contains(err.Error(), "header"), strings.Contains(err.Error(), "base64url"), strings.Contains(err.Error(), "segments"),
		strings.Contains(err.Error(), "algorithm"), strings.Contains(err.Error(), "type"), strings.Contains(err.Error(), "too long"):
		a.shape++
	default:
		a.claims++
	}
}

// goodOnes makes sure that what must be accepted is.
func (f *forger) goodOnes(t *testing.T) {
	t.Helper()
	for _, l := range f.labs {
		if len(l.good) == 0 {
			t.Fatal("no good token at " + l.name)
		}
		for text := range l.good {
			if _, err := l.verifier.Verify(t.Context(), text); err != nil {
				t.Errorf("a good token at %s: %v: %q", l.name, err, text)
			}
		}
	}
}

// newForger makes three issuers: one that says of each key what it is for, one that
// doesn't, whose tokens have typ JWT, and one whose keys and tokens have no key id.
// Their keys are all different, under the same ids.
func newForger(t *testing.T) *forger {
	f := &forger{}
	all := map[string]any{"alg": nil, "use": nil}
	f.addLab(t, "strict", nil, nil, nil)
	f.addLab(t, "lax", all, map[string]any{"typ": "JWT"}, func(c *VerifierConfig) { c.AcceptJWTType = true })
	f.addLab(t, "nameless", map[string]any{"kid": nil}, map[string]any{"kid": nil}, nil)
	f.bringOwnKeys(t)
	return f
}

func newSigners() []signer {
	k, err := rsa.GenerateKey(nil, 2048)
	if err != nil {
		panic(err)
	}
	return []signer{
		{kid: "k1", alg: "ES256", private: ecKey(elliptic.P256())}, {kid: "k2", alg: "EdDSA", private: edKey()},
		{kid: "k3", alg: "RS256", private: k}, {kid: "k4", alg: "PS256", private: k},
	}
}

// addLab makes an issuer, published with jwk's overrides, and its specimens.
func (f *forger) addLab(t *testing.T, name string, jwk, header map[string]any, change func(*VerifierConfig)) {
	signers := newSigners()
	var published []map[string]any
	for _, s := range signers {
		published = append(published, s.jwk(jwk))
		f.know(s)
	}
	weak, oct := signers[0], signer{kid: "k7", alg: "HS256", private: []byte("a secret that was published")}
	weak.kid, weak.alg, weak.private = "k6", "ES384", ecKey(elliptic.P384())
	published = append(published, weak.jwk(nil), oct.jwk(nil), oct.jwk(map[string]any{"alg": "ES256"}))

	i := newIssuer(t)
	i.URL = "https://" + name + ".test" // not the port of today, which would be in every token
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		i.answer(path, i.metadata(i.URL))
	}
	i.publish(published...)
	l := &lab{name: name, good: map[string]Caller{}, twins: map[string]Caller{}}
	l.verifier = i.verifier(func(c *VerifierConfig) {
		c.HTTPClient = &http.Client{Transport: inside{i}}
		if change != nil {
			change(c)
		}
	})
	f.labs = append(f.labs, l)
	for _, s := range signers {
		f.collect(t, l, i, s, header)
	}
	f.add(l, i.token(weak, header, nil), weak.alg)
	f.add(l, i.token(oct, header, nil), oct.alg)
}

// inside reaches an issuer without a network.
type inside struct{ http.Handler }

func (h inside) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// collect adds a signer's good tokens, and what it signs that is none.
func (f *forger) collect(t *testing.T, l *lab, i *issuer, s signer, header map[string]any) {
	var inner specimen
	for _, subject := range []string{"alice", "bob", "carol~?>"} {
		for client := range 3 {
			text := i.token(s, header, map[string]any{
				"sub": subject, "client_id": fmt.Sprint("client-", client), "jti": strings.Repeat("x", client),
			})
			l.good[text] = Caller{
				principal: Principal{i.URL, subject}, clientID: fmt.Sprint("client-", client), scopes: []string{"tools:read"},
			}
			inner = f.add(l, text, s.alg)
			if s.alg == "ES256" {
				l.twins[inner.with(2, twin(inner.decoded[2]))] = l.good[text]
			}
		}
	}
	for _, odd := range oddHeaders(i, s) {
		f.add(l, s.signBytes(t, withHeader(t, s, header, odd), marshal(t, i.claims(nil))), s.alg)
	}
	for _, odd := range oddClaims(i, inner) {
		f.add(l, s.signBytes(t, withHeader(t, s, header, oddity{}), odd.bytes(t, i.claims(nil))), s.alg)
	}
}

func (f *forger) add(l *lab, text, alg string) specimen {
	s := specimen{text: text, alg: alg, lab: l}
	copy(s.segments[:], strings.Split(text, "."))
	for i := range s.segments {
		s.decoded[i], _ = base64.RawURLEncoding.DecodeString(s.segments[i])
	}
	f.specimens = append(f.specimens, s)
	return s
}

// with is s with one segment's bytes replaced.
func (s specimen) with(segment int, decoded []byte) string {
	s.segments[segment] = base64.RawURLEncoding.EncodeToString(decoded)
	return strings.Join(s.segments[:], ".")
}

// twin is an ES256 signature's (r, n-s).
func twin(signature []byte) []byte {
	out := slices.Clone(signature)
	s := new(big.Int).SetBytes(out[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(out[32:])
	return out
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signBytes is sign for a header and claims that are already bytes.
func (s signer) signBytes(t testing.TB, header, claims []byte) string {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	signature, err := s.signature([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }
