package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

// A rotator is a strict provider for many processes: a refresh token works once,
// and the second use of one ends its family. It remembers all that it gave, to
// whom, and counts what must never be as a fault.
type rotator struct {
	now     func() time.Time
	life    func() time.Duration // of an access token
	anytime bool                 // a refresh may come before a token is old
	pause   func()               // before and after it spends a token, so that there is time to be killed in

	mu        sync.Mutex
	refresh   map[string]gift // all that were ever given
	access    map[string]gift
	families  []family    // by person
	killed    map[int]int // process → how many had been started by then
	rotations int
	ended     int // families, by the second use of a token
	waited    int // of them, those where the first user was killed while the second lived
	faults    []string
}

// A gift is one pair of tokens.
type gift struct {
	person, family, number int // families count from 1, the pairs of one from 1
	given, over            time.Time
}

// A family is a person's newest one.
type family struct {
	number  int
	current int  // the pair whose refresh token isn't spent
	asker   int  // the process that got it; 0: it was given for a connect
	ended   bool // by a second use
}

// An answer is what a rotator sends.
type answer struct {
	Access, Refresh string
	Life            time.Duration
	Refused         bool
}

func (a answer) token(now time.Time) (store.Token, error) {
	if a.Refused {
		return store.Token{}, &store.Refused{Reason: "the provider revoked it"}
	}
	return store.Token{
		Access: store.NewSecret(a.Access), Refresh: store.NewSecret(a.Refresh), Expiry: now.Add(a.Life),
	}, nil
}

func newRotator(people int, now func() time.Time, life func() time.Duration) *rotator {
	return &rotator{
		now: now, life: life, pause: func() {}, refresh: map[string]gift{}, access: map[string]gift{},
		families: make([]family, people), killed: map[int]int{},
	}
}

// connection is the first token of a new family, to be filed over that version.
func (r *rotator) connection(person int, version int64) store.Connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.families[person] = family{number: r.families[person].number + 1}
	t, _ := r.give(person, 0).token(r.now())
	return store.Connection{
		Provider: "github", Account: store.Account{ID: fmt.Sprint(person)}, Token: t, IfVersion: version,
	}
}

func (r *rotator) give(person, process int) answer {
	f := &r.families[person]
	f.current++
	f.asker = process
	a := answer{Access: fresh("access"), Refresh: fresh("refresh"), Life: r.life()}
	g := gift{person, f.number, f.current, r.now(), r.now().Add(a.Life)}
	r.access[a.Access], r.refresh[a.Refresh] = g, g
	return a
}

// rotate spends a token for a process.
func (r *rotator) rotate(process int, token string) answer {
	r.pause()
	defer r.pause()
	r.mu.Lock()
	defer r.mu.Unlock()
	g, known := r.refresh[token]
	f := &r.families[g.person]
	switch {
	case !known:
		r.fault("process %d used a token that was never given", process)
	case g.family != f.number || f.ended:
	case g.number != f.current:
		f.ended = true
		r.ended++
		if process > 0 && process <= r.killed[f.asker] {
			r.waited++
		}
		if r.lives(f.asker) {
			r.fault("process %d used a token a second time, which process %d spent, and lives", process, f.asker)
		}
	default:
		r.rotations++
		r.early(g)
		return r.give(g.person, process)
	}
	return answer{Refused: true}
}

// early says so where a token was refreshed that had not lived for three quarters
// of its life: whoever asked had not seen that somebody else just did.
func (r *rotator) early(g gift) {
	if age := r.now().Sub(g.given); age < g.over.Sub(g.given)*3/4 && !r.anytime {
		r.fault("a token of %v was refreshed after %v", g.over.Sub(g.given), age)
	}
}

func (r *rotator) lives(process int) bool { return r.killed[process] == 0 }

func (r *rotator) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// serve is r for other processes.
func (r *rotator) serve(t *testing.T) (url string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		process, err := strconv.Atoi(req.Header.Get("Process"))
		if err != nil {
			http.Error(w, "who?", http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(r.rotate(process, req.Header.Get("Refresh-Token")))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// set runs f over what r knows.
func (r *rotator) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// Refresh makes r the provider of a vault in its own process.
func (r *rotator) Refresh(_ context.Context, _ string, t store.Token) (store.Token, error) {
	return r.rotate(0, t.Refresh.Reveal()).token(r.now())
}

func (*rotator) Revoke(context.Context, string, store.Token) error { return errors.New("not here") }

func (*rotator) Missing(string, []string, []string) []string { return nil }

// between is a random time.
func between(least, most time.Duration) time.Duration { return least + rand.N(most-least) }
