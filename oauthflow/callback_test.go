package oauthflow

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/store"
)

// Alice's answer, opened in bob's browser: her account must not get into his vault.
func TestAnAnswerIsOnlyForTheBrowserThatAsked(t *testing.T) {
	for name, other := range map[string]func(*world) *browser{
		"bob's":         func(w *world) *browser { return w.as("bob") },
		"alice's other": func(w *world) *browser { return w.as("alice") },
		"nobody's":      func(w *world) *browser { return w.browser() },
		"one with her cookie taken after she signed out": func(w *world) *browser {
			b := w.as("alice")
			copied := w.browser()
			home, _ := url.Parse(w.url)
			copied.jar.SetCookies(home, b.jar.Cookies(home))
			b.post("/signout", url.Values{})
			return copied
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := w.as("alice")
			answer := alice.callbackURL(w.link("alice", "github", "repo"))
			other(w).get(answer).wants(t, http.StatusForbidden, "This was not started here")
			alice.get(answer).wants(t, http.StatusGone) // spent, on errors too
			if n := w.github.tokenRequests(); n != 0 {
				t.Errorf("%d token requests", n)
			}
			if w.account("alice", "github")+w.account("bob", "github") != "" {
				t.Error("something was connected")
			}
		})
	}
}

// Bob's answer in alice's browser: his account must not get into her vault.
func TestSomebodyElsesAnswerIsRefusedAndAudited(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.as("alice"), w.as("bob")
	alice.get(bob.callbackURL(w.link("bob", "github", "repo"))).wants(t, http.StatusForbidden, "Name of alice")
	if got := w.refusals("alice"); len(got) != 1 || !strings.Contains(got[0], "another browser session") {
		t.Errorf("the audit record has %q", got)
	}
	if w.account("alice", "github") != "" {
		t.Error("bob's account is alice's now")
	}
}

// The same browser, but the person or the session changed while at the provider.
func TestASignInWhileAtTheProviderIsRefused(t *testing.T) {
	for _, next := range []string{"bob", "alice"} {
		t.Run(next, func(t *testing.T) {
			w := newWorld(t)
			b := w.as("alice")
			answer := b.callbackURL(w.link("alice", "github", "repo"))
			b.signIn(next)
			b.get(answer).wants(t, http.StatusForbidden)
			if n := w.github.tokenRequests(); n != 0 {
				t.Errorf("%d token requests", n)
			}
		})
	}
}

// The record's owner is compared again, beside the session: here the record says
// bob, under alice's session id.
func TestThePersonIsComparedAgainAtTheAnswer(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	wait := pending{ticket: ticket{Provider: "github"}, Session: alice.session(), Verifier: newKey()}
	if err := w.flow.pending.Put(t.Context(), "state", w.iss.Caller("bob").Principal().Digest(), shortLife, wait); err != nil {
		t.Fatal(err)
	}
	alice.get("/callback/github?code=c&state=state").wants(t, http.StatusForbidden)
}

// Two people at two providers each: of all states at all callbacks in all
// browsers, only each one's own passes, and only once.
func TestOnlyTheDiagonalPasses(t *testing.T) {
	providers, people := []string{"github", "google"}, []string{"alice", "bob"}
	for _, to := range providers {
		for _, in := range people {
			for _, from := range providers {
				for _, of := range people {
					t.Run(fmt.Sprintf("%s's %s answer at %s in %s's browser", of, from, to, in), func(t *testing.T) {
						w := newWorld(t)
						browsers := map[string]*browser{"alice": w.as("alice"), "bob": w.as("bob")}
						scope := map[string]string{"github": "repo", "google": readEvents}[from]
						answer := browsers[of].callbackURL(w.link(of, from, scope))
						answer = strings.Replace(answer, "/callback/"+from, "/callback/"+to, 1)
						first, second := browsers[in].get(answer), browsers[in].get(answer)
						passes := to == from && in == of
						if (first.status == http.StatusOK) != passes || second.status == http.StatusOK {
							t.Errorf("first %d, then %d", first.status, second.status)
						}
						asked := w.github.tokenRequests() + w.google.tokenRequests()
						if passes != (asked == 1) || asked > 1 {
							t.Errorf("%d token requests", asked)
						}
					})
				}
			}
		}
	}
}

func TestFiftyAnswersAtOnceAreOneExchange(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	answer := alice.callbackURL(w.link("alice", "github", "repo"))
	var passed, gone int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			got := alice.get(answer)
			mu.Lock()
			defer mu.Unlock()
			switch got.status {
			case http.StatusOK:
				passed++
			case http.StatusGone:
				gone++
			}
		})
	}
	all.Wait()
	if n := w.github.tokenRequests(); passed != 1 || gone != 49 || n != 1 {
		t.Errorf("%d passed, %d gone, %d token requests", passed, gone, n)
	}
}

func TestTheIssuerOfAnAnswerIsChecked(t *testing.T) {
	for _, c := range []struct {
		name, provider string
		iss            func(w *world) []string
		passes         bool
	}{
		{"none", "google", func(*world) []string { return nil }, true},
		{"right", "google", func(w *world) []string { return []string{w.google.url} }, true},
		{"right, GitHub", "github", func(w *world) []string { return []string{w.github.url + "/login/oauth"} }, true},
		{"of the other provider", "google", func(w *world) []string { return []string{w.github.url + "/login/oauth"} }, false},
		{"of the other provider, GitHub", "github", func(w *world) []string { return []string{w.google.url} }, false},
		{"empty", "google", func(*world) []string { return []string{""} }, false},
		{"twice", "google", func(w *world) []string { return []string{w.google.url, "https://evil.example"} }, false},
		{"with a slash", "google", func(w *world) []string { return []string{w.google.url + "/"} }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			stand := map[string]*standIn{"github": w.github, "google": w.google}[c.provider]
			stand.extra = url.Values{"iss": c.iss(w)}
			got := w.as("alice").connect(w.link("alice", c.provider))
			if (got.status == http.StatusOK) != c.passes {
				t.Errorf("%d %s", got.status, got.text())
			}
			if !c.passes && stand.tokenRequests() != 0 {
				t.Error("the code was sent all the same")
			}
		})
	}
	if err := (endpoints{issuer: "https://a", issRequired: true}).checkIssuer(nil); err == nil {
		t.Error("a provider that always sends iss didn't, and passed")
	}
}

func TestAProvidersNoIsAPage(t *testing.T) {
	for code, want := range map[string]struct {
		status int
		text   string
	}{
		"access_denied":             {http.StatusOK, "You said no at GitHub"},
		"server_error":              {http.StatusBadGateway, "GitHub answered with an error"},
		"<script>alert(1)</script>": {http.StatusBadGateway, "GitHub answered with an error"},
	} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t)
			w.github.extra = url.Values{"error": {code}}
			alice := w.as("alice")
			answer := alice.callbackURL(w.link("alice", "github", "repo"))
			got := alice.get(answer)
			got.wants(t, want.status, "Nothing was connected", want.text)
			if strings.Contains(got.body+w.log.String(), "<script") {
				t.Error("what the provider sent is on the page or in the log")
			}
			alice.get(answer).wants(t, http.StatusGone)
		})
	}
}

// What is granted is what the provider says: an unticked scope is missing, and what
// was ticked is stored.
func TestAnUntickedScopeIsSaid(t *testing.T) {
	w := newWorld(t)
	w.google.grants = func([]string) string { return "openid " + googleScope + "userinfo.email " + readEvents }
	alice := w.as("alice")
	got := alice.connect(w.link("alice", "google", readEvents, writeEvents))
	got.wants(t, http.StatusOK, "something is missing", "You did not allow", "See, create, change and delete events", "Connect again")
	info, err := w.keyring("alice").Info(t.Context(), "google")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"openid", googleScope + "userinfo.email", readEvents}
	if diff := cmp.Diff(want, info.Scopes); diff != "" {
		t.Errorf("stored scopes (-want +got):\n%s", diff)
	}
	w.google.grants = nil
	_, again, _ := strings.Cut(got.body, `href="/connect/`)
	again, _, _ = strings.Cut(again, `"`)
	alice.connect("/connect/"+again).wants(t, http.StatusOK, "Google is connected")
}

// GitHub answers with commas, and an empty scope means none.
func TestGitHubsScopesHaveCommas(t *testing.T) {
	for said, want := range map[string][]string{"repo,read:user": {"repo", "read:user"}, "": nil} {
		w := newWorld(t)
		w.github.grants = func([]string) string { return said }
		w.as("alice").connect(w.link("alice", "github", "repo")).wants(t, http.StatusOK)
		info, err := w.keyring("alice").Info(t.Context(), "github")
		if err != nil {
			t.Fatal(err)
		}
		if len(info.Scopes) != len(want) || len(want) > 0 && cmp.Diff(want, info.Scopes) != "" {
			t.Errorf("%q: stored %q", said, info.Scopes)
		}
	}
}

// The code goes out once whatever comes back, and the page says to try again.
func TestACodeIsSentOnce(t *testing.T) {
	for name, broken := range map[string]func(*world){
		"refused": func(w *world) { w.github.fail = "invalid_client" },
		"weird":   func(w *world) { w.github.answer = map[string]any{"access_token": ""} },
		"user":    func(w *world) { w.github.badUser = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			broken(w)
			got := w.as("alice").connect(w.link("alice", "github", "repo"))
			got.wants(t, http.StatusBadGateway, "GitHub did not answer as it should")
			if n := w.github.tokenRequests(); n != 1 {
				t.Errorf("the code was sent %d times", n)
			}
			for _, secret := range []string{"hunter2", "github-access", "github-client-secret"} {
				if strings.Contains(got.body+w.log.String(), secret) {
					t.Errorf("%s leaked: %s", secret, w.log)
				}
			}
			if w.account("alice", "github") != "" {
				t.Error("something was stored")
			}
		})
	}
}

// Reconnecting the same account replaces the token and revokes nothing: at Google
// that would end the new one, too.
func TestAReconnectRevokesNothing(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	for range 2 {
		alice.connect(w.link("alice", "google", readEvents)).wants(t, http.StatusOK)
	}
	if revoked := w.google.revocations(); len(revoked) != 0 {
		t.Errorf("revoked %q", revoked)
	}
	if got := release(t, w, "alice", "google", readEvents); got != "google-access-1001-2" {
		t.Errorf("released %q", got)
	}
}

// release is the access token that a call of person's gets.
func release(t *testing.T, w *world, person, provider, scope string) string {
	t.Helper()
	g, err := w.keyring(person).Grant(t.Context(), store.Call{Need: store.Need{Provider: provider, Scopes: []string{scope}}, Tool: "t"})
	if err != nil {
		t.Fatal(err)
	}
	return g.Access.Reveal()
}
