package audit_test

import (
	"bytes"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

var alice = identity.Digest{1}

func open(t *testing.T, dir string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func put(log *audit.Log, e audit.Entry) error {
	_, err := log.Append(e)
	return err
}

// A forger has the database file, and not the keys.
type forger struct {
	t   *testing.T
	dir string
	db  *sqlite.DB
	*sql.DB
}

// newForger is at a record of two processes: one that stopped, and one that didn't.
func newForger(t *testing.T) *forger {
	t.Helper()
	dir := t.TempDir()
	db := open(t, dir)
	now := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	for i := range 2 {
		log := storetest.NewLog(db, func() time.Time { return now.Add(time.Duration(i) * time.Hour) })
		e := audit.Entry{
			Time: now, Event: audit.Release, Owner: alice, Client: "client", Tool: "tool", Provider: "github",
			Rule: "GET /user", Arguments: "abcd", Reason: "why", Of: "x/1",
		}
		for range 2 {
			if err := put(log, e); err != nil {
				t.Fatal(err)
			}
		}
		log.Note(audit.Entry{Event: audit.Outcome}) // one commit with the entry that follows
		if err := put(log, audit.Entry{Event: audit.Refuse}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	raw, err := sql.Open("sqlite", filepath.Join(dir, sqlite.File))
	if err != nil {
		t.Fatal(err)
	}
	raw.SetMaxOpenConns(1) // which keeps temporary tables
	t.Cleanup(func() { raw.Close() })
	storetest.VerifyAudit(t, db)
	return &forger{t, dir, db, raw}
}

// run says whether the statement could be run.
func (f *forger) run(statement string, args ...any) bool {
	f.t.Helper()
	_, err := f.Exec(statement, args...)
	if err != nil && !strings.Contains(err.Error(), "constraint") {
		f.t.Fatal(err)
	}
	return err == nil
}

func (f *forger) rows() []audit.Row {
	f.t.Helper()
	list, err := audit.NewTail(f.db.Audit()).Next(f.t.Context(), 1000)
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// wrong is where Verify says that entries are wrong.
func (f *forger) wrong() (at []audit.Ref) {
	f.t.Helper()
	report, err := audit.Verify(f.t.Context(), f.db.Audit(), storetest.AuditSeal())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, finding := range report.Findings {
		at = append(at, finding.At)
	}
	return at
}

var columns = []string{
	"chain", "seq", "time", "event", "owner", "client", "tool", "provider", "rule", "arguments", "reason", "of", "hash", "mark",
}

// variants are other values of a column: one for each byte of it, and a longer and
// a shorter one.
func variants(value any) (list []any) {
	switch v := value.(type) {
	case int64:
		for bit := range 8 {
			list = append(list, v^(1<<(8*bit+bit%3)))
		}
	case string:
		for _, b := range variants([]byte(v)) {
			list = append(list, string(b.([]byte)))
		}
	case []byte:
		for i := range v {
			b := bytes.Clone(v)
			b[i] ^= 1
			list = append(list, b)
		}
		list = append(list, append(bytes.Clone(v), 0))
		if len(v) > 0 {
			list = append(list, v[:len(v)-1])
		}
	}
	return list
}

// Every byte of every column of every row counts, and so does every one of the
// heads.
func TestAuditFlippedBytes(t *testing.T) {
	f := newForger(t)
	flips := 0
	for _, r := range f.rows() {
		for _, column := range columns {
			var value any
			if err := f.QueryRow("SELECT "+column+" FROM audit WHERE chain = ? AND seq = ?", r.Chain, r.Seq).Scan(&value); err != nil {
				t.Fatal(err)
			}
			if b, ok := value.([]byte); ok && b == nil {
				value = []byte{} // which the driver reads as nil, and wouldn't write back
			}
			for _, other := range variants(value) {
				chain, seq := any(r.Chain), any(r.Seq)
				if !f.run("UPDATE audit SET "+column+" = ? WHERE chain = ? AND seq = ?", other, chain, seq) {
					continue // there is one of that number
				}
				flips++
				want := r.Ref()
				if n, ok := other.(int64); ok && column == "seq" && n < 1 {
					want = audit.Row{Chain: r.Chain, Seq: n}.Ref()
				}
				if at := f.wrong(); !slices.Contains(at, want) {
					t.Fatalf("%s: %s %v → %v: found %v", r.Ref(), column, value, other, at)
				}
				switch column {
				case "chain":
					chain = other
				case "seq":
					seq = other
				}
				f.run("UPDATE audit SET "+column+" = ? WHERE chain = ? AND seq = ?", value, chain, seq)
			}
		}
	}
	for _, column := range []string{"chain", "seq", "mark"} {
		heads, err := f.db.Audit().Heads(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range heads {
			value := map[string]any{"chain": h.Chain, "seq": h.Seq, "mark": h.Mark}[column]
			for _, other := range variants(value) {
				name := any(h.Chain)
				f.run("UPDATE audit_heads SET "+column+" = ? WHERE chain = ?", other, name)
				flips++
				if len(f.wrong()) == 0 {
					t.Errorf("head of %s: %s %v → %v isn't found", h.Chain, column, value, other)
				}
				if column == "chain" {
					name = other
				}
				f.run("UPDATE audit_heads SET "+column+" = ? WHERE chain = ?", value, name)
			}
		}
	}
	if flips < 2000 {
		t.Errorf("only %d flips", flips)
	}
	storetest.VerifyAudit(t, f.db)
}

func TestAuditDeletedRows(t *testing.T) {
	f := newForger(t)
	f.run("CREATE TEMP TABLE saved AS SELECT * FROM audit")
	for _, r := range f.rows() {
		f.run("DELETE FROM audit WHERE chain = ? AND seq = ?", r.Chain, r.Seq)
		if at := f.wrong(); !slices.Contains(at, r.Ref()) {
			t.Errorf("%s: found %v", r.Ref(), at)
		}
		f.run("INSERT INTO audit SELECT * FROM saved WHERE chain = ? AND seq = ?", r.Chain, r.Seq)
	}
	storetest.VerifyAudit(t, f.db)
}

// What a forger does with several rows, and the first entry that is wrong then.
// {a} is the chain of the process that stopped, {b} of the one that didn't.
func TestAuditForgeries(t *testing.T) {
	const segment = "segment-000001"
	for name, test := range map[string]struct {
		does  string // statements
		first string // or "" for any
	}{
		"the first row deleted":      {"DELETE FROM audit WHERE chain = '{a}' AND seq = 1", "{a}/1"},
		"a row deleted":              {"DELETE FROM audit WHERE chain = '{a}' AND seq = 3", "{a}/3"},
		"rows in another order":      {"UPDATE audit SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE chain = '{a}' AND seq IN (2, 3); UPDATE audit SET seq = -seq WHERE seq < 0", "{a}/2"},
		"a row of another chain":     {"DELETE FROM audit WHERE chain = '{a}' AND seq = 2; UPDATE audit SET chain = '{a}' WHERE chain = '{b}' AND seq = 2", "{a}/2"},
		"the tail cut off":           {"DELETE FROM audit WHERE chain = '{b}' AND seq > 3", "{b}/4"},
		"the tail and its head":      {"DELETE FROM audit WHERE chain = '{b}' AND seq > 3; UPDATE audit_heads SET seq = 3, mark = (SELECT mark FROM audit WHERE chain = '{b}' AND seq = 3) WHERE chain = '{b}'", "{b}/3"},
		"a stop cut off":             {"DELETE FROM audit WHERE event = 'stop'", "{a}/6"},
		"a chain deleted":            {"DELETE FROM audit WHERE chain = '{b}'; DELETE FROM audit_heads WHERE chain = '{b}'", "{b}/1"},
		"a chain emptied":            {"DELETE FROM audit WHERE chain = '{b}'; UPDATE audit_heads SET seq = 0, mark = x'' WHERE chain = '{b}'", "{b}/1"},
		"a head deleted":             {"DELETE FROM audit_heads WHERE chain = '{b}'", "{b}/1"},
		"heads exchanged":            {"UPDATE audit_heads SET mark = (SELECT mark FROM audit_heads WHERE chain = '{a}') WHERE chain = '{b}'", "{b}/5"},
		"the list deleted":           {"DELETE FROM audit WHERE chain = '" + segment + "'; DELETE FROM audit_heads WHERE chain = '" + segment + "'", "{a}/1"},
		"the list cut off":           {"DELETE FROM audit WHERE chain = '" + segment + "' AND seq = 2", segment + "/2"},
		"a row before the first":     {"INSERT INTO audit SELECT chain, 0, time, event, owner, client, tool, provider, rule, arguments, reason, of, hash, mark FROM audit WHERE chain = '{a}' AND seq = 1", "{a}/0"},
		"a copied row at the end":    {"INSERT INTO audit SELECT chain, 6, time, event, owner, client, tool, provider, rule, arguments, reason, of, hash, mark FROM audit WHERE chain = '{b}' AND seq = 5", "{b}/6"},
		"a chain nobody listed":      {"INSERT INTO audit SELECT 'x', seq, time, event, owner, client, tool, provider, rule, arguments, reason, of, hash, mark FROM audit WHERE chain = '{b}' AND seq = 1", "x/1"},
		"a segment nobody opened":    {"INSERT INTO audit SELECT 'segment-000002', seq, time, event, owner, client, tool, provider, rule, arguments, reason, of, hash, mark FROM audit WHERE chain = '" + segment + "'", "segment-000002/1"},
		"a segment with a like name": {"INSERT INTO audit SELECT 'segment-0000001', seq, time, event, owner, client, tool, provider, rule, arguments, reason, of, hash, mark FROM audit WHERE chain = '{b}'", "segment-0000001/1"},
		"a checkpoint taken away":    {"UPDATE audit SET mark = x'' WHERE chain = '{b}' AND seq = 5", "{b}/5"},
		"an earlier one taken away":  {"UPDATE audit SET mark = x'' WHERE chain = '{b}' AND seq = 2", "{b}/3"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForger(t)
			var chains []string
			for _, r := range f.rows() {
				if r.Event == audit.Start && r.Reason != "" {
					chains = append(chains, r.Reason)
				}
			}
			named := strings.NewReplacer("{a}", chains[0], "{b}", chains[1])
			for statement := range strings.SplitSeq(named.Replace(test.does), ";") {
				if !f.run(statement) {
					t.Fatal("the forgery could not be made")
				}
			}
			at, want := f.wrong(), audit.Ref(named.Replace(test.first))
			if !slices.Contains(at, want) {
				t.Fatalf("found %v, want %s", at, want)
			}
			f.reseals()
		})
	}
}

// reseals checks that after a reseal the record goes on, and that what is forged
// then is found again.
func (f *forger) reseals() {
	f.t.Helper()
	ctx := f.t.Context()
	if named, err := audit.ResealBroken(ctx, f.db.Audit(), storetest.AuditSeal(), time.Now()); err != nil || len(named) == 0 {
		f.t.Fatalf("resealed %v, error %v", named, err)
	}
	log := storetest.NewLog(f.db, nil)
	ref, err := log.Append(audit.Entry{Event: audit.Release})
	if err := errors.Join(err, log.Close(), log.Check(ctx, true), log.Check(ctx, false)); err != nil {
		f.t.Fatal(err)
	}
	storetest.VerifyAudit(f.t, f.db)
	if named, err := audit.ResealBroken(ctx, f.db.Audit(), storetest.AuditSeal(), time.Now()); err != nil || len(named) != 0 {
		f.t.Fatalf("resealed %v again, error %v", named, err)
	}
	f.run("UPDATE audit SET tool = 'other' WHERE chain || '/' || seq = ?", string(ref))
	if at := f.wrong(); !slices.Contains(at, ref) {
		f.t.Fatalf("found %v, want %s", at, ref)
	}
	if err := storetest.NewLog(f.db, nil).Check(ctx, true); !errors.Is(err, audit.ErrBroken) || !strings.Contains(err.Error(), "latchkey audit reseal") {
		f.t.Fatalf("error %v", err)
	}
}

// A forger who knows how hashes are made, and makes them all anew, still has no
// checkpoints: found is the first that should vouch for what was changed.
func TestAuditRehashed(t *testing.T) {
	for seq, found := range map[int64]int64{1: 1, 2: 2, 3: 3, 4: 5, 5: 5} {
		f := newForger(t)
		rows, err := f.db.Audit().Rows(t.Context(), f.rows()[1].Chain, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var last audit.Row
		for _, r := range rows {
			if r.Seq == seq {
				r.Tool = "other"
			}
			r.Hash = audit.Rehash(last, r)
			f.run("UPDATE audit SET tool = ?, hash = ? WHERE chain = ? AND seq = ?", r.Tool, r.Hash, r.Chain, r.Seq)
			last = r
		}
		want := rows[found-1].Ref()
		if at := f.wrong(); !slices.Equal(at, []audit.Ref{want}) {
			t.Errorf("entry %d changed: found %v, want %s", seq, at, want)
		}
	}
}

// Neither has who has other keys, and a log of theirs doesn't go on from ours.
func TestAuditOtherKeys(t *testing.T) {
	f := newForger(t)
	seal, err := subtle.NewXChaCha20Poly1305(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	log := audit.NewLog(audit.Config{Table: f.db.Audit(), Seal: seal, Now: time.Now})
	if err := put(log, audit.Entry{Event: audit.Release}); !errors.Is(err, audit.ErrBroken) {
		t.Fatalf("error %v", err)
	}
	if at := f.wrong(); len(at) != 1 || !strings.HasSuffix(string(at[0]), "/1") {
		t.Fatalf("found %v", at)
	}
}
