//go:build hcvault

package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// A kmsWorld is a world whose key file the KMS encrypts.
type kmsWorld struct {
	*world
	kms  *storetest.Transit
	file store.KeyFile
	log  *lines
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newKMSWorld(t *testing.T) *kmsWorld {
	t.Helper()
	clock := storetest.NewClock()
	w := &kmsWorld{
		world: &world{t: t, clock: clock, issuer: storetest.NewIssuer(t, clock.Now), dir: t.TempDir(), provider: newProvider(clock.Now)},
		kms:   storetest.NewTransit(t),
	}
	w.file = store.KeyFile{Path: w.keyFile(), KMS: w.kms.URI("one")}
	return w.start()
}

// start is another process on the same data.
func (w *kmsWorld) start() *kmsWorld {
	w.t.Helper()
	next := *w
	inner := *w.world
	next.world, next.log = &inner, &lines{}
	keys, err := w.file.Keys(w.t.Context())
	ok(w.t, err)
	next.db, err = sqlite.Open(w.t.Context(), w.dir, w.clock.Now)
	ok(w.t, err)
	next.vault, err = store.Open(w.t.Context(), store.Config{
		Backend: next.db, Keys: keys, Exchange: w.provider, Issuer: w.issuer.URL, Now: w.clock.Now,
		Log: slog.New(slog.NewTextHandler(next.log, nil)),
	})
	ok(w.t, err)
	w.t.Cleanup(func() { next.vault.Close() })
	return &next
}

// quiet fails where the KMS was asked anything.
func (w *kmsWorld) quiet() {
	w.t.Helper()
	if asked := w.kms.Asked(); len(asked) > 0 {
		w.t.Fatalf("the KMS was asked %q", asked)
	}
}

// rotate adds a key and promotes it.
func (w *kmsWorld) rotate() (id uint32) {
	w.t.Helper()
	id, err := w.file.Add(w.t.Context())
	ok(w.t, err)
	ok(w.t, w.file.Promote(w.t.Context(), id))
	return id
}

// rewrap and use are what the command line does.
func (w *kmsWorld) rewrap() store.Rewrapped {
	w.t.Helper()
	keys, err := w.file.Existing(w.t.Context())
	ok(w.t, err)
	result, err := store.Rewrap(w.t.Context(), w.db, keys, nil)
	ok(w.t, err)
	return result
}

func (w *kmsWorld) use() map[uint32]int64 {
	w.t.Helper()
	keys, err := w.file.Existing(w.t.Context())
	ok(w.t, err)
	use, err := store.KeyUse(w.t.Context(), w.db, keys)
	ok(w.t, err)
	return use
}

// hidden fails where text has the token.
func (w *kmsWorld) hidden(text string) {
	w.t.Helper()
	if strings.Contains(text, w.kms.Token) {
		w.t.Fatalf("the token is in %q", text)
	}
}

// The keyset is made encrypted, unwrapped once at each start, and never for a call.
func TestKMSFirstStartAndRestart(t *testing.T) {
	w := newKMSWorld(t)
	same(t, w.kms.Asked(), []string{"encrypt one", "decrypt one", "decrypt one"}) // made, tried, read
	raw, err := os.ReadFile(w.file.Path)
	ok(t, err)
	if bytes.Contains(raw, []byte(`"value"`)) || !bytes.Contains(raw, []byte("encryptedKeyset")) {
		t.Fatalf("not encrypted: %s", raw)
	}
	info, err := os.Stat(w.file.Path)
	ok(t, err)
	same(t, info.Mode(), os.FileMode(0o600))
	files, err := filepath.Glob(filepath.Join(w.dir, ".key*"))
	ok(t, err)
	same(t, len(files), 0)

	alice, _ := w.connect("alice")
	for range 20 {
		_, err := w.grant(alice)
		ok(t, err)
	}
	w.quiet()
	again := w.start()
	same(t, w.kms.Asked(), []string{"decrypt one"})
	ok(t, again.keyring("alice").Ready(t.Context(), github))
	again.connect("bob")
	w.quiet()
}

func TestKMSText(t *testing.T) {
	w := newKMSWorld(t)
	w.connect("alice")
	raw, err := os.ReadFile(w.file.Path)
	ok(t, err)
	w.kms.Asked()
	keys, err := store.KeysFromText(t.Context(), string(raw), w.file.KMS)
	ok(t, err)
	same(t, w.kms.Asked(), []string{"decrypt one"})
	use, err := store.KeyUse(t.Context(), w.db, keys)
	ok(t, err)
	same(t, len(use), 1)
	_, err = store.KeysFromText(t.Context(), string(raw), w.kms.URI("two"))
	contains(t, err, "the keyset in LATCHKEY_KEYS: the KMS key ", "encrypted by another key")
}

// Whatever goes wrong at the start is an error that says what to do, in bounded time,
// and quotes neither the KMS nor the token.
func TestKMSFailsAtStart(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(t *testing.T, w *kmsWorld)
		says  string
	}{
		"down":          {func(_ *testing.T, w *kmsWorld) { w.kms.Trouble("down") }, "check the credentials (VAULT_TOKEN"},
		"silent":        {func(_ *testing.T, w *kmsWorld) { w.kms.Trouble("silent") }, "no answer within 300ms"},
		"sealed":        {func(_ *testing.T, w *kmsWorld) { w.kms.Trouble("sealed") }, "Vault is sealed or in maintenance (503)"},
		"nonsense":      {func(_ *testing.T, w *kmsWorld) { w.kms.Trouble("odd") }, "no answer that makes sense"},
		"another token": {func(t *testing.T, w *kmsWorld) { t.Setenv("VAULT_TOKEN", "hvs."+canary) }, "Vault refused the token (403): check VAULT_TOKEN"},
		"no token":      {func(t *testing.T, w *kmsWorld) { t.Setenv("VAULT_TOKEN", "") }, "VAULT_TOKEN is not set"},
		"no CA":         {func(t *testing.T, w *kmsWorld) { t.Setenv("VAULT_CACERT", "") }, "its certificate isn't good: x509: "},
		"a missing CA":  {func(t *testing.T, w *kmsWorld) { t.Setenv("VAULT_CACERT", "/none") }, "see to VAULT_CACERT"},
		"no checks":     {func(t *testing.T, w *kmsWorld) { t.Setenv("VAULT_SKIP_VERIFY", "true") }, "VAULT_SKIP_VERIFY is set"},
		"another key":   {func(_ *testing.T, w *kmsWorld) { w.file.KMS = w.kms.URI("two") }, "encrypted by another key"},
		"no such key":   {func(_ *testing.T, w *kmsWorld) { w.file.KMS = w.kms.URI("three") }, "there is no such key"},
		"another mount": {func(_ *testing.T, w *kmsWorld) {
			w.file.KMS = strings.Replace(w.file.KMS, "/transit/", "/kv/", 1)
		}, "Vault has no such path (404)"},
		"not a path":        {func(_ *testing.T, w *kmsWorld) { w.file.KMS = strings.Replace(w.file.KMS, "/keys/", "/", 1) }, "its path must be /MOUNT/keys/NAME"},
		"another namespace": {func(t *testing.T, w *kmsWorld) { t.Setenv("VAULT_NAMESPACE", "team") }, "404"},
		"nobody there":      {func(_ *testing.T, w *kmsWorld) { w.file.KMS = aKMS }, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(store.SetKMSTimeout(300 * time.Millisecond))
			w := newKMSWorld(t)
			test.spoil(t, w)
			began := time.Now()
			_, err := w.file.Keys(t.Context())
			contains(t, err, "key file "+w.file.Path+": the KMS key "+w.file.KMS+" can't be used: ", test.says)
			w.hidden(err.Error())
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if name == "another key" || name == "not a path" {
				return // it can't make one either, or makes another
			}
			w.file.Path += ".none"
			_, err = w.file.Keys(t.Context())
			contains(t, err, test.says[:min(len(test.says), 12)])
			if _, err := os.Lstat(w.file.Path); !os.IsNotExist(err) {
				t.Error("a key file was made")
			}
		})
	}
}

func TestKMSStopsWithTheStart(t *testing.T) {
	w := newKMSWorld(t)
	w.kms.Trouble("silent")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := w.file.Keys(ctx)
	contains(t, err, "can't be used")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestKMSNamespace(t *testing.T) {
	w := newKMSWorld(t)
	w.kms.Namespace("team")
	_, err := w.file.Keys(t.Context())
	contains(t, err, "404")
	t.Setenv("VAULT_NAMESPACE", "team")
	_, err = w.file.Keys(t.Context())
	ok(t, err)
}

// VAULT_ADDR and an agent's address don't lead elsewhere than the URI says.
func TestKMSIsWhereItsURISays(t *testing.T) {
	w := newKMSWorld(t)
	t.Setenv("VAULT_ADDR", "https://127.0.0.1:1")
	t.Setenv("VAULT_AGENT_ADDR", "http://127.0.0.1:1")
	_, err := w.file.Keys(t.Context())
	ok(t, err)
}

// Running processes follow each step; nobody notices, and each change costs each of
// them one unwrapping.
func TestKMSRotation(t *testing.T) {
	w := newKMSWorld(t)
	other := w.start()
	alice, _ := w.connect("alice")
	first := w.rotate()
	w.connect("bob")
	w.kms.Asked()
	ok(t, other.keyring("bob").Ready(t.Context(), github)) // of a key that it hasn't met
	same(t, w.kms.Asked(), []string{"decrypt one"})
	for range 20 {
		_, err := w.grant(alice)
		ok(t, err)
	}
	w.quiet()
	same(t, w.rewrap().Broken, int64(0))
	same(t, w.use(), map[uint32]int64{first: 3})
	second := w.rotate()
	w.rewrap()
	ok(t, w.file.Retire(t.Context(), first))
	_, err := other.grant(other.keyring("alice"))
	ok(t, err)
	w.connect("carol")
	same(t, w.use(), map[uint32]int64{second: 4})
	for _, v := range []*kmsWorld{w, other} {
		v.hidden(v.log.String())
		if strings.Contains(v.log.String(), "level=ERROR") || !strings.Contains(v.log.String(), "following the changed key file") {
			t.Error(v.log)
		}
	}
}

// The KMS is down while the key file changes: processes serve on with what they know,
// say so once, ask it rarely, and follow when it is back.
func TestKMSDownLater(t *testing.T) {
	w := newKMSWorld(t)
	before := w.use()
	alice, _ := w.connect("alice")
	second := w.rotate()
	w.kms.Trouble("down")
	w.kms.Asked()
	for i := range 10 {
		w.connect(fmt.Sprint("p", i))
		_, err := w.grant(alice)
		ok(t, err)
	}
	same(t, w.kms.Asked(), []string{"decrypt one"})
	w.clock.Advance(time.Minute) // the next try is due, and nobody waits for it
	ok(t, alice.Ready(t.Context(), github))
	w.connect("bob")
	var asked []string
	eventually(t, func() bool { asked = append(asked, w.kms.Asked()...); return len(asked) > 0 })
	same(t, asked, []string{"decrypt one"})
	same(t, strings.Count(w.log.String(), "level=ERROR"), 1)
	contains(t, errors.New(strings.TrimSpace(w.log.String())), "going on with the former keys", w.file.Path, "can't be used")
	w.hidden(w.log.String())

	w.kms.Trouble("")
	w.clock.Advance(time.Minute)
	n := 0
	eventually(t, func() bool {
		n++
		w.connect(fmt.Sprint("carol", n))
		return w.use()[second] > 0
	})
	for first := range before {
		if w.use()[first] < 12 {
			t.Error("not sealed with the former key meanwhile: ", w.use())
		}
	}
	same(t, strings.Count(w.log.String(), "level=ERROR"), 1)
}

// A KMS that hangs costs who seals a bounded time, once.
func TestKMSHangsLater(t *testing.T) {
	w := newKMSWorld(t)
	w.rotate()
	w.kms.Trouble("silent")
	began := time.Now()
	for i := range 5 {
		w.connect(fmt.Sprint("p", i))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

// What another process has sealed with a key that this one can't get at is not lost:
// nobody is asked to connect again, and it opens when the KMS is back.
func TestKMSDownIsNoReasonToReconnect(t *testing.T) {
	w := newKMSWorld(t)
	other := w.start()
	w.connect("alice")
	w.rotate()
	w.rewrap()
	w.kms.Trouble("down")
	alice := other.keyring("alice")
	err := alice.Ready(t.Context(), github)
	contains(t, err, "its KMS hasn't opened it yet", "try again")
	var needs *store.NeedsConnect
	if errors.As(err, &needs) {
		t.Fatal("asked to connect again")
	}
	info, err := alice.Info(t.Context(), "github")
	ok(t, err)
	contains(t, errors.New(info.Broken), "can't be read at the moment")
	w.kms.Trouble("")
	w.clock.Advance(time.Minute)
	eventually(t, func() bool { return alice.Ready(t.Context(), github) == nil })
}

// What another process has recorded under a key that this one can't get at is not
// taken for a broken record: releases go on, and the check says why it can't tell.
func TestKMSDownDoesNotBreakTheRecord(t *testing.T) {
	w := newKMSWorld(t)
	other := w.start()
	other.connect("bob")
	w.rotate()
	alice, _ := w.connect("alice") // recorded by w under the new key
	_, err := w.grant(alice)
	ok(t, err)
	w.kms.Trouble("down")
	other.vault.CheckAudit(t.Context())
	if !strings.Contains(other.log.String(), "not all of the record can be checked") {
		t.Error(other.log.String())
	}
	_, err = other.grant(other.keyring("bob"))
	ok(t, err)
	w.kms.Trouble("")
	w.clock.Advance(time.Minute)
	eventually(t, func() bool { return other.keyring("alice").Ready(t.Context(), github) == nil })
	before := other.log.String()
	other.vault.CheckAudit(t.Context())
	if said := strings.TrimPrefix(other.log.String(), before); strings.Contains(said, "audit record") {
		t.Error(said)
	}
}

// Where the key that seals was retired meanwhile, nothing is sealed with it: it would
// not open afterwards.
func TestKMSDownSealsNothingWithARetiredKey(t *testing.T) {
	w := newKMSWorld(t)
	var first uint32
	for first = range w.use() {
	}
	other := w.start()
	other.connect("alice")
	second := w.rotate()
	w.rewrap()
	ok(t, w.file.Retire(t.Context(), first))
	w.kms.Trouble("down")
	_, err := other.keyring("bob").Put(t.Context(), other.connection("bob", w.provider.issue()))
	contains(t, err, "its KMS hasn't opened it yet")
	w.kms.Trouble("")
	w.clock.Advance(time.Minute)
	eventually(t, func() bool {
		_, err := other.keyring("bob").Put(t.Context(), other.connection("bob", w.provider.issue()))
		return err == nil
	})
	same(t, w.use(), map[uint32]int64{second: 3})
}

// A running process takes nothing but its own keyset, encrypted by its own KMS key.
func TestKMSFollowsOnlyItsOwn(t *testing.T) {
	for name, test := range map[string]struct {
		swap func(w *kmsWorld) error
		says string
	}{
		"in clear": {func(w *kmsWorld) error {
			_, err := plain(w.file.Path).Wrap(context.Background(), w.file.KMS)
			return err
		}, "is in clear while --keys-kms"},
		"by another key": {func(w *kmsWorld) error {
			_, err := store.KeyFile{Path: w.file.Path, KMS: w.kms.URI("two")}.Wrap(context.Background(), w.file.KMS)
			return err
		}, "encrypted by another key"},
		"another vault's": {func(w *kmsWorld) error {
			other := store.KeyFile{Path: w.file.Path + ".other", KMS: w.file.KMS}
			_, err := other.Keys(context.Background())
			return errors.Join(err, os.Rename(other.Path, w.file.Path))
		}, "not the one that this vault is sealed with"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newKMSWorld(t)
			keys, err := w.file.Existing(t.Context())
			ok(t, err)
			alice, _ := w.connect("alice")
			ok(t, test.swap(w))
			w.kms.Asked()
			for i := range 10 {
				w.connect(fmt.Sprint("p", i))
			}
			if asked := w.kms.Asked(); len(asked) > 1 {
				t.Errorf("asked %q", asked)
			}
			ok(t, alice.Ready(t.Context(), github))
			use, err := store.KeyUse(t.Context(), w.db, keys)
			ok(t, err)
			same(t, len(use), 1)
			if log := w.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, test.says) {
				t.Error(log)
			}
		})
	}
}

// From clear to a KMS key, to another, and back, with the same keys all the way.
func TestKMSWrap(t *testing.T) {
	w := newWorld(t)
	w.connect("alice")
	kms := storetest.NewTransit(t)
	path := w.keyFile()
	one, two := store.KeyFile{Path: path, KMS: kms.URI("one")}, store.KeyFile{Path: path, KMS: kms.URI("two")}
	left := filepath.Join(w.dir, ".key-123")
	ok(t, os.WriteFile(left, nil, 0o600))
	opens := func(f store.KeyFile) {
		t.Helper()
		keys, err := f.Existing(t.Context())
		ok(t, err)
		_, err = store.KeyUse(t.Context(), w.db, keys)
		ok(t, err)
	}
	copies, err := one.Wrap(t.Context(), "")
	ok(t, err)
	same(t, copies, []string{left})
	opens(one)
	_, err = one.Wrap(t.Context(), "")
	contains(t, err, "already", "--from-kms")
	before, err := os.ReadFile(path)
	ok(t, err)
	_, err = two.Wrap(t.Context(), two.KMS)
	contains(t, err, "encrypted by another key")
	kms.Trouble("sealed")
	_, err = two.Wrap(t.Context(), one.KMS)
	contains(t, err, "503")
	after, err := os.ReadFile(path)
	ok(t, err)
	same(t, after, before)
	if _, err := os.Lstat(path + ".new"); !os.IsNotExist(err) {
		t.Fatal("the lock stays behind")
	}
	kms.Trouble("")
	_, err = two.Wrap(t.Context(), one.KMS)
	ok(t, err)
	opens(two)
	_, err = one.Existing(t.Context())
	contains(t, err, "encrypted by another key")
	_, err = plain(path).Wrap(t.Context(), two.KMS)
	ok(t, err)
	opens(plain(path))
}

// A file that the KMS wouldn't give back takes no other's place.
func TestKMSIsTriedBeforeItIsTrusted(t *testing.T) {
	w := newWorld(t)
	kms := storetest.NewTransit(t)
	kms.Forget()
	before, err := os.ReadFile(w.keyFile())
	ok(t, err)
	_, err = store.KeyFile{Path: w.keyFile(), KMS: kms.URI("one")}.Wrap(t.Context(), "")
	contains(t, err, "encrypted by another key")
	after, err := os.ReadFile(w.keyFile())
	ok(t, err)
	same(t, after, before)
}

// What the KMS key encrypted for another purpose is no keyset of ours.
func TestKMSKeysetHasItsPurpose(t *testing.T) {
	w := newKMSWorld(t)
	ok(t, os.WriteFile(w.file.Path, w.kms.Keyset(t, "one", "another purpose"), 0o600))
	_, err := w.file.Existing(t.Context())
	contains(t, err, "400")
	ok(t, os.WriteFile(w.file.Path, w.kms.Keyset(t, "one", "latchkey keyset v1"), 0o600))
	_, err = w.file.Existing(t.Context())
	ok(t, err)
}
