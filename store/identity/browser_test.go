package identity

import (
	"context"
	"crypto/elliptic"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const nonce = "the nonce of this sign-in"

func aead(t testing.TB, fill string) tink.AEAD {
	t.Helper()
	a, err := subtle.NewXChaCha20Poly1305([]byte(strings.Repeat(fill, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (i *issuer) browser(change func(*BrowserConfig)) *Browser {
	i.t.Helper()
	cfg := BrowserConfig{Issuer: i.URL, ClientID: "pages", Seal: aead(i.t, "a"), Now: i.Now}
	if change != nil {
		change(&cfg)
	}
	b, err := NewBrowser(cfg)
	if err != nil {
		i.t.Fatal(err)
	}
	return b
}

// idToken is a good ID token, but for the overrides; nil takes a claim out.
func (i *issuer) idToken(s signer, header, override map[string]any) string {
	claims := map[string]any{"aud": "pages", "nonce": nonce, "client_id": nil, "scope": nil, "name": "Alice A."}
	for name, v := range override {
		claims[name] = v
	}
	h := map[string]any{"typ": "JWT"}
	for name, v := range header {
		h[name] = v
	}
	return s.sign(i.t, h, i.claims(claims))
}

func TestSignIn(t *testing.T) {
	for _, s := range []signer{
		es256(""),
		{kid: "k", alg: "RS256", private: rsaKeys()[2048]},
		{kid: "k", alg: "PS256", private: rsaKeys()[2048]},
		{kid: "k", alg: "EdDSA", private: edKey()},
	} {
		for name, test := range map[string]struct{ header, override map[string]any }{
			"plain":              {},
			"without typ":        {header: map[string]any{"typ": nil}},
			"azp is us":          {override: map[string]any{"azp": "pages"}},
			"two audiences, azp": {override: map[string]any{"aud": []string{"pages", "stranger"}, "azp": "pages"}},
			"audience in a list": {override: map[string]any{"aud": []string{"pages"}}},
		} {
			t.Run(s.alg+" "+name, func(t *testing.T) {
				i := newIssuer(t, s.jwk(nil))
				in, err := i.browser(nil).SignIn(t.Context(), i.idToken(s, test.header, test.override), nonce)
				if err != nil {
					t.Fatal(err)
				}
				isAlice(t, i, in)
			})
		}
	}
}

func isAlice(t *testing.T, i *issuer, s Session) {
	t.Helper()
	c := s.Caller()
	if c.Principal() != (Principal{i.URL, "alice"}) || c.ClientID() != "" || len(c.Scopes()) != 0 {
		t.Errorf("caller %+v", c)
	}
	if s.Name() != "Alice A." || len(s.ID()) < 26 {
		t.Errorf("name %q, id %q", s.Name(), s.ID())
	}
}

// The same person has the same principal in the browser and at the tools.
func TestSignInIsTheAccessTokensPrincipal(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	in := signIn(t, i, i.browser(nil), s)
	c := accepted(t, i.verifier(nil), i.token(s, nil, nil))
	if in.Caller().Principal().Digest() != c.Principal().Digest() {
		t.Error("two digests for one person")
	}
}

func signIn(t *testing.T, i *issuer, b *Browser, s signer) Session {
	t.Helper()
	in, err := b.SignIn(t.Context(), i.idToken(s, nil, nil), nonce)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestSignInRefuses(t *testing.T) {
	s, stranger := es256(""), es256("")
	p384 := signer{kid: "k384", alg: "ES384", private: ecKey(elliptic.P384())}
	secret := signer{kid: "oct", alg: "HS256", private: []byte(strings.Repeat("s", 32))}
	i := newIssuer(t, s.jwk(nil), secret.jwk(nil), p384.jwk(nil))
	claim := func(name string, v any) string { return i.idToken(s, nil, map[string]any{name: v}) }
	header := func(name string, v any) string { return i.idToken(s, map[string]any{name: v}, nil) }
	at := func(d time.Duration) int64 { return i.Now().Add(d).Unix() }
	good := i.idToken(s, nil, nil)
	for name, token := range map[string]string{
		"empty":                        "",
		"two segments":                 good[:strings.LastIndex(good, ".")],
		"padded":                       good + "=",
		"another nonce":                claim("nonce", "another"),
		"no nonce":                     claim("nonce", nil),
		"another audience":             claim("aud", "stranger"),
		"no audience":                  claim("aud", nil),
		"azp another":                  claim("azp", "stranger"),
		"azp a number":                 claim("azp", 7),
		"two audiences without azp":    claim("aud", []string{"pages", "stranger"}),
		"two audiences, azp the other": i.idToken(s, nil, map[string]any{"aud": []string{"pages", "stranger"}, "azp": "stranger"}),
		"another issuer":               claim("iss", "https://issuer.test"),
		"issuer with slash":            claim("iss", i.URL+"/"),
		"no issuer":                    claim("iss", nil),
		"expired":                      claim("exp", at(-time.Second)),
		"no expiry":                    claim("exp", nil),
		"expiry a string":              claim("exp", "4102444800"),
		"no issue time":                claim("iat", nil),
		"issued in the future":         claim("iat", at(31*time.Second)),
		"not yet valid":                claim("nbf", at(31*time.Second)),
		"nbf a string":                 claim("nbf", "1"),
		"no subject":                   claim("sub", nil),
		"subject empty":                claim("sub", ""),
		"subject too long":             claim("sub", strings.Repeat("a", 256)),
		"subject with a space":         claim("sub", " alice"),
		"SUB beside sub":               claim("SUB", "bob"),
		"Nonce beside nonce":           claim("Nonce", nonce),
		"logout token":                 claim("events", map[string]any{}),
		"access token":                 i.token(s, nil, map[string]any{"aud": "pages", "nonce": nonce}),
		"logout token by type":         header("typ", "logout+jwt"),
		"crit":                         header("crit", []string{"x"}),
		"jku":                          header("jku", i.URL+"/jwks"),
		"key embedded":                 stranger.sign(t, map[string]any{"typ": "JWT", "jwk": stranger.jwk(nil)}, i.claims(map[string]any{"aud": "pages", "nonce": nonce})),
		"unknown key":                  i.idToken(stranger, nil, nil),
		"unknown key id":               header("kid", "k9"),
		"algorithm none":               header("alg", "none"),
		"HS256 with a published key":   i.idToken(secret, nil, nil),
		"ES384":                        i.idToken(p384, nil, nil),
	} {
		t.Run(name, func(t *testing.T) {
			in, err := i.browser(nil).SignIn(t.Context(), token, nonce)
			if !errors.Is(err, ErrSignedOut) || !in.Caller().IsZero() {
				t.Errorf("session %+v, error %v, want ErrSignedOut", in, err)
			}
			if err != nil && (strings.Contains(err.Error(), "alice") || strings.Contains(err.Error(), "stranger")) {
				t.Errorf("%q quotes the token", err)
			}
		})
	}
	if _, err := i.browser(nil).SignIn(t.Context(), good, nonce); err != nil {
		t.Errorf("the good token that the bad ones differ from: %v", err)
	}
}

// The header is checked before go-oidc sees the token; go-oidc has to do alone.
func TestIDTokenVerifierHasItsOwnAlgorithms(t *testing.T) {
	s := signer{kid: "k", alg: "ES384", private: ecKey(elliptic.P384())}
	i := newIssuer(t, s.jwk(nil))
	b := i.browser(nil)
	p, err := b.discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.verifier(p).Verify(t.Context(), i.idToken(s, nil, nil)); err == nil {
		t.Error("ES384 was accepted")
	}
}

func TestSignInWithoutNonce(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	for _, claim := range []any{nil, ""} {
		token := i.idToken(s, nil, map[string]any{"nonce": claim})
		if _, err := i.browser(nil).SignIn(t.Context(), token, ""); !errors.Is(err, ErrSignedOut) {
			t.Errorf("error %v, want ErrSignedOut", err)
		}
	}
}

// go-oidc accepts this issuer for that of the configuration.
func TestSignInHoldsGoogleToItsExactIssuer(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	const google = "https://accounts.google.com"
	b := i.browser(func(c *BrowserConfig) {
		c.Issuer = google
		c.HTTPClient = &http.Client{Transport: toLoopback{i.URL}}
	})
	i.answer(openid, i.metadata(google))
	for iss, ok := range map[string]bool{google: true, "accounts.google.com": false} {
		_, err := b.SignIn(t.Context(), i.idToken(s, nil, map[string]any{"iss": iss}), nonce)
		if (err == nil) != ok {
			t.Errorf("iss %q: error %v, want accepted: %t", iss, err, ok)
		}
	}
}

// toLoopback sends every request to one server, whatever its host.
type toLoopback struct{ origin string }

func (l toLoopback) RoundTrip(req *http.Request) (*http.Response, error) {
	to, err := http.NewRequestWithContext(req.Context(), req.Method, l.origin+req.URL.Path, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(to)
}

func TestNames(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	for want, claims := range map[string]map[string]any{
		"Alice":                 {"name": "Alice", "email": "a@b.test"},
		"al":                    {"name": nil, "preferred_username": "al"},
		"a@b.test":              {"name": " ", "email": "a@b.test"},
		"alice":                 {"name": nil},
		"evil":                  {"name": "\u202eev\x00i\nl\u200b"},
		strings.Repeat("ä", 80): {"name": strings.Repeat("ä", 200)},
	} {
		in, err := i.browser(nil).SignIn(t.Context(), i.idToken(s, nil, claims), nonce)
		if err != nil || in.Name() != want {
			t.Errorf("claims %v: name %q, error %v, want %q", claims, in.Name(), err, want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	i := newIssuer(t)
	b := i.browser(nil)
	check := func() {
		t.Helper()
		authorization, token, err := b.Endpoints(t.Context())
		if err != nil || authorization != i.URL+"/authorize" || token != i.URL+"/token" {
			t.Errorf("%q, %q, %v", authorization, token, err)
		}
	}
	check()
	i.handle(openid, nil)
	i.advance(keepEndpoints - time.Second)
	check()
	i.advance(time.Second)
	if _, _, err := b.Endpoints(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v after an hour, want ErrUnavailable", err)
	}
}

func TestEndpointsAreTheIssuersOwn(t *testing.T) {
	for name, change := range map[string]map[string]any{
		"another issuer":          {"issuer": "https://other.test"},
		"trailing slash":          {"issuer": "/"},
		"keys in the clear":       {"jwks_uri": "http://a.test/jwks"},
		"token in the clear":      {"token_endpoint": "http://a.test/token"},
		"authorization by script": {"authorization_endpoint": "javascript:alert(1)"},
		"no token endpoint":       {"token_endpoint": ""},
	} {
		i := newIssuer(t)
		m := i.metadata(i.URL)
		for k, v := range change {
			m[k] = v
		}
		if m["issuer"] == "/" {
			m["issuer"] = i.URL + "/"
		}
		i.answer(openid, m)
		if _, _, err := i.browser(nil).Endpoints(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: error %v, want ErrUnavailable", name, err)
		}
	}
}

func TestEndpointsFollowNoRedirectAndAreBounded(t *testing.T) {
	i := newIssuer(t)
	grow(i, openid, maxDocument)
	if _, _, err := i.browser(nil).Endpoints(t.Context()); err != nil {
		t.Error(err)
	}
	i.handle(openid, http.RedirectHandler(i.URL+rfc8414, http.StatusFound).ServeHTTP)
	if _, _, err := i.browser(nil).Endpoints(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable: a redirect", err)
	}
	m := i.metadata(i.URL)
	m["pad"] = strings.Repeat("x", maxDocument)
	i.answer(openid, m)
	if _, _, err := i.browser(nil).Endpoints(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable: too long", err)
	}
}

func TestDiscoveryErrorsHoldNoPages(t *testing.T) {
	i := newIssuer(t)
	i.handle(openid, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("<p>some page</p>\n", 1000), http.StatusNotFound)
	})
	_, _, err := i.browser(nil).Endpoints(t.Context())
	if err == nil || len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "404") {
		t.Errorf("error %.500v", err)
	}
}

func TestHangingDiscoveryEndsWithItsContext(t *testing.T) {
	i := newIssuer(t)
	entered, _ := i.hang(openid)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, _, err := i.browser(nil).Endpoints(ctx)
		done <- err
	}()
	<-entered
	cancel()
	if err := <-done; !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want ErrUnavailable and the context's", err)
	}
}

func TestNewBrowserChecksItsConfig(t *testing.T) {
	i := newIssuer(t)
	for name, change := range map[string]func(*BrowserConfig){
		"issuer in the clear": func(c *BrowserConfig) { c.Issuer = "http://issuer.test" },
		"no issuer":           func(c *BrowserConfig) { c.Issuer = "" },
		"no client":           func(c *BrowserConfig) { c.ClientID = "" },
		"no seal":             func(c *BrowserConfig) { c.Seal = nil },
		"negative life":       func(c *BrowserConfig) { c.Life = -1 },
	} {
		cfg := BrowserConfig{Issuer: i.URL, ClientID: "pages", Seal: aead(t, "a")}
		change(&cfg)
		if _, err := NewBrowser(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
