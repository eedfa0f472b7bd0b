package audit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

const month = 30 * 24 * time.Hour

// A yearLong record is one process's, with an entry every eight hours.
func yearLong(t *testing.T, days int) (f *forger, log *audit.Log, clock *storetest.Clock) {
	t.Helper()
	clock = storetest.NewClock()
	f = newForger(t)
	log = storetest.NewLog(f.db, clock.Now)
	rows := f.rows()
	clock.Advance(rows[len(rows)-1].Time.Add(24 * time.Hour).Sub(clock.Now())) // after the forger's own chains
	for range 3 * days {
		if err := put(log, audit.Entry{Time: clock.Now(), Event: audit.Release, Owner: alice}); err != nil {
			t.Fatal(err)
		}
		clock.Advance(8 * time.Hour)
	}
	return f, log, clock
}

// What is older than the retention goes, what is younger stays, and the record
// verifies and says from when on, although one process wrote it all.
func TestPrune(t *testing.T) {
	f, log, clock := yearLong(t, 100)
	before := storetest.VerifyAudit(t, f.db)
	n, err := log.Prune(t.Context(), month)
	if err != nil || n < 69 || n > 74 {
		t.Fatalf("%d chains removed, error %v", n, err)
	}
	limit := clock.Now().Add(-month).UTC().Truncate(time.Second)
	report := storetest.VerifyAudit(t, f.db)
	if report.Pruned != n || !report.From.Equal(limit) || report.Chains != before.Chains-n {
		t.Fatalf("%+v", report)
	}
	kept := 0
	for _, r := range f.rows() {
		if r.Event == audit.Release && r.Time.Before(limit.Add(-24*time.Hour)) {
			t.Errorf("entry %s of %s is still there", r.Ref(), r.Time)
		}
		if r.Event == audit.Release && !r.Time.Before(limit) {
			kept++
		}
	}
	if kept != 90 {
		t.Errorf("%d entries of the last 30 days, want 90", kept)
	}
	if n, err := log.Prune(t.Context(), month); n != 0 || err != nil {
		t.Fatalf("%d chains removed again, error %v", n, err)
	}
	if err := put(log, audit.Entry{Event: audit.Release}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(log.Check(t.Context(), true), log.Check(t.Context(), false), log.Close()); err != nil {
		t.Fatal(err)
	}
	storetest.VerifyAudit(t, f.db)
}

// A chain ends after a day or many entries, and says in the next where it ended.
func TestChainsRollOver(t *testing.T) {
	f, log, clock := yearLong(t, 3)
	log.SetMost(5)
	for range 13 {
		if err := put(log, audit.Entry{Time: clock.Now(), Event: audit.Release}); err != nil {
			t.Fatal(err)
		}
	}
	var from []audit.Ref
	for _, r := range f.rows() {
		if r.Event == audit.Start && r.Of != "" {
			from = append(from, r.Of)
		}
	}
	if len(from) != 2+4 {
		t.Fatalf("chains go on from %v", from)
	}
	storetest.VerifyAudit(t, f.db)
}

// What somebody without the keys does to a pruned record is found: to take more
// away, or to put back what was removed.
func TestPrunedRecordForged(t *testing.T) {
	for name, forge := range map[string]func(f *forger, kept, gone string){
		"a chain more removed": func(f *forger, kept, _ string) {
			f.run("DELETE FROM audit WHERE chain = ?", kept)
			f.run("DELETE FROM audit_heads WHERE chain = ?", kept)
		},
		"a removed one put back": func(f *forger, _, gone string) {
			f.run("INSERT INTO audit SELECT * FROM saved WHERE chain = ?", gone)
			f.run("INSERT INTO audit_heads SELECT * FROM saved_heads WHERE chain = ?", gone)
		},
		"the note removed": func(f *forger, _, _ string) { f.run("DELETE FROM audit WHERE event = 'prune'") },
		"the note changed": func(f *forger, kept, _ string) {
			f.run("UPDATE audit SET of = ? WHERE event = 'prune'", kept+"/4")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, log, clock := yearLong(t, 5)
			f.run("CREATE TEMP TABLE saved AS SELECT * FROM audit")
			f.run("CREATE TEMP TABLE saved_heads AS SELECT * FROM audit_heads")
			chains := map[bool]string{}
			rows := f.rows()
			if n, err := log.Prune(t.Context(), 2*24*time.Hour); n == 0 || err != nil {
				t.Fatalf("%d chains removed, error %v", n, err)
			}
			left := f.rows()
			for _, r := range rows {
				is := slices.ContainsFunc(left, func(l audit.Row) bool { return l.Chain == r.Chain })
				if !strings.HasPrefix(r.Chain, "segment") {
					chains[is] = r.Chain
				}
			}
			storetest.VerifyAudit(t, f.db)
			forge(f, chains[true], chains[false])
			at := f.wrong()
			if len(at) == 0 {
				t.Fatal("nothing is found")
			}
			if name == "a chain more removed" && !slices.Contains(at, audit.Ref(chains[true]+"/1")) {
				t.Fatalf("found %v, want %s", at, chains[true])
			}
			// Nothing more is removed from a record that is broken.
			clock.Advance(10 * 24 * time.Hour)
			if n, err := log.Prune(t.Context(), 2*24*time.Hour); n != 0 || !errors.Is(err, audit.ErrBroken) {
				t.Fatalf("%d chains removed, error %v", n, err)
			}
			f.reseals()
		})
	}
}

// The disk may fail at each commit: a chain is removed with its note, or there.
func TestPruneEndsAnywhere(t *testing.T) {
	f, log, clock := yearLong(t, 8)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	removed := 0
	for commits := range 4 {
		table := &failing{f.db.Audit(), commits}
		pruner := audit.NewLog(audit.Config{Table: table, Seal: storetest.AuditSeal(), Now: clock.Now})
		n, err := pruner.Prune(t.Context(), 2*24*time.Hour)
		if n != min(commits, 7-removed) {
			t.Errorf("%d commits: %d chains removed, error %v", commits, n, err)
		}
		removed += n
		if report := storetest.VerifyAudit(t, f.db); report.Pruned != removed {
			t.Fatalf("%+v", report)
		}
	}
}

func (f *failing) Replace(ctx context.Context, gone, from, to audit.Head, rows []audit.Row) error {
	if f.left == 0 {
		return errFails
	}
	f.left--
	return f.Table.Replace(ctx, gone, from, to, rows)
}

// While several processes prune, and one appends, each look finds the record whole.
func TestPruneTogether(t *testing.T) {
	f, log, clock := yearLong(t, 40)
	var all sync.WaitGroup
	var mu sync.Mutex
	removed := 0
	for range 2 {
		other := storetest.NewLog(open(t, f.dir), clock.Now)
		all.Go(func() {
			n, err := other.Prune(t.Context(), 2*24*time.Hour)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			removed += n
		})
	}
	for range 20 {
		if err := errors.Join(put(log, audit.Entry{Event: audit.Release}), log.Check(t.Context(), true), log.Check(t.Context(), false)); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	if report := storetest.VerifyAudit(t, f.db); report.Pruned != removed || removed < 35 {
		t.Fatalf("%d removed, %+v", removed, report)
	}
}

// A clock that was set back makes the last entry of a chain look old.
func TestPruneLooksAtEveryEntry(t *testing.T) {
	clock := storetest.NewClock()
	f := newForger(t)
	log := storetest.NewLog(f.db, clock.Now)
	clock.Advance(f.rows()[len(f.rows())-1].Time.Add(2 * month).Sub(clock.Now()))
	old := clock.Now().Add(-10 * 24 * time.Hour)
	for _, at := range []time.Time{old, clock.Now(), old} {
		if err := put(log, audit.Entry{Time: at, Event: audit.Release}); err != nil {
			t.Fatal(err)
		}
	}
	before := storetest.VerifyAudit(t, f.db)
	n, err := log.Prune(t.Context(), 5*24*time.Hour)
	if report := storetest.VerifyAudit(t, f.db); err != nil || n != 2 || report.Chains != before.Chains-2 {
		t.Fatalf("%d chains removed, want the forger's two, error %v", n, err)
	}
}

func TestPruneKeepsTwoDays(t *testing.T) {
	_, log, _ := yearLong(t, 8)
	if n, err := log.Prune(t.Context(), audit.ShortestRetention-1); n != 0 || err == nil {
		t.Fatalf("%d chains removed, error %v", n, err)
	}
}
