package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

// backedUp is this world's vault as a backup has it, restored elsewhere once after ran.
func (w *world) backedUp(after func()) *world {
	w.t.Helper()
	next, file := *w, filepath.Join(w.t.TempDir(), "backup")
	next.dir = w.t.TempDir()
	ok(w.t, sqlite.Backup(w.t.Context(), w.dir, file))
	after()
	w.clock.Advance(time.Minute)
	ok(w.t, sqlite.Restore(w.t.Context(), next.dir, file, w.clock.Now()))
	ok(w.t, os.Link(w.keyFile(), next.keyFile()))
	return next.other()
}

// A restored vault says which grants may be burnt, uses them all the same, and asks to
// connect again only where the provider refuses.
func TestRestoredFromABackup(t *testing.T) {
	w := newWorld(t)
	w.connect("alice")
	w.connect("bob")
	r := w.backedUp(func() {
		w.clock.Advance(2 * time.Hour)
		_, err := w.grant(w.keyring("alice"))
		ok(t, err)
	})
	for _, who := range []string{"alice", "bob"} {
		info, err := r.keyring(who).Info(t.Context(), "github")
		ok(t, err)
		same(t, info.Restored, true)
		ok(t, r.keyring(who).Ready(t.Context(), github))
	}
	count, err := store.CountGrants(t.Context(), r.db)
	ok(t, err)
	same(t, count, map[string]int64{"github": 2})

	_, err = r.grant(r.keyring("alice"))
	needs(t, err, "the provider revoked it; this server was restored from a backup")
	_, err = r.grant(r.keyring("bob"))
	ok(t, err)
	for _, who := range []string{"alice", "bob"} {
		info, err := r.keyring(who).Info(t.Context(), "github")
		ok(t, err)
		same(t, info.Restored, false) // one is known to be dead, the other to live
	}
	info, err := w.keyring("bob").Info(t.Context(), "github")
	ok(t, err)
	same(t, info.Restored, false) // it never was
}
