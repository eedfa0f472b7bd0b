package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// record is a new record that lives for ttl (0: for ever).
func (b bench) record(kind string, key byte, owner identity.Digest, ttl time.Duration) store.Record {
	r := store.Record{Kind: kind, Key: [32]byte{key}, Owner: owner, Version: 1, Data: []byte{key, 0, 255}}
	if ttl != 0 {
		r.Expires = b.clock.Now().Add(ttl)
	}
	return r
}

func (b bench) found(t *testing.T, want store.Record) {
	t.Helper()
	got, err := b.Records().Get(t.Context(), want.Kind, want.Key)
	ok(t, err)
	same(t, got, want)
}

func (b bench) missing(t *testing.T, r store.Record) {
	t.Helper()
	_, err := b.Records().Get(t.Context(), r.Kind, r.Key)
	is(t, err, store.ErrNotFound)
}

func testRecords(t *testing.T, b bench) {
	ctx, r := t.Context(), b.record("ticket", 1, alice, time.Minute)
	b.missing(t, r)
	_, err := b.Records().Take(ctx, r.Kind, r.Key)
	is(t, err, store.ErrNotFound)

	ok(t, b.Records().Put(ctx, r))
	b.found(t, r)
	other := r
	other.Data, other.Owner = []byte("other"), bob
	is(t, b.Records().Put(ctx, other), store.ErrConflict)
	b.found(t, r)
	b.missing(t, b.record("flow", 1, alice, 0)) // the same key of another kind
	b.missing(t, b.record("ticket", 2, alice, 0))
	ok(t, b.Records().Put(ctx, b.record("flow", 1, identity.Digest{}, 0)))

	taken, err := b.Records().Take(ctx, r.Kind, r.Key)
	ok(t, err)
	same(t, taken, r)
	b.missing(t, r)
	_, err = b.Records().Take(ctx, r.Kind, r.Key)
	is(t, err, store.ErrNotFound)
	b.found(t, b.record("flow", 1, identity.Digest{}, 0))
	ok(t, b.Records().Put(ctx, other))
	b.found(t, other)
}

func testExpiry(t *testing.T, b bench) {
	ctx := t.Context()
	short, lasting := b.record("ticket", 1, alice, time.Minute), b.record("ticket", 2, alice, 0)
	ok(t, b.Records().Put(ctx, short))
	ok(t, b.Records().Put(ctx, lasting))
	b.clock.Advance(time.Minute - time.Microsecond)
	b.found(t, short)
	b.clock.Advance(time.Microsecond) // "from then on"
	b.missing(t, short)
	_, err := b.Records().Take(ctx, short.Kind, short.Key)
	is(t, err, store.ErrNotFound)
	is(t, b.Records().Replace(ctx, short), store.ErrConflict)
	b.found(t, lasting)

	next := b.record("ticket", 1, bob, time.Minute) // in the place of the expired one
	ok(t, b.Records().Put(ctx, next))
	b.found(t, next)
	is(t, b.Records().Put(ctx, next), store.ErrConflict)
}

func testReplace(t *testing.T, b bench) {
	ctx, r := t.Context(), b.record("family", 1, alice, time.Minute)
	is(t, b.Records().Replace(ctx, r), store.ErrConflict)
	ok(t, b.Records().Put(ctx, r))
	next := r
	next.Data, next.Owner, next.Expires = []byte("next"), bob, r.Expires.Add(time.Hour)
	ok(t, b.Records().Replace(ctx, next))
	next.Version = 2
	b.found(t, next)
	is(t, b.Records().Replace(ctx, r), store.ErrConflict) // read before the other's write
	b.found(t, next)
	ok(t, b.Records().Replace(ctx, next))
	next.Version = 3
	b.found(t, next)
}

// What is listed is one kind's, of all owners, in pages by key, and lives.
func testList(t *testing.T, b bench) {
	ctx := t.Context()
	want := []store.Record{
		b.record("revocation", 1, alice, 0), b.record("revocation", 2, bob, time.Hour), b.record("revocation", 200, alice, 0),
	}
	for _, i := range []int{2, 0, 1} {
		ok(t, b.Records().Put(ctx, want[i]))
	}
	ok(t, b.Records().Put(ctx, b.record("ticket", 3, alice, 0)))
	ok(t, b.Records().Put(ctx, b.record("revocation", 4, alice, time.Minute)))
	b.clock.Advance(time.Minute)
	var start [32]byte
	list, err := b.Records().List(ctx, "revocation", start, 10)
	ok(t, err)
	same(t, list, want)
	list, err = b.Records().List(ctx, "revocation", start, 2)
	ok(t, err)
	same(t, list, want[:2])
	list, err = b.Records().List(ctx, "revocation", want[1].Key, 2)
	ok(t, err)
	same(t, list, want[2:])
	list, err = b.Records().List(ctx, "flow", start, 2)
	ok(t, err)
	same(t, len(list), 0)
}

func testTakeRace(t *testing.T, b bench) {
	r := b.record("code", 1, alice, time.Minute)
	ok(t, b.Records().Put(t.Context(), r))
	won := b.race(t, 100, store.ErrNotFound, func(h store.Backend, _ int) error {
		_, err := h.Records().Take(t.Context(), r.Kind, r.Key)
		return err
	})
	if won != 1 {
		t.Fatalf("%d of 100 takers won", won)
	}
}

func testReplaceRace(t *testing.T, b bench) {
	r := b.record("family", 1, alice, time.Minute)
	ok(t, b.Records().Put(t.Context(), r))
	won := b.race(t, 20, store.ErrConflict, func(h store.Backend, _ int) error {
		return h.Records().Replace(t.Context(), r)
	})
	if won != 1 {
		t.Fatalf("%d of 20 replacers won", won)
	}
}

func testDeleteByOwner(t *testing.T, b bench) {
	ctx := t.Context()
	gone := []store.Record{
		b.record("family", 1, alice, 0), b.record("family", 2, alice, time.Hour), b.record("lease", 1, alice, 0),
	}
	stays := []store.Record{
		b.record("family", 3, bob, 0), b.record("family", 4, identity.Digest{}, 0),
		b.record("ticket", 1, alice, 0), b.record("flow", 1, alice, 0),
	}
	for _, r := range append(gone, stays...) {
		ok(t, b.Records().Put(ctx, r))
	}
	ok(t, b.Records().DeleteByOwner(ctx, alice, "ticket", "flow"))
	for _, r := range gone {
		b.missing(t, r)
	}
	for _, r := range stays {
		b.found(t, r)
	}
	ok(t, b.Records().DeleteByOwner(ctx, alice, "ticket", "flow")) // nothing left is no error
	ok(t, b.Records().DeleteByOwner(ctx, alice))
	b.missing(t, stays[2])
	b.missing(t, stays[3])
	b.found(t, stays[0])
}

func testSweep(t *testing.T, b bench) {
	ctx := t.Context()
	for i, ttl := range []time.Duration{time.Minute, time.Minute, time.Hour, 0} {
		ok(t, b.Records().Put(ctx, b.record("ticket", byte(i), alice, ttl)))
	}
	n, err := b.Records().Sweep(ctx, b.clock.Now())
	ok(t, err)
	same(t, n, int64(0))
	n, err = b.Records().Sweep(ctx, b.clock.Now().Add(time.Minute))
	ok(t, err)
	same(t, n, int64(2))
	// By the backend's own clock they had not expired: they are really gone.
	b.missing(t, b.record("ticket", 0, alice, 0))
	b.found(t, b.record("ticket", 2, alice, time.Hour))
	b.found(t, b.record("ticket", 3, alice, 0))
}

// What a caller has given up may still be half done, and somebody else's turn
// must not suffer: every operation goes through on a cancelled context.
func testCancelled(t *testing.T, b bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	row, r := b.row(alice, "github", 3), b.record("code", 1, alice, time.Minute)
	ok(t, b.Grants().Put(ctx, row, 0))
	row.Version, row.Mark = 4, 4
	ok(t, b.Grants().Put(ctx, row, 3))
	kept, err := b.Grants().Get(ctx, alice, "github", "one")
	ok(t, err)
	same(t, kept, row)
	ok(t, b.Grants().Delete(ctx, alice, "github", "one", 4))

	ok(t, b.Records().Put(ctx, r))
	ok(t, b.Records().Replace(ctx, r))
	_, err = b.Records().Take(ctx, r.Kind, r.Key)
	ok(t, err)
	from, to := audit.Head{Chain: "a"}, audit.Head{Chain: "a", Seq: 1, Mark: []byte("mark")}
	ok(t, b.Audit().Append(ctx, from, to, []audit.Row{{
		Chain: "a", Seq: 1, Entry: audit.Entry{Event: audit.Release, Owner: alice}, Hash: []byte("hash"),
	}}))
	if n := len(entries(t, b.Backend, alice)); n != 1 {
		t.Fatalf("%d audit entries, want 1", n)
	}
	fact, err := b.Fix(ctx, "name", "value")
	ok(t, err)
	same(t, fact, "value")
}

// Each write below meets a cancellation at another moment of its life.
func testCancelledMidway(t *testing.T, b bench) {
	row := b.row(alice, "github", 0)
	for version := range int64(200) {
		ctx, cancel := context.WithCancel(t.Context())
		var canceller sync.WaitGroup
		canceller.Go(func() {
			time.Sleep(time.Duration(version) * 5 * time.Microsecond) // spreads the moments; nothing depends on it
			cancel()
		})
		row.Version, row.Mark = version+1, version+1
		err := b.Grants().Put(ctx, row, version)
		canceller.Wait()
		ok(t, err)
		kept, err := b.Grants().Get(t.Context(), alice, "github", "one")
		ok(t, err)
		same(t, kept, row)
	}
}
