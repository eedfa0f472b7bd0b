package main

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// An upstream is an OpenID provider at which people sign in as whom the browser's
// cookie says.
type upstream struct {
	url, secret string
	signer      *storetest.Issuer

	mu     sync.Mutex
	codes  map[string]url.Values
	issued []string
	states []string // and nonces
	echo   bool     // the token endpoint fails, and repeats what it was sent
}

func newUpstream(t testing.TB) *upstream {
	u := &upstream{secret: rand.Text() + "-upstream-secret", signer: storetest.NewIssuer(t, nil), codes: map[string]url.Values{}}
	keys := u.signer.URL + "/jwks"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, 200, map[string]any{
			"issuer": u.url, "jwks_uri": keys, "authorization_endpoint": u.url + "/authorize", "token_endpoint": u.url + "/token",
			"token_endpoint_auth_methods_supported": []string{"client_secret_post"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /authorize", u.authorize)
	mux.HandleFunc("POST /token", u.token)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	u.url = server.URL
	u.signer.URL = server.URL
	return u
}

func (u *upstream) authorize(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	person, err := r.Cookie(personCookie)
	if err != nil {
		http.Error(w, "who are you", http.StatusBadRequest)
		return
	}
	q := r.URL.Query()
	q.Set("person", person.Value)
	code := "code-upstream-" + rand.Text()
	u.codes[code], u.issued, u.states = q, append(u.issued, code), append(u.states, q.Get("state"), q.Get("nonce"))
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"state": {q.Get("state")}, "code": {code}}.Encode(), http.StatusFound)
}

func (u *upstream) token(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	_ = r.ParseForm()
	u.issued = append(u.issued, r.PostForm.Get("code_verifier"))
	q, ok := u.codes[r.PostForm.Get("code")]
	delete(u.codes, r.PostForm.Get("code"))
	if !ok || u.echo || r.PostForm.Get("client_secret") != u.secret {
		echo(w, 400, r.PostForm)
		return
	}
	now := time.Now()
	id := u.signer.Sign(map[string]any{"typ": "JWT"}, map[string]any{
		"iss": u.url, "sub": q.Get("person"), "aud": q.Get("client_id"), "nonce": q.Get("nonce"), "name": q.Get("person"),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
	access := "access-upstream-" + rand.Text()
	u.issued = append(u.issued, id, access)
	answerJSON(w, 200, map[string]any{"access_token": access, "token_type": "Bearer", "id_token": id})
}

// echo is an error that repeats all that came.
func echo(w http.ResponseWriter, status int, form url.Values) {
	all, _ := json.Marshal(form)
	text := ""
	for _, values := range form {
		for _, v := range values {
			text += " " + v
		}
	}
	answerJSON(w, status, map[string]any{"error": "invalid_request", "error_description": text, "message": text, "sent": string(all)})
}
