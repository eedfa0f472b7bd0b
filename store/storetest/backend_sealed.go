package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// A mark is the highest version ever, stays after a removal, and nothing is written
// at or below it.
func testMarks(t *testing.T, b bench) {
	ctx, g := t.Context(), b.Grants()
	marked := func(want int64) {
		t.Helper()
		mark, err := b.open().Grants().Mark(ctx, alice, "github", "one")
		ok(t, err)
		same(t, mark, want)
	}
	marked(0)
	ok(t, g.Put(ctx, b.row(alice, "github", 5), 0))
	ok(t, g.Put(ctx, b.row(alice, "google", 90), 0))
	ok(t, g.Put(ctx, b.row(bob, "github", 80), 0))
	marked(5)
	is(t, g.Put(ctx, b.row(alice, "github", 5), 5), store.ErrConflict)
	is(t, g.Put(ctx, b.row(alice, "github", 4), 5), store.ErrConflict)
	ok(t, g.Put(ctx, b.row(alice, "github", 9), 5))
	marked(9)
	ok(t, g.Delete(ctx, alice, "github", "one", 9))
	marked(10)
	is(t, g.Put(ctx, b.row(alice, "github", 10), 0), store.ErrConflict)
	marked(10)
	ok(t, g.Put(ctx, b.row(alice, "github", 11), 0))
	marked(11)

	// An account has a mark of its own, but none starts at or below what was removed.
	two := func(version int64) store.Row {
		row := b.row(alice, "github", version)
		row.Account = "two"
		return row
	}
	is(t, g.Put(ctx, two(10), 0), store.ErrConflict)
	ok(t, g.Put(ctx, two(500), 0))
	marked(11)
	ok(t, g.Put(ctx, two(600), 500))
	ok(t, g.Delete(ctx, alice, "github", "two", 600))
	marked(601)
	ok(t, g.Put(ctx, b.row(alice, "github", 12), 11)) // goes on below that
	kept, err := g.Get(ctx, alice, "github", "one")
	ok(t, err)
	same(t, kept.Mark, int64(12))
	is(t, g.Put(ctx, two(601), 0), store.ErrConflict)
	ok(t, g.Put(ctx, two(602), 0))
	mark, err := g.Mark(ctx, alice, "google", "one")
	ok(t, err)
	same(t, mark, int64(90))
}

// fillSealed makes n grants and n records, and one record that has expired.
func (b bench) fillSealed(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		row := b.row(identity.Digest{byte(i / 4)}, fmt.Sprint("p", i/2%2), 5)
		row.Account = fmt.Sprint("a", i%2)
		ok(t, b.Grants().Put(t.Context(), row, 0))
		ok(t, b.Records().Put(t.Context(), b.record("ticket", byte(i), alice, 0)))
	}
	ok(t, b.Records().Put(t.Context(), b.record("over", 1, alice, time.Minute)))
	b.clock.Advance(time.Minute)
}

func testSealed(t *testing.T, b bench) {
	const n = 7
	b.fillSealed(t, n)
	total, err := b.Sealed().Count(t.Context())
	ok(t, err)
	same(t, total, int64(2*n))
	var row store.Row
	var record store.Record
	var grants, records []string
	for {
		rows, err := b.Sealed().Grants(t.Context(), row, 3)
		ok(t, err)
		found, err := b.Sealed().Records(t.Context(), record, 3)
		ok(t, err)
		if len(rows) == 0 && len(found) == 0 {
			break
		}
		for _, row = range rows {
			kept, err := b.Grants().Get(t.Context(), row.Owner, row.Provider, row.Account)
			ok(t, err)
			same(t, []any{row.Version, row.Sealed}, []any{kept.Version, kept.Sealed})
			grants = append(grants, string(row.Owner[:])+row.Provider+row.Account)
		}
		for _, record = range found {
			kept, err := b.Records().Get(t.Context(), record.Kind, record.Key)
			ok(t, err)
			same(t, record, kept)
			records = append(records, string(record.Key[:]))
		}
	}
	for _, keys := range [][]string{grants, records} {
		if len(keys) != n || !slices.IsSorted(keys) || len(slices.Compact(keys)) != n {
			t.Fatalf("%d of %d, sorted: %v", len(keys), n, slices.IsSorted(keys))
		}
	}
}

func testReseal(t *testing.T, b bench) {
	ctx, s := t.Context(), b.Sealed()
	b.fillSealed(t, 1)
	rows, err := s.Grants(ctx, store.Row{}, 9)
	ok(t, err)
	records, err := s.Records(ctx, store.Record{}, 9)
	ok(t, err)
	row, record := rows[0], records[0]

	other := row
	other.Account = "another"
	is(t, s.ResealGrant(ctx, other, []byte("anew")), store.ErrConflict)
	ok(t, s.ResealGrant(ctx, row, []byte("anew")))
	is(t, s.ResealGrant(ctx, row, []byte("late")), store.ErrConflict)
	kept, err := b.Grants().Get(ctx, row.Owner, row.Provider, row.Account)
	ok(t, err)
	same(t, []any{string(kept.Sealed), kept.Version, kept.Mark}, []any{"anew", row.Version, row.Version})
	kept.Version++
	is(t, s.ResealGrant(ctx, kept, []byte("late")), store.ErrConflict)

	ok(t, s.ResealRecord(ctx, record, []byte("anew")))
	is(t, s.ResealRecord(ctx, record, []byte("late")), store.ErrConflict)
	found, err := b.Records().Get(ctx, record.Kind, record.Key)
	ok(t, err)
	same(t, []any{string(found.Data), found.Version}, []any{"anew", record.Version})
	found.Version++
	is(t, s.ResealRecord(ctx, found, []byte("late")), store.ErrConflict)

	_, err = b.Fix(ctx, "fact", "one")
	ok(t, err)
	is(t, s.Refix(ctx, "fact", "two", "three"), store.ErrConflict)
	ok(t, s.Refix(ctx, "fact", "one", "two"))
	value, err := b.Fix(ctx, "fact", "four")
	ok(t, err)
	same(t, value, "two")
}
