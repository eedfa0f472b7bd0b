package store_test

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
)

// A broken record stops releases, connects and refreshes, at once where a look
// finds it and after a restart, and says what to do. Disconnecting works.
func TestBrokenRecord(t *testing.T) {
	for name, test := range map[string]struct {
		breaks  string
		restart bool
	}{
		"found by a look":    {"UPDATE audit SET tool = 'other' WHERE event = 'connect'", false},
		"found by a restart": {"DELETE FROM audit WHERE event = 'connect'", true},
		"found by an append": {"DELETE FROM audit WHERE event = 'connect'", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, _ := w.connect("alice")
			w.sql(test.breaks)
			if name == "found by a look" {
				w.vault.CheckAudit(t.Context())
			}
			if test.restart {
				w = w.other()
				alice = w.keyring("alice")
			}
			for range 2 {
				grant, err := alice.Grant(t.Context(), store.Call{Need: github})
				is(t, err, audit.ErrBroken)
				contains(t, err, "no credential is released", "latchkey audit verify", "latchkey audit reseal")
				if !grant.Access.IsZero() {
					t.Fatal("a secret came with the error")
				}
			}
			_, err := w.keyring("bob").Put(t.Context(), w.connection("bob", w.provider.issue()))
			is(t, err, audit.ErrBroken)
			ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
			same(t, len(w.provider.revoked), 1)
			needs(t, alice.Ready(t.Context(), github), "not connected yet")
		})
	}
}

// An operator hears at the start that the record is broken.
func TestBrokenRecordIsLogged(t *testing.T) {
	w := newWorld(t)
	w.connect("alice")
	w.sql("DELETE FROM audit_heads")
	var log bytes.Buffer
	keys, err := store.KeysFromFile(filepath.Join(w.dir, "key"))
	ok(t, err)
	_, err = store.Open(t.Context(), store.Config{
		Backend: w.db, Keys: keys, Exchange: w.provider, Issuer: w.issuer.URL, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	ok(t, err)
	if !strings.Contains(log.String(), "latchkey audit reseal") {
		t.Fatalf("log %q", log.String())
	}
}

// The outcome is an entry of its own, about the release; a clean stop ends the
// chain, and all of it is in order.
func TestOutcome(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	grant, err := alice.Grant(t.Context(), store.Call{Need: github, Tool: "tool"})
	ok(t, err)
	alice.Outcome(grant, "answered 200")
	ok(t, w.vault.Close())
	w = w.other()
	rows, err := audit.NewTail(w.db.Audit()).Next(t.Context(), 100)
	ok(t, err)
	var release, outcome audit.Row
	events := map[audit.Event]int{}
	for _, r := range rows {
		events[r.Event]++
		switch r.Event {
		case audit.Release:
			release = r
		case audit.Outcome:
			outcome = r
		}
	}
	same(t, events, map[audit.Event]int{
		audit.Start: 2, audit.Connect: 1, audit.Release: 1, audit.Outcome: 1, audit.Stop: 1,
	})
	same(t, outcome.Of, release.Ref())
	same(t, outcome.Reason, "answered 200")
	same(t, outcome.Owner, release.Owner)

	keys, err := store.KeysFromFile(filepath.Join(w.dir, "key"))
	ok(t, err)
	report, err := audit.Verify(t.Context(), w.db.Audit(), store.AuditSeal(keys))
	ok(t, err)
	if f, bad := report.Bad(); bad {
		t.Fatal(f)
	}
	other, err := store.KeysFromFile(filepath.Join(t.TempDir(), "key"))
	ok(t, err)
	report, err = audit.Verify(t.Context(), w.db.Audit(), store.AuditSeal(other))
	ok(t, err)
	if _, bad := report.Bad(); !bad || report.Checkpoints != 0 {
		t.Fatal("other keys made these checkpoints too")
	}
	if err := store.CheckKeys(t.Context(), w.db, other); err == nil || errors.Is(err, audit.ErrBroken) {
		t.Fatalf("error %v", err)
	}
}
