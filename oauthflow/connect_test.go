package oauthflow

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

func TestConnectFromLinkToSuccess(t *testing.T) {
	w := newWorld(t)
	alice := w.browser()
	link := w.link("alice", "github", "repo")

	toSignIn := alice.get(link)
	if toSignIn.status != http.StatusSeeOther || toSignIn.location != signInPath(link, false) {
		t.Fatalf("without a session: %d %s", toSignIn.status, toSignIn.location)
	}
	alice.signIn("alice")
	alice.get(link).wants(t, http.StatusOK, "Connect GitHub", "Client <test-client>", "Name of alice", "nothing yet",
		"Write issues in your repositories", "Read and change your repositories")
	alice.connect(link).wants(t, http.StatusOK, "GitHub is connected", "@gh1001", "Go back to Client <test-client>")
	if got := w.account("alice", "github"); got != "@gh1001" {
		t.Errorf("alice has %q", got)
	}
	alice.get("/connections").wants(t, http.StatusOK, "Connected as @gh1001")
}

func TestGoogleIsAskedForOfflineAccess(t *testing.T) {
	w := newWorld(t)
	w.as("alice").connect(w.link("alice", "google", readEvents)).wants(t, http.StatusOK, "g1001@example.com")
	asked := w.google.requests[0]
	for name, want := range map[string]string{
		"access_type": "offline", "prompt": "consent", "include_granted_scopes": "true", "code_challenge_method": "S256",
		"scope": "openid email " + readEvents, "redirect_uri": w.url + "/callback/google",
	} {
		if got := asked.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// A GET, a HEAD and a prefetch leave the link as it was.
func TestLookingAtALinkChangesNothing(t *testing.T) {
	w := newWorld(t)
	alice, link := w.as("alice"), w.link("alice", "github", "repo")
	w.browser().get(link)
	for range 3 {
		alice.get(link).wants(t, http.StatusOK)
		alice.do(http.MethodHead, link, nil, http.Header{"Sec-Purpose": {"prefetch"}}).wants(t, http.StatusOK)
	}
	alice.connect(link).wants(t, http.StatusOK, "GitHub is connected")
}

func TestALinkWorksOnceAndForTenMinutes(t *testing.T) {
	w := newWorld(t)
	alice, used, late := w.as("alice"), w.link("alice", "github", "repo"), w.link("alice", "github", "repo")
	alice.callbackURL(used)
	alice.get(used).wants(t, http.StatusGone, "This link no longer works")
	alice.post(used, url.Values{}).wants(t, http.StatusGone)
	w.pass(9 * time.Minute)
	alice.get(late).wants(t, http.StatusOK)
	w.pass(2 * time.Minute)
	for name, link := range map[string]string{"expired": late, "invented": "/connect/" + newKey()} {
		t.Run(name, func(t *testing.T) {
			alice.get(link).wants(t, http.StatusGone, "This link no longer works")
			alice.post(link, url.Values{}).wants(t, http.StatusGone)
		})
	}
}

// An answer that comes after ten minutes is too late, by the vault's clock.
func TestALateAnswerIsRefused(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	answer := alice.callbackURL(w.link("alice", "github", "repo"))
	w.pass(11 * time.Minute)
	alice.get(answer).wants(t, http.StatusGone)
	if n := w.github.tokenRequests(); n != 0 {
		t.Errorf("%d token requests", n)
	}
}

// Alice sends bob her link, or bob finds it: bob's account must not get into
// alice's vault, nor hers into his.
func TestSomebodyElsesLinkIsRefused(t *testing.T) {
	w := newWorld(t)
	bob, link := w.as("bob"), w.link("alice", "github", "repo")
	for name, got := range map[string]answer{"GET": bob.get(link), "POST": bob.post(link, url.Values{})} {
		got.wants(t, http.StatusForbidden, "This link is for somebody else", "Name of bob", "Sign in as somebody else")
		if strings.Contains(got.text(), "alice") || strings.Contains(got.text(), "test-client") {
			t.Errorf("%s tells bob more than who he is: %s", name, got.text())
		}
		if !strings.Contains(got.body, "switch=1") {
			t.Errorf("%s: no way to switch", name)
		}
	}
	if got := w.refusals("bob"); len(got) != 2 {
		t.Errorf("the audit record has %q", got)
	}
	if len(w.github.requests) != 0 {
		t.Error("bob was sent to GitHub")
	}
	w.as("alice").connect(link).wants(t, http.StatusOK) // bob has not used it up
}

// The person changes between the consent page and its button.
func TestASwitchBetweenPageAndButtonIsRefused(t *testing.T) {
	w := newWorld(t)
	b, link := w.as("alice"), w.link("alice", "github", "repo")
	b.get(link).wants(t, http.StatusOK)
	b.signIn("bob")
	b.post(link, url.Values{}).wants(t, http.StatusForbidden)
}

func TestTheButtonWithoutASessionAsksToSignIn(t *testing.T) {
	w := newWorld(t)
	link := w.link("alice", "github", "repo")
	got := w.browser().post(link, url.Values{})
	got.wants(t, http.StatusUnauthorized, "You are signed out")
	if !strings.Contains(got.body, "return="+url.QueryEscape(link)) {
		t.Errorf("the page doesn't lead back to the link: %s", got.body)
	}
}

func TestALinkNeedsACallerAndAProvider(t *testing.T) {
	w := newWorld(t)
	if _, err := w.flow.ConnectLink(t.Context(), identity.Caller{}, store.Need{Provider: "github"}); err == nil {
		t.Error("nobody got a link")
	}
	if _, err := w.flow.ConnectLink(t.Context(), w.iss.Caller("alice"), store.Need{Provider: "gitlab"}); err == nil {
		t.Error("a link to a provider that isn't configured")
	}
}

// A step-up asks for the union, says what is new, and revokes nothing.
func TestAStepUpKeepsWhatWasGranted(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	alice.connect(w.link("alice", "google", readEvents)).wants(t, http.StatusOK)
	link := w.link("alice", "google", writeEvents)
	page := alice.get(link)
	page.wants(t, http.StatusOK, "Connected nowg1001@example.com", "on all your calendars (new)", "Create events in your calendar", "List events in your calendar")
	if strings.Count(page.text(), "(new)") != 1 {
		t.Errorf("more than the new scope is new: %s", page.text())
	}
	alice.connect(link).wants(t, http.StatusOK)
	want := []string{"openid", "email", readEvents, writeEvents}
	if diff := cmp.Diff(want, w.google.asked[1]); diff != "" {
		t.Errorf("asked scopes (-want +got):\n%s", diff)
	}
	if revoked := w.google.revocations(); len(revoked) != 0 {
		t.Errorf("a step-up revoked %q", revoked)
	}
}

// Who connects for one tool is asked for what all tools need that only read, and for
// no writing that the tool doesn't need.
func TestReadingIsAskedForOnce(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	alice.connect(w.link("alice", "github", "repo")).wants(t, http.StatusOK)
	alice.connect(w.link("alice", "github", "gist")).wants(t, http.StatusOK)
	alice.connect(w.link("alice", "google", readEvents)).wants(t, http.StatusOK)
	want := [][]string{{"repo", "read:user"}, {"repo", "read:user", "gist"}}
	if diff := cmp.Diff(want, w.github.asked); diff != "" {
		t.Error(diff)
	}
	if got := w.google.asked[0]; slices.Contains(got, writeEvents) {
		t.Errorf("a reading tool asks for %q", got)
	}
}

// An OAuth App of GitHub's sees what is public without any scope, and the page says so.
func TestAskingForNoScope(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		for i, m := range c.Modules {
			for j, tool := range m.Tools {
				c.Modules[i].Tools[j] = tool.Needing()
			}
		}
	})
	alice, link := w.as("alice"), w.link("alice", "github")
	alice.get(link).wants(t, http.StatusOK, "Nothing but what is public", "Read your profile aloud")
	alice.connect(link).wants(t, http.StatusOK, "GitHub is connected")
	if got := w.github.requests[0].Get("scope"); got != "" {
		t.Errorf("asked for %q", got)
	}
}

// The first scopes that are asked for are those of tools that only read.
func TestTheConnectButtonAsksForAllToolsOfTheProvider(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	to := alice.post("/connections/google/connect", url.Values{})
	if to.status != http.StatusSeeOther || !strings.HasPrefix(to.location, "/connect/") {
		t.Fatalf("%d %s", to.status, to.location)
	}
	alice.get(to.location).wants(t, http.StatusOK, "you, on the connections page")
	alice.connect(to.location).wants(t, http.StatusOK, "Google is connected")
	want := []string{"openid", "email", readEvents, writeEvents}
	if !slices.Equal(w.google.asked[0], want) {
		t.Errorf("asked %q, want %q", w.google.asked[0], want)
	}
	alice.post("/connections/gitlab/connect", url.Values{}).wants(t, http.StatusNotFound)
}

// A GitHub App's tokens carry no scopes: none are asked for, none compared.
func TestAGitHubAppHasNoScopes(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		one := c.Providers.byName["github"]
		one.scopeless = true
		c.Providers.byName["github"] = one
	})
	alice, link := w.as("alice"), w.link("alice", "github", "repo")
	alice.get(link).wants(t, http.StatusOK, "What the app's installation at GitHub allows", "Write issues in your repositories")
	alice.connect(link).wants(t, http.StatusOK, "GitHub is connected")
	if w.github.requests[0].Has("scope") {
		t.Errorf("scopes were asked for: %q", w.github.requests[0].Get("scope"))
	}
	if err := w.keyring("alice").Ready(t.Context(), store.Need{Provider: "github", Scopes: []string{"repo"}}); err != nil {
		t.Errorf("the grant doesn't do: %v", err)
	}
}

// Where nobody knows the client's name, its id says which one it is.
func TestANamelessClient(t *testing.T) {
	f := &Flow{}
	if got := f.clientName(t.Context(), "l0b5"); got != "client l0b5" {
		t.Errorf("a client that only has an id: %q", got)
	}
	if got := f.clientName(t.Context(), ""); got != "" {
		t.Errorf("no client: %q", got)
	}
}

func TestAHostileClientNameIsText(t *testing.T) {
	const name = `<script>alert(1)</script>"><img src=x onerror=y>` + "\u202Egnp"
	w := newWorld(t, func(c *Config) {
		c.ClientName = func(context.Context, string) string { return name + strings.Repeat("x", 500) }
	})
	got := w.as("alice").get(w.link("alice", "github", "repo"))
	got.wants(t, http.StatusOK, "alert(1)")
	for _, bad := range []string{"<script", "<img", strings.Repeat("x", 121)} {
		if strings.Contains(got.body, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	if !strings.Contains(got.body, "<bdi>&lt;script") {
		t.Error("the name can turn the text around it")
	}
}

// A provider that is down doesn't use up the link.
func TestAnOutageLeavesTheLink(t *testing.T) {
	w := newWorld(t)
	alice, link := w.as("alice"), w.link("alice", "google", readEvents)
	w.google.with(func() { w.google.down = true })
	alice.get(link).wants(t, http.StatusBadGateway, "Google did not answer as it should")
	alice.post(link, url.Values{}).wants(t, http.StatusBadGateway)
	w.google.with(func() { w.google.down = false })
	alice.connect(link).wants(t, http.StatusOK, "Google is connected")
}

// Of many presses of the button one goes to the provider.
func TestOnePressOfTheButtonCounts(t *testing.T) {
	w := newWorld(t)
	alice, link := w.as("alice"), w.link("alice", "github", "repo")
	var went atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if alice.post(link, url.Values{}).status == http.StatusSeeOther {
				went.Add(1)
			}
		})
	}
	all.Wait()
	if went.Load() != 1 {
		t.Errorf("%d went to the provider", went.Load())
	}
}

// Two tools that do the same with an account are one line on the page.
func TestCans(t *testing.T) {
	got := cans([]toolView{{Can: "See when you are busy"}, {Can: "Read events"}, {Can: "See when you are busy"}})
	if diff := cmp.Diff([]string{"See when you are busy", "Read events"}, got); diff != "" {
		t.Error(diff)
	}
}
