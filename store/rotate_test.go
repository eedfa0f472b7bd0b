package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
)

func (w *world) keyFile() string { return filepath.Join(w.dir, "key") }

// plain is a key file without a KMS.
func plain(path string) store.KeyFile { return store.KeyFile{Path: path} }

// keys is the key file as the command line opens it.
func (w *world) keys() *store.Keys {
	w.t.Helper()
	keys, err := plain(w.keyFile()).Existing(w.t.Context())
	ok(w.t, err)
	return keys
}

// rotate adds a key and promotes it.
func (w *world) rotate() (id uint32) {
	w.t.Helper()
	id, err := plain(w.keyFile()).Add(context.Background())
	ok(w.t, err)
	ok(w.t, plain(w.keyFile()).Promote(context.Background(), id))
	return id
}

// use is how many rows each key seals.
func (w *world) use() map[uint32]int64 {
	w.t.Helper()
	use, err := store.KeyUse(w.t.Context(), w.db, w.keys())
	ok(w.t, err)
	return use
}

func (w *world) primary() uint32 {
	w.t.Helper()
	list, err := w.keys().List()
	ok(w.t, err)
	for _, k := range list {
		if k.Primary {
			return k.ID
		}
	}
	w.t.Fatal("no primary key")
	return 0
}

func TestRotationSteps(t *testing.T) {
	w := newWorld(t)
	first := w.primary()
	alice, _ := w.connect("alice")
	same(t, w.use(), map[uint32]int64{first: 2}) // the grant and what checks the keys

	second, err := plain(w.keyFile()).Add(context.Background())
	ok(t, err)
	same(t, w.primary(), first)
	bob, _ := w.connect("bob")
	same(t, w.use(), map[uint32]int64{first: 3})

	ok(t, plain(w.keyFile()).Promote(context.Background(), second))
	same(t, w.primary(), second)
	w.connect("carol") // the process has been running all the time
	same(t, w.use(), map[uint32]int64{first: 3, second: 1})
	list, err := w.keys().List()
	ok(t, err)
	same(t, list, []store.Key{{ID: first}, {ID: second, Primary: true}})

	before, _ := alice.Info(t.Context(), "github")
	result, err := store.Rewrap(t.Context(), w.db, w.keys(), nil)
	ok(t, err)
	same(t, result, store.Rewrapped{Changed: 3})
	same(t, w.use(), map[uint32]int64{second: 4})
	after, err := alice.Info(t.Context(), "github")
	ok(t, err)
	same(t, after, before)
	for _, v := range []*world{w, w.other()} {
		ok(t, v.keyring("alice").Ready(t.Context(), github))
		ok(t, v.keyring("bob").Ready(t.Context(), github))
	}
	ok(t, bob.Delete(t.Context(), "github", "id-of-bob"))
	result, err = store.Rewrap(t.Context(), w.db, w.keys(), nil)
	ok(t, err)
	same(t, result, store.Rewrapped{})
}

// Who has a copy of a key that was retired can make nothing that opens. The audit
// record that the key vouched for stays good.
func TestRetiredKey(t *testing.T) {
	w := newWorld(t)
	first := w.primary()
	w.connect("alice")
	session, err := w.vault.AEAD("session").Encrypt([]byte("alice"), nil)
	ok(t, err)
	contains(t, plain(w.keyFile()).Retire(context.Background(), first), w.keyFile(), "the primary can't")
	contains(t, plain(w.keyFile()).Retire(context.Background(), 1), w.keyFile(), "no key 1")
	second := w.rotate()
	_, err = store.Rewrap(t.Context(), w.db, w.keys(), nil)
	ok(t, err)
	_, err = w.vault.AEAD("session").Decrypt(session, nil)
	ok(t, err)

	ok(t, plain(w.keyFile()).Retire(context.Background(), first))
	list, err := w.keys().List()
	ok(t, err)
	same(t, list, []store.Key{{ID: first, Retired: true}, {ID: second, Primary: true}})
	contains(t, plain(w.keyFile()).Promote(context.Background(), first), w.keyFile(), "no key")
	w.connect("bob") // seals
	for _, v := range []*world{w, w.other()} {
		if _, err := v.vault.AEAD("session").Decrypt(session, nil); err == nil {
			t.Fatal("the retired key still opens")
		}
		ok(t, v.keyring("alice").Ready(t.Context(), github))
	}
	report, err := audit.Verify(t.Context(), w.db.Audit(), store.AuditSeal(w.keys()))
	ok(t, err)
	if f, bad := report.Bad(); bad || report.Checkpoints < 3 {
		t.Fatal(f, report)
	}
}

// Rewrapping lends no row to anybody: one that is cut, or another's, stays as it is.
func TestRewrapLeavesWhatDoesNotOpen(t *testing.T) {
	w := newWorld(t)
	w.connect("alice")
	w.connect("bob")
	row := w.row("bob")
	row.Sealed = row.Sealed[:20]
	w.put(row)
	w.connect("carol")
	swapped := w.row("carol")
	swapped.Sealed = w.row("alice").Sealed
	w.put(swapped)
	first := w.primary()
	second := w.rotate()
	result, err := store.Rewrap(t.Context(), w.db, w.keys(), nil)
	ok(t, err)
	same(t, result, store.Rewrapped{Changed: 2, Broken: 2})
	same(t, w.use(), map[uint32]int64{first: 1, second: 2, 0: 1})
	same(t, w.row("bob").Sealed, row.Sealed)
}

// A process with a copy of the keyset, as from the environment, doesn't follow: it
// serves on through the two steps where its copy has the added key.
func TestRotationWithCopies(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	copied := func() *world {
		raw, err := os.ReadFile(w.keyFile())
		ok(t, err)
		keys, err := store.KeysFromText(t.Context(), string(raw), "")
		ok(t, err)
		v := *w
		v.vault, err = store.Open(t.Context(), store.Config{
			Backend: w.db, Keys: keys, Exchange: w.provider, Issuer: w.issuer.URL, Now: w.clock.Now,
		})
		ok(t, err)
		return &v
	}
	before := copied()
	id, err := plain(w.keyFile()).Add(context.Background())
	ok(t, err)
	added := copied() // as it is restarted with, before the second step
	ok(t, plain(w.keyFile()).Promote(context.Background(), id))
	_, err = store.Rewrap(t.Context(), w.db, w.keys(), nil)
	ok(t, err)
	ok(t, alice.Ready(t.Context(), github))
	ok(t, added.keyring("alice").Ready(t.Context(), github))
	needs(t, before.keyring("alice").Ready(t.Context(), github), "can't be read") // what the first step is for

	added.connect("bob")
	result, err := store.Rewrap(t.Context(), w.db, w.keys(), nil)
	ok(t, err)
	same(t, result, store.Rewrapped{Changed: 1}) // sealed with the former key by the copy
}

// Stopped anywhere, what is done is done, everything opens, and the next rewrap does
// the rest.
func TestRewrapIsResumed(t *testing.T) {
	w := newWorld(t)
	const people = 9
	for i := range people {
		w.connect(fmt.Sprint("p", i))
	}
	first := w.primary()
	second := w.rotate()
	var changed, stops int64
	for stopAt := int64(3); ; stopAt += 3 {
		ctx, cancel := context.WithCancel(t.Context())
		result, err := store.Rewrap(ctx, w.db, w.keys(), func(done, total int64) {
			if total < people || done > total+1 {
				t.Errorf("%d of %d", done, total)
			}
			if done == stopAt {
				cancel()
			}
		})
		cancel()
		changed += result.Changed
		for i := range people {
			ok(t, w.keyring(fmt.Sprint("p", i)).Ready(t.Context(), github))
		}
		if err == nil {
			break
		}
		stops++
		is(t, err, context.Canceled)
		same(t, result.Changed, int64(3))
		same(t, w.use(), map[uint32]int64{first: people + 1 - changed, second: changed})
	}
	same(t, []int64{changed, stops}, []int64{people + 1, 2})
	same(t, w.use(), map[uint32]int64{second: people + 1})
}

// A refresh that is under way while its row is rewrapped doesn't lose.
func TestRewrapDisturbsNoRefresh(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	w.rotate()
	w.clock.Advance(2 * time.Hour)
	w.provider.during = func(context.Context) {
		result, err := store.Rewrap(t.Context(), w.db, w.keys(), nil)
		ok(t, err)
		same(t, result, store.Rewrapped{Changed: 2})
	}
	g, err := w.grant(alice)
	ok(t, err)
	same(t, g.Version, info.Version+1)
	same(t, w.provider.refreshed, 1)
	same(t, len(w.use()), 1)
}

// And a row that changes while it is rewrapped keeps the change.
func TestRewrapOverwritesNothing(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	w.rotate()
	w.clock.Advance(2 * time.Hour)
	moved := false
	result, err := store.Rewrap(t.Context(), w.db, w.keys(), func(int64, int64) {
		if !moved { // the row has been read, and is not written yet
			moved = true
			_, err := w.grant(alice)
			ok(t, err)
		}
	})
	ok(t, err)
	same(t, result, store.Rewrapped{Changed: 1}) // what checks the keys; the row it looked at again
	after, err := alice.Info(t.Context(), "github")
	ok(t, err)
	same(t, after.Version, info.Version+1)
	ok(t, alice.Ready(t.Context(), github))
}

// A running process takes nothing but its own keyset, grown.
func TestKeysFollowOnlyTheirOwn(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"another vault's": func(path string) error {
			_, err := store.KeysFromFile(path + ".other")
			return errors.Join(err, os.Rename(path+".other", path))
		},
		"missing": os.Remove,
		"damaged": func(path string) error { return os.Truncate(path, 10) },
		"loosened": func(path string) error {
			_, err := plain(path).Add(context.Background())
			return errors.Join(err, os.Chmod(path, 0o644))
		},
		"unchanged": func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first := w.primary()
			ours := w.keys()
			alice, _ := w.connect("alice")
			ok(t, spoil(w.keyFile()))
			bob, _ := w.connect("bob")
			ok(t, alice.Ready(t.Context(), github))
			ok(t, bob.Ready(t.Context(), github))
			use, err := store.KeyUse(t.Context(), w.db, ours)
			ok(t, err)
			same(t, use, map[uint32]int64{first: 3})
		})
	}
}

func TestKeyFileIsChangedWhole(t *testing.T) {
	w := newWorld(t)
	first, path := w.primary(), w.keyFile()
	before, err := os.Stat(path)
	ok(t, err)
	_, err = plain(path).Add(context.Background())
	ok(t, err)
	after, err := os.Stat(path)
	ok(t, err)
	same(t, after.Mode(), os.FileMode(0o600))
	if os.SameFile(before, after) {
		t.Fatal("written in place: a crash in between loses every key")
	}
	contains(t, plain(path).Promote(context.Background(), 1), path, "has no key 1", "latchkey keys list")
	ok(t, plain(path).Promote(context.Background(), first))
	same(t, w.primary(), first)

	ok(t, os.WriteFile(path+".new", nil, 0o600))
	_, err = plain(path).Add(context.Background())
	contains(t, err, path, "another latchkey", "remove "+path+".new")
	ok(t, os.Remove(path+".new"))
	ok(t, os.Chmod(path, 0o640))
	_, err = plain(path).Add(context.Background())
	contains(t, err, "chmod 600 "+path)
	_, err = plain(path + ".none").Add(context.Background())
	contains(t, err, "key file "+path+".none: ", "--keys-file")
	for _, file := range []string{path + ".new", path + ".none", path + ".none.new"} {
		if _, err := os.Lstat(file); !os.IsNotExist(err) {
			t.Fatalf("%s stays behind", file)
		}
	}
}

// Of those who add keys at the same time, none is lost.
func TestKeysAreAddedOneByOne(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	var added atomic.Int64
	for range 8 {
		all.Go(func() {
			if _, err := plain(w.keyFile()).Add(context.Background()); err == nil {
				added.Add(1)
			}
		})
	}
	all.Wait()
	list, err := w.keys().List()
	ok(t, err)
	same(t, int64(len(list)), 1+added.Load())
}

func TestKeysFromText(t *testing.T) {
	_, err := store.KeysFromText(t.Context(), `{"key":"`+canary+`"}`, "")
	contains(t, err, "whole content of a key file")

	w := newWorld(t)
	other := filepath.Join(t.TempDir(), "key")
	_, err = store.KeysFromFile(other)
	ok(t, err)
	raw, err := os.ReadFile(other)
	ok(t, err)
	keys, err := store.KeysFromText(t.Context(), string(raw), "")
	ok(t, err)
	_, err = store.Open(t.Context(), store.Config{Backend: w.db, Keys: keys, Exchange: w.provider, Issuer: w.issuer.URL})
	contains(t, err, "LATCHKEY_KEYS is not the one")
	_, err = store.Rewrap(t.Context(), w.db, keys, nil)
	contains(t, err, "LATCHKEY_KEYS is not the one")
}
