package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"time"
)

const (
	githubName = "GitHub"
	googleName = "Google"

	codeLife = 10 * time.Minute
)

// A code is an authorization code, kept by its hash.
type code struct {
	Provider, Client, Account string
	Redirect                  string // as the authorization request had it; "" where it had none
	Challenge                 string // PKCE S256; "" without PKCE
	Nonce                     string
	Scopes                    []string
	Offline                   bool // a refresh token is due
	Expires                   time.Time
	Spent                     bool
}

// A token is an access or a refresh token, kept by its hash.
type token struct {
	Provider, Client, Account string
	Family                    string // all that came from one code
	Refresh                   bool
	Scopes                    []string
	Expires                   time.Time // zero means never
	Spent                     bool      // a refresh token that was used
}

func (t *token) has(anyOf ...string) bool {
	return slices.ContainsFunc(anyOf, func(scope string) bool { return slices.Contains(t.Scopes, scope) })
}

// TokenHash is how a token appears in the log of requests: the hex SHA-256.
func TokenHash(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return hex.EncodeToString(sum[:])
}

func random() string {
	b := make([]byte, 27)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// client is the registration at a provider.
func (s *Sandbox) client(provider string) Client {
	if provider == githubName {
		return s.cfg.GitHub
	}
	return s.cfg.Google
}

func (c Client) authenticates(id, secret string) bool {
	return id == c.ID && subtle.ConstantTimeCompare([]byte(secret), []byte(c.Secret)) == 1
}

// credentials are the client's, from the Authorization header or the form; both at
// once are none (RFC 6749, section 2.3).
func (c *call) credentials(form url.Values) (id, secret string) {
	id, secret, basic := c.BasicAuth()
	switch {
	case !basic:
		return form.Get("client_id"), form.Get("client_secret")
	case form.Has("client_secret"):
		return "", ""
	}
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	return id, secret
}

func (s *Sandbox) newCode(c code) string {
	raw := random()
	if c.Provider == googleName {
		raw = "4/0A" + raw // Google's codes need escaping in a form
	}
	c.Expires = s.cfg.Now().Add(codeLife)
	s.state.Codes[TokenHash(raw)] = &c
	s.dirty = true
	return raw
}

// A refusal says why a code or a refresh token is no good; "" is none.
type refusal string

const (
	unknown         refusal = "unknown, expired or used"
	wrongRedirect   refusal = "other redirect_uri"
	missingVerifier refusal = "no code_verifier"
	wrongVerifier   refusal = "wrong code_verifier"
)

// redeem spends a code, also where it then refuses: a second try is a replay.
func (s *Sandbox) redeem(provider string, form url.Values) (*code, refusal) {
	c := s.state.Codes[TokenHash(form.Get("code"))]
	if c == nil || c.Spent || c.Provider != provider || c.Client != s.client(provider).ID || !s.cfg.Now().Before(c.Expires) {
		return nil, unknown
	}
	c.Spent, s.dirty = true, true
	if redirect := form.Get("redirect_uri"); redirect != c.Redirect && !(provider == githubName && redirect == "") {
		return nil, wrongRedirect
	}
	return c, checkVerifier(c.Challenge, form)
}

// checkVerifier is RFC 7636, section 4.6. A verifier without a challenge is
// refused too: the client took its request for a protected one.
func checkVerifier(challenge string, form url.Values) refusal {
	verifier := form.Get("code_verifier")
	if challenge == "" && verifier == "" {
		return ""
	}
	if verifier == "" {
		return missingVerifier
	}
	sum := sha256.Sum256([]byte(verifier))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != challenge {
		return wrongVerifier
	}
	return ""
}

// badChallenge says that an authorization request's PKCE parameters are not S256.
func badChallenge(q url.Values) bool {
	challenge, method := q.Get("code_challenge"), q.Get("code_challenge_method")
	if challenge == "" {
		return method != ""
	}
	return method != "S256" || len(challenge) != 43
}

// issue keeps a new token and returns it.
func (s *Sandbox) issue(prefix string, t token) string {
	raw := prefix + random()
	s.state.Tokens[TokenHash(raw)] = &t
	s.dirty = true
	return raw
}

// access is the live access token that raw is at provider, or nil.
func (s *Sandbox) access(provider, raw string) *token {
	t := s.state.Tokens[TokenHash(raw)]
	if t == nil || t.Refresh || t.Provider != provider || t.Client != s.client(provider).ID || s.expired(t) {
		return nil
	}
	return t
}

// refresh is the refresh token that raw is at provider, spent ones included.
func (s *Sandbox) refresh(provider, raw string) *token {
	t := s.state.Tokens[TokenHash(raw)]
	if t == nil || !t.Refresh || t.Provider != provider || t.Client != s.client(provider).ID || s.expired(t) {
		return nil
	}
	return t
}

func (s *Sandbox) expired(t *token) bool {
	return !t.Expires.IsZero() && !s.cfg.Now().Before(t.Expires)
}

// drop forgets the tokens that which says, and how many there were.
func (s *Sandbox) drop(which func(*token) bool) int {
	n := 0
	for hash, t := range s.state.Tokens {
		if which(t) {
			delete(s.state.Tokens, hash)
			s.dirty = true
			n++
		}
	}
	return n
}

// dropGrant ends all that account gave to client at provider: tokens, and codes
// that would become some.
func (s *Sandbox) dropGrant(provider, client, account string) int {
	for hash, c := range s.state.Codes {
		if c.Provider == provider && c.Client == client && c.Account == account {
			delete(s.state.Codes, hash)
			s.dirty = true
		}
	}
	return s.drop(func(t *token) bool {
		return t.Provider == provider && t.Client == client && t.Account == account
	})
}

// granted is what account's live tokens have of scopes, together.
func (s *Sandbox) granted(provider, account string) []string {
	var scopes []string
	for _, t := range s.state.Tokens {
		if t.Provider == provider && t.Client == s.client(provider).ID && t.Account == account && !s.expired(t) {
			scopes = append(scopes, t.Scopes...)
		}
	}
	return sorted(scopes)
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
