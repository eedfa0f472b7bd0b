package store_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

func TestKeyFileIsMadeOnFirstStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	path := filepath.Join(dir, "key")
	_, err := store.KeysFromFile(path)
	ok(t, err)
	for name, want := range map[string]os.FileMode{path: 0o600, dir: os.ModeDir | 0o700} {
		info, err := os.Stat(name)
		ok(t, err)
		same(t, info.Mode(), want)
	}
	made, err := os.ReadFile(path)
	ok(t, err)
	_, err = store.KeysFromFile(path)
	ok(t, err)
	kept, err := os.ReadFile(path)
	ok(t, err)
	if !bytes.Equal(made, kept) {
		t.Fatal("the second start changed the key file")
	}
	files, err := os.ReadDir(dir)
	ok(t, err)
	if len(files) != 1 {
		t.Fatalf("%v: a temporary file stays behind", files)
	}
}

// Many processes start at once: one key file comes of it, and all have it.
func TestKeyFileIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { _, errs[i] = store.KeysFromFile(path) })
	}
	all.Wait()
	for _, err := range errs {
		ok(t, err)
	}
}

func TestKeyFileIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(t *testing.T, path string)
		says  []string
	}{
		"readable by the group": {func(t *testing.T, path string) { ok(t, os.Chmod(path, 0o640)) }, []string{"chmod 600 "}},
		"readable by all":       {func(t *testing.T, path string) { ok(t, os.Chmod(path, 0o604)) }, []string{"chmod 600 "}},
		"writable by the group": {func(t *testing.T, path string) { ok(t, os.Chmod(path, 0o620)) }, []string{"chmod 600 "}},
		"a link": {func(t *testing.T, path string) {
			ok(t, os.Rename(path, path+".real"))
			ok(t, os.Symlink(path+".real", path))
		}, []string{"not a regular file"}},
		"a dangling link": {func(t *testing.T, path string) {
			ok(t, os.Remove(path))
			ok(t, os.Symlink(path+".real", path))
		}, []string{"not a regular file"}},
		"a directory": {func(t *testing.T, path string) {
			ok(t, os.Remove(path))
			ok(t, os.Mkdir(path, 0o700))
		}, []string{"not a regular file"}},
		"damaged": {func(t *testing.T, path string) { ok(t, os.Truncate(path, 40)) }, []string{"damaged", "backup"}},
		"empty":   {func(t *testing.T, path string) { ok(t, os.Truncate(path, 0)) }, []string{"damaged", "backup"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			_, err := store.KeysFromFile(path)
			ok(t, err)
			test.spoil(t, path)
			_, err = store.KeysFromFile(path)
			contains(t, err, append(test.says, path)...)
		})
	}
}

func TestKeyFileInAPlaceThatCanNotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	_, err := store.KeysFromFile(filepath.Join(file, "key"))
	contains(t, err, file)
}

// open opens the vault in dir as a start of the program does.
func open(t *testing.T, dir, issuer string) error {
	t.Helper()
	keys, err := store.KeysFromFile(filepath.Join(dir, "key"))
	ok(t, err)
	db, err := sqlite.Open(t.Context(), dir, nil)
	ok(t, err)
	defer db.Close()
	_, err = store.Open(context.Background(), store.Config{
		Backend: db, Keys: keys, Exchange: newProvider(nil), Issuer: issuer,
	})
	return err
}

// A vault whose key is missing must not quietly begin anew: every grant in it
// would be lost.
func TestVaultWantsItsOwnKey(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	key := filepath.Join(w.dir, "key")
	ok(t, os.Rename(key, key+".away"))
	for range 2 {
		contains(t, open(t, w.dir, w.issuer.URL), "key file "+key+" is missing", "restore it from a backup")
		if _, err := os.Lstat(key); !os.IsNotExist(err) {
			t.Fatal("a new key file stands in the place of the missing one")
		}
	}
	_, err := store.KeysFromFile(key) // somebody else's
	ok(t, err)
	contains(t, open(t, w.dir, w.issuer.URL), "key file "+key+" is not the one")
	if _, err := os.Lstat(key); err != nil {
		t.Fatal("a key file that was there was removed")
	}
	ok(t, os.Rename(key+".away", key))
	ok(t, open(t, w.dir, w.issuer.URL))
	again := w.other()
	ok(t, again.keyring("alice").Ready(t.Context(), github))
	ok(t, alice.Ready(t.Context(), github))
}

func TestVaultKeepsItsIssuer(t *testing.T) {
	w := newWorld(t)
	err := open(t, w.dir, "https://other.example")
	contains(t, err, "belongs to issuer "+w.issuer.URL, "https://other.example is configured", "start with an empty")
	ok(t, open(t, w.dir, w.issuer.URL))
}

func TestVaultNeedsItsParts(t *testing.T) {
	_, err := store.Open(t.Context(), store.Config{Issuer: "https://one.example"})
	contains(t, err, "a vault needs")
}

func TestAEAD(t *testing.T) {
	w := newWorld(t)
	sealed, err := w.vault.AEAD("session").Encrypt([]byte(canary), []byte("data"))
	ok(t, err)
	if strings.Contains(string(sealed), canary) {
		t.Fatal("in clear")
	}
	opened, err := w.other().vault.AEAD("session").Decrypt(sealed, []byte("data"))
	ok(t, err)
	same(t, string(opened), canary)
	for _, other := range []struct{ purpose, data string }{
		{"cookie", "data"}, {"session", "dat"}, {"session", ""}, {"sessiond", "ata"}, {"sessio", "ndata"}, {"", "sessiondata"},
	} {
		if _, err := w.vault.AEAD(other.purpose).Decrypt(sealed, []byte(other.data)); err == nil {
			t.Errorf("opens as %+v", other)
		}
	}
}

func TestSweep(t *testing.T) {
	w := newWorld(t)
	table := store.NewTable[string](w.vault, "ticket")
	ok(t, table.Put(t.Context(), "a", owner(w, "alice"), time.Minute, "short"))
	ok(t, table.Put(t.Context(), "b", owner(w, "alice"), 0, "lasting"))
	w.clock.Advance(time.Minute)
	n, err := w.vault.Sweep(t.Context())
	ok(t, err)
	same(t, n, int64(1))
}

func TestMakeDir(t *testing.T) {
	top := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(top, "file"), nil, 0o600))
	ok(t, os.Symlink(top, filepath.Join(top, "link")))
	for _, name := range []string{"a/b/c", "a/b", "link/d", ".", "a/../e/f/"} {
		path := top + "/" + name
		ok(t, store.MakeDir(path))
		info, err := os.Stat(path)
		ok(t, err)
		if !info.IsDir() || name != "." && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	for _, name := range []string{"file", "file/a"} {
		is(t, store.MakeDir(top+"/"+name), syscall.ENOTDIR)
	}
	t.Chdir(top)
	ok(t, store.MakeDir("g/h"))
}
