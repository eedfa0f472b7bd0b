package store_test

import (
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

const putBack = "is an old copy that was put back"

// restore writes row as it was, over what is there, without touching its mark.
func (w *world) restore(row store.Row) {
	w.t.Helper()
	w.sql("INSERT OR REPLACE INTO grants (owner, provider, account, version, sealed, updated) VALUES (?, ?, ?, ?, ?, ?)",
		row.Owner[:], row.Provider, row.Account, row.Version, row.Sealed, row.Updated.UnixMicro())
}

func (w *world) row(subject string) store.Row {
	w.t.Helper()
	row, err := w.db.Grants().Get(w.t.Context(), owner(w, subject), "github", "id-of-"+subject)
	ok(w.t, err)
	return row
}

// An old row is as good as ever for who holds its keys; it is its mark that gives it
// away, whether a rotation or a disconnect came after it.
func TestRestoredRowsAreNoticed(t *testing.T) {
	for name, after := range map[string]func(w *world, alice store.Keyring){
		"rotated": func(w *world, alice store.Keyring) {
			w.clock.Advance(2 * time.Hour)
			_, err := w.grant(alice)
			ok(w.t, err)
		},
		"disconnected": func(w *world, alice store.Keyring) { ok(w.t, alice.Delete(w.t.Context(), "github", "id-of-alice")) },
		"connected anew": func(w *world, alice store.Keyring) {
			ok(w.t, alice.Delete(w.t.Context(), "github", "id-of-alice"))
			w.connect("alice")
		},
		"its mark was removed": func(w *world, _ store.Keyring) { w.sql("DELETE FROM marks") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, _ := w.connect("alice")
			old := w.row("alice")
			after(w, alice)
			if name != "its mark was removed" {
				w.restore(old)
			}
			refreshed := w.provider.refreshed
			needs(t, alice.Ready(t.Context(), github), putBack)
			_, err := w.grant(alice)
			needs(t, err, putBack)
			same(t, w.provider.refreshed, refreshed)
			info, err := alice.Info(t.Context(), "github")
			ok(t, err)
			same(t, info.Broken, "the stored connection "+putBack)

			c := w.connection("alice", w.provider.issue())
			c.IfVersion = info.Version
			_, err = alice.Put(t.Context(), c) // no dead end
			ok(t, err)
			ok(t, alice.Ready(t.Context(), github))
		})
	}
}

// A restored row can be removed, and is noticed again afterwards.
func TestRestoredRowCanBeRemoved(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	old := w.row("alice")
	ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
	for range 2 {
		w.restore(old)
		needs(t, alice.Ready(t.Context(), github), putBack)
		if err := alice.Delete(t.Context(), "github", "id-of-alice"); err == nil {
			t.Fatal("claims to have revoked what it doesn't trust")
		}
		needs(t, alice.Ready(t.Context(), github), "not connected yet")
	}
}

// Versions go on after a disconnect.
func TestVersionsGoOn(t *testing.T) {
	w := newWorld(t)
	alice, first := w.connect("alice")
	ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
	_, second := w.connect("alice")
	if second.Version <= first.Version+1 {
		t.Fatalf("version %d after %d and a disconnect", second.Version, first.Version)
	}
}
