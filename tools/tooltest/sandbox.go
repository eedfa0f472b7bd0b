package tooltest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

const (
	clientID     = "id"
	clientSecret = "secret"
	callback     = "http://127.0.0.1/callback"
)

// Sandbox is a new outside world; change adjusts it, or is nil.
func Sandbox(t testing.TB, change func(*sandbox.Config)) *sandbox.Sandbox {
	t.Helper()
	us := sandbox.Client{ID: clientID, Secret: clientSecret, RedirectURIs: []string{callback}}
	cfg := sandbox.Config{GitHub: us, Google: us}
	if change != nil {
		change(&cfg)
	}
	world, err := sandbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return world
}

// AtGoogle is a bench for module at world's Google, where who ("alice", "bob") lets
// each tool have its own scopes and no others. Its clock is the real one, as the
// sandbox's is. Requests and answers are held against Google's description.
func AtGoogle(t testing.TB, module tools.Module, world *sandbox.Sandbox, who string) *Bench {
	t.Helper()
	s := httptest.NewServer(world.Google())
	t.Cleanup(s.Close)
	in := &signIn{who: who, authorize: s.URL + "/o/oauth2/v2/auth", token: s.URL + "/token", always: []string{"openid", "email"}}
	return &Bench{
		Module: module, Bases: map[string]string{"": s.URL}, Token: in.tokenFor, Facts: tools.Facts{Now: time.Now},
		Description: GoogleCalendar(t, module), Answers: true,
	}
}

// AtGitHub is AtGoogle for GitHub, whose downloads come from a host of their own.
func AtGitHub(t testing.TB, module tools.Module, world *sandbox.Sandbox, who string) *Bench {
	t.Helper()
	s := httptest.NewServer(world.GitHub())
	t.Cleanup(s.Close)
	storage := httptest.NewServer(world.GitHubStorage())
	t.Cleanup(storage.Close)
	in := &signIn{who: who, authorize: s.URL + "/login/oauth/authorize", token: s.URL + "/login/oauth/access_token"}
	return &Bench{
		Module: module, Bases: map[string]string{"": s.URL + "/api/v3", sandbox.StorageHost: storage.URL},
		Token: in.tokenFor, Facts: tools.Facts{Now: time.Now},
		Description: GitHub(t, module), Answers: true,
	}
}

// A signIn gets access tokens of a person's, one for each list of scopes, and keeps
// them: what is revoked stays so.
type signIn struct {
	who              string
	authorize, token string // URLs
	always           []string

	mu   sync.Mutex
	kept map[string]string
}

func (s *signIn) tokenFor(t testing.TB, spec tools.Spec) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	scopes := strings.Join(append(spec.Scopes, s.always...), " ")
	if s.kept[scopes] == "" {
		if s.kept == nil {
			s.kept = map[string]string{}
		}
		s.kept[scopes] = s.fresh(t, scopes)
	}
	return s.kept[scopes]
}

// fresh is the authorization code flow, with the person's consent.
func (s *signIn) fresh(t testing.TB, scopes string) string {
	t.Helper()
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	landed, err := sandbox.Approve(t.Context(), s.authorize+"?"+url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {callback}, "scope": {scopes},
		"state": {"state"}, "access_type": {"offline"}, "prompt": {"consent"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode(), s.who)
	if err != nil {
		t.Fatal(err)
	}
	return s.exchange(t, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "client_secret": {clientSecret},
		"redirect_uri": {callback}, "code": {landed.Query().Get("code")}, "code_verifier": {verifier},
	})
}

func (s *signIn) exchange(t testing.TB, form url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.token, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("no token from %s: %s, %v", s.token, resp.Status, err)
	}
	return answer.AccessToken
}
