package store_test

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

type ticket struct {
	Provider string
	Scopes   []string
	At       time.Time
}

func TestTableRoundTrip(t *testing.T) {
	w := newWorld(t)
	ctx, table := t.Context(), store.NewTable[ticket](w.vault, "ticket")
	value := ticket{"github", []string{"repo"}, w.clock.Now()}
	_, err := table.Get(ctx, "key")
	is(t, err, store.ErrNotFound)
	ok(t, table.Put(ctx, "key", owner(w, "alice"), time.Minute+time.Nanosecond, value))
	is(t, table.Put(ctx, "key", owner(w, "bob"), time.Minute, value), store.ErrConflict)

	item, err := table.Get(ctx, "key")
	ok(t, err)
	same(t, item, store.Item[ticket]{
		Value: value, Owner: owner(w, "alice"), Expires: w.clock.Now().Add(time.Minute), Version: 1,
	})
	stale := item
	item.Value.Provider, item.Owner, item.Expires = "google", owner(w, "bob"), time.Time{}
	ok(t, table.Replace(ctx, "key", item))
	is(t, table.Replace(ctx, "key", stale), store.ErrConflict)
	item.Version = 2
	w.clock.Advance(time.Hour)
	kept, err := table.Get(ctx, "key")
	ok(t, err)
	same(t, kept, item)
	ok(t, table.Replace(ctx, "key", kept))

	taken, err := table.Take(ctx, "key")
	ok(t, err)
	item.Version = 3
	same(t, taken, item)
	_, err = table.Take(ctx, "key")
	is(t, err, store.ErrNotFound)
}

func TestTableExpiry(t *testing.T) {
	w := newWorld(t)
	table := store.NewTable[string](w.vault, "code")
	ok(t, table.Put(t.Context(), "key", identity.Digest{}, time.Minute, "value"))
	w.clock.Advance(time.Minute)
	_, err := table.Get(t.Context(), "key")
	is(t, err, store.ErrNotFound)
	_, err = table.Take(t.Context(), "key")
	is(t, err, store.ErrNotFound)
	ok(t, table.Put(t.Context(), "key", identity.Digest{}, time.Minute, "next"))
}

func TestTableHasOneTaker(t *testing.T) {
	w := newWorld(t)
	table := store.NewTable[string](w.vault, "code")
	ok(t, table.Put(t.Context(), "key", identity.Digest{}, time.Minute, "value"))
	var all sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		all.Go(func() { _, errs[i] = table.Take(t.Context(), "key") })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		is(t, err, store.ErrNotFound)
	}
	same(t, won, 1)
}

func TestTableOwned(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	tickets, flows := store.NewTable[string](w.vault, "ticket"), store.NewTable[string](w.vault, "flow")
	ok(t, tickets.Put(ctx, "alice's", owner(w, "alice"), 0, "value"))
	ok(t, tickets.Put(ctx, "bob's", owner(w, "bob"), 0, "value"))
	ok(t, tickets.Put(ctx, "nobody's", identity.Digest{}, 0, "value"))
	ok(t, flows.Put(ctx, "alice's", owner(w, "alice"), 0, "value"))
	for i := range 250 {
		ok(t, tickets.Put(ctx, strconv.Itoa(i), owner(w, []string{"alice", "bob", "carol"}[i%3]), 0, "value"))
	}
	items, err := tickets.Owned(ctx, owner(w, "alice"))
	ok(t, err)
	same(t, len(items), 85)
	same(t, items[0].Owner, owner(w, "alice"))
	same(t, items[0].Value, "value")
	_, err = tickets.Owned(ctx, identity.Digest{})
	is(t, err, store.ErrNobody)
	w.sql("UPDATE records SET data = x'00' WHERE kind = 'ticket' AND key = (SELECT min(key) FROM records WHERE kind = 'ticket' AND owner = " +
		"(SELECT owner FROM records WHERE kind = 'flow'))")
	items, err = tickets.Owned(ctx, owner(w, "alice"))
	contains(t, err, "doesn't open")
	same(t, len(items), 84)
}

// A record that was moved, relabelled or rolled back doesn't open.
func TestRecordsOpenOnlyAsWhatTheyAre(t *testing.T) {
	for name, change := range map[string]string{
		"another's data":   "data = (SELECT data FROM records WHERE kind = 'ticket' AND version = 1 AND owner = x'" + zero + "')",
		"another owner":    "owner = x'" + zero + "'",
		"a longer life":    "expires = expires + 1",
		"for ever":         "expires = 0",
		"another version":  "version = version + 1",
		"a changed byte":   "data = unhex(hex(data) || '00')",
		"another kind":     "kind = 'other'",
		"nothing":          "data = x''",
		"an older version": "data = (SELECT data FROM old), version = 2",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx, table := t.Context(), store.NewTable[string](w.vault, "ticket")
			ok(t, table.Put(ctx, "other", identity.Digest{}, time.Hour, "mallory's"))
			ok(t, table.Put(ctx, "key", owner(w, "alice"), time.Hour, "alice's"))
			w.sql("CREATE TABLE old AS SELECT data FROM records WHERE owner <> x'" + zero + "'")
			item, err := table.Get(ctx, "key")
			ok(t, err)
			ok(t, table.Replace(ctx, "key", item))
			mine := owner(w, "alice")
			w.sql("UPDATE records SET "+change+" WHERE owner = ?", mine[:])
			for _, read := range []func() error{
				func() error { _, err := table.Get(ctx, "key"); return err },
				func() error { _, err := store.NewTable[string](w.vault, "other").Get(ctx, "key"); return err },
				func() error { _, err := table.Take(ctx, "key"); return err },
			} {
				if err := read(); err == nil {
					t.Fatal("it opens")
				}
			}
		})
	}
}

// Two records of one person that differ in nothing but their keys: a spent link's
// data doesn't open under a new one.
func TestRecordsOpenOnlyUnderTheirKey(t *testing.T) {
	w := newWorld(t)
	ctx, table := t.Context(), store.NewTable[string](w.vault, "ticket")
	for _, key := range []string{"one", "two"} {
		ok(t, table.Put(ctx, key, owner(w, "alice"), time.Hour, key))
	}
	two := sha256.Sum256([]byte("ticket\x00two"))
	w.sql("UPDATE records SET data = (SELECT data FROM records WHERE key <> ?1) WHERE key = ?1", two[:])
	_, err := table.Get(ctx, "one")
	ok(t, err)
	_, err = table.Get(ctx, "two")
	contains(t, err, "doesn't open")
}

var zero = strings.Repeat("00", 32)
