package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
)

// pending counts what is still to be revoked.
func (w *world) pending() int {
	w.t.Helper()
	list, err := w.db.Records().List(w.t.Context(), "revocation", [32]byte{}, 1000)
	ok(w.t, err)
	return len(list)
}

func (w *world) receipt(subject string) string {
	w.t.Helper()
	list := w.entries(subject)
	return string(list[len(list)-1].Event) + ": " + list[len(list)-1].Reason
}

func TestDisconnect(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	bob, _ := w.connect("bob")
	grant, err := w.grant(alice)
	ok(t, err)
	ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
	same(t, w.provider.revoked, []string{grant.Access.Reveal()})
	needs(t, alice.Ready(t.Context(), github), "not connected yet")
	is(t, alice.Delete(t.Context(), "github", "id-of-alice"), store.ErrNotFound)
	ok(t, bob.Ready(t.Context(), github))
	same(t, w.receipt("alice"), "disconnect: removed here; revoked at the provider")
	same(t, w.pending(), 0)
}

// It is unusable before the provider is asked, and a crash then loses nothing.
func TestDisconnectFirstHereThenThere(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.provider.down = errors.New("no route")
	err := alice.Delete(t.Context(), "github", "id-of-alice")
	var unconfirmed *store.RevokeError
	if !errors.As(err, &unconfirmed) || unconfirmed.Provider != "github" {
		t.Fatalf("error %v, want a RevokeError", err)
	}
	needs(t, alice.Ready(t.Context(), github), "not connected yet")
	same(t, w.receipt("alice"), "disconnect: removed here; the provider did not confirm the revocation yet, and is asked again for 24 hours")
	same(t, w.pending(), 1)
}

func TestDisconnectWhatTheProviderForgot(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.provider.down = &store.Refused{Reason: "unknown token"}
	ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
	same(t, w.pending(), 0)
}

func TestDisconnectTriesAgain(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.provider.stumbles = 2
	ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
	same(t, len(w.provider.revoked), 1)
}

func TestDisconnectIsNotCutShort(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ok(t, alice.Delete(ctx, "github", "id-of-alice"))
	same(t, len(w.provider.revoked), 1)
}

func TestDisconnectWhatDoesNotOpen(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.sql("UPDATE grants SET sealed = x'00'")
	var unconfirmed *store.RevokeError
	if err := alice.Delete(t.Context(), "github", "id-of-alice"); !errors.As(err, &unconfirmed) {
		t.Fatalf("error %v, want a RevokeError", err)
	}
	_, err := alice.Info(t.Context(), "github")
	is(t, err, store.ErrNotFound)
	same(t, w.receipt("alice"),
		"disconnect: removed here; it could not be read, so the provider was not asked to revoke it")
}

// Where the row can't be removed, nothing is revoked and nothing is pending.
func TestDisconnectThatFailsChangesNothing(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.sql("CREATE TRIGGER full BEFORE DELETE ON grants BEGIN SELECT raise(ABORT, 'no room'); END")
	contains(t, alice.Delete(t.Context(), "github", "id-of-alice"), "no room")
	same(t, len(w.provider.revoked), 0)
	same(t, w.pending(), 0)
	ok(t, alice.Ready(t.Context(), github))
}

// The revocation is written before the row goes. Where it can't be, a person's
// wish counts more, and the provider is asked right away.
func TestDisconnectWithoutRoomForTheRevocation(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.sql("CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT raise(ABORT, 'no room'); END")
	ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
	needs(t, alice.Ready(t.Context(), github), "not connected yet")
	same(t, len(w.provider.revoked), 1)
	same(t, w.receipt("alice"), "disconnect: removed here; revoked at the provider")
}

// Nobody promises to ask again where nothing is left to ask with.
func TestDisconnectWithoutRoomWhileTheProviderIsDown(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.sql("CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT raise(ABORT, 'no room'); END")
	w.provider.down = errors.New("no route")
	var unconfirmed *store.RevokeError
	if err := alice.Delete(t.Context(), "github", "id-of-alice"); !errors.As(err, &unconfirmed) {
		t.Errorf("%v, want a RevokeError", err)
	}
	same(t, w.receipt("alice"), "disconnect: removed here; the provider did not confirm the revocation, and there was no room to ask it again later")
}
