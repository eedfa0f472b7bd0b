package authserver

import (
	"net/http"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// forget notes what store.Keyring.Forget does, and removes nothing: the records of
// somebody who is forgotten in this very moment may come after that.
func (w *world) forget(subject string) {
	w.t.Helper()
	owner := identity.OwnerOf(w.url, subject)
	cutoffs := store.NewTable[struct{ At time.Time }](w.vault, "cutoff")
	_, _ = cutoffs.Take(w.t.Context(), owner.String())
	if err := cutoffs.Put(w.t.Context(), owner.String(), owner, time.Hour, struct{ At time.Time }{w.clock.now()}); err != nil {
		w.t.Fatal(err)
	}
}

func TestForgottenSession(t *testing.T) {
	w := newWorld(t, nil)
	id := w.register(appRedirect)
	alice, bob := w.browser(), w.browser()
	alice.allow(w.request(id, appRedirect), "alice")
	bob.allow(w.request(id, appRedirect), "bob")
	asked := alice.ask(w.request(id, appRedirect))
	ticket := asked.field(t, "ticket")
	w.clock.add(time.Second)
	w.forget("alice")
	alice.ask(w.request(id, appRedirect)).field(t, "request") // who are you?
	if got := alice.decide(ticket, "allow"); got.StatusCode != http.StatusForbidden {
		t.Errorf("a question from before was answered: %d", got.StatusCode)
	}
	bob.ask(w.request(id, appRedirect)).field(t, "ticket")
	w.clock.add(time.Second)
	alice.allow(w.request(id, appRedirect), "alice")
	alice.ask(w.request(id, appRedirect)).field(t, "ticket")
}

func TestForgottenTokens(t *testing.T) {
	w := newWorld(t, nil)
	id, tokens := w.connected()
	code := w.codeFor(id, appRedirect)
	once := w.registerAs(map[string]any{ // without refresh tokens
		"client_name": "Once", "redirect_uris": []string{appRedirect}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code"},
	}).json(t)["client_id"].(string)
	short := w.codeFor(once, appRedirect)
	w.clock.add(time.Second)
	w.forget("bob")
	tokens = w.tokensFrom(refreshing(id, tokens["refresh_token"].(string)))
	w.forget("alice")
	w.refused(refreshing(id, tokens["refresh_token"].(string)), 400, "invalid_grant")
	w.refused(redemption(id, appRedirect, code), 400, "invalid_grant")
	w.refused(redemption(once, appRedirect, short), 400, "invalid_grant")
	w.clock.add(time.Second)
	code = w.codeFor(id, appRedirect)
	w.tokensFrom(redemption(id, appRedirect, code))
}

// A family that a forgetting overtakes, after its code was checked, doesn't begin.
func TestForgottenWhileAFamilyBegins(t *testing.T) {
	w := newWorld(t, nil)
	signedIn := w.clock.now()
	w.clock.add(time.Second)
	w.forget("alice")
	if _, err := w.startFamily(t.Context(), "code", code{Subject: "alice", SignedIn: signedIn}); err != invalidGrant {
		t.Errorf("error %v", err)
	}
	if _, err := w.families.Get(t.Context(), familyOf("code")); err == nil {
		t.Error("there is a family")
	}
}

// What is on a person is the person's own record, so that forgetting finds it.
func TestRecordsAreTheirPersons(t *testing.T) {
	w := newWorld(t, nil)
	id, _ := w.connected()
	raw := w.codeFor(id, appRedirect)
	alice := w.browser()
	alice.allow(w.request(id, appRedirect), "alice")
	ticket := alice.ask(w.request(id, appRedirect)).field(t, "ticket")
	w.tokensFrom(redemption(id, appRedirect, raw))

	want := identity.OwnerOf(w.url, "alice")
	if got := must(w.codes.Get(t.Context(), raw))(t); got.Owner != want {
		t.Error("the code isn't alice's")
	}
	if got := must(w.families.Get(t.Context(), familyOf(raw)))(t); got.Owner != want {
		t.Error("the refresh family isn't alice's")
	}
	if got := must(w.consents.Get(t.Context(), ticket))(t); got.Owner != want {
		t.Error("the question isn't alice's")
	}
	if got := must(w.clients.Get(t.Context(), id))(t); !got.Owner.IsZero() {
		t.Error("the registration is somebody's")
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
