package sqlite_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
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

// write writes something of everything.
func write(t *testing.T, db *sqlite.DB) {
	t.Helper()
	err := errors.Join(
		db.Grants().Put(t.Context(), store.Row{Owner: alice, Provider: "github", Version: 1, Sealed: []byte("sealed")}, 0),
		put(storetest.NewLog(db, nil), audit.Entry{Event: audit.Connect, Owner: alice}))
	if err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	write(t, open(t, dir))
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		files++
		return nil
	})
	if err != nil || files != 5 { // the directory, the database, its log, its index, the reserve
		t.Fatalf("%d files, error %v", files, err)
	}
}

// A path is a path, whatever it looks like in a URL.
func TestPaths(t *testing.T) {
	for _, name := range []string{"with space", "what?mode=memory", "100%41", "a#b", "a&_pragma=synchronous(OFF)", "ünï", "a:b", "-x"} {
		dir := filepath.Join(t.TempDir(), name)
		write(t, open(t, dir))
		if _, err := os.Stat(filepath.Join(dir, sqlite.File)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Chdir(t.TempDir())
	write(t, open(t, "relative"))
	if _, err := os.Stat(filepath.Join("relative", sqlite.File)); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(dir string) error
		says  string
	}{
		"a file in the directory's place": {func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "it can't be opened: not a directory"},
		"a directory in the file's place": {func(dir string) error { return os.MkdirAll(filepath.Join(dir, sqlite.File), 0o700) }, "it can't be opened: is a directory"},
		"not a database": {func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700),
				os.WriteFile(filepath.Join(dir, sqlite.File), bytes.Repeat([]byte("x"), 9000), 0o600))
		}, "it is damaged: restore it from a backup"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := test.spoil(dir); err != nil {
			t.Fatal(err)
		}
		db, err := sqlite.Open(t.Context(), dir, nil)
		if err == nil || db != nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), dir) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Many processes make one database at the same time.
func TestOpenTogether(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		all.Go(func() {
			db, err := sqlite.Open(t.Context(), dir, nil)
			if err == nil {
				err = errors.Join(put(storetest.NewLog(db, nil), audit.Entry{Owner: alice}), db.Close())
			}
			errs[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if list, err := open(t, dir).AuditEntries(t.Context(), alice); err != nil || len(list) != len(errs) {
		t.Fatalf("%d entries, error %v", len(list), err)
	}
}

const crashDir = "LATCHKEY_TEST_CRASH_DIR"

// What was acknowledged survives processes that are killed in the middle of their
// work, and the record has no fault. The processes are this test again.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		appendForEver(t, dir)
		return
	}
	dir := t.TempDir()
	acknowledged := make([]int, 2)
	var all sync.WaitGroup
	for i := range acknowledged {
		all.Go(func() { acknowledged[i] = killAfter(t, dir, 50+20*i) })
	}
	all.Wait()
	db := open(t, dir)
	list, err := db.AuditEntries(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	if acknowledged[0] < 50 || acknowledged[1] < 70 || len(list) < acknowledged[0]+acknowledged[1] {
		t.Fatalf("%d of %d acknowledged entries are left", len(list), acknowledged)
	}
	storetest.VerifyAudit(t, db)
	if err := put(storetest.NewLog(db, nil), audit.Entry{Owner: alice}); err != nil {
		t.Fatal(err)
	}
	storetest.VerifyAudit(t, db)
}

// killAfter kills a process that appends once it has acknowledged n entries.
func killAfter(t *testing.T, dir string, n int) (acknowledged int) {
	self := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	self.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := self.StdoutPipe()
	if err == nil {
		err = self.Start()
	}
	if err != nil {
		t.Error(err)
		return 0
	}
	for lines := bufio.NewScanner(out); acknowledged < n && lines.Scan(); {
		acknowledged++
	}
	if err := self.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = self.Wait()
	return acknowledged
}

func appendForEver(t *testing.T, dir string) {
	db := open(t, dir)
	log := storetest.NewLog(db, nil)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if err := put(log, audit.Entry{Owner: alice}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("done")
	}
}
