package store_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

const (
	keysOfOne = 50 // rotations on one database; then comes a new one
	// rejectedOne of so many reads is said to be refused by the provider's API, so that
	// the grant is sealed anew.
	rejectedOne = 20
)

// Two processes read and refresh many people's grants while keys are added, promoted
// and rewrapped, again and again. One of them is replaced between any two steps, so
// that old and new processes serve together at each. No read fails.
func TestProofRotation(t *testing.T) {
	if working(t, (*worker).callUntilTold) {
		return
	}
	rotations := storetest.Size(1, 20, 1_000)
	var reads atomic.Int64
	began := time.Now()
	for done := 0; done < rotations && !t.Failed(); done += keysOfOne {
		t.Run(fmt.Sprintf("database %d", done/keysOfOne+1), func(t *testing.T) {
			newRotation(t, storetest.Size(20, 100, 100), &reads).run(min(keysOfOne, rotations-done))
		})
		fmt.Fprintf(os.Stderr, "%s: %d reads in %v\n", t.Name(), reads.Load(), time.Since(began).Round(time.Second))
	}
	t.Logf("%d rotations, %d reads, 0 of them failed, in %v", rotations, reads.Load(), time.Since(began).Round(time.Second))
}

// callUntilTold is the life of a worker, which ends cleanly with its stdin.
func (w *worker) callUntilTold() {
	var stop atomic.Bool
	var reads atomic.Int64
	var all sync.WaitGroup
	for range w.Callers {
		all.Go(func() {
			for !stop.Load() {
				w.read(rand.N(len(w.callers)))
				reads.Add(1)
			}
		})
	}
	say("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop.Store(true)
	all.Wait()
	ok(w, w.vault.Close())
	say("read %d", reads.Load())
	os.Exit(0)
}

// read is one call, and now and then what follows after the API refused its token.
func (w *worker) read(person int) {
	grant, err := w.callers[person]().Grant(context.Background(), store.Call{Need: github})
	if err == nil && rand.N(rejectedOne) == 0 {
		_, err = w.callers[person]().Grant(context.Background(), store.Call{Need: github, Rejected: grant.Version})
	}
	if err != nil {
		say("wrong: %v", err)
	}
}

// A rotation is the proof on one database.
type rotation struct {
	*world
	t        *testing.T
	provider *rotator
	url      string
	started  int
	serving  []*process // the oldest first
	reads    *atomic.Int64
}

func newRotation(t *testing.T, size int, reads *atomic.Int64) *rotation {
	clock := storetest.NewClock()
	r := &rotation{t: t, reads: reads, world: &world{t: t, clock: clock, issuer: storetest.NewIssuer(t, clock.Now)}}
	r.provider = newRotator(size, clock.Now, func() time.Duration { return time.Hour })
	r.provider.anytime = true
	r.url = r.provider.serve(t)
	dir, callers := people(t, r.issuer, size)
	r.dir = dir
	visit(t, dir, r.issuer, r.provider, callers, func(person int, k store.Keyring) {
		_, err := k.Put(t.Context(), r.provider.connection(person, 0))
		ok(t, err)
	})
	r.vault, r.db = storetest.OpenIn(t, dir, r.issuer, r.provider)
	return r
}

// replace starts a process, and stops the oldest of more than two once it serves.
func (r *rotation) replace() {
	r.started++
	next := start(r.t, job{
		Proof: "TestProofRotation", Dir: r.dir, Issuer: r.issuer.URL, Provider: r.url,
		ID: r.started, Clock: clock{Shown: r.clock.Now()}, Callers: 3,
	}, r.heard)
	next.wait(next.ready)
	if r.serving = append(r.serving, next); len(r.serving) > 2 {
		r.stop()
	}
}

func (r *rotation) stop() {
	r.serving[0].stdin.Close()
	r.serving[0].over()
	r.serving = r.serving[1:]
}

func (r *rotation) heard(_ *process, line string) {
	var n int64
	if _, err := fmt.Sscanf(line, "read %d", &n); err != nil {
		r.t.Error(line)
	}
	r.reads.Add(n)
}

func (r *rotation) run(rotations int) {
	table := store.NewTable[int](r.vault, "ticket")
	ok(r.t, table.Put(r.t.Context(), "a", owner(r.world, "somebody"), 0, 7))
	r.replace()
	for range rotations {
		r.replace()
		id, err := plain(r.keyFile()).Add(context.Background())
		ok(r.t, err)
		r.replace()
		ok(r.t, plain(r.keyFile()).Promote(context.Background(), id))
		r.replace()
		result, err := store.Rewrap(r.t.Context(), r.db, r.keys(), nil)
		ok(r.t, err)
		same(r.t, result.Broken, int64(0))
		item, err := table.Get(r.t.Context(), "a")
		ok(r.t, err)
		same(r.t, item.Value, 7)
	}
	for len(r.serving) > 0 {
		r.stop()
	}
	r.check()
}

// check is that all is sealed by one key by now, and what the provider says.
func (r *rotation) check() {
	_, err := store.Rewrap(r.t.Context(), r.db, r.keys(), nil)
	ok(r.t, err)
	same(r.t, len(r.use()), 1)
	verified(r.t, filepath.Dir(r.keyFile()), r.db)
	for _, fault := range r.provider.faults {
		r.t.Error(fault)
	}
	if r.provider.rotations == 0 || r.provider.ended > 0 {
		r.t.Errorf("%d refreshes, %d families ended", r.provider.rotations, r.provider.ended)
	}
}
