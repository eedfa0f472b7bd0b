package oauthflow

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A standIn is a strict GitHub or Google: OAuth, who-am-I and revocation, each in
// that provider's own form.
type standIn struct {
	name, url            string
	id, secret, redirect string

	mu       sync.Mutex
	person   string                // signed in there: the account's id
	grants   func([]string) string // what of the asked scopes is granted, as the scope in the answer; nil: all
	extra    url.Values            // added to the authorization response
	answer   map[string]any        // added to the token answer
	fail     string                // a token error, with a body full of secrets
	down     bool
	badUser  bool // userinfo answers 500
	codes    map[string]url.Values
	living   map[string]string // access and refresh tokens by person
	asked    [][]string        // scopes of authorization requests
	requests []url.Values      // authorization requests
	tokens   int               // token requests
	revoked  []string
	serial   int
	during   func() // runs before each request is looked at
}

func newStandIn(t testing.TB, name string) *standIn {
	s := &standIn{
		name: name, id: name + "-client", secret: name + "-client-secret", person: "1001",
		codes: map[string]url.Values{}, living: map[string]string{},
	}
	mux := http.NewServeMux()
	if name == "github" {
		mux.HandleFunc("GET /login/oauth/authorize", s.authorize)
		mux.HandleFunc("POST /login/oauth/access_token", s.token)
		mux.HandleFunc("GET /api/v3/user", s.user)
		mux.HandleFunc("DELETE /api/v3/applications/{id}/{what}", s.githubRevoke)
	} else {
		mux.HandleFunc("GET /.well-known/openid-configuration", s.discovery)
		mux.HandleFunc("GET /authorize", s.authorize)
		mux.HandleFunc("POST /token", s.token)
		mux.HandleFunc("GET /userinfo", s.user)
		mux.HandleFunc("POST /revoke", s.googleRevoke)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		during := s.during
		s.mu.Unlock()
		if during != nil {
			during()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *standIn) settings() Settings {
	api := s.url
	if s.name == "github" {
		api += "/api/v3"
	}
	return Settings{ClientID: s.id, ClientSecret: s.secret, OAuthURL: s.url, APIURL: api}
}

func (s *standIn) with(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *standIn) discovery(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": s.url, "authorization_endpoint": s.url + "/authorize", "token_endpoint": s.url + "/token",
		"revocation_endpoint": s.url + "/revoke", "userinfo_endpoint": s.url + "/userinfo",
	})
}

func (s *standIn) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.requests = append(s.requests, q)
	s.asked = append(s.asked, strings.Fields(q.Get("scope")))
	if q.Get("client_id") != s.id || q.Get("redirect_uri") != s.redirect || q.Get("response_type") != "code" ||
		q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	q.Set("person", s.person)
	code := rand.Text()
	s.codes[code] = q
	answer := url.Values{"state": {q.Get("state")}, "code": {code}}
	for name, values := range s.extra {
		answer[name] = values
	}
	if answer.Has("error") {
		answer.Del("code")
	}
	http.Redirect(w, r, s.redirect+"?"+answer.Encode(), http.StatusFound)
}

func (s *standIn) token(w http.ResponseWriter, r *http.Request) {
	s.tokens++
	_ = r.ParseForm()
	if s.fail != "" {
		s.refuse(w, s.fail)
		return
	}
	if !s.knows(r) {
		s.refuse(w, "invalid_client")
		return
	}
	if r.PostForm.Get("grant_type") == "refresh_token" {
		person, ok := s.living[r.PostForm.Get("refresh_token")]
		delete(s.living, r.PostForm.Get("refresh_token"))
		s.grant(w, person, nil, ok)
		return
	}
	code := r.PostForm.Get("code")
	q, ok := s.codes[code]
	delete(s.codes, code)
	ok = ok && proves(r.PostForm.Get("code_verifier"), q.Get("code_challenge")) && r.PostForm.Get("redirect_uri") == q.Get("redirect_uri")
	s.grant(w, q.Get("person"), strings.Fields(q.Get("scope")), ok)
}

// grant answers with a token of person for those scopes, in the provider's form.
func (s *standIn) grant(w http.ResponseWriter, person string, asked []string, ok bool) {
	if !ok {
		s.refuse(w, map[string]string{"github": "bad_refresh_token", "google": "invalid_grant"}[s.name])
		return
	}
	s.serial++
	answer := map[string]any{
		"access_token":  fmt.Sprintf("%s-access-%s-%d", s.name, person, s.serial),
		"refresh_token": fmt.Sprintf("%s-refresh-%s-%d", s.name, person, s.serial),
		"token_type":    "bearer", "expires_in": 3600, "scope": s.granted(asked),
	}
	for name, value := range s.answer {
		answer[name] = value
	}
	s.living[answer["access_token"].(string)] = person
	s.living[answer["refresh_token"].(string)] = person
	if s.name == "google" {
		writeJSON(w, http.StatusOK, answer)
		return
	}
	form := url.Values{}
	for name, value := range answer {
		form.Set(name, fmt.Sprint(value))
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
	fmt.Fprint(w, form.Encode())
}

func (s *standIn) granted(asked []string) string {
	if s.grants != nil {
		return s.grants(asked)
	}
	if s.name == "github" {
		return strings.Join(asked, ",")
	}
	return strings.Join(asked, " ")
}

// refuse answers with an error: GitHub does so with 200.
func (s *standIn) refuse(w http.ResponseWriter, code string) {
	const leak = "hunter2-in-the-body"
	if s.name == "google" {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": code, "error_description": leak})
		return
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
	fmt.Fprint(w, url.Values{"error": {code}, "error_description": {leak}}.Encode())
}

func (s *standIn) user(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	person, ok := s.living[token]
	switch {
	case s.badUser:
		http.Error(w, "no", http.StatusInternalServerError)
	case !ok:
		http.Error(w, "unauthorized", http.StatusUnauthorized)
	case s.name == "github":
		writeJSON(w, http.StatusOK, map[string]any{"id": json.Number(person), "login": "gh" + person})
	default:
		writeJSON(w, http.StatusOK, map[string]any{"sub": person, "email": "g" + person + "@example.com"})
	}
}

func (s *standIn) githubRevoke(w http.ResponseWriter, r *http.Request) {
	var in struct {
		AccessToken string `json:"access_token"`
	}
	id, secret, _ := r.BasicAuth()
	what := r.PathValue("what")
	if what != "token" && what != "grant" {
		http.NotFound(w, r)
		return
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if d.Decode(&in) != nil || r.Header.Get("Content-Type") != "application/json" || id != s.id || secret != s.secret || r.PathValue("id") != s.id {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	person := s.living[in.AccessToken]
	s.revoke(w, in.AccessToken, http.StatusNoContent, http.StatusNotFound)
	if what == "grant" && person != "" { // all that the account gave to the application
		for token, whose := range s.living {
			if whose == person {
				delete(s.living, token)
			}
		}
	}
}

// knows reports whether the request is our client's: slack wants Basic, the others
// parameters.
func (s *standIn) knows(r *http.Request) bool {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if s.name == "slack" {
		basicID, basicSecret, _ := r.BasicAuth()
		return id == "" && secret == "" && basicID == s.id && basicSecret == s.secret
	}
	return id == s.id && secret == s.secret
}

func (s *standIn) googleRevoke(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	if s.name == "slack" && !s.knows(r) {
		s.refuse(w, "invalid_client")
		return
	}
	s.revoke(w, r.PostForm.Get("token"), http.StatusOK, http.StatusBadRequest)
}

func (s *standIn) revoke(w http.ResponseWriter, token string, done, unknown int) {
	if _, ok := s.living[token]; !ok {
		writeJSON(w, unknown, map[string]any{"error": "invalid_token"})
		return
	}
	delete(s.living, token)
	s.revoked = append(s.revoked, token)
	w.WriteHeader(done)
}

func (s *standIn) revocations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.revoked)
}

func (s *standIn) tokenRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}
