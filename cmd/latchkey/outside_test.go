package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey-mcp/latchkey/oauthflow"
)

// An outside is GitHub and Google for any number of people, where the sandbox has two.
// Who has an account there is whoever the browser's cookie says. Whatever a person's
// account shows holds that person's canary, and every call must come with the token of
// the person who made it: a call says who did in a mark among its arguments.
type outside struct {
	url        string
	id, secret string
	mu         sync.Mutex
	living     map[string]string // access and refresh tokens → person
	ended      map[string]string // those that lived once
	codes      map[string]url.Values
	issued     []string // every code and token, and every verifier that came
	states     []string
	faults     []string
	calls      int
	life       int // of Google's access tokens, in seconds
	failures   map[string]http.HandlerFunc
}

const personCookie = "outside-person"

func newOutside(t testing.TB) *outside {
	o := &outside{
		id: "client-at-outside", life: 3600, secret: rand.Text() + "-client-secret", living: map[string]string{}, ended: map[string]string{},
		codes: map[string]url.Values{}, failures: map[string]http.HandlerFunc{},
	}
	mux := http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /login/oauth/authorize":                                 o.authorize,
		"POST /login/oauth/access_token":                             o.token,
		"GET /api/v3/user":                                           o.user,
		"DELETE /api/v3/applications/{id}/token":                     o.revoke,
		"GET /api/v3/search/issues":                                  o.api(o.search),
		"GET /api/v3/search/code":                                    o.api(o.search),
		"GET /api/v3/search/repositories":                            o.api(o.search),
		"GET /api/v3/repos/{owner}/{repo}":                           o.api(o.thing),
		"GET /api/v3/repos/{owner}/{repo}/contents/{path...}":        o.api(o.thing),
		"GET /api/v3/repos/{owner}/{repo}/commits":                   o.api(o.things),
		"GET /api/v3/repos/{owner}/{repo}/commits/{ref}":             o.api(o.thing),
		"GET /api/v3/repos/{owner}/{repo}/branches":                  o.api(o.things),
		"GET /api/v3/repos/{owner}/{repo}/issues/{number}":           o.api(o.thing),
		"GET /api/v3/repos/{owner}/{repo}/issues/{number}/comments":  o.api(o.things),
		"POST /api/v3/repos/{owner}/{repo}/issues":                   o.api(o.issue),
		"PATCH /api/v3/repos/{owner}/{repo}/issues/{number}":         o.api(o.issue),
		"POST /api/v3/repos/{owner}/{repo}/issues/{number}/comments": o.api(o.issue),
		"GET /api/v3/repos/{owner}/{repo}/pulls":                     o.api(o.things),
		"GET /api/v3/repos/{owner}/{repo}/pulls/{number}":            o.api(o.thing),
		"GET /api/v3/repos/{owner}/{repo}/actions/runs":              o.api(o.runs),
		"GET /api/v3/notifications":                                  o.api(o.things),
		"POST /api/v3/repos/{owner}/{repo}/pulls":                    o.api(o.issue),
		"PATCH /api/v3/repos/{owner}/{repo}/pulls/{number}":          o.api(o.issue),
		"GET /.well-known/openid-configuration":                      o.discovery,
		"GET /google/auth":                                           o.authorize,
		"POST /google/token":                                         o.token,
		"GET /google/userinfo":                                       o.user,
		"POST /google/revoke":                                        o.revoke,
		"GET /calendar/v3/calendars/{id}/events":                     o.api(o.events),
		"POST /calendar/v3/calendars/{id}/events":                    o.api(o.event),
		"POST /calendar/v3/calendars/{id}/events/quickAdd":           o.api(o.event),
		"PATCH /calendar/v3/calendars/{id}/events/{event}":           o.api(o.event),
		"DELETE /calendar/v3/calendars/{id}/events/{event}":          o.api(o.event),
		"GET /calendar/v3/calendars/{id}/events/{event}":             o.api(o.event),
		"GET /calendar/v3/calendars/{id}/events/{event}/instances":   o.api(o.events),
		"GET /calendar/v3/users/me/calendarList":                     o.api(o.calendars),
		"GET /calendar/v3/calendars/{id}":                            o.api(o.calendar),
		"POST /calendar/v3/freeBusy":                                 o.api(o.busy),
	} {
		mux.HandleFunc(pattern, h)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	o.url = server.URL
	return o
}

func (o *outside) github() *oauthflow.Settings {
	return &oauthflow.Settings{ClientID: o.id, ClientSecret: o.secret, OAuthURL: o.url, APIURL: o.url + "/api/v3"}
}

func (o *outside) google() *oauthflow.Settings {
	return &oauthflow.Settings{ClientID: o.id, ClientSecret: o.secret, OAuthURL: o.url, APIURL: o.url}
}

// welcome gives v's browser the cookie that says who it is there.
func (o *outside) welcome(v *visitor, person string) {
	at, _ := url.Parse(o.url)
	v.http.Jar.SetCookies(at, []*http.Cookie{{Name: personCookie, Value: person}})
}

// canary is what only person's account shows.
func canary(person string) string { return "canary-" + person + "-of-theirs" }

var canaries = regexp.MustCompile(`canary-[a-z0-9]+-of-theirs`)

// mark is what a call of person's says in its arguments.
func mark(person string, n int) string { return fmt.Sprintf("mark-%s-%d-", person, n) }

var marks = regexp.MustCompile(`mark-([a-z0-9]+)-[0-9]+-`)

func (o *outside) fault(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

// remember makes a secret of that kind and keeps it, so that a test can look for it.
func (o *outside) remember(kind, person string) string {
	value := kind + "-" + person + "-" + rand.Text()
	o.issued = append(o.issued, value)
	return value
}

func (o *outside) discovery(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, 200, map[string]any{
		"issuer": o.url, "authorization_endpoint": o.url + "/google/auth", "token_endpoint": o.url + "/google/token",
		"revocation_endpoint": o.url + "/google/revoke", "userinfo_endpoint": o.url + "/google/userinfo",
	})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (o *outside) authorize(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := r.URL.Query()
	person, err := r.Cookie(personCookie)
	if err != nil || q.Get("client_id") != o.id || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "who are you", http.StatusBadRequest)
		return
	}
	q.Set("person", person.Value)
	code := o.remember("code", person.Value)
	o.codes[code], o.states = q, append(o.states, q.Get("state"))
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"state": {q.Get("state")}, "code": {code}}.Encode(), http.StatusFound)
}

// fails answers in another way, where it was told to.
func (o *outside) fails(where string, w http.ResponseWriter, r *http.Request) bool {
	o.mu.Lock()
	how := o.failures[where]
	o.mu.Unlock()
	if how != nil {
		how(w, r)
	}
	return how != nil
}

// fail has the requests of one sort fail in that way; nil ends it.
func (o *outside) fail(where string, how http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures[where] = how
}

func (o *outside) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	if o.fails("token", w, r) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	person, scope, ok := o.redeem(r.PostForm)
	if !ok || r.PostForm.Get("client_id") != o.id || r.PostForm.Get("client_secret") != o.secret {
		answerJSON(w, 400, map[string]any{"error": "invalid_grant"})
		return
	}
	answer := map[string]any{"access_token": o.remember("access", person), "token_type": "Bearer", "scope": scope}
	o.living[answer["access_token"].(string)] = person
	if strings.HasPrefix(r.URL.Path, "/google/") {
		answer["refresh_token"], answer["expires_in"] = o.remember("refresh", person), o.life
		o.living[answer["refresh_token"].(string)] = person
	}
	answerJSON(w, 200, answer)
}

// redeem spends a code or a refresh token.
func (o *outside) redeem(form url.Values) (person, scope string, ok bool) {
	if form.Get("grant_type") == "refresh_token" {
		person, ok := o.living[form.Get("refresh_token")]
		o.end(form.Get("refresh_token"))
		return person, "", ok
	}
	q, ok := o.codes[form.Get("code")]
	o.issued = append(o.issued, form.Get("code_verifier"))
	delete(o.codes, form.Get("code"))
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	return q.Get("person"), q.Get("scope"), ok && base64.RawURLEncoding.EncodeToString(sum[:]) == q.Get("code_challenge")
}

func (o *outside) end(token string) {
	if person, ok := o.living[token]; ok {
		o.ended[token] = person
		delete(o.living, token)
	}
}

func (o *outside) user(w http.ResponseWriter, r *http.Request) {
	if o.fails("user", w, r) {
		return
	}
	person, ok := o.caller(r)
	if !ok {
		answerJSON(w, 401, map[string]any{"message": "Bad credentials"})
		return
	}
	h := fnv.New32()
	_, _ = io.WriteString(h, person)
	answerJSON(w, 200, map[string]any{"id": h.Sum32(), "login": person, "sub": person, "email": person + "@outside.example"})
}

// caller is whose token r brings.
func (o *outside) caller(r *http.Request) (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		o.fault("%s %s with %d credentials", r.Method, r.URL.Path, len(values))
		return "", false
	}
	token := strings.TrimPrefix(values[0], "Bearer ")
	person, ok := o.living[token]
	if !ok && o.ended[token] == "" {
		o.fault("%s %s with a credential that nobody ever had: %q", r.Method, r.URL.Path, values[0])
	}
	return person, ok
}

func (o *outside) revoke(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if o.fails("revoke", w, r) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var asked struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal(body, &asked) == nil {
		o.end(asked.Token)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	form, _ := url.ParseQuery(string(body))
	o.end(form.Get("token"))
}

// api is an API call: it must come with the token of the person who made it, as its
// marks say.
func (o *outside) api(answer func(person, said string) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		query, _ := url.QueryUnescape(r.URL.RawQuery)
		said := r.URL.Path + " " + query + " " + string(body)
		if o.fails("api", w, r) {
			return
		}
		person, ok := o.caller(r)
		if !ok {
			answerJSON(w, 401, map[string]any{"message": "Bad credentials"})
			return
		}
		o.mu.Lock()
		o.calls++
		for _, m := range marks.FindAllStringSubmatch(said, -1) {
			if m[1] != person {
				o.fault("a call of %s's came with the credential of %s: %s", m[1], person, said)
			}
		}
		o.mu.Unlock()
		answerJSON(w, 200, answer(person, strings.Join(marks.FindAllString(said, -1), " ")))
	}
}

func (o *outside) issueOf(person, said string) map[string]any {
	return map[string]any{
		"number": 7, "title": canary(person) + " " + said, "body": canary(person), "state": "open", "user": map[string]any{"login": person},
		"html_url": "https://github.com/" + person + "/x/issues/7#" + canary(person) + " " + said, "repository_url": "https://api.github.com/repos/" + person + "/x",
	}
}

func (o *outside) search(person, said string) any {
	return map[string]any{"total_count": 1, "items": o.things(person, said)}
}

// thing is whatever is asked for: a repository, a file, a commit or an issue.
func (o *outside) thing(person, said string) any {
	text := canary(person) + " " + said
	all := o.issueOf(person, said)
	for name, value := range map[string]any{
		"full_name": person + "/x", "description": text, "default_branch": text, "name": text,
		"path": "x", "text_matches": []any{map[string]any{"property": "content", "fragment": text}},
		"type": "file", "encoding": "base64", "content": base64.StdEncoding.EncodeToString([]byte(text)),
		"display_title": text, "subject": map[string]any{"title": text},
		"sha": "1", "commit": map[string]any{"message": text}, "comments": 1, "created_at": "2026-12-01T09:00:00Z",
	} {
		all[name] = value
	}
	return all
}

func (o *outside) runs(person, said string) any {
	return map[string]any{"workflow_runs": o.things(person, said)}
}

func (o *outside) things(person, said string) any { return []any{o.thing(person, said)} }

func (o *outside) issue(person, said string) any { return o.issueOf(person, said) }

func (o *outside) event(person, said string) any {
	at := map[string]any{"dateTime": "2026-12-01T09:00:00Z"}
	own := map[string]any{"email": person + "@outside.example", "self": true}
	return map[string]any{"id": "event", "status": "confirmed", "summary": canary(person) + " " + said, "start": at, "end": at,
		"htmlLink": canary(person) + " " + said, "attendees": []any{own}}
}

func (o *outside) events(person, said string) any {
	return map[string]any{"timeZone": "UTC", "items": []any{o.event(person, said)}}
}

func (o *outside) calendar(person, said string) any {
	return map[string]any{"id": person, "summary": canary(person) + " " + said, "timeZone": "UTC"}
}

func (o *outside) calendars(person, said string) any {
	return map[string]any{"items": []any{o.calendar(person, said)}}
}

// busy tells of nobody: the tools then name those that it was asked about.
func (o *outside) busy(string, string) any { return map[string]any{"calendars": map[string]any{}} }

// seen is how many calls came, and what was wrong with them.
func (o *outside) seen() (calls int, faults []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls, o.faults
}
