//go:build unix

package sqlite_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
	"golang.org/x/sync/errgroup"
)

// The power goes at any moment of a vault's work, the disk keeps what was flushed
// and some of the rest, and everything that was acknowledged is there.
func TestProofPowerLoss(t *testing.T) {
	replays := storetest.Size(30, 1000, 1000)
	lost, stats := powerLosses(t, replays, storetest.Size(20, 200, 200), "PRAGMA synchronous = FULL")
	for _, l := range lost {
		t.Error(l)
	}
	t.Logf("%d power losses, %d with something acknowledged lost; %s", replays, len(lost), stats)
}

// With a flush for each checkpoint only, acknowledged writes are lost, and that
// is noticed.
func TestPowerLossIsNoticed(t *testing.T) {
	lost, _ := powerLosses(t, 5, 12, "PRAGMA synchronous = NORMAL")
	if len(lost) == 0 {
		t.Fatal("nothing is lost without flushes, so that the proof proves nothing")
	}
	t.Log(lost[0])
}

// powerLosses records a vault that works, and starts it again from what disks may
// hold. lost is what went wrong, at most one thing a replay.
func powerLosses(t *testing.T, replays, rounds int, pragma string) (lost []string, stats string) {
	w := newWorld(t)
	d := newDisk(t, w.dir)
	r := &recording{disk: d, world: w, steps: map[string][]step{}}
	w.provider.deaf = true
	for range 2 {
		r.session(t, pragma, rounds)
	}
	disks.Delete(w.dir)
	checkpoints := 0
	for _, op := range d.log {
		if op.file == 1 && op.flush > 0 {
			checkpoints++
		}
	}
	return r.replays(t, replays), fmt.Sprintf("%d disk operations, %d acknowledgements, %d flushes of the database file",
		len(d.log), r.acknowledged, checkpoints)
}

// replays is that many power losses, a few at a time.
func (r *recording) replays(t *testing.T, n int) (lost []string) {
	var mu sync.Mutex
	last := time.Now()
	var all errgroup.Group
	all.SetLimit(4)
	for i := range n {
		all.Go(func() error {
			rng := mathrand.New(mathrand.NewPCG(uint64(i), 0))
			cut := 1 + rng.IntN(len(r.disk.log))
			keep := [4]float64{0, 0, 1, rng.Float64()}[rng.IntN(4)]
			err := r.replay(t, cut, keep, rng)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				lost = append(lost, fmt.Sprintf("power loss %d, after %d of %d operations, keeping %.2f: %v", i, cut, len(r.disk.log), keep, err))
			}
			if time.Since(last) > 10*time.Second {
				last = time.Now()
				t.Logf("power loss %d of %d", i, n)
			}
			return nil
		})
	}
	_ = all.Wait()
	return lost
}

// A step is what a key's value became. It may be on the disk once it has begun,
// and must be from its acknowledgement on.
type step struct {
	value string
	began int // numbers of disk operations
	acked int
}

// A recording is what was done to a vault, and when it was acknowledged.
type recording struct {
	disk  *disk
	world *world

	mu           sync.Mutex
	steps        map[string][]step
	acknowledged int
	refreshed    int // of those
}

// does runs f, which makes key's value what it returns.
func (r *recording) does(key string, f func() (value string, err error)) error {
	began := r.disk.now()
	value, err := f()
	acked := r.disk.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	r.steps[key] = append(r.steps[key], step{value, began, acked})
	r.acknowledged++
	return nil
}

// may is what key may be where the power went at cut.
func (r *recording) may(key string, cut int) []string {
	values := []string{""}
	for _, s := range r.steps[key] {
		if s.acked <= cut {
			values = values[:0]
		}
		if s.began < cut {
			values = append(values, s.value)
		}
	}
	return values
}

// session is a vault that starts, works for three people at once, and stops.
func (r *recording) session(t *testing.T, pragma string, rounds int) {
	t.Helper()
	if err := r.world.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	// So that there are checkpoints at all in so short a time.
	if err := errors.Join(r.world.db.Exec(pragma), r.world.db.Exec("PRAGMA wal_autocheckpoint = 60")); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i, name := range []string{"alice", "bob", "carol"} {
		p := r.person(t, name, uint64(i))
		all.Go(func() {
			for range rounds {
				if err := p.act(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := r.world.vault.Close(); err != nil || t.Failed() {
		t.Fatal(err)
	}
}

// A person connects, calls, comes back and disconnects.
type person struct {
	*recording
	name   string
	keys   store.Keyring
	caller identity.Caller
	table  store.Table[string]
	rng    *mathrand.Rand
}

func (r *recording) person(t *testing.T, name string, seed uint64) *person {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	return &person{
		recording: r, name: name, keys: r.world.keyring(t, name), caller: r.world.issuer.Caller(name),
		table: store.NewTable[string](r.world.vault, "test"),
		rng:   mathrand.New(mathrand.NewPCG(seed, uint64(r.acknowledged))),
	}
}

func (p *person) act(ctx context.Context) error {
	info, err := p.keys.Info(ctx, "github")
	connected := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	switch n := p.rng.IntN(24); {
	case !connected || n < 2:
		return p.connect(ctx, info)
	case n == 2:
		return p.disconnect(ctx, info.Account.ID)
	case n < 10:
		return p.refresh(ctx, info.Version)
	case n < 18:
		return p.note(ctx)
	default:
		return p.refuse(ctx)
	}
}

// connect files a new token: of the account that is connected, or of a new one, so
// that a revocation of an earlier one still has to be carried out.
func (p *person) connect(ctx context.Context, info store.Info) error {
	c := p.world.connection()
	if c.IfVersion = info.Version; info.Version != 0 {
		c.Account = info.Account
	}
	return p.does("grant of "+p.name, func() (string, error) {
		_, err := p.keys.Put(ctx, c)
		return c.Token.Access.Reveal(), err
	})
}

func (p *person) refresh(ctx context.Context, version int64) error {
	var grant store.Grant
	tool := rand.Text()
	began := p.disk.now()
	err := p.does("grant of "+p.name, func() (_ string, err error) {
		grant, err = p.keys.Grant(ctx, store.Call{Need: github, Tool: tool, Rejected: version})
		return grant.Access.Reveal(), err
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.steps["entry "+tool] = []step{{p.name, began, p.disk.now()}}
		p.refreshed++
	}
	return err
}

// disconnect is followed by a revocation, now or where the provider is deaf later.
func (p *person) disconnect(ctx context.Context, account string) error {
	p.mu.Lock()
	steps := p.steps["grant of "+p.name]
	p.mu.Unlock()
	token := steps[len(steps)-1].value
	return p.does("grant of "+p.name, func() (string, error) {
		return "", p.does("revocation of "+token, func() (string, error) {
			var pending *store.RevokeError
			err := p.keys.Delete(ctx, "github", account)
			if errors.As(err, &pending) && p.world.provider.deaf {
				err = nil
			}
			return p.name, err
		})
	})
}

// note adds, replaces or takes a record.
func (p *person) note(ctx context.Context) error {
	key := fmt.Sprint(p.name, p.rng.IntN(4))
	return p.does("record "+key, func() (string, error) {
		item, err := p.table.Get(ctx, key)
		value := rand.Text()
		switch {
		case errors.Is(err, store.ErrNotFound):
			return value, p.table.Put(ctx, key, identity.Digest{}, 0, value)
		case err != nil:
			return "", err
		case p.rng.IntN(2) == 0:
			_, err := p.table.Take(ctx, key)
			return "", err
		}
		item.Value = value
		return value, p.table.Replace(ctx, key, item)
	})
}

func (p *person) refuse(ctx context.Context) error {
	reason := rand.Text()
	return p.does("entry "+reason, func() (string, error) {
		return p.name, p.world.vault.Refuse(ctx, p.caller, audit.Entry{Reason: reason})
	})
}

// replay starts a vault from what the disk may hold after a power loss.
func (r *recording) replay(t *testing.T, cut int, keep float64, rng *mathrand.Rand) error {
	after := *r.world
	after.dir, after.provider, after.clock = t.TempDir(), newRotator(), storetest.NewClock()
	defer os.RemoveAll(after.dir)
	// Then what the provider hasn't revoked yet is due.
	after.clock.Advance(r.world.clock.Now().Add(2 * time.Minute).Sub(after.clock.Now()))
	files := r.disk.after(cut, keep, rng)
	if rng.IntN(2) == 0 {
		junk := make([]byte, 32<<10) // the index of the log is never flushed
		for i := range junk {
			junk[i] = byte(rng.Uint32())
		}
		files[sqlite.File+"-shm"] = junk
	}
	key, err := os.ReadFile(filepath.Join(r.world.dir, "key"))
	if err != nil {
		return err
	}
	files["key"] = key
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(after.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	if err := after.open(t.Context()); err != nil {
		return err
	}
	defer after.vault.Close()
	return errors.Join(after.sound(t.Context()), r.held(t.Context(), &after, cut), after.goesOn(t))
}

// sound is SQLite's word on the file, and the audit record's on itself.
func (w *world) sound(ctx context.Context) error {
	db, err := sql.Open("sqlite", filepath.Join(w.dir, sqlite.File))
	if err != nil {
		return err
	}
	defer db.Close()
	var said string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check").Scan(&said); err != nil || said != "ok" {
		return fmt.Errorf("quick_check says %q, error %w", said, err)
	}
	keys, err := store.KeysFromFile(filepath.Join(w.dir, "key"))
	if err != nil {
		return err
	}
	report, err := audit.Verify(ctx, w.db.Audit(), store.AuditSeal(keys))
	if f, bad := report.Bad(); bad {
		return fmt.Errorf("the audit record is broken at %s: %s", f.At, f.Why)
	}
	return err
}

// held compares what the vault holds with what it may.
func (r *recording) held(ctx context.Context, after *world, cut int) error {
	found, err := after.everything(ctx, r)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(r.steps)) {
		may := r.may(key, cut)
		if got := found[key]; !slices.Contains(may, got) {
			return fmt.Errorf("%s is %q, and may be %q", key, got, may)
		}
	}
	return nil
}

// everything is the value of each key of r's in the vault.
func (w *world) everything(ctx context.Context, r *recording) (map[string]string, error) {
	found := map[string]string{}
	table := store.NewTable[string](w.vault, "test")
	for _, name := range []string{"alice", "bob", "carol"} {
		caller := w.issuer.Caller(name)
		keys, err := w.vault.Keyring(caller)
		if err != nil {
			return nil, err
		}
		entries, err := w.db.AuditEntries(ctx, caller.Principal().Digest())
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			found["entry "+e.Reason+e.Tool] = name
		}
		grant, err := keys.Grant(ctx, store.Call{Need: github})
		if err != nil && !strings.HasSuffix(err.Error(), "not connected yet") {
			return nil, err
		}
		found["grant of "+name] = grant.Access.Reveal()
		for i := range 4 {
			key := fmt.Sprint(name, i)
			item, err := table.Get(ctx, key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			found["record "+key] = item.Value
		}
	}
	if err := w.vault.Revoke(ctx); err != nil {
		return nil, err
	}
	for key := range r.steps {
		if token, is := strings.CutPrefix(key, "revocation of "); is && w.provider.revoked[token] {
			found[key] = r.steps[key][0].value
		}
	}
	return found, nil
}

// goesOn checks that the vault takes what is new.
func (w *world) goesOn(t *testing.T) error {
	dave := w.keyring(t, "dave")
	c := w.connection()
	if _, err := dave.Put(t.Context(), c); err != nil {
		return err
	}
	grant, err := dave.Grant(t.Context(), store.Call{Need: github})
	if err != nil || !grant.Access.Equal(c.Token.Access) {
		return fmt.Errorf("a new connection doesn't open: %w", err)
	}
	return w.sound(t.Context())
}
