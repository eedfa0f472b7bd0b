package oauthflow

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

// ownedKinds are the kinds of all records of person's that are left, sorted.
func (w *world) ownedKinds(person string) []string {
	w.t.Helper()
	list := must(w.db.Sealed().Records(w.t.Context(), store.Record{}, 10_000))(w.t)
	var kinds []string
	for _, r := range list {
		if r.Owner == w.iss.Caller(person).Principal().Digest() {
			kinds = append(kinds, r.Kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// askForget is the confirmation's form.
func (b *browser) askForget() url.Values {
	b.w.t.Helper()
	asked := b.post("/forget", url.Values{})
	asked.wants(b.w.t, http.StatusOK, "Forget me?", "What goes", "What stays")
	return url.Values{"key": {keyField.FindStringSubmatch(asked.body)[1]}}
}

func (b *browser) forgetMe() answer { return b.post("/forget/confirm", b.askForget()) }

func TestForgetMeLeavesNothing(t *testing.T) {
	w := newWorld(t)
	alice, elsewhere, bob := w.as("alice"), w.as("alice"), w.as("bob")
	alice.connect(w.link("alice", "github", "repo"))
	bob.connect(w.link("bob", "github", "repo"))
	secondAccount(t, w, alice)                                            // a token waits
	w.link("alice", "github", "repo")                                     // a ticket
	alice.post(w.link("alice", "google", readEvents), url.Values{})       // a flow
	late := elsewhere.callbackURL(w.link("alice", "google", writeEvents)) // another
	if got, want := w.ownedKinds("alice"), []string{"flow", "replacement", "session", "ticket"}; !slices.Equal(got, want) {
		t.Fatalf("before, there are %q, want %q", got, want)
	}
	before := w.ownedKinds("bob")

	form := alice.askForget()
	if got := w.account("alice", "github"); got == "" {
		t.Error("asking has forgotten already")
	}
	alice.get("/connections").wants(t, http.StatusOK, "Forget me")
	w.pass(time.Second)
	done := alice.post("/forget/confirm", form)
	done.wants(t, http.StatusOK, "You are forgotten here")

	if got := w.ownedKinds("alice"); !slices.Equal(got, []string{"cutoff"}) {
		t.Errorf("left are %q", got)
	}
	for _, provider := range []string{"github", "google"} {
		if got := w.account("alice", provider); got != "" {
			t.Errorf("%s is connected as %s", provider, got)
		}
	}
	if got := w.github.revocations(); !slices.Equal(got, []string{"github-access-1001-1"}) {
		t.Errorf("revoked at GitHub: %q", got)
	}
	got := w.google.revocations()
	slices.Sort(got)
	if !slices.Equal(got, []string{"google-refresh-1001-1", "google-refresh-2002-2"}) {
		t.Errorf("revoked at Google: %q", got)
	}
	for name, b := range map[string]*browser{"this browser": alice, "another browser": elsewhere} {
		if got := b.get("/connections"); got.status != http.StatusSeeOther {
			t.Errorf("%s is still signed in: %d", name, got.status)
		}
	}
	elsewhere.get(late).wants(t, http.StatusGone)
	alice.post("/forget/confirm", form).wants(t, http.StatusUnauthorized)

	if got := w.ownedKinds("bob"); !slices.Equal(got, before) || w.account("bob", "github") == "" {
		t.Errorf("of bob's, %q is left of %q", got, before)
	}
	w.pass(time.Second)
	alice.signIn("alice")
	alice.connect(w.link("alice", "google", readEvents)).wants(t, http.StatusOK, "Google is connected")
	w.pass(time.Second)
	alice.forgetMe().wants(t, http.StatusOK, "You are forgotten here")
	if w.account("alice", "google") != "" {
		t.Error("a second time, something is left")
	}
}

func TestForgetMeTakesTheSamePersonsYes(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		do     func(w *world, alice *browser, form url.Values) answer
	}{
		"no key":    {http.StatusGone, func(_ *world, alice *browser, _ url.Values) answer { return alice.post("/forget/confirm", nil) }},
		"bob":       {http.StatusGone, func(w *world, _ *browser, form url.Values) answer { return w.as("bob").post("/forget/confirm", form) }},
		"elsewhere": {http.StatusGone, func(w *world, _ *browser, form url.Values) answer { return w.as("alice").post("/forget/confirm", form) }},
		"nobody":    {http.StatusUnauthorized, func(w *world, _ *browser, form url.Values) answer { return w.browser().post("/forget/confirm", form) }},
		"too late": {http.StatusGone, func(w *world, alice *browser, form url.Values) answer {
			w.pass(11 * time.Minute)
			return alice.post("/forget/confirm", form)
		}},
		"another site": {http.StatusForbidden, func(_ *world, alice *browser, form url.Values) answer {
			return alice.do(http.MethodPost, "/forget/confirm", form, http.Header{"Sec-Fetch-Site": {"cross-site"}})
		}},
		"a GET": {http.StatusNotFound, func(_ *world, alice *browser, form url.Values) answer {
			return alice.get("/forget/confirm?" + form.Encode())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := w.as("alice")
			alice.connect(w.link("alice", "github", "repo"))
			c.do(w, alice, alice.askForget()).wants(t, c.status)
			if w.account("alice", "github") == "" {
				t.Error("alice was forgotten")
			}
		})
	}
}

func TestForgetMeWithAProviderDown(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	alice.connect(w.link("alice", "github", "repo"))
	alice.connect(w.link("alice", "google", readEvents))
	w.github.with(func() { w.github.down = true })
	w.pass(time.Second)
	alice.forgetMe().wants(t, http.StatusOK, "You are forgotten here", "GitHub did not confirm", "Remove it at GitHub too")
	if got := w.ownedKinds("alice"); !slices.Equal(got, []string{"cutoff", "revocation"}) {
		t.Errorf("left are %q", got)
	}
	w.github.with(func() { w.github.down = false })
	w.pass(2 * time.Minute)
	if err := w.vault.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.github.revocations(); len(got) != 1 {
		t.Errorf("revoked later: %q", got)
	}
	if got := w.ownedKinds("alice"); !slices.Equal(got, []string{"cutoff"}) {
		t.Errorf("left are %q", got)
	}
}

// A callback that is at the provider while its person is forgotten leaves no grant,
// nor a token that nobody will revoke.
func TestForgottenInACallback(t *testing.T) {
	for name, first := range map[string]string{"nothing there": "", "the same account": "1001", "another account": "2002"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := w.as("alice")
			if first != "" {
				w.google.with(func() { w.google.person = first })
				alice.connect(w.link("alice", "google", readEvents)).wants(t, http.StatusOK)
				w.google.with(func() { w.google.person = "1001" })
			}
			back := alice.callbackURL(w.link("alice", "google", readEvents))
			confirm := alice.askForget()
			var once atomic.Bool
			w.google.during = func() {
				if once.Swap(true) {
					return
				}
				w.pass(time.Second)
				alice.post("/forget/confirm", confirm).wants(t, http.StatusOK, "You are forgotten here")
			}
			alice.get(back).wants(t, http.StatusGone, "You were forgotten meanwhile")
			w.nothingIsLeft("alice", "google")
		})
	}
}

// nothingIsLeft checks that no grant is there, no token waits, and none lives.
func (w *world) nothingIsLeft(person, provider string) {
	w.t.Helper()
	if got := w.account(person, provider); got != "" {
		w.t.Errorf("%s is connected as %s", provider, got)
	}
	if got := w.ownedKinds(person); !slices.Equal(got, []string{"cutoff"}) {
		w.t.Errorf("left are %q", got)
	}
	stand := map[string]*standIn{"github": w.github, "google": w.google}[provider]
	stand.with(func() {
		for token := range stand.living {
			if strings.Contains(token, "refresh") {
				w.t.Errorf("%s lives", token)
			}
		}
	})
}

// The same for a replacement that is confirmed in that moment: the token waited, and
// the forgetting and the answer both have it.
func TestForgottenInAReplacement(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	form := secondAccount(t, w, alice)
	form.Set("replace", "1001")
	confirm := alice.askForget()
	var once atomic.Bool
	w.google.during = func() { // of the old account's revocation
		if once.Swap(true) {
			return
		}
		w.pass(time.Second)
		alice.post("/forget/confirm", confirm).wants(t, http.StatusOK, "You are forgotten here")
	}
	alice.post("/connections/google/replace", form).wants(t, http.StatusGone, "You were forgotten meanwhile")
	w.nothingIsLeft("alice", "google")
}

// A token that begins to wait after the forgetting has looked for those that do is
// taken back, and revoked.
func TestForgottenBeforeAReplacementIsAsked(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	secondAccount(t, w, alice)
	s, err := w.flow.session(alice.request())
	if err != nil {
		t.Fatal(err)
	}
	items := must(w.flow.parked.Owned(t.Context(), digest(s)))(t)
	w.pass(time.Second)
	if _, err := w.keyring("alice").Forget(t.Context(), func(context.Context) ([]store.Connection, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	p := must(w.providers.get("google"))(t)
	err = w.flow.askReplace(t.Context(), httptest.NewRecorder(), alice.request(), s, w.keyring("alice"), p, store.Accounts{}, items[0].Value)
	if !errors.Is(err, errForgotten) {
		t.Errorf("error %v", err)
	}
	w.nothingIsLeft("alice", "google")
}

// request is a GET with the browser's cookies.
func (b *browser) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, b.w.url+"/connections", nil)
	for _, c := range b.jar.Cookies(must(url.Parse(b.w.url))(b.w.t)) {
		r.AddCookie(c)
	}
	return r
}

// A session that is put in the moment of the forgetting, after the records went, is
// nobody's.
func TestForgottenInASignIn(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	since := w.now()
	w.pass(time.Second)
	k := w.keyring("alice")
	if _, err := k.Forget(t.Context(), func(context.Context) ([]store.Connection, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if err := w.flow.sessions.Put(t.Context(), alice.session(), w.iss.Caller("alice").Principal().Digest(), time.Hour, signedIn{Since: since}); err != nil {
		t.Fatal(err)
	}
	if got := alice.get("/connections"); got.status != http.StatusSeeOther {
		t.Errorf("a session from before still counts: %d", got.status)
	}
}
