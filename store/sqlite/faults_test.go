//go:build unix

package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

const (
	saysFull     = "the disk is full: make room"
	saysReadOnly = "it can't be written: make the file and its directory writable"
	saysFailing  = "the disk can't be read or written: check it"
)

// A vault on a disk that becomes full, fails or is read-only acknowledges nothing
// that isn't there, asks for no refresh without a lease, surfaces an answer that it
// found no room for, says what is wrong, and goes on when it can. What is damaged doesn't open, or opens as what
// it was.
func TestProofDisk(t *testing.T) {
	t.Run("full", func(t *testing.T) {
		acknowledged := faulty(t, storetest.Size(20, 150, 3000), saysFull, func(d *disk, rng *mathrand.Rand) {
			d.room = int64(rng.IntN(64 << 10))
		})
		// Without the log being used again it is about one.
		if acknowledged < 2 {
			t.Errorf("only %.1f operations a round find room", acknowledged)
		}
	})
	t.Run("disconnect on a full one", testDisconnectOnFull)
	t.Run("no refresh unprepared", testUnprepared)
	t.Run("answer on a full one", testAnswerOnFull)
	t.Run("failing", func(t *testing.T) {
		faulty(t, storetest.Size(10, 250, 5000), saysFailing, func(d *disk, rng *mathrand.Rand) {
			d.failing = true
		})
	})
	t.Run("read-only", testReadOnly)
	t.Run("flipped bits", testFlippedBits)
	t.Run("truncated log", testTruncatedLog)
}

// faulty is a vault that works while its disk fails now and then. A round is a
// start or an operation on a good disk, some on a bad one up to the first that fails, and what
// the vault holds once the disk is good again.
func faulty(t *testing.T, rounds int, says string, spoil func(*disk, *mathrand.Rand)) (acknowledged float64) {
	w := newWorld(t)
	d := newDisk(t, w.dir)
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &recording{disk: d, world: w, steps: map[string][]step{}}
	p := r.person(t, "alice", 1)
	defer func() { w.vault.Close() }()
	failed, unacknowledged, lost, last := 0, 0, 0, time.Now()
	for round := range rounds {
		if time.Since(last) > 10*time.Second {
			last = time.Now()
			t.Logf("round %d of %d", round, rounds)
		}
		if round%2 == 0 { // with an empty log
			if err := errors.Join(w.vault.Close(), w.open(t.Context())); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			p.keys, p.table = w.keyring(t, "alice"), store.NewTable[string](w.vault, "test")
		} else if err := p.act(t.Context()); err != nil {
			t.Fatalf("round %d: error %v", round, err)
		}
		d.set(func(d *disk) { spoil(d, p.rng); d.log = nil })
		var err error
		for try := 0; err == nil && try < 10; try++ {
			err = p.act(t.Context())
		}
		d.set(func(d *disk) { d.room, d.failing = plenty, false })
		if err != nil {
			failed++
			w.clock.Advance(61 * time.Second) // a lease that couldn't be put down is over
			if !strings.Contains(err.Error(), says) {
				t.Fatalf("round %d: error %v", round, err)
			}
		}
		if w.provider.asked > r.refreshed+unacknowledged {
			unacknowledged++
			kept, err := r.accountFor(t, p)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if !kept {
				lost++
			}
		}
		if err := r.holdsTheLast(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	if w.provider.reused != lost || w.provider.asked != r.refreshed+unacknowledged {
		t.Fatalf("%d spent tokens were used again where %d answers were lost, %d refreshes of %d are accounted for", w.provider.reused, lost, r.refreshed+unacknowledged, w.provider.asked)
	}
	if err := w.sound(t.Context()); err != nil {
		t.Fatal(err)
	}
	if failed < rounds/2 || r.acknowledged < rounds/3 {
		t.Fatalf("%d operations failed, %d were acknowledged: the rounds are not what they should be", failed, r.acknowledged)
	}
	t.Logf("%d rounds: %d operations failed, %d were acknowledged and are there; %d refreshes, of %d answers there was no room, which their owner was told",
		rounds, failed, r.acknowledged, w.provider.asked, lost)
	return float64(r.acknowledged) / float64(rounds)
}

// accountFor looks what became of an answer of the provider's that no caller got:
// it is kept, or it is lost, and the next refresh says so and asks to reconnect.
func (r *recording) accountFor(t *testing.T, p *person) (kept bool, err error) {
	grant, err := p.keys.Grant(t.Context(), store.Call{Need: github})
	if err != nil {
		return false, err
	}
	if grant.Access.Reveal() == r.world.provider.latest {
		r.steps["grant of alice"] = []step{{value: grant.Access.Reveal()}}
		return true, nil
	}
	r.refreshed++ // which is the request that is refused
	_, err = p.keys.Grant(t.Context(), store.Call{Need: github, Rejected: grant.Version})
	if err == nil || !strings.Contains(err.Error(), "an earlier renewal was cut short") {
		return false, fmt.Errorf("a lost answer isn't surfaced: %w", err)
	}
	info, err := p.keys.Info(t.Context(), "github")
	if err != nil {
		return false, err
	}
	return false, p.connect(t.Context(), info)
}

// holdsTheLast compares what the vault holds with the last of each thing, and
// forgets what was before.
func (r *recording) holdsTheLast(ctx context.Context) error {
	found, err := r.world.everything(ctx, r)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(r.steps)) {
		steps := r.steps[key]
		if got, want := found[key], steps[len(steps)-1].value; got != want {
			return fmt.Errorf("%s is %q, and should be %q", key, got, want)
		}
		r.steps[key] = steps[len(steps)-1:]
	}
	return nil
}

// Whichever write of a refresh fails, once or from then on, the provider is asked only
// while the lease and the entry in the audit record are in the database.
func testUnprepared(t *testing.T) {
	w := newWorld(t)
	d := newDisk(t, w.dir)
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer w.vault.Close()
	alice := w.keyring(t, "alice")
	info, err := alice.Put(t.Context(), w.connection())
	if err != nil {
		t.Fatal(err)
	}
	w.provider.asking = func() {
		if leased, entries := w.prepared(t); !leased || entries != w.provider.asked {
			t.Errorf("request %d: leased: %t; %d entries", w.provider.asked, leased, entries)
		}
	}
	refused := map[bool]int{}
	for _, once := range []bool{true, false} {
		for n, failed := 1, true; failed; n++ {
			if err := w.vault.Refuse(t.Context(), w.issuer.Caller("bob"), audit.Entry{}); err != nil { // which makes the reserve
				t.Fatal(err)
			}
			asked := w.provider.asked
			d.set(func(d *disk) { d.failAt = n; d.room = plenty; d.log = nil })
			if !once {
				d.set(func(d *disk) { d.failAt, d.room = 0, int64(n-1)*sector })
			}
			_, err := alice.Grant(t.Context(), store.Call{Need: github, Rejected: info.Version})
			d.set(func(d *disk) { failed = err != nil || d.failAt <= 0 && once; d.failAt, d.room = 0, plenty })
			if w.provider.asked == asked {
				refused[once]++
				if err == nil || !strings.Contains(err.Error(), map[bool]string{true: saysFailing, false: saysFull}[once]) {
					t.Fatalf("failure at %d: error %v", n, err)
				}
			}
			if n > 1000 {
				t.Fatal("it never works")
			}
			w.clock.Advance(61 * time.Second)
			if info, err = alice.Info(t.Context(), "github"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if refused[true] < 3 || refused[false] < 3 || w.provider.reused > 0 {
		t.Errorf("%v requests were not made, %d tokens used again", refused, w.provider.reused)
	}
	t.Logf("%d refreshes that a failing disk refused, %d a full one; %d others", refused[true], refused[false], w.provider.asked)
}

// prepared is what the database says of a refresh of alice's.
func (w *world) prepared(t *testing.T) (leased bool, entries int) {
	owner := w.issuer.Caller("alice").Principal().Digest()
	leases, err := store.NewTable[struct{ Until time.Time }](w.vault, "lease").Owned(t.Context(), owner)
	if err != nil {
		t.Error(err)
	}
	for _, l := range leases {
		leased = leased || l.Value.Until.After(w.clock.Now())
	}
	list, err := w.db.AuditEntries(t.Context(), owner)
	if err != nil {
		t.Error(err)
	}
	for _, e := range list {
		if e.Event == audit.Refresh {
			entries++
		}
	}
	return leased, entries
}

// The disk becomes full while the provider answers, with a reader in the way of using
// the log again, and the answer is kept. Then the provider isn't asked, and nothing
// released, until there is room for the next.
func testAnswerOnFull(t *testing.T) {
	rounds := storetest.Size(10, 150, 3000)
	w := newWorld(t)
	d := newDisk(t, w.dir)
	spent := 0
	for range rounds {
		d.set(func(d *disk) { d.room, d.log = plenty, nil })
		if err := w.open(t.Context()); err != nil { // with an empty log
			t.Fatal(err)
		}
		alice := w.keyring(t, "alice")
		info, _ := alice.Info(t.Context(), "github")
		c := w.connection()
		if c.IfVersion = info.Version; info.Version > 0 {
			c.Account = info.Account
		}
		info, err := alice.Put(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		var stop func() error // of the reader
		w.provider.asking = func() {
			stop = w.reader(t)
			d.set(func(d *disk) { d.room = 0 })
		}
		call := store.Call{Need: github, Rejected: info.Version}
		_, err = alice.Grant(t.Context(), call)
		d.set(func(d *disk) { d.freed() })
		if full := err != nil && strings.Contains(err.Error(), saysFull); full == d.reserved {
			t.Fatalf("the reserve is there: %t, error %v", d.reserved, err)
		}
		kept, err := alice.Info(t.Context(), "github")
		if err != nil || kept.Version != info.Version+1 {
			t.Fatalf("the answer isn't kept: %+v, error %v", kept, err)
		}
		if !d.reserved {
			spent++
			asked := w.provider.asked
			call.Rejected = kept.Version
			if _, err := alice.Grant(t.Context(), call); err == nil || w.provider.asked != asked {
				t.Fatalf("asked again, error %v", err)
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		d.set(func(d *disk) { d.room = plenty })
		w.clock.Advance(61 * time.Second)
		grant, err := alice.Grant(t.Context(), store.Call{Need: github})
		if err != nil || grant.Access.Reveal() != w.provider.latest {
			t.Fatalf("error %v", err)
		}
		if err := w.vault.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if spent < rounds/2 {
		t.Errorf("only %d answers needed the reserve", spent)
	}
	t.Logf("%d answers on a disk that had become full, all of them kept, %d with the reserve", rounds, spent)
}

// reader is somebody who looks at the database as of now, until stop.
func (w *world) reader(t *testing.T) (stop func() error) {
	db, err := sql.Open("sqlite", filepath.Join(w.dir, sqlite.File))
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM facts").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }
}

// Where no release can be recorded any more, somebody can still disconnect, if the
// disk isn't full to the last byte.
func testDisconnectOnFull(t *testing.T) {
	w := newWorld(t)
	d := newDisk(t, w.dir)
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer w.vault.Close()
	alice := w.keyring(t, "alice")
	c := w.connection()
	if _, err := alice.Put(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	d.set(func(d *disk) { d.room = 0 })
	call := store.Call{Need: github, Rule: strings.Repeat("x", 3000)}
	var err error
	for i := 0; err == nil; i++ {
		if _, err = alice.Grant(t.Context(), call); i > 1000 {
			t.Fatal("the disk doesn't become full")
		}
	}
	grant, err := alice.Grant(t.Context(), call)
	if err == nil || !strings.Contains(err.Error(), saysFull) || !grant.Access.IsZero() {
		t.Fatalf("grant %v, error %v", grant, err)
	}
	// With not one byte left, that is refused too, and in a few pages it fits.
	for room := int64(0); ; room += 4 << 10 {
		d.set(func(d *disk) { d.room = room })
		err := alice.Delete(t.Context(), "github", c.Account.ID)
		if err == nil {
			t.Logf("disconnected with %d bytes left", room)
			break
		}
		if !strings.Contains(err.Error(), saysFull) || alice.Ready(t.Context(), github) != nil || room > 128<<10 {
			t.Fatalf("%d bytes left: error %v", room, err)
		}
	}
	if !w.provider.revoked[c.Token.Access.Reveal()] {
		t.Fatal("the provider wasn't asked")
	}
	var needs *store.NeedsConnect
	if err := alice.Ready(t.Context(), github); !errors.As(err, &needs) {
		t.Fatalf("still connected: error %v", err)
	}
	d.set(func(d *disk) { d.room = plenty })
	if err := errors.Join(w.goesOn(t), w.sound(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func testReadOnly(t *testing.T) {
	w := newWorld(t)
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.vault.Close(); err != nil {
		t.Fatal(err)
	}
	d := newDisk(t, w.dir)
	d.readOnly = true
	err := w.open(t.Context())
	if err == nil || !strings.Contains(err.Error(), saysReadOnly) || !strings.Contains(err.Error(), w.dir) {
		t.Fatalf("error %v", err)
	}
	d.readOnly = false
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.vault.Close()
}

// wear has something of everything in w, a good part of it in the log where live.
func (w *world) wear(t *testing.T, live bool) *recording {
	t.Helper()
	r := &recording{disk: newDisk(t, w.dir), world: w, steps: map[string][]step{}}
	r.session(t, "PRAGMA synchronous = OFF", 25)
	if live {
		if err := w.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.vault.Close() })
		p := r.person(t, "alice", 1)
		for range 40 {
			if err := p.act(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	disks.Delete(w.dir)
	return r
}

// damaged starts a vault from w's files, of which spoil changes some, and checks
// that each thing is what it was, or what it had been before, or not there.
func (r *recording) damaged(t *testing.T, spoil func(files map[string][]byte)) (opened bool) {
	t.Helper()
	after := *r.world
	after.dir, after.provider = t.TempDir(), newRotator()
	defer os.RemoveAll(after.dir)
	files := map[string][]byte{}
	for _, name := range []string{"key", sqlite.File, sqlite.File + "-wal"} {
		content, err := os.ReadFile(filepath.Join(r.world.dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		files[name] = content
	}
	spoil(files)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(after.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := after.open(t.Context()); err != nil {
		if strings.Contains(err.Error(), "malformed") {
			t.Errorf("error %v", err)
		}
		return false
	}
	defer after.vault.Close()
	for _, name := range []string{"alice", "bob", "carol"} {
		r.holdsOnly(t, &after, name)
	}
	return true
}

// holdsOnly checks what opens of a person's things.
func (r *recording) holdsOnly(t *testing.T, after *world, name string) {
	t.Helper()
	was := func(key, got string) {
		if got != "" && !slices.ContainsFunc(r.steps[key], func(s step) bool { return s.value == got }) {
			t.Errorf("%s opens as %q, which it never was", key, got)
		}
	}
	grant, _ := after.keyring(t, name).Grant(t.Context(), store.Call{Need: github})
	was("grant of "+name, grant.Access.Reveal())
	table := store.NewTable[string](after.vault, "test")
	for i := range 4 {
		key := fmt.Sprint(name, i)
		item, _ := table.Get(t.Context(), key)
		was("record "+key, item.Value)
	}
}

func testFlippedBits(t *testing.T) {
	rounds := storetest.Size(6, 200, 10_000)
	opened := 0
	for _, live := range []bool{true, false} {
		w := newWorld(t)
		w.provider.deaf = true
		r := w.wear(t, live)
		file := map[bool]string{true: sqlite.File + "-wal", false: sqlite.File}[live]
		for i := range rounds {
			rng := mathrand.New(mathrand.NewPCG(uint64(i), 1))
			if r.damaged(t, func(files map[string][]byte) {
				for range 1 + rng.IntN(8) {
					content := files[file]
					content[rng.IntN(len(content))] ^= 1 << rng.IntN(8)
				}
			}) {
				opened++
			}
		}
	}
	t.Logf("%d damaged vaults, %d of which open; nothing opens as something else", 2*rounds, opened)
}

// A log without its end is one of an earlier time, and whole.
func testTruncatedLog(t *testing.T) {
	rounds := storetest.Size(8, 150, 5000)
	w := newWorld(t)
	w.provider.deaf = true
	r := w.wear(t, true)
	for i := range rounds {
		rng := mathrand.New(mathrand.NewPCG(uint64(i), 2))
		if !r.damaged(t, func(files map[string][]byte) {
			log := files[sqlite.File+"-wal"]
			files[sqlite.File+"-wal"] = log[:rng.IntN(len(log))]
		}) {
			t.Errorf("round %d: a vault with a shorter log doesn't open", i)
		}
	}
	t.Logf("%d vaults with a truncated log, all of them sound", rounds)
}
