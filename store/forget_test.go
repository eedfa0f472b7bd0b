package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

func nothingWaits(context.Context) ([]store.Connection, error) { return nil, nil }

// kinds are the kinds of all records of subject's, sorted.
func (w *world) kinds(subject string) []string {
	w.t.Helper()
	list, err := w.db.Sealed().Records(w.t.Context(), store.Record{}, 10_000)
	ok(w.t, err)
	kinds := []string{}
	for _, r := range list {
		if r.Owner == owner(w, subject) {
			kinds = append(kinds, r.Kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// Whatever kind a record of somebody's is of, it goes.
func TestForget(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	alice, _ := w.connect("alice")
	bob, _ := w.connect("bob")
	for _, kind := range []string{"ticket", "of tomorrow", "lease"} {
		table := store.NewTable[string](w.vault, kind)
		ok(t, table.Put(ctx, "alice's", owner(w, "alice"), 0, "value"))
		ok(t, table.Put(ctx, "bob's", owner(w, "bob"), 0, "value"))
	}
	waits := w.connection("alice", w.provider.issue())
	unrevoked, err := alice.Forget(ctx, func(context.Context) ([]store.Connection, error) {
		at, err := w.vault.Forgotten(ctx, owner(w, "alice"))
		if err != nil || at.IsZero() {
			t.Errorf("what waits is looked for before the cutoff is there: %v, %v", at, err)
		}
		return []store.Connection{waits}, nil
	})
	ok(t, err)
	same(t, len(unrevoked), 0)
	same(t, w.kinds("alice"), []string{"cutoff"})
	needs(t, alice.Ready(ctx, github), "not connected yet")
	same(t, len(w.provider.revoked), 2)
	same(t, slices.Contains(w.provider.revoked, waits.Token.Access.Reveal()), true)
	same(t, w.events("alice"), "connect disconnect disconnect forget")

	same(t, w.kinds("bob"), []string{"lease", "of tomorrow", "ticket"})
	ok(t, bob.Ready(ctx, github))
	at, err := w.vault.Forgotten(ctx, owner(w, "bob"))
	ok(t, err)
	same(t, at.IsZero(), true)
	w.clock.Advance(store.CutoffLife)
	at, err = w.vault.Forgotten(ctx, owner(w, "alice"))
	ok(t, err)
	same(t, at.IsZero(), true)
}

// A second forgetting moves the moment.
func TestForgetTwice(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		w.clock.Advance(time.Minute)
		_, err := w.keyring("alice").Forget(t.Context(), nothingWaits)
		ok(t, err)
		at, err := w.vault.Forgotten(t.Context(), owner(w, "alice"))
		ok(t, err)
		same(t, at.Equal(w.clock.Now()), true)
	}
}

// With the record broken, and the provider down, it is all gone here; the pending
// revocations are kept, the waiting token's too.
func TestForgetWithoutRecordAndProvider(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	alice, _ := w.connect("alice")
	w.sql("DELETE FROM audit WHERE event = 'connect'")
	w.vault.CheckAudit(ctx)
	w.provider.set(func() { w.provider.down = errors.New("down") })
	waits := []store.Connection{w.connection("alice", w.provider.issue())}
	unrevoked, err := alice.Forget(ctx, func(context.Context) ([]store.Connection, error) { return waits, nil })
	ok(t, err)
	same(t, unrevoked, []string{"github", "github"})
	same(t, w.kinds("alice"), []string{"cutoff", "revocation"})
	needs(t, alice.Ready(ctx, github), "not connected yet")
	list, err := w.db.Records().List(ctx, "revocation", [32]byte{}, 10)
	ok(t, err)
	same(t, len(list), 2)
}

// No grant stays usable while another's provider is silent, and what waits is kept as
// a pending revocation before its record goes.
func TestForgetEndsAllAtOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	alice, _ := w.connect("alice")
	other := w.connection("alice", w.provider.issue())
	other.Provider = "google"
	_, err := alice.Put(ctx, other)
	ok(t, err)
	ok(t, store.NewTable[string](w.vault, "session").Put(ctx, "alice's", owner(w, "alice"), 0, "value"))
	asked, answer := make(chan bool, 2), make(chan bool)
	w.provider.revoking = func(context.Context) { asked <- true; <-answer }
	done := make(chan error)
	go func() {
		_, err := alice.Forget(ctx, nothingWaits)
		done <- err
	}()
	<-asked
	<-asked // both providers are being asked, and neither has answered
	needs(t, alice.Ready(ctx, github), "not connected yet")
	needs(t, alice.Ready(ctx, store.Need{Provider: "google"}), "not connected yet")
	same(t, slices.Contains(w.kinds("alice"), "session"), false)
	// What a refresh leaves that began before its grant was gone.
	ok(t, store.NewTable[string](w.vault, "lease").Put(ctx, "late", owner(w, "alice"), 0, "value"))
	close(answer)
	ok(t, <-done)
	same(t, w.kinds("alice"), []string{"cutoff"})
}

// A refresh under way when its person is forgotten leaves no grant, no lease, and no
// token that lives.
func TestForgottenInARefresh(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	alice, _ := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	w.provider.during = func(context.Context) {
		_, err := w.keyring("alice").Forget(ctx, nothingWaits)
		ok(t, err)
	}
	_, err := alice.Grant(ctx, store.Call{Need: github})
	needs(t, err, "not connected yet")
	same(t, w.kinds("alice"), []string{"cutoff"})
	same(t, len(w.provider.revoked), 2)
}
