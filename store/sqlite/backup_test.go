package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

// vaultIn makes what Backup takes for a vault.
func vaultIn(t *testing.T, dir string) *sqlite.DB {
	t.Helper()
	db := open(t, dir)
	write(t, db)
	if _, err := db.Fix(t.Context(), "issuer", "https://issuer.example"); err != nil {
		t.Fatal(err)
	}
	return db
}

func wants(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("error %v, want one line with %q", err, part)
		}
	}
}

// names are the files in dir.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		list = append(list, f.Name())
	}
	return list
}

// A backup that is taken while rows are written is the vault of one moment: rows are
// written in twos, and it never has one without the other.
func TestBackupWhileWriting(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	db := vaultIn(t, dir)
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for v := int64(1); ; v++ {
			select {
			case <-done:
				return
			default:
			}
			for _, provider := range []string{"first", "second"} {
				row := store.Row{Owner: identity.Digest{2}, Provider: provider, Version: v, Sealed: []byte("sealed")}
				if err := db.Grants().Put(t.Context(), row, v-1); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for _, name := range []string{"a", "b", "c"} {
		if err := sqlite.Backup(t.Context(), dir, filepath.Join(out, name)); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	writer.Wait()
	if diff := cmp.Diff([]string{"a", "b", "c"}, names(t, out)); diff != "" {
		t.Fatal(diff)
	}
	for _, name := range names(t, out) {
		file, again := filepath.Join(out, name), filepath.Join(t.TempDir(), "new")
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Fatalf("mode %v, error %v", info.Mode(), err)
		}
		if err := os.Mkdir(again, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := sqlite.Restore(t.Context(), again, file, time.Now()); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(again, sqlite.File)); err != nil || info.Mode() != 0o600 {
			t.Fatalf("mode %v, error %v", info.Mode(), err)
		}
		restored := open(t, again)
		first, _ := restored.Grants().Get(t.Context(), identity.Digest{2}, "first", "")
		second, _ := restored.Grants().Get(t.Context(), identity.Digest{2}, "second", "")
		if first.Version-second.Version > 1 || first.Version < second.Version || first.Mark != first.Version {
			t.Fatalf("versions %d and %d, mark %d", first.Version, second.Version, first.Mark)
		}
		kept, err := restored.Grants().Get(t.Context(), alice, "github", "")
		if err != nil || !bytes.Equal(kept.Sealed, []byte("sealed")) {
			t.Fatal(kept, err)
		}
		if entries, err := restored.AuditEntries(t.Context(), alice); err != nil || len(entries) != 1 {
			t.Fatal(entries, err)
		}
	}
}

// Paths are paths, relative ones and those that look like a URL too.
func TestBackupPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := vaultIn(t, "data?x").Close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"backup", "file:a?mode=memory", "a'b"} {
		if err := sqlite.Backup(t.Context(), "data?x", file); err != nil {
			t.Fatal(err)
		}
		to := t.TempDir()
		if err := sqlite.Restore(t.Context(), to, file, time.Now()); err != nil || !sqlite.Exists(to) {
			t.Fatal(err)
		}
	}
}

func TestBackupRefuses(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	vaultIn(t, dir)
	file := filepath.Join(out, "backup")
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := sqlite.Backup(t.Context(), dir, file)
	if !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	wants(t, err, file, "choose another name")
	if text, _ := os.ReadFile(file); string(text) != "mine" {
		t.Fatal("it was overwritten")
	}
	wants(t, sqlite.Backup(t.Context(), filepath.Join(dir, "none"), filepath.Join(out, "other")), sqlite.File)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sqlite.Backup(cancelled, dir, filepath.Join(out, "late")); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"backup"}, names(t, out)); diff != "" {
		t.Fatal("something stays behind", diff)
	}
}

func TestRestoreRefuses(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	vaultIn(t, dir)
	good := filepath.Join(out, "good")
	if err := sqlite.Backup(t.Context(), dir, good); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(raw)
	for i := len(raw) / 2; i < len(raw)/2+8192; i++ {
		flipped[i] ^= 0xff
	}
	other := open(t, filepath.Join(out, "otherdir"))
	write(t, other)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	noVault, err := os.ReadFile(filepath.Join(out, "otherdir", sqlite.File))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		content []byte
		says    string
	}{
		"truncated": {raw[:len(raw)/2], "damaged"},
		"flipped":   {flipped, "damaged"},
		"text":      {[]byte("not a database at all"), "damaged"},
		"empty":     {nil, "no vault"},
		"no vault":  {noVault, "no vault"},
	} {
		file, to := filepath.Join(out, name), t.TempDir()
		if err := os.WriteFile(file, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		wants(t, sqlite.Restore(t.Context(), to, file, time.Now()), file, test.says, "nothing was restored")
		if left := names(t, to); len(left) != 0 {
			t.Fatalf("%s: %v stays behind", name, left)
		}
	}
	for _, name := range []string{sqlite.File, sqlite.File + "-wal", sqlite.File + "-shm", sqlite.File + "-journal"} {
		to := t.TempDir()
		if err := os.WriteFile(filepath.Join(to, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wants(t, sqlite.Restore(t.Context(), to, good, time.Now()), filepath.Join(to, name), "move it away", "--data")
	}
	wants(t, sqlite.Restore(t.Context(), t.TempDir(), filepath.Join(out, "missing"), time.Now()), "missing")
}

// A backup of a later version is refused before it is in place.
func TestRestoreOfALaterVersion(t *testing.T) {
	dir, file, to := t.TempDir(), filepath.Join(t.TempDir(), "backup"), t.TempDir()
	vaultIn(t, dir)
	if err := sqlite.Backup(t.Context(), dir, file); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	wants(t, sqlite.Restore(t.Context(), to, file, time.Now()), file, "use a newer Latchkey")
	if left := names(t, to); len(left) != 0 {
		t.Fatalf("%v stays behind", left)
	}
}
