package oauthflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/store"
)

// A script answers the token endpoint with one text, and counts.
type script struct {
	status      int
	contentType string
	body        string
	retryAfter  string
	asked       atomic.Int32
}

// scripted are both providers with that token endpoint, at one hour past epoch.
func scripted(t *testing.T, s *script) *Providers {
	t.Helper()
	mux := http.NewServeMux()
	tokens := func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		w.Header().Set("Content-Type", s.contentType)
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Retry-After", s.retryAfter)
		w.WriteHeader(s.status)
		fmt.Fprint(w, s.body)
	}
	mux.HandleFunc("POST /token", tokens)
	mux.HandleFunc("POST /login/oauth/access_token", tokens)
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"issuer": server.URL, "authorization_endpoint": server.URL, "token_endpoint": server.URL + "/token",
			"revocation_endpoint": server.URL, "userinfo_endpoint": server.URL,
		})
	})
	settings := Settings{ClientID: "id", ClientSecret: "client-secret", OAuthURL: server.URL, APIURL: server.URL}
	p := NewProviders(nil, must(GitHub(settings))(t), must(Google(settings))(t))
	p.Now = func() time.Time { return epoch }
	return p
}

var epoch = time.Unix(1_800_000_000, 0)

var before = store.Token{
	Access: store.NewSecret("old-access"), Refresh: store.NewSecret("old-refresh"),
	RefreshExpiry: epoch.Add(time.Hour), Scopes: []string{"before"},
}

const (
	form   = "application/x-www-form-urlencoded"
	asJSON = "application/json"
)

func TestRefreshReadsBothForms(t *testing.T) {
	for name, c := range map[string]struct {
		provider string
		script   *script
		want     parked
	}{
		"GitHub's form": {"github", &script{status: 200, contentType: form, body: "access_token=a&refresh_token=r&expires_in=28800&refresh_token_expires_in=15897600&scope=&token_type=bearer"},
			parked{"a", "r", epoch.Add(8 * time.Hour), epoch.Add(15897600 * time.Second), []string{"before"}}},
		"JSON": {"google", &script{status: 200, contentType: asJSON, body: `{"access_token":"a","refresh_token":"r","expires_in":3599,"refresh_token_expires_in":604799,"scope":"x y","token_type":"Bearer"}`},
			parked{"a", "r", epoch.Add(3599 * time.Second), epoch.Add(604799 * time.Second), []string{"x", "y"}}},
		"JSON with numbers in strings": {"google", &script{status: 200, contentType: asJSON, body: `{"access_token":"a","refresh_token":"r","expires_in":"3599","refresh_token_expires_in":"604799"}`},
			parked{"a", "r", epoch.Add(3599 * time.Second), epoch.Add(604799 * time.Second), []string{"before"}}},
		"no new refresh token": {"google", &script{status: 200, contentType: asJSON, body: `{"access_token":"a","expires_in":3599,"token_type":"Bearer"}`},
			parked{"a", "old-refresh", epoch.Add(3599 * time.Second), epoch.Add(time.Hour), []string{"before"}}},
		"no expiry": {"google", &script{status: 200, contentType: asJSON, body: `{"access_token":"a","refresh_token":"r"}`},
			parked{"a", "r", time.Time{}, time.Time{}, []string{"before"}}},
		"absurd expiry": {"google", &script{status: 200, contentType: asJSON, body: `{"access_token":"a","refresh_token":"r","expires_in":-5,"refresh_token_expires_in":1e300}`},
			parked{"a", "r", time.Time{}, time.Time{}, []string{"before"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := scripted(t, c.script).Refresh(t.Context(), c.provider, before)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, park(got)); diff != "" {
				t.Errorf("token (-want +got):\n%s", diff)
			}
		})
	}
}

// A dead credential is a *store.Refused with words for people; anything else may
// live. No text of the provider's gets into either.
func TestRefreshTellsDeadFromDown(t *testing.T) {
	const leak = "leaked-body"
	late := before
	late.RefreshExpiry = epoch.Add(-time.Minute)
	dusty := before
	dusty.RefreshExpiry, dusty.Expiry = time.Time{}, epoch.Add(-180*24*time.Hour)
	recent := dusty
	recent.Expiry = dusty.Expiry.Add(time.Second)
	said := func(words string) *script {
		return &script{status: 400, contentType: asJSON, body: `{"error":"invalid_grant","error_description":"` + words + " " + leak + `"}`}
	}
	for name, c := range map[string]struct {
		provider string
		token    store.Token
		script   *script
		reason   string // "" for an ordinary error
	}{
		"GitHub, 200 with an error": {"github", before, &script{status: 200, contentType: form, body: "error=bad_refresh_token&error_description=" + leak}, "expired or was revoked"},
		"GitHub App, over":          {"github", late, &script{status: 200, contentType: form, body: "error=bad_refresh_token&error_description=" + leak}, "six months"},
		"Google":                    {"google", before, &script{status: 400, contentType: asJSON, body: `{"error":"invalid_grant","error_description":"` + leak + `"}`}, "expired or was revoked"},
		"Google, testing mode":      {"google", late, &script{status: 400, contentType: asJSON, body: `{"error":"invalid_grant"}`}, "after 7 days while the Google Cloud project"},
		"Google, unused":            {"google", dusty, said("Token has been expired or revoked."), "six months"},
		"Google, hardly used":       {"google", recent, said("Token has been expired or revoked."), "expired or was revoked"},
		"Google, password":          {"google", dusty, said("Password changed"), "password was changed"},
		"Google, session control":   {"google", before, said("reauth related error (invalid_rapt)"), "Workspace"},
		"our own client is wrong":   {"github", before, &script{status: 200, contentType: form, body: "error=incorrect_client_credentials&error_description=" + leak}, ""},
		"invalid_client":            {"google", before, &script{status: 401, contentType: asJSON, body: `{"error":"invalid_client","error_description":"` + leak + `"}`}, ""},
		"unavailable":               {"google", before, &script{status: 503, contentType: "text/html", body: leak}, ""},
		"not JSON":                  {"google", before, &script{status: 200, contentType: asJSON, body: leak}, ""},
		"a number for a token":      {"google", before, &script{status: 200, contentType: asJSON, body: `{"access_token":1234509876}`}, ""},
		"an error code as a weapon": {"google", before, &script{status: 400, contentType: asJSON, body: `{"error":"` + leak + ` \n level=ERROR"}`}, ""},
		"no token":                  {"google", before, &script{status: 200, contentType: asJSON, body: `{}`}, ""},
		"a redirect":                {"google", before, &script{status: 302, body: leak}, ""},
		"no refresh token":          {"google", store.Token{Access: store.NewSecret("a")}, &script{status: 200}, "gave no way to renew"},
		"a provider of no settings": {"gitlab", before, &script{status: 200}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scripted(t, c.script).Refresh(t.Context(), c.provider, c.token)
			var refused *store.Refused
			if errors.As(err, &refused) != (c.reason != "") || err == nil {
				t.Fatalf("error %v", err)
			}
			if refused != nil && !strings.Contains(refused.Reason, c.reason) {
				t.Errorf("reason %q", refused.Reason)
			}
			for _, secret := range []string{leak, "1234509876", "old-refresh", "client-secret", "\n"} {
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
					t.Errorf("the error holds %q: %v", secret, err)
				}
			}
			if n := c.script.asked.Load(); n > 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// What a provider in trouble says: whether it answered itself, and when to come
// back, which may be a date.
func TestRefreshTellsWhenToComeBack(t *testing.T) {
	date := time.Now().UTC().Add(90 * time.Second).Format(http.TimeFormat)
	for name, c := range map[string]struct {
		status   int
		after    string
		answered bool
		at       time.Duration
	}{
		"seconds":            {503, "120", true, 2 * time.Minute},
		"a date":             {429, date, true, 90 * time.Second},
		"a date gone by":     {503, time.Now().UTC().Add(-time.Hour).Format(http.TimeFormat), true, 0},
		"nothing":            {503, "", true, 0},
		"nonsense":           {503, "-5", true, 0},
		"too many requests":  {429, "1", true, time.Second},
		"a gateway":          {502, "7", false, 7 * time.Second},
		"a broken server":    {500, "", false, 0},
		"a gateway in a jam": {504, "", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{status: c.status, contentType: asJSON, body: `{"error":"temporarily_unavailable"}`, retryAfter: c.after}
			_, err := scripted(t, s).Refresh(t.Context(), "google", before)
			var trouble *store.Trouble
			if !errors.As(err, &trouble) || trouble.Answered != c.answered {
				t.Fatalf("error %v", err)
			}
			if off := c.at - trouble.RetryAfter; off < 0 || off > 2*time.Second {
				t.Errorf("to come back in %v, want %v", trouble.RetryAfter, c.at)
			}
		})
	}
}

// A refresh token that is spent upstream must not be lost because the caller left.
func TestRefreshOutlivesItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &script{status: 200, contentType: form, body: "access_token=a"}
	if _, err := scripted(t, s).Refresh(ctx, "github", before); err != nil {
		t.Error(err)
	}
}

func TestAConnectOutlivesItsTab(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	answer := alice.callbackURL(w.link("alice", "github", "repo"))
	ctx, cancel := context.WithCancel(t.Context())
	w.github.answer = map[string]any{"expires_in": 3600}
	w.github.grants = func([]string) string { cancel(); return "repo" }
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, answer, nil)
	home := req.URL
	for _, c := range alice.jar.Cookies(home) {
		req.AddCookie(c)
	}
	w.flow.Handler().ServeHTTP(httptest.NewRecorder(), req)
	if ctx.Err() == nil || w.account("alice", "github") != "@gh1001" {
		t.Errorf("lost: %v %q", ctx.Err(), w.account("alice", "github"))
	}
}

// By setting, GitHub ends the account's whole grant; by default the one token.
func TestRevokeGrantBySetting(t *testing.T) {
	for _, grant := range []bool{false, true} {
		w := newWorld(t)
		settings := w.github.settings()
		settings.RevokeGrant = grant
		p := NewProviders(nil, must(GitHub(settings))(t))
		w.github.with(func() {
			w.github.living["one"], w.github.living["two"], w.github.living["another's"] = "1001", "1001", "2002"
		})
		if err := p.Revoke(t.Context(), "github", store.Token{Access: store.NewSecret("one")}); err != nil {
			t.Fatal(err)
		}
		w.github.with(func() {
			_, one := w.github.living["one"]
			_, two := w.github.living["two"]
			_, other := w.github.living["another's"]
			if one || two == grant || !other {
				t.Errorf("grant is %v: one %v, two %v, another's %v live on", grant, one, two, other)
			}
		})
		// A token that GitHub doesn't know any more leaves nothing to end.
		if err := p.Revoke(t.Context(), "github", store.Token{Access: store.NewSecret("one")}); err != nil {
			t.Error(err)
		}
	}
}

func TestRevoke(t *testing.T) {
	w := newWorld(t)
	token := func(access, refresh string, expiry time.Time) store.Token {
		return store.Token{Access: store.NewSecret(access), Refresh: store.NewSecret(refresh), Expiry: expiry}
	}
	w.github.living = map[string]string{"gh-a": "1", "gh-b": "1", "gh-r": "1"}
	w.google.living = map[string]string{"g-a": "1", "g-r": "1"}
	past := w.now().Add(-time.Minute)
	for _, c := range []struct {
		name, provider string
		token          store.Token
		revoked        string // the stand-in's last revocation
	}{
		{"GitHub", "github", token("gh-a", "", time.Time{}), "gh-a"},
		{"GitHub, known no more", "github", token("gh-gone", "", time.Time{}), "gh-a"},
		{"GitHub App, expired: refreshed first", "github", token("gh-x", "gh-r", past), "github-access-1-1"},
		{"Google by its refresh token", "google", token("g-a", "g-r", time.Time{}), "g-r"},
		{"Google without one", "google", token("g-a", "", time.Time{}), "g-a"},
		{"Google, known no more", "google", token("g-a", "", time.Time{}), "g-a"},
	} {
		if err := w.providers.Revoke(t.Context(), c.provider, c.token); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		stand := map[string]*standIn{"github": w.github, "google": w.google}[c.provider]
		if all := stand.revocations(); len(all) == 0 || all[len(all)-1] != c.revoked {
			t.Errorf("%s: revoked %q", c.name, all)
		}
	}
	// The refresh token is spent: nobody can tell whether its successor lives.
	if err := w.providers.Revoke(t.Context(), "github", token("gh-x", "gh-r", past)); err == nil || errors.As(err, new(*store.Refused)) {
		t.Errorf("confirmed for a credential that can't be renewed: %v", err)
	}
	w.github.down, w.google.down = true, true
	for _, provider := range []string{"github", "google", "gitlab"} {
		if err := w.providers.Revoke(t.Context(), provider, token("x", "", time.Time{})); err == nil {
			t.Errorf("%s: confirmed while down", provider)
		}
	}
}
