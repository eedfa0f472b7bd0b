package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// A bench is what a test of the suite works on. open opens the same data again,
// beside what is open already, as another process would.
type bench struct {
	store.Backend
	clock *Clock
	open  func() store.Backend
}

// TestBackend is the suite that every backend passes. open opens the data of test
// t with the clock now: a second call with the same t opens the same data, while
// the first is still open. It is closed with the test. The suite reads the audit
// record through AuditEntries(ctx, owner), which every backend has.
func TestBackend(t *testing.T, open func(t *testing.T, now func() time.Time) store.Backend) {
	for name, test := range map[string]func(*testing.T, bench){
		"grants":                    testGrants,
		"grants are kept apart":     testGrantsApart,
		"shared accounts":           testShared,
		"marks":                     testMarks,
		"everything sealed":         testSealed,
		"resealing":                 testReseal,
		"one writer wins a version": testGrantRace,
		"records":                   testRecords,
		"record expiry":             testExpiry,
		"record replace":            testReplace,
		"record list":               testList,
		"one taker wins":            testTakeRace,
		"one replacer wins":         testReplaceRace,
		"delete by owner":           testDeleteByOwner,
		"sweep":                     testSweep,
		"fix":                       testFix,
		"audit":                     testAudit,
		"audit table":               testAuditTable,
		"audit replace":             testAuditReplace,
		"audit clients":             testAuditClients,
		"audit by two processes":    testAuditTwo,
		"audit group commit":        testAuditTogether,
		"audit tampering":           testAuditTampering,
		"a cancelled context":       testCancelled,
		"cancelled in the middle":   testCancelledMidway,
		"reopening":                 testReopen,
	} {
		t.Run(name, func(t *testing.T) {
			clock := NewClock()
			again := func() store.Backend {
				b := open(t, clock.Now)
				t.Cleanup(func() { b.Close() })
				return b
			}
			test(t, bench{Backend: again(), clock: clock, open: again})
		})
	}
}

var alice, bob = identity.Digest{1, 2, 3}, identity.Digest{4, 5, 6}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
}

func (b bench) row(owner identity.Digest, provider string, version int64) store.Row {
	return store.Row{
		Owner: owner, Provider: provider, Account: "one", Version: version, Mark: version,
		Updated: b.clock.Now().Add(1500 * time.Microsecond),
		Sealed:  []byte{0, 255, byte(version)},
	}
}

func testGrants(t *testing.T, b bench) {
	ctx, g := t.Context(), b.Grants()
	_, err := g.Get(ctx, alice, "github", "one")
	is(t, err, store.ErrNotFound)
	is(t, g.Put(ctx, b.row(alice, "github", 8), 7), store.ErrConflict)
	is(t, g.Delete(ctx, alice, "github", "one", 7), store.ErrConflict)

	first, second := b.row(alice, "github", 70), b.row(alice, "github", 71)
	ok(t, g.Put(ctx, first, 0))
	is(t, g.Put(ctx, second, 0), store.ErrConflict)
	is(t, g.Put(ctx, second, 69), store.ErrConflict)
	kept, err := g.Get(ctx, alice, "github", "one")
	ok(t, err)
	same(t, kept, first)

	ok(t, g.Put(ctx, second, 70))
	is(t, g.Put(ctx, second, 70), store.ErrConflict)
	is(t, g.Delete(ctx, alice, "github", "one", 70), store.ErrConflict)
	kept, err = g.Get(ctx, alice, "github", "one")
	ok(t, err)
	same(t, kept, second)

	ok(t, g.Delete(ctx, alice, "github", "one", 71))
	_, err = g.Get(ctx, alice, "github", "one")
	is(t, err, store.ErrNotFound)
	is(t, g.Delete(ctx, alice, "github", "one", 71), store.ErrConflict)
	is(t, g.Put(ctx, first, 0), store.ErrConflict)
	is(t, g.Put(ctx, b.row(alice, "github", 72), 0), store.ErrConflict)
	ok(t, g.Put(ctx, b.row(alice, "github", 73), 0))
}

func testGrantsApart(t *testing.T, b bench) {
	ctx, g := t.Context(), b.Grants()
	rows := []store.Row{
		b.row(alice, "github", 5), b.row(alice, "google", 5), b.row(bob, "github", 5),
	}
	for _, i := range []int{1, 2, 0} {
		ok(t, g.Put(ctx, rows[i], 0))
	}
	ok(t, g.Put(ctx, b.row(bob, "google", 5), 0))
	ok(t, g.Delete(ctx, bob, "google", "one", 5))
	list, err := g.List(ctx, alice)
	ok(t, err)
	same(t, list, rows[:2]) // by provider, alice's only
	list, err = g.List(ctx, bob)
	ok(t, err)
	same(t, list, rows[2:])
	second := b.row(alice, "github", 900)
	second.Account = "two"
	ok(t, g.Put(ctx, second, 0))
	is(t, g.Put(ctx, second, 5), store.ErrConflict) // the other account's version
	is(t, g.Delete(ctx, alice, "github", "one", 900), store.ErrConflict)
	list, err = g.Accounts(ctx, alice, "github")
	ok(t, err)
	same(t, list, []store.Row{rows[0], second})
	list, err = g.Accounts(ctx, bob, "github")
	ok(t, err)
	same(t, list, rows[2:])
	list, err = g.List(ctx, alice)
	ok(t, err)
	same(t, list, []store.Row{rows[0], second, rows[1]})
	kept, err := g.Get(ctx, alice, "github", "two")
	ok(t, err)
	same(t, kept, second)
	ok(t, g.Delete(ctx, alice, "github", "two", 900))
	kept, err = g.Get(ctx, alice, "github", "one")
	ok(t, err)
	same(t, kept, rows[0])
	list, err = g.List(ctx, identity.Digest{9})
	ok(t, err)
	if len(list) != 0 {
		t.Fatal("a stranger has grants")
	}
}

// testShared: bob has what alice has, and something else.
func testShared(t *testing.T, b bench) {
	ctx, g := t.Context(), b.Grants()
	shared := func(owner identity.Digest, provider, account string, want bool) {
		t.Helper()
		got, err := g.Shared(ctx, owner, provider, account)
		ok(t, err)
		if got != want {
			t.Errorf("%s %s shared with another: %v", provider, account, got)
		}
	}
	ok(t, g.Put(ctx, b.row(alice, "github", 5), 0))
	shared(alice, "github", "one", false)
	shared(bob, "github", "one", true)
	ok(t, g.Put(ctx, b.row(bob, "github", 5), 0))
	shared(alice, "github", "one", true)
	shared(alice, "google", "one", false)
	shared(alice, "github", "two", false)
	ok(t, g.Delete(ctx, bob, "github", "one", 5))
	shared(alice, "github", "one", false)
}

// race runs attempt in many goroutines on two handles and counts nil errors; any
// other error must be want.
func (b bench) race(t *testing.T, n int, want error, attempt func(b store.Backend, i int) error) (won int) {
	t.Helper()
	handles := []store.Backend{b.Backend, b.open()}
	errs := make([]error, n)
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = attempt(handles[i%2], i)
		})
	}
	close(start)
	all.Wait()
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		is(t, err, want)
	}
	return won
}

func testGrantRace(t *testing.T, b bench) {
	for version := range int64(5) {
		var mu sync.Mutex
		var winner byte
		won := b.race(t, 20, store.ErrConflict, func(h store.Backend, i int) error {
			row := b.row(alice, "github", version+1)
			row.Sealed = []byte{byte(i)}
			err := h.Grants().Put(t.Context(), row, version)
			if err == nil {
				mu.Lock()
				winner = byte(i)
				mu.Unlock()
			}
			return err
		})
		if won != 1 {
			t.Fatalf("%d of 20 writers won version %d", won, version)
		}
		row, err := b.Grants().Get(t.Context(), alice, "github", "one")
		ok(t, err)
		if row.Version != version+1 || row.Sealed[0] != winner {
			t.Fatalf("version %d holds %v, but writer %d had won", row.Version, row.Sealed, winner)
		}
	}
}

func testFix(t *testing.T, b bench) {
	kept, err := b.Fix(t.Context(), "issuer", "https://one.example")
	ok(t, err)
	same(t, kept, "https://one.example")
	kept, err = b.Fix(t.Context(), "issuer", "https://two.example")
	ok(t, err)
	same(t, kept, "https://one.example")
	kept, err = b.Fix(t.Context(), "other", "fact")
	ok(t, err)
	same(t, kept, "fact")

	values := make([]string, 10)
	b.race(t, 10, nil, func(h store.Backend, i int) error {
		var err error
		values[i], err = h.Fix(t.Context(), "race", string(rune('a'+i)))
		return err
	})
	if len(slices.Compact(values)) != 1 {
		t.Fatalf("different processes keep different facts: %v", values)
	}
}

func testReopen(t *testing.T, b bench) {
	ctx := t.Context()
	row, record := b.row(alice, "github", 3), b.record("ticket", 1, alice, time.Hour)
	e := audit.Entry{Time: b.clock.Now(), Event: audit.Connect, Owner: alice}
	ok(t, b.Grants().Put(ctx, row, 0))
	ok(t, b.Records().Put(ctx, record))
	log := NewLog(b.Backend, b.clock.Now)
	_, err := log.Append(e)
	ok(t, err)
	_, err = b.Fix(ctx, "issuer", "https://one.example")
	ok(t, err)
	ok(t, log.Close())
	ok(t, b.Close())

	again := b.open()
	kept, err := again.Grants().Get(ctx, alice, "github", "one")
	ok(t, err)
	same(t, kept, row)
	found, err := again.Records().Get(ctx, record.Kind, record.Key)
	ok(t, err)
	same(t, found, record)
	same(t, entries(t, again, alice), []audit.Entry{e})
	fact, err := again.Fix(ctx, "issuer", "https://two.example")
	ok(t, err)
	same(t, fact, "https://one.example")
	VerifyAudit(t, again)
}
