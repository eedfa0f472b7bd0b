package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

const (
	killsOfOne = 500 // on one database; then comes a new one
	// haste lets the minute of a lease whose holder was killed pass in 12 seconds.
	// What a living holder does under its lease takes milliseconds, and may take 46 of
	// the lease's 60 seconds, which are 9 real ones.
	haste = 5
)

// Two processes on one database refresh many people's tokens at a strict provider,
// and are killed at random, and at each moment of a refresh that matters. What a
// process said that it released is there; the file and the audit record are sound;
// a token is lost only between the provider's answer and the commit, and each time
// the person is told so; and no other grant is ever broken.
func TestProofCrash(t *testing.T) {
	if working(t, (*worker).callUntilKilled) {
		return
	}
	kills := storetest.Size(8, 500, 10_000)
	var sum tally
	began := time.Now()
	for n := 0; sum.kills < kills && !t.Failed(); n++ {
		t.Run(fmt.Sprintf("database %d", n+1), func(t *testing.T) {
			newCrash(t, storetest.Size(40, 400, 400), &sum).run(min(killsOfOne, kills-sum.kills))
		})
	}
	t.Logf("%v in %v", &sum, time.Since(began).Round(time.Second))
}

// callUntilKilled is the life of a worker.
func (w *worker) callUntilKilled() {
	for range w.Callers {
		go func() {
			for {
				w.call(w.someone())
				time.Sleep(between(0, 10*time.Millisecond))
			}
		}()
	}
	say("ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // which ends with the proof
	os.Exit(0)
}

// someone is anyone, or who is everybody's choice at the moment, in all processes.
func (w *worker) someone() int {
	if rand.N(2) == 0 {
		return rand.N(len(w.callers))
	}
	return int(w.now().UnixMilli() / 100 * 7919 % int64(len(w.callers)))
}

// call says what came of a call of that person's.
func (w *worker) call(person int) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	began := w.now()
	grant, err := w.callers[person]().Grant(ctx, store.Call{Need: github})
	w.dies(afterTheCommit)
	var needs *store.NeedsConnect
	switch {
	case err == nil && !grant.Expiry.After(began):
		say("wrong: a token was released that had expired")
	case err == nil:
		say("served %d %d %s", person, grant.Version, grant.Access.Reveal())
	case errors.As(err, &needs) || errors.Is(err, context.DeadlineExceeded): // it waits for a dead process
	case errors.Is(err, store.ErrUnavailable):
		say("unavailable %v", err)
	default:
		say("wrong: %v", err)
	}
}

// A tally is what the proof did.
type tally struct{ kills, rotations, lost, waited, surfaced, served, checks, unavailable int }

func (s *tally) String() string {
	return fmt.Sprintf("%d kills, %d rotations, %d of them lost (%d found by a process that waited), %d surfaced, "+
		"%d releases acknowledged, %d checks of the file, %d calls put off",
		s.kills, s.rotations, s.lost, s.waited, s.surfaced, s.served, s.checks, s.unavailable)
}

// A crash is the proof on one database.
type crash struct {
	t        *testing.T
	sum      *tally
	clock    atomic.Pointer[clock]
	issuer   *storetest.Issuer
	dir      string
	callers  []identity.Caller
	provider *rotator
	url      string
	started  int // processes
	doomed   int // of them, those that stood still with an answer and were killed

	mu     sync.Mutex
	told   time.Time
	acked  []ack // by person
	served []int
}

// An ack is the newest that a process said it released to a person.
type ack struct {
	gift    gift
	version int64
}

func newCrash(t *testing.T, size int, sum *tally) *crash {
	c := &crash{t: t, sum: sum, told: time.Now(), acked: make([]ack, size), served: make([]int, size)}
	c.clock.Store(&clock{Real: time.Now(), Shown: time.Now(), Haste: haste})
	c.issuer = storetest.NewIssuer(t, c.now)
	c.provider = newRotator(size, c.now, func() time.Duration { return between(2*time.Second, 10*time.Second) })
	c.provider.pause = func() { time.Sleep(between(0, 3*time.Millisecond)) }
	c.url = c.provider.serve(t)
	c.dir, c.callers = people(t, c.issuer, size)
	c.visit(func(person int, k store.Keyring) {
		_, err := k.Put(t.Context(), c.provider.connection(person, 0))
		ok(t, err)
	})
	c.leap(2 * time.Hour)
	return c
}

func (c *crash) now() time.Time { return c.clock.Load().now() }

func (c *crash) leap(d time.Duration) {
	next := c.clock.Load().leap(d)
	c.clock.Store(&next)
}

func (c *crash) visit(f func(person int, k store.Keyring)) {
	visit(c.t, c.dir, c.issuer, c.provider, c.callers, f)
}

// start runs another worker.
func (c *crash) start(die string) *process {
	c.started++
	return start(c.t, job{
		Proof: "TestProofCrash", Dir: c.dir, Issuer: c.issuer.URL, Provider: c.url,
		ID: c.started, Clock: *c.clock.Load(), Die: die, Callers: 6,
	}, c.heard)
}

// die is where the next worker stands still to be killed. The first ones have all
// the moments that matter, so that even a short proof has.
func (c *crash) die() string {
	moments := []string{afterTheProvider, beforeTheProvider, afterTheCommit, "", ""}
	if c.started < len(moments) {
		return moments[c.started]
	}
	return moments[rand.N(len(moments))]
}

// heard notes what a worker says.
func (c *crash) heard(_ *process, line string) {
	var person int
	var version int64
	var access string
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(line, "unavailable") {
		c.sum.unavailable++
		return
	}
	if _, err := fmt.Sscanf(line, "served %d %d %s", &person, &version, &access); err != nil {
		c.t.Error(line)
		return
	}
	var g gift
	c.provider.set(func() { g = c.provider.access[access] })
	if g.number == 0 || g.person != person {
		c.t.Errorf("%d was given a token that is not theirs", person)
	}
	c.sum.served++
	c.served[person]++
	if a := &c.acked[person]; g.after(a.gift) {
		a.gift = g
	}
	c.acked[person].version = max(c.acked[person].version, version)
}

// after reports whether g is newer than other, which is the same person's.
func (g gift) after(other gift) bool {
	return g.family > other.family || g.family == other.family && g.number > other.number
}

// run kills so many, and then asks for all that is left.
func (c *crash) run(kills int) {
	goal := c.sum.kills + kills
	for c.sum.kills < goal && !c.t.Failed() {
		c.killEither(min(goal, c.sum.kills+100))
		if c.sum.kills < goal {
			c.killOne(min(goal, c.sum.kills+150))
		}
	}
	c.settle()
}

// killEither kills one of two processes, or both.
func (c *crash) killEither(goal int) {
	running := []*process{c.start(c.die()), c.start(c.die())}
	for c.sum.kills < goal && !c.t.Failed() {
		first := rand.N(2)
		c.await(running[first])
		c.kill(running[first])
		if rand.N(6) == 0 {
			c.kill(running[1-first])
			c.examine()
			running[1-first] = c.start(c.die())
		}
		running[first] = c.start(c.die())
		c.quickCheck()
	}
	c.end(running...)
}

// killOne kills always the same of two processes, so that the other one, which waits
// for its leases, lives to their end.
func (c *crash) killOne(goal int) {
	witness, other := c.start(""), c.start(c.die())
	for c.sum.kills < goal && !c.t.Failed() {
		c.await(other)
		c.kill(other)
		other = c.start(c.die())
		c.quickCheck()
	}
	c.end(witness, other)
}

func (c *crash) end(running ...*process) {
	for _, p := range running {
		c.kill(p)
	}
	c.examine()
}

// await is until the moment when p is to be killed: the one that it was told, or
// any, now and then before it is up.
func (c *crash) await(p *process) {
	if rand.N(8) == 0 {
		time.Sleep(between(0, 30*time.Millisecond))
		return
	}
	if !p.wait(p.ready) {
		return
	}
	if p.die != "" {
		p.wait(p.here)
		return
	}
	time.Sleep(between(0, 150*time.Millisecond))
}

func (c *crash) kill(p *process) {
	p.kill()
	c.sum.kills++
	c.provider.set(func() { c.provider.killed[p.id] = c.started })
	select {
	case <-p.here:
		if p.die == afterTheProvider {
			c.doomed++
		}
	default:
	}
}

// progress is a line every ten seconds.
func (c *crash) progress() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.told) > 10*time.Second {
		c.told = time.Now()
		fmt.Fprintf(os.Stderr, "%s: %d kills, %d calls acknowledged\n", c.t.Name(), c.sum.kills, c.sum.served)
	}
}

// quickCheck is SQLite's own word on the file.
func (c *crash) quickCheck() {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.dir, sqlite.File)+"?_pragma=busy_timeout(5000)")
	ok(c.t, err)
	defer db.Close()
	var said string
	ok(c.t, db.QueryRowContext(c.t.Context(), "PRAGMA quick_check").Scan(&said))
	same(c.t, said, "ok")
	c.sum.checks++
	c.progress()
}

// examine looks at all that is kept while no worker lives, connects again what is
// broken, and lets some time pass.
func (c *crash) examine() {
	c.quickCheck()
	c.visit(func(person int, k store.Keyring) {
		info, token, err := k.Stored(c.t.Context(), "github")
		ok(c.t, err)
		c.provider.set(func() { c.kept(person, info, token) })
		if info.Broken != "" {
			c.sum.surfaced++
			_, err := k.Put(c.t.Context(), c.provider.connection(person, info.Version))
			ok(c.t, err)
		}
	})
	c.leap([]time.Duration{0, time.Minute, 2 * time.Hour}[rand.N(3)])
}

// kept holds a person's grant against what the provider and the workers said.
func (c *crash) kept(person int, info store.Info, token store.Token) {
	r, f, a := c.provider, c.provider.families[person], c.acked[person]
	g := r.refresh[token.Refresh.Reveal()]
	for fault, is := range map[string]bool{
		"a connection was lost":                                   g.person != person || g.family != f.number,
		"the tokens are no pair":                                  r.access[token.Access.Reveal()] != g,
		"what was released was lost":                              a.gift.after(g) || a.version > info.Version,
		"a living grant was broken":                               info.Broken != "" && !f.ended,
		"the reason doesn't say what happened":                    info.Broken != "" && !strings.Contains(info.Broken, "an earlier renewal was cut short"),
		"a token was used a second time, though nothing was lost": f.ended && g.number >= f.current,
		"several rotations were lost":                             g.number < f.current-1,
		"a rotation was lost, though who asked lives":             g.number < f.current && r.lives(f.asker),
	} {
		if is {
			c.t.Errorf("%s: person %d keeps %+v of %+v, broken %q, version %d; acknowledged %+v",
				fault, person, g, f, info.Broken, info.Version, a)
		}
	}
}

// settle asks for everybody, when every lease is over and every token expired:
// each has a new one, or is told why not.
func (c *crash) settle() {
	c.leap(2 * time.Hour)
	c.visit(func(person int, k store.Keyring) {
		grant, err := k.Grant(c.t.Context(), store.Call{Need: github})
		info, token, unread := k.Stored(c.t.Context(), "github")
		ok(c.t, unread)
		c.provider.set(func() { c.kept(person, info, token) })
		if info.Broken != "" {
			needs(c.t, err, "an earlier renewal was cut short")
			c.sum.surfaced++
			return
		}
		ok(c.t, err)
		c.provider.set(func() {
			same(c.t, c.provider.access[grant.Access.Reveal()].number, c.provider.families[person].current)
		})
	})
	c.sum.rotations += c.provider.rotations
	c.sum.lost += c.provider.ended
	c.sum.waited += c.provider.waited
	for _, fault := range c.provider.faults {
		c.t.Error(fault)
	}
	if c.sum.surfaced != c.sum.lost || c.provider.ended < c.doomed {
		c.t.Errorf("%v, and at least %d must be", c.sum, c.doomed)
	}
	c.recorded()
}

// recorded checks the audit record: it is whole, and has every release.
func (c *crash) recorded() {
	db, err := sqlite.Open(c.t.Context(), c.dir, c.now)
	ok(c.t, err)
	defer db.Close()
	verified(c.t, c.dir, db)
	for person, caller := range c.callers {
		list, err := db.AuditEntries(c.t.Context(), caller.Principal().Digest())
		ok(c.t, err)
		releases := 0
		for _, e := range list {
			if e.Event == audit.Release {
				releases++
			}
		}
		if releases < c.served[person] {
			c.t.Errorf("person %d: %d releases, %d of them recorded", person, c.served[person], releases)
		}
	}
}
