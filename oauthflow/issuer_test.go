package oauthflow

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/storetest"
)

const (
	pagesID     = "latchkey-pages"
	pagesSecret = "pages secret / with + signs"
)

// anIssuer is a strict OpenID provider. Who signs in next is in its person; it
// refuses what a real one refuses.
type anIssuer struct {
	*storetest.Issuer
	t        testing.TB
	redirect string

	mu       sync.Mutex
	person   string
	codes    map[string]url.Values // by code: the authorization request, with the person
	requests []url.Values          // authorization requests
	tokens   int                   // token requests
	deny     bool                  // the person says no
	refuse   bool                  // the token endpoint refuses us
	iss      []string              // sent as iss, as they are
	sendsIss bool                  // what the metadata says of that
	claims   map[string]any        // override those of ID tokens
}

func newIssuer(t testing.TB, now func() time.Time) *anIssuer {
	i := &anIssuer{Issuer: storetest.NewIssuer(t, now), t: t, codes: map[string]url.Values{}}
	keys := i.URL + "/jwks"
	mux := http.NewServeMux()
	metadata := func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"issuer": i.URL, "jwks_uri": keys,
			"authorization_response_iss_parameter_supported": i.sendsIss,
			"authorization_endpoint":                         i.URL + "/authorize", "token_endpoint": i.URL + "/token",
		})
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", metadata)
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", metadata)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

func (i *anIssuer) authorize(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	q := r.URL.Query()
	i.requests = append(i.requests, q)
	scopes := strings.Fields(q.Get("scope"))
	if q.Get("response_type") != "code" || q.Get("client_id") != pagesID || q.Get("redirect_uri") != i.redirect ||
		q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || !slices.Contains(scopes, "openid") {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	answer := url.Values{"state": {q.Get("state")}, "iss": i.iss}
	if i.deny {
		answer.Set("error", "access_denied")
	} else {
		q.Set("person", i.person)
		code := rand.Text()
		i.codes[code] = q
		answer.Set("code", code)
	}
	http.Redirect(w, r, i.redirect+"?"+answer.Encode(), http.StatusFound)
}

func (i *anIssuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tokens++
	id, secret, _ := r.BasicAuth() // form-urlencoded (RFC 6749, section 2.3.1)
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	q, ok := i.codes[r.FormValue("code")]
	delete(i.codes, r.FormValue("code"))
	if id != pagesID || secret != pagesSecret || i.refuse {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	if !ok || !proves(r.FormValue("code_verifier"), q.Get("code_challenge")) || r.FormValue("redirect_uri") != i.redirect {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	now := i.Now()
	claims := map[string]any{
		"iss": i.URL, "sub": q.Get("person"), "aud": pagesID, "nonce": q.Get("nonce"), "name": "Name of " + q.Get("person"),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for name, value := range i.claims {
		claims[name] = value
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": "unused", "token_type": "Bearer", "id_token": i.Sign(map[string]any{"typ": "JWT"}, claims),
	})
}

// with runs change under the lock.
func (i *anIssuer) with(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// proves is RFC 7636, section 4.6.
func proves(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return len(verifier) >= 43 && base64.RawURLEncoding.EncodeToString(sum[:]) == challenge
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
