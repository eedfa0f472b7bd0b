package identity

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	rfc8414 = "/.well-known/oauth-authorization-server"
	openid  = "/.well-known/openid-configuration"
)

func TestMetadataURLs(t *testing.T) {
	for issuer, want := range map[string][]string{
		"https://a.test":     {"https://a.test" + rfc8414, "https://a.test" + openid},
		"https://a.test/":    {"https://a.test" + rfc8414, "https://a.test" + openid},
		"https://a.test/b/c": {"https://a.test" + rfc8414 + "/b/c", "https://a.test/b/c" + openid},
		"https://a.test/b/":  {"https://a.test" + rfc8414 + "/b", "https://a.test/b" + openid},
		"https://a.test/%2F": {"https://a.test" + rfc8414 + "/%2F", "https://a.test/%2F" + openid},
	} {
		if diff := cmp.Diff(want, metadataURLs(issuer)); diff != "" {
			t.Errorf("%s: %s", issuer, diff)
		}
	}
}

func TestMetadataIsTheIssuersOwn(t *testing.T) {
	s := es256("")
	for _, test := range []struct {
		name  string
		setup func(i *issuer)
		ok    bool
	}{
		{"both", func(*issuer) {}, true},
		{"only RFC 8414", func(i *issuer) { i.handle(openid, nil) }, true},
		{"only OpenID", func(i *issuer) { i.handle(rfc8414, nil) }, true},
		{"neither", func(i *issuer) { i.handle(rfc8414, nil); i.handle(openid, nil) }, false},
		{"another's at RFC 8414", func(i *issuer) { i.answer(rfc8414, i.metadata("https://other.test")) }, true},
		{"both another's", func(i *issuer) { both(i, i.metadata("https://other.test")) }, false},
		{"trailing slash", func(i *issuer) { both(i, i.metadata(i.URL+"/")) }, false},
		{"no issuer", func(i *issuer) { both(i, map[string]any{"jwks_uri": i.URL + "/jwks"}) }, false},
		{"no jwks_uri", func(i *issuer) { both(i, map[string]any{"issuer": i.URL}) }, false},
		{"jwks_uri in the clear", func(i *issuer) { both(i, map[string]any{"issuer": i.URL, "jwks_uri": "http://a.test/jwks"}) }, false},
		{"jwks_uri a file", func(i *issuer) { both(i, map[string]any{"issuer": i.URL, "jwks_uri": "file:///etc/hosts"}) }, false},
		{"a list", func(i *issuer) { both(i, []any{i.metadata(i.URL)}) }, false},
		{"keys no set", func(i *issuer) { i.answer("/jwks", []any{s.jwk(nil)}) }, false},
		{"keys missing", func(i *issuer) { i.answer("/jwks", map[string]any{}) }, false},
		{"keys not found", func(i *issuer) { i.handle("/jwks", nil) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := newIssuer(t, s.jwk(nil))
			test.setup(i)
			reached(t, i, s, test.ok)
		})
	}
}

func both(i *issuer, v any) {
	i.answer(rfc8414, v)
	i.answer(openid, v)
}

// reached checks whether a token can be verified, or is neither accepted nor
// refused.
func reached(t *testing.T, i *issuer, s signer, ok bool) {
	t.Helper()
	_, err := i.verifier(nil).Verify(t.Context(), i.token(s, nil, nil))
	if ok && err != nil || !ok && (!errors.Is(err, ErrUnavailable) || errors.Is(err, ErrInvalidToken)) {
		t.Errorf("error %v, want reached: %t", err, ok)
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	s := es256("")
	for _, path := range []string{rfc8414, "/jwks"} {
		t.Run(path, func(t *testing.T) {
			i := newIssuer(t, s.jwk(nil))
			i.handle(openid, nil)
			i.mu.Lock()
			real := i.handlers[path]
			i.mu.Unlock()
			asked := false
			elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = true
				real(w, r)
			}))
			t.Cleanup(elsewhere.Close)
			i.handle(path, http.RedirectHandler(elsewhere.URL+path, http.StatusFound).ServeHTTP)
			reached(t, i, s, false)
			if asked {
				t.Error("the redirect was followed")
			}
		})
	}
}

// The client that is handed in may follow redirects elsewhere; here it may not.
func TestNoRedirectIsFollowedByAGivenClient(t *testing.T) {
	i := newIssuer(t)
	i.handle("/away", http.RedirectHandler(i.URL+"/jwks", http.StatusFound).ServeHTTP)
	given := &http.Client{}
	s := source{issuer: i.URL, client: withoutRedirects(given)}
	if _, err := s.get(t.Context(), i.URL+"/away"); err == nil {
		t.Error("the redirect was followed")
	}
	if s.client.Timeout != fetchTimeout {
		t.Errorf("timeout %v", s.client.Timeout)
	}
	if given.CheckRedirect != nil || given.Timeout != 0 {
		t.Error("the given client was changed")
	}
}

// All of it is reachable here, so that only the scheme decides.
func TestKeysAreNotFetchedInTheClear(t *testing.T) {
	s := es256("")
	for location, ok := range map[string]bool{"https://keys.test/jwks": true, "http://keys.test/jwks": false} {
		i := newIssuer(t, s.jwk(nil))
		both(i, map[string]any{"issuer": i.URL, "jwks_uri": location})
		v := i.verifier(func(c *VerifierConfig) { c.HTTPClient = &http.Client{Transport: toLoopback{i.URL}} })
		if _, err := v.Verify(t.Context(), i.token(s, nil, nil)); (err == nil) != ok {
			t.Errorf("%s: error %v, want fetched: %t", location, err, ok)
		}
	}
}

func TestDocumentsAreBounded(t *testing.T) {
	s := es256("")
	for _, path := range []string{rfc8414, "/jwks"} {
		for size, ok := range map[int]bool{maxDocument: true, maxDocument + 1: false} {
			i := newIssuer(t, s.jwk(nil))
			i.handle(openid, nil)
			grow(i, path, size)
			reached(t, i, s, ok)
		}
	}
}

// grow makes the document at path that many bytes long, with spaces.
func grow(i *issuer, path string, size int) {
	i.mu.Lock()
	next := i.handlers[path]
	i.mu.Unlock()
	i.handle(path, func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		next(rec, r)
		_, _ = w.Write(append(rec.Body.Bytes(), strings.Repeat(" ", size-rec.Body.Len())...))
	})
}
