package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// AuditSeal is the keys of NewLog's records.
func AuditSeal() tink.AEAD {
	seal, err := subtle.NewXChaCha20Poly1305(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		panic(err)
	}
	return seal
}

// NewLog is another process's audit log on b; now may be nil. What it reports is a
// panic.
func NewLog(b store.Backend, now func() time.Time) *audit.Log {
	if now == nil {
		now = time.Now
	}
	return audit.NewLog(audit.Config{
		Table: b.Audit(), Seal: AuditSeal(), Now: now, Report: func(err error) { panic(err) },
	})
}

// VerifyAudit fails the test where a record of NewLog's is not as it was written.
func VerifyAudit(t testing.TB, b store.Backend) audit.Report {
	t.Helper()
	return VerifyAuditWith(t, b, AuditSeal())
}

// VerifyAuditWith is VerifyAudit for a record that was written with other keys.
func VerifyAuditWith(t testing.TB, b store.Backend, seal tink.AEAD) audit.Report {
	t.Helper()
	report, err := audit.Verify(t.Context(), b.Audit(), seal)
	if err != nil {
		t.Fatal(err)
	}
	if f, bad := report.Bad(); bad {
		t.Fatalf("the record is broken at %s: %s", f.At, f.Why)
	}
	return report
}

// A reader reads the audit record.
type reader interface {
	AuditEntries(ctx context.Context, owner identity.Digest) ([]audit.Entry, error)
}

func entries(t *testing.T, b store.Backend, owner identity.Digest) []audit.Entry {
	t.Helper()
	list, err := b.(reader).AuditEntries(t.Context(), owner)
	ok(t, err)
	return list
}

func testAudit(t *testing.T, b bench) {
	log := NewLog(b.Backend, b.clock.Now)
	full := audit.Entry{
		Time: b.clock.Now().Add(time.Microsecond), Event: audit.Release, Owner: alice, Client: "client",
		Tool: "tool", Provider: "github", Rule: "GET /user", Arguments: "abcd", Reason: "because", Of: "a/1",
	}
	bare := audit.Entry{Time: b.clock.Now(), Event: audit.Refuse, Owner: alice}
	var refs []audit.Ref
	for _, e := range []audit.Entry{full, bare, full, {Event: audit.Refuse}} {
		ref, err := log.Append(e)
		ok(t, err)
		refs = append(refs, ref)
	}
	log.Note(audit.Entry{Time: b.clock.Now(), Event: audit.Outcome, Owner: bob, Of: refs[0]})
	ok(t, log.Close())
	if len(slices.Compact(refs)) != 4 {
		t.Fatalf("entries share names: %v", refs)
	}
	again := b.open()
	same(t, entries(t, again, alice), []audit.Entry{full, bare, full})
	same(t, entries(t, b.Backend, bob), []audit.Entry{{Time: b.clock.Now(), Event: audit.Outcome, Owner: bob, Of: refs[0]}})
	same(t, entries(t, again, identity.Digest{9}), []audit.Entry(nil))
	report := VerifyAudit(t, again)
	if report.Chains != 2 || report.Entries != 1+4+2+1 { // start, entries, outcome and stop; the segment's start
		t.Fatalf("%+v", report)
	}
	if _, err := log.Append(full); err == nil {
		t.Fatal("a closed log takes an entry")
	}
}

// What Append refuses it refuses whole.
func testAuditTable(t *testing.T, b bench) {
	ctx, table := t.Context(), b.Audit()
	row := func(seq int64, hash string) audit.Row {
		return audit.Row{Chain: "a", Seq: seq, Entry: audit.Entry{Event: audit.Release}, Hash: []byte(hash), Mark: []byte("mark")}
	}
	head := func(seq int64, hash, mark string) audit.Head {
		return audit.Head{Chain: "a", Seq: seq, Hash: []byte(hash), Mark: []byte(mark)}
	}
	none, two := head(0, "", ""), head(2, "h2", "m2")
	ok(t, table.Append(ctx, none, two, []audit.Row{row(1, "h1"), row(2, "h2")}))
	for name, from := range map[string]audit.Head{
		"again from the start": none, "another number": head(1, "h1", "m2"),
		"another mark": head(2, "h2", "m1"), "another hash": head(2, "h1", "m2"),
	} {
		err := table.Append(ctx, from, head(3, "h3", "m3"), []audit.Row{row(from.Seq+1, "h3")})
		t.Log(name)
		is(t, err, audit.ErrMoved)
	}
	is(t, table.Append(ctx, two, head(4, "h4", "m4"), []audit.Row{row(3, "h3"), row(2, "h2")}), audit.ErrMoved)
	var many []audit.Row
	for seq := range int64(20) {
		many = append(many, row(3+seq, "h"))
	}
	many[7].Seq = 1
	is(t, table.Append(ctx, two, head(22, "h", "m"), many), audit.ErrMoved)

	heads, err := b.open().Audit().Heads(ctx)
	ok(t, err)
	same(t, heads, []audit.Head{{Chain: "a", Seq: 2, Mark: []byte("m2")}})
	rows, err := b.open().Audit().Rows(ctx, "a", 0, 10)
	ok(t, err)
	same(t, rows, []audit.Row{row(1, "h1"), row(2, "h2")})
	rows, err = table.Rows(ctx, "a", 1, 10)
	ok(t, err)
	same(t, rows, []audit.Row{row(2, "h2")})
	rows, err = table.Rows(ctx, "a", 0, 1)
	ok(t, err)
	same(t, rows, []audit.Row{row(1, "h1")})
	rows, err = table.Rows(ctx, "b", 0, 1)
	ok(t, err)
	same(t, len(rows), 0)
}

// Replace appends and removes a chain, both or nothing.
func testAuditReplace(t *testing.T, b bench) {
	ctx, table := t.Context(), b.Audit()
	rows := func(chain string, n int64) (audit.Head, []audit.Row) {
		var list []audit.Row
		for seq := range n {
			list = append(list, audit.Row{Chain: chain, Seq: seq + 1, Hash: []byte{byte(seq)}, Mark: []byte{}})
		}
		return audit.Head{Chain: chain, Seq: n, Mark: []byte("m")}, list
	}
	old, list := rows("old", 3)
	ok(t, table.Append(ctx, audit.Head{Chain: "old"}, old, list))
	note, list := rows("note", 1)
	for name, gone := range map[string]audit.Head{
		"an earlier end": {Chain: "old", Seq: 2, Mark: []byte("m")},
		"another end":    {Chain: "old", Seq: 3, Mark: []byte("n")},
		"no such chain":  {Chain: "odd", Seq: 3, Mark: []byte("m")},
	} {
		t.Log(name)
		is(t, table.Replace(ctx, gone, audit.Head{Chain: "note"}, note, list), audit.ErrMoved)
	}
	is(t, table.Replace(ctx, old, audit.Head{Chain: "note", Seq: 1, Mark: []byte("x")}, note, list), audit.ErrMoved)
	heads, err := b.open().Audit().Heads(ctx)
	ok(t, err)
	same(t, heads, []audit.Head{old})
	kept, err := table.Rows(ctx, "old", 0, 10)
	ok(t, err)
	same(t, len(kept), 3)

	ok(t, table.Replace(ctx, old, audit.Head{Chain: "note"}, note, list))
	heads, err = b.open().Audit().Heads(ctx)
	ok(t, err)
	same(t, heads, []audit.Head{note})
	kept, err = table.Rows(ctx, "old", 0, 10)
	ok(t, err)
	same(t, len(kept), 0)
}

// Two processes append at the same time, each to a chain of its own, while a third
// verifies.
func testAuditTwo(t *testing.T, b bench) {
	var all sync.WaitGroup
	for _, backend := range []store.Backend{b.Backend, b.open()} {
		log := NewLog(backend, b.clock.Now)
		all.Go(func() {
			for range 50 {
				if _, err := log.Append(audit.Entry{Event: audit.Release, Owner: alice}); err != nil {
					t.Error(err)
				}
			}
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	third := b.open()
	for range 20 {
		VerifyAudit(t, third)
	}
	all.Wait()
	same(t, len(entries(t, third, alice)), 100)
	report := VerifyAudit(t, third)
	same(t, report.Chains, 3)
	same(t, report.Entries, 2*52+2)
}

// Entries that come together are written together, and each is named as it stands.
func testAuditTogether(t *testing.T, b bench) {
	log := NewLog(b.Backend, b.clock.Now)
	var all sync.WaitGroup
	refs := make([]audit.Ref, 200)
	for i := range refs {
		all.Go(func() {
			var err error
			refs[i], err = log.Append(audit.Entry{Event: audit.Release, Reason: fmt.Sprint(i)})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	rows, err := audit.NewTail(b.Audit()).Next(t.Context(), 1000)
	ok(t, err)
	for _, r := range rows {
		if r.Event == audit.Release && refs[atoi(r.Reason)] != r.Ref() {
			t.Fatalf("entry %s was said to be %s", r.Ref(), refs[atoi(r.Reason)])
		}
	}
	report := VerifyAudit(t, b.Backend)
	if report.Entries != len(refs)+2 || report.Checkpoints > report.Entries/2 {
		t.Fatalf("%d entries in %d commits", report.Entries, report.Checkpoints)
	}
}

func atoi(s string) (n int) {
	_, _ = fmt.Sscan(s, &n)
	return n
}

// Somebody else's entry at the end of a chain, written well but with other keys,
// stops the chain's process and is found.
func testAuditTampering(t *testing.T, b bench) {
	ctx, table := t.Context(), b.Audit()
	log := NewLog(b.Backend, b.clock.Now)
	ref, err := log.Append(audit.Entry{Event: audit.Release})
	ok(t, err)
	heads, err := table.Heads(ctx)
	ok(t, err)
	from := heads[0]
	rows, err := table.Rows(ctx, from.Chain, from.Seq-1, 1)
	ok(t, err)
	from.Hash = rows[0].Hash
	forged := audit.Row{Chain: from.Chain, Seq: from.Seq + 1, Hash: []byte("x")}
	ok(t, table.Append(ctx, from, audit.Head{Chain: from.Chain, Seq: forged.Seq, Mark: []byte("x")}, []audit.Row{forged}))
	for range 2 {
		_, err = log.Append(audit.Entry{Event: audit.Release})
		is(t, err, audit.ErrBroken)
	}
	report, err := audit.Verify(ctx, table, AuditSeal())
	ok(t, err)
	f, bad := report.Bad()
	if !bad || f.At != forged.Ref() || ref == "" {
		t.Fatalf("%+v", report)
	}
	ok(t, log.Close())
	named, err := audit.ResealBroken(ctx, table, AuditSeal(), b.clock.Now())
	ok(t, err)
	same(t, len(named), len(report.Findings))
	report = VerifyAudit(t, b.Backend)
	same(t, report.Findings[0].Resealed, true)
}

func testAuditClients(t *testing.T, b bench) {
	log := NewLog(b.Backend, b.clock.Now)
	for _, e := range []audit.Entry{
		{Owner: alice, Client: "b"}, {Owner: alice, Client: "c"}, {Owner: alice, Client: "a"}, {Owner: alice, Client: "b"},
		{Owner: alice}, {Owner: bob, Client: "0"}, {Client: "e"},
	} {
		_, err := log.Append(e)
		ok(t, err)
	}
	ok(t, log.Close())
	for owner, want := range map[identity.Digest][]string{alice: {"a", "b", "c"}, bob: {"0"}, {9}: nil} {
		list, err := b.Audit().Clients(t.Context(), owner, 9)
		ok(t, err)
		same(t, list, want)
	}
	list, err := b.Audit().Clients(t.Context(), alice, 2)
	ok(t, err)
	same(t, list, []string{"a", "b"})
}
