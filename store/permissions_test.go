package store_test

import (
	"fmt"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
)

func TestWhatIsAsked(t *testing.T) {
	for writing, want := range map[store.Writing][2]bool{
		store.AskToWrite: {true, true}, store.AskToDestroy: {false, true}, store.NeverAsk: {false, false},
		"": {true, true}, "of a later version": {true, true},
	} {
		p := store.Permission{Writing: writing}
		same(t, [2]bool{p.Asks(false), p.Asks(true)}, want)
	}
}

// seen has the client in subject's record, as every client that called is.
func (w *world) seen(subject, client string) {
	w.t.Helper()
	_, err := w.of(subject, client).Grant(w.t.Context(), store.Call{Need: github})
	needs(w.t, err, "not connected yet")
}

func writing(w store.Writing) func(*store.Permission) {
	return func(p *store.Permission) { p.Writing = w }
}

func (w *world) permitted(subject, client string) store.Writing {
	w.t.Helper()
	p, err := w.of(subject, client).Permission(w.t.Context())
	ok(w.t, err)
	return p.Writing
}

func TestAPermissionIsOfOneClientOfOnePerson(t *testing.T) {
	w := newWorld(t)
	ctx, alice := t.Context(), w.browser("alice")
	for _, person := range []string{"alice", "bob"} {
		w.seen(person, "c1")
		w.seen(person, "c2")
	}
	same(t, w.permitted("alice", "c1"), store.AskToDestroy)
	ok(t, alice.SetPermission(ctx, "c1", writing(store.NeverAsk)))
	same(t, [3]store.Writing{w.permitted("alice", "c1"), w.permitted("alice", "c2"), w.permitted("bob", "c1")},
		[3]store.Writing{store.NeverAsk, store.AskToDestroy, store.AskToDestroy})
	ok(t, alice.SetPermission(ctx, "c1", writing(store.AskToWrite)))
	same(t, w.permitted("alice", "c1"), store.AskToWrite)
	last := w.entries("alice")[len(w.entries("alice"))-1]
	same(t, [2]string{string(last.Event), last.Client}, [2]string{"permit", "c1"})
	of, err := alice.PermissionOf(ctx, "c1")
	ok(t, err)
	same(t, of.Writing, store.AskToWrite)
	ok(t, alice.DropPermission(ctx, "c1"))
	ok(t, alice.DropPermission(ctx, "c1"))
	same(t, w.permitted("alice", "c1"), store.AskToDestroy)
}

// However many clients a person had, what one may do can be taken back.
func TestAPermissionAmongManyClientsEnds(t *testing.T) {
	w := newWorld(t)
	w.seen("alice", "z")
	ok(t, w.browser("alice").SetPermission(t.Context(), "z", writing(store.NeverAsk)))
	for i := range 200 {
		w.seen("alice", fmt.Sprint("c", i))
	}
	ok(t, w.browser("alice").SetPermission(t.Context(), "z", writing(store.AskToWrite)))
	same(t, w.permitted("alice", "z"), store.AskToWrite)
}

func TestOnlyThePersonSetsAPermission(t *testing.T) {
	w := newWorld(t)
	w.seen("alice", "c1")
	if err := w.of("alice", "c1").SetPermission(t.Context(), "c1", writing(store.NeverAsk)); err == nil {
		t.Error("a client allowed itself to write")
	}
	is(t, w.browser("alice").SetPermission(t.Context(), "never seen", writing(store.NeverAsk)), store.ErrNotFound)
	is(t, w.browser("bob").SetPermission(t.Context(), "c1", writing(store.NeverAsk)), store.ErrNotFound)
	same(t, w.permitted("alice", "c1"), store.AskToDestroy)
}

// A permission that nobody can read asks, and can be set anew.
func TestAnUnreadablePermissionAsks(t *testing.T) {
	for name, statement := range map[string]string{
		"damaged":            "UPDATE records SET data = zeroblob(40) WHERE kind = 'permission'",
		"of an older moment": "UPDATE records SET version = version + 1 WHERE kind = 'permission'",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.seen("alice", "c1")
			ok(t, w.browser("alice").SetPermission(t.Context(), "c1", writing(store.NeverAsk)))
			w.sql(statement)
			same(t, w.permitted("alice", "c1"), store.AskToWrite)
			ok(t, w.browser("alice").SetPermission(t.Context(), "c1", writing(store.AskToDestroy)))
			same(t, w.permitted("alice", "c1"), store.AskToDestroy)
		})
	}
}

// A permission that is moved to another client, or to another person, doesn't open.
func TestAPermissionCanNotBeMoved(t *testing.T) {
	w := newWorld(t)
	for _, person := range []string{"alice", "bob"} {
		w.seen(person, "c1")
		w.seen(person, "c2")
	}
	ok(t, w.browser("alice").SetPermission(t.Context(), "c1", writing(store.NeverAsk)))
	ok(t, w.browser("alice").SetPermission(t.Context(), "c2", writing(store.AskToDestroy)))
	ok(t, w.browser("bob").SetPermission(t.Context(), "c1", writing(store.AskToDestroy)))
	w.sql(`UPDATE records SET data = (SELECT data FROM records WHERE kind = 'permission' AND length(data) = (SELECT min(length(data)) FROM records WHERE kind = 'permission')) WHERE kind = 'permission'`)
	for _, of := range [][2]string{{"alice", "c2"}, {"bob", "c1"}} {
		if got := w.permitted(of[0], of[1]); got != store.AskToWrite {
			t.Errorf("%v may %q", of, got)
		}
	}
	same(t, w.permitted("alice", "c1"), store.NeverAsk)
}
