package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxLog bounds each log of requests; the oldest half goes.
const maxLog = 20000

// A Request is one line of the sandbox's log.
type Request struct {
	Provider     string // "GitHub" or "Google"
	Method, Path string
	Query        url.Values
	Account      string // the login or address whose token came; "" if none or a bad one
	TokenHash    string // TokenHash of the presented token; "" if none
	Status       int    // of the answer
}

// Requests is the log of calls to the APIs, oldest first.
func (s *Sandbox) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Exchanges is the log of requests to the token and revocation endpoints, oldest
// first. They have no token hash, and an account where they got as far as one.
func (s *Sandbox) Exchanges() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exchanges)
}

// ExpireAccessTokens ends the life of every access token that has an end: all but
// those of a GitHub OAuth App.
func (s *Sandbox) ExpireAccessTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.state.Tokens {
		if !t.Refresh && !t.Expires.IsZero() {
			t.Expires = s.cfg.Now()
		}
	}
	s.dirty = true
}

// Revoke is the account's owner removing the application in the provider's
// settings: all tokens end. account is a login at GitHub or an address at Google.
func (s *Sandbox) Revoke(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, provider := range []string{githubName, googleName} {
		s.dropGrant(provider, s.client(provider).ID, account)
	}
}

// A failure is what the next calls get.
type failure struct{ n, status int }

func (f *failure) next() (status int, fails bool) {
	if f.n == 0 {
		return 0, false
	}
	f.n--
	return f.status, true
}

// Fail answers the next n API calls, of both providers, with status: 429 or 5xx.
func (s *Sandbox) Fail(n, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apiFail = failure{n, status}
}

// FailExchanges is Fail for the token and revocation endpoints.
func (s *Sandbox) FailExchanges(n, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenFail = failure{n, status}
}

func appendLog(log []Request, r Request) []Request {
	if len(log) >= maxLog {
		log = slices.Clone(log[maxLog/2:])
	}
	return append(log, r)
}

// exchange serves a token or revocation endpoint, and logs the request.
func (s *Sandbox) exchange(h handler) http.Handler {
	return s.serve(func(c *call) answer {
		a := answer{}
		if status, fails := s.tokenFail.next(); fails {
			a = text(status, "The sandbox was told to fail.").with("Retry-After", "1")
		} else {
			a = h(c)
		}
		provider := googleName
		if strings.HasSuffix(c.URL.Path, "/login/oauth/access_token") || strings.HasPrefix(c.URL.Path, "/api/v3/") {
			provider = githubName
		}
		s.exchanges = appendLog(s.exchanges, Request{Provider: provider, Method: c.Method, Path: c.URL.Path,
			Query: c.URL.Query(), Account: c.who, Status: a.status})
		return a
	})
}

// api serves an API call: it logs it, fails it when told to, and lets provider's
// own checks go before h.
func (s *Sandbox) api(provider string, h handler, fail func(status int) answer) http.Handler {
	return s.serve(func(c *call) answer {
		c.raw = bearer(c.Request)
		c.token = s.access(provider, c.raw)
		entry := Request{Provider: provider, Method: c.Method, Path: c.URL.Path, Query: c.URL.Query()}
		if c.raw != "" {
			entry.TokenHash = TokenHash(c.raw)
		}
		if c.token != nil {
			entry.Account = c.token.Account
		}
		a := answer{}
		if status, fails := s.apiFail.next(); fails {
			a = fail(status).with("Retry-After", strconv.Itoa(1))
		} else {
			a = h(c)
		}
		entry.Status = a.status
		s.calls = appendLog(s.calls, entry)
		return a
	})
}

// bearer is the token in the Authorization header, under either of the schemes
// that GitHub knows; Google's check refuses "token" itself.
func bearer(r *http.Request) string {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "token") {
		return raw
	}
	return ""
}

// Approve does in a browser's stead what a person does at authorizeURL: it opens
// the page and presses the button of "alice" or "bob", or "cancel". Scopes in
// untick are left out, where the page lets people choose. It returns where the
// browser is sent, or an error with the page's text where the provider shows one.
func Approve(ctx context.Context, authorizeURL, who string, untick ...string) (*url.URL, error) {
	client := &http.Client{Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	u, err := url.Parse(authorizeURL)
	if err != nil {
		return nil, err
	}
	page, err := http.NewRequestWithContext(ctx, "GET", u.String(), nil)
	if err != nil {
		return nil, err
	}
	if to, err := landing(client, page); to != nil || err != nil {
		return to, err
	}
	form := decision(u.Query(), who, untick, strings.HasPrefix(u.Path, "/login/"))
	u.RawQuery = ""
	press, err := http.NewRequestWithContext(ctx, "POST", u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	press.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	to, err := landing(client, press)
	if err == nil && to == nil {
		err = errors.New("sandbox: the button led nowhere")
	}
	return to, err
}

// decision is the page's form, as the person filled it in at GitHub or at Google.
func decision(form url.Values, who string, untick []string, github bool) url.Values {
	for _, p := range people() {
		if p.Key == who {
			form.Set("account", p.Email)
			if github {
				form.Set("account", p.Login)
			}
		}
	}
	for _, scope := range googleNormal(form.Get("scope")) {
		if !slices.Contains(untick, scope) {
			form.Add("granted", scope)
		}
	}
	return form
}

// landing is where the answer to r redirects; nil for a page to act on.
func landing(client *http.Client, r *http.Request) (*url.URL, error) {
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusOK:
		return nil, nil
	case res.StatusCode == http.StatusFound:
		return res.Location()
	}
	title := res.Header.Get("X-Sandbox-Error")
	return nil, fmt.Errorf("sandbox: the provider shows an error page: %d %s", res.StatusCode, title)
}
