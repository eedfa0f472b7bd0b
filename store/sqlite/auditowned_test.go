package sqlite

import (
	"cmp"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/pressly/goose/v3"
)

// A book appends to the record and remembers whose entries are where.
type book struct {
	*testing.T
	db     *DB
	heads  map[string]audit.Head
	owners map[identity.Digest][]audit.Row
	rng    *rand.Rand
}

func newBook(t *testing.T, db *DB) *book {
	return &book{t, db, map[string]audit.Head{}, map[identity.Digest][]audit.Row{}, rand.New(rand.NewPCG(1, 2))}
}

func (b *book) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// grow appends n entries of nine people to chain, and removes the chain gone.
func (b *book) grow(chain string, n int64, gone audit.Head) {
	b.Helper()
	from := b.heads[chain]
	from.Chain = chain
	var rows []audit.Row
	for seq := from.Seq + 1; seq <= from.Seq+n; seq++ {
		e := audit.Entry{Event: audit.Release, Owner: identity.Digest{byte(b.rng.IntN(9))}}
		if k := b.rng.IntN(4); k > 0 {
			e.Client = "client-" + strconv.Itoa(k+int(e.Owner[0]))
		}
		row := audit.Row{Chain: chain, Seq: seq, Entry: e, Hash: []byte(strconv.FormatInt(seq, 10))}
		rows = append(rows, row)
	}
	last := rows[len(rows)-1]
	to := audit.Head{Chain: chain, Seq: last.Seq, Hash: last.Hash, Mark: last.Hash}
	b.must(auditTable{b.db}.Replace(b.Context(), gone, from, to, rows))
	b.heads[chain] = to
	for _, row := range rows {
		b.owners[row.Owner] = append(b.owners[row.Owner], row)
	}
	if gone.Seq > 0 {
		delete(b.heads, gone.Chain)
		for owner, rows := range b.owners {
			b.owners[owner] = slices.DeleteFunc(rows, func(r audit.Row) bool { return r.Chain == gone.Chain })
		}
	}
}

// check looks for each person's entries and clients.
func (b *book) check() {
	b.Helper()
	for owner, want := range b.owners {
		slices.SortStableFunc(want, func(a, c audit.Row) int {
			return cmp.Or(cmp.Compare(a.Chain, c.Chain), cmp.Compare(a.Seq, c.Seq))
		})
		var clients []string
		for _, r := range want {
			if r.Client != "" {
				clients = append(clients, r.Client)
			}
		}
		slices.Sort(clients)
		got, err := b.db.auditRows(b.Context(), b.db.stmt.ownEntries, owner[:])
		b.must(err)
		if !reflect.DeepEqual(want, got) {
			b.Fatalf("%d entries of %d, want %d", len(got), owner[0], len(want))
		}
		names, err := b.db.Audit().Clients(b.Context(), owner, 9)
		b.must(err)
		if diff := gocmp.Diff(slices.Compact(clients), names); diff != "" {
			b.Fatalf("clients of %d: %s", owner[0], diff)
		}
		few, err := b.db.Audit().Clients(b.Context(), owner, 2)
		b.must(err)
		if diff := gocmp.Diff(names[:min(2, len(names))], few); diff != "" {
			b.Fatalf("the first clients of %d: %s", owner[0], diff)
		}
	}
}

// tails is how many entries aren't in audit_owned.
func (b *book) tails() int {
	b.Helper()
	return b.count("SELECT (SELECT count(*) FROM audit) - (SELECT count(*) FROM audit_owned o, json_each(o.seqs))")
}

func (b *book) count(query string, args ...any) (n int) {
	b.Helper()
	b.must(b.db.reader.QueryRow(query, args...).Scan(&n))
	return n
}

// Whether an entry is in audit_owned already or in a tail: its owner finds it, once,
// and the tails stay short.
func TestOwnEntries(t *testing.T) {
	b := newBook(t, openDB(t))
	var none audit.Head
	for _, grow := range []struct {
		chain string
		n     int64
	}{
		{"b", 10}, {"b", 300}, {"c", 20}, {"b", shortTails}, {"a", 7}, {"c", shortTails - 20}, {"b", 1}, {"c", 3 * shortTails},
	} {
		b.grow(grow.chain, grow.n, none)
		b.check()
		if n := b.tails(); n >= shortTails+300 {
			t.Errorf("after %d more in %s, %d entries are in tails", grow.n, grow.chain, n)
		}
	}
	for i := range 200 { // processes that start and stop
		b.grow("d"+strconv.Itoa(i), 100, none)
	}
	b.check()
	if n := b.tails(); n >= shortTails+300 {
		t.Errorf("%d entries are in tails of many chains", n)
	}
}

// With a chain goes what says whose its entries were.
func TestOwnedGoesWithItsChain(t *testing.T) {
	b := newBook(t, openDB(t))
	var none audit.Head
	b.grow("kept", 100, none)
	b.grow("gone", shortTails, none)
	b.grow("gone", 100, none)
	b.grow("short", 100, none)
	if n := b.count("SELECT count(*) FROM audit_owned WHERE chain = 'gone'"); n == 0 {
		t.Fatal("nothing of it is there before")
	}
	b.grow("note", 1, b.heads["gone"])
	b.grow("note", 1, b.heads["short"])
	b.check()
	if n := b.count(`SELECT (SELECT count(*) FROM audit_owned WHERE chain IN ('gone', 'short')) +
		(SELECT count(*) FROM audit_tails WHERE chain IN ('gone', 'short'))`); n != 0 {
		t.Errorf("%d rows of them are there", n)
	}
}

// Where a tail can't be taken in, entries are still appended and found; it is taken in
// later.
func TestTailThatStays(t *testing.T) {
	b := newBook(t, openDB(t))
	var none audit.Head
	run(t, b.db.writer, "CREATE TEMP TRIGGER full BEFORE INSERT ON main.audit_owned BEGIN SELECT raise(ABORT, 'full'); END")
	for range 3 {
		b.grow("a", shortTails, none)
	}
	b.check()
	if n := b.tails(); n != 3*shortTails {
		t.Fatalf("%d entries are in tails", n)
	}
	run(t, b.db.writer, "DROP TRIGGER full")
	b.grow("b", 1, none)
	b.check()
	if n := b.tails(); n > shortTails {
		t.Errorf("%d entries are in tails afterwards", n)
	}
}

// A row that names somebody else's entry shows them nothing of it.
func TestOwnedForged(t *testing.T) {
	b := newBook(t, openDB(t))
	b.grow("a", 100, audit.Head{})
	eve := identity.Digest{99}
	_, err := b.db.writer.Exec("INSERT INTO audit_owned SELECT ?, client, chain, seq, json_array(seq) FROM audit", eve[:])
	b.must(err)
	if list, err := b.db.AuditEntries(t.Context(), eve); err != nil || len(list) != 0 {
		t.Errorf("eve reads %d entries (%v)", len(list), err)
	}
}

// Entries from before there was audit_owned are found.
func TestOwnedIsCarriedOver(t *testing.T) {
	dir := t.TempDir()
	before, err := pool(filepath.Join(dir, File), writing, 1)
	b := newBook(t, nil)
	b.must(err)
	files, err := fs.Sub(migrations, "migrations")
	b.must(err)
	provider, err := goose.NewProvider(goose.DialectSQLite3, before, files, goose.WithLogger(goose.NopLogger()))
	b.must(err)
	_, err = provider.UpTo(t.Context(), 5)
	b.must(err)
	for seq := range int64(30) {
		row := audit.Row{Chain: "a", Seq: seq + 1, Hash: []byte(strconv.FormatInt(seq+1, 10))}
		row.Event, row.Owner, row.Client = audit.Release, identity.Digest{byte(seq % 3)}, "client"
		_, err := before.Exec(`INSERT INTO audit VALUES ('a', ?, 0, 'release', ?, 'client', '', '', '', '', '', '', ?, x'')`,
			row.Seq, row.Owner[:], row.Hash)
		b.must(err)
		b.owners[row.Owner] = append(b.owners[row.Owner], row)
	}
	_, err = before.Exec("INSERT INTO audit_heads VALUES ('a', 30, x'01')")
	b.must(err)
	b.must(before.Close())
	b.db, err = Open(t.Context(), dir, nil)
	b.must(err)
	defer b.db.Close()
	b.heads["a"] = audit.Head{Chain: "a", Seq: 30, Hash: []byte("30"), Mark: []byte{1}}
	b.check()
	b.grow("a", 5, audit.Head{})
	b.check()
	if n := b.tails(); n != 5 {
		t.Errorf("%d entries are in tails", n)
	}
}
