package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

const (
	racers         = 3  // processes
	callersEach    = 16 // in each
	callsEach      = 2  // of a process's callers who call for one person in a round
	rotationsOfOne = 20_000
	tokenLife      = time.Hour
)

// Three processes on one database, many callers in each, a strict provider: every
// token that expires, or soon will, is refreshed once, no refresh token is used
// twice, and whoever calls gets a token that lives.
func TestProofRace(t *testing.T) {
	if working(t, (*worker).callInRounds) {
		return
	}
	rotations := storetest.Size(300, 20_000, 1_000_000)
	done, calls, began := 0, 0, time.Now()
	for n := 0; done < rotations && !t.Failed(); n++ {
		t.Run(fmt.Sprintf("database %d", n+1), func(t *testing.T) {
			r := newRace(t, storetest.Size(50, 500, 500))
			r.run(min(rotationsOfOne, rotations-done))
			done, calls = done+r.provider.rotations, calls+r.served
		})
		fmt.Fprintf(os.Stderr, "%s: %d rotations in %v\n", t.Name(), done, time.Since(began).Round(time.Second))
	}
	t.Logf("%d rotations for as many expiries, 0 reuse detections, %d calls of %d processes, in %v",
		done, calls, racers, time.Since(began).Round(time.Second))
}

// callInRounds is the life of a worker: each line on stdin is the time of a round,
// in which all callers call.
func (w *worker) callInRounds() {
	say("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var at int64
		_, err := fmt.Sscan(lines.Text(), &at)
		ok(w, err)
		w.clock.Store(&clock{Shown: time.UnixMicro(at)})
		var all sync.WaitGroup
		for caller := range w.Callers {
			all.Go(func() { w.callMany(caller) })
		}
		all.Wait()
		for !w.vault.Idle() {
			time.Sleep(time.Millisecond)
		}
		say("done")
	}
	ok(w, w.vault.Close())
	os.Exit(0)
}

// callMany calls for some of all people, each of whom several callers call for, in
// all processes at about the same time.
func (w *worker) callMany(caller int) {
	var heard strings.Builder
	for person := range w.callers {
		if (person+caller)%(w.Callers/callsEach) != 0 {
			continue
		}
		grant, err := w.callers[person]().Grant(context.Background(), store.Call{Need: github})
		if err != nil {
			fmt.Fprintf(&heard, "wrong: %v\n", err)
			continue
		}
		fmt.Fprintf(&heard, "served %d %s\n", person, grant.Access.Reveal())
	}
	fmt.Print(heard.String())
}

// A race is the proof on one database.
type race struct {
	t        *testing.T
	at       *storetest.Clock
	people   int
	provider *rotator
	racers   []*process
	done     chan int

	mu     sync.Mutex
	served int
}

func newRace(t *testing.T, size int) *race {
	r := &race{t: t, at: storetest.NewClock(), people: size, done: make(chan int, racers)}
	issuer := storetest.NewIssuer(t, r.at.Now)
	r.provider = newRotator(size, r.at.Now, func() time.Duration { return tokenLife })
	url := r.provider.serve(t)
	dir, callers := people(t, issuer, size)
	visit(t, dir, issuer, r.provider, callers, func(person int, k store.Keyring) {
		_, err := k.Put(t.Context(), r.provider.connection(person, 0))
		ok(t, err)
	})
	for id := range racers {
		r.racers = append(r.racers, start(t, job{
			Proof: "TestProofRace", Dir: dir, Issuer: issuer.URL, Provider: url, ID: id + 1,
			Clock: clock{Shown: r.at.Now()}, Callers: callersEach,
		}, r.heard))
	}
	return r
}

// heard holds what a worker released against what the provider gave.
func (r *race) heard(p *process, line string) {
	if line == "done" {
		r.done <- p.id
		return
	}
	var person int
	var access string
	if _, err := fmt.Sscanf(line, "served %d %s", &person, &access); err != nil {
		r.t.Error(line)
		return
	}
	now := r.at.Now()
	r.provider.set(func() {
		g := r.provider.access[access]
		if g.number == 0 || g.person != person || !g.over.After(now) {
			r.t.Errorf("person %d was given %+v at %v", person, g, now)
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served++
}

// run has tokens expire so many times.
func (r *race) run(rotations int) {
	for _, p := range r.racers {
		p.wait(p.ready)
	}
	for round := 0; r.provider.rotations < rotations && !r.t.Failed(); round++ {
		// Every second time the tokens are only due, at 85 % of their life, and once
		// they aren't yet.
		if round == 1 {
			r.at.Advance(tokenLife * 74 / 100)
			r.round()
			same(r.t, r.provider.rotations, r.people)
			r.at.Advance(tokenLife * 12 / 100)
		} else {
			r.at.Advance([]time.Duration{tokenLife, tokenLife * 86 / 100}[round%2])
		}
		r.round()
		same(r.t, r.provider.rotations, (round+1)*r.people)
	}
	for _, p := range r.racers {
		p.stdin.Close()
		p.over()
	}
	same(r.t, r.provider.ended, 0)
	for _, fault := range r.provider.faults {
		r.t.Error(fault)
	}
}

func (r *race) round() {
	for _, p := range r.racers {
		fmt.Fprintln(p.stdin, r.at.Now().UnixMicro())
	}
	for _, p := range r.racers {
		select {
		case <-r.done:
		case <-p.ended:
			r.t.Fatalf("process %d ended: %s", p.id, p.stderr.String())
		case <-time.After(5 * time.Minute):
			r.t.Fatalf("a round doesn't end")
		}
	}
}
