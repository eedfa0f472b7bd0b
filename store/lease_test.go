package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
)

// eventually looks again until done, for what happens in the background.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never happened")
		}
	}
}

func (w *world) count() int {
	n := 0
	w.provider.set(func() { n = w.provider.refreshed })
	return n
}

// While one process asks, another waits and has the result.
func TestOneRefreshForTwoProcesses(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	other := w.other()
	w.clock.Advance(2 * time.Hour)
	entered, release := make(chan struct{}), make(chan struct{})
	w.provider.during = func(context.Context) { close(entered); <-release }
	var one, two store.Grant
	var errOne, errTwo error
	var both sync.WaitGroup
	both.Go(func() { one, errOne = w.grant(alice) })
	<-entered
	both.Go(func() { two, errTwo = other.grant(other.keyring("alice")) })
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	both.Wait()
	ok(t, errors.Join(errOne, errTwo))
	same(t, one.Version, info.Version+1)
	if !one.Access.Equal(two.Access) {
		t.Fatal("two different tokens were released")
	}
	same(t, w.count(), 1)
}

// A caller's own deadline ends its wait for another process, and Close ends what
// would wait for a lease that nobody puts down.
func TestWaitingForAnotherProcessEnds(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	release := make(chan struct{})
	entered := make(chan struct{})
	w.provider.during = func(context.Context) { close(entered); <-release }
	var holder sync.WaitGroup
	holder.Go(func() { _, _ = w.grant(alice) })
	defer holder.Wait()
	defer close(release)
	<-entered
	other := w.other()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := other.keyring("alice").Grant(ctx, store.Call{Need: github})
	is(t, err, context.DeadlineExceeded)
	ok(t, other.vault.Close())
	same(t, w.count(), 1)
}

// The lease of a process that died is taken over when its time is up, not before.
func TestTakeover(t *testing.T) {
	for name, spent := range map[string]bool{"before the provider spent the token": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, info := w.connect("alice")
			w.clock.Advance(2 * time.Hour)
			dead := make(chan struct{}) // this process will never come back
			entered := make(chan struct{})
			var once sync.Once
			stuck := w.provider
			hang := &hanging{provider: stuck, spends: spent, entered: func() { once.Do(func() { close(entered) }) }, dead: dead}
			crashed := w.with(hang)
			var gone sync.WaitGroup
			gone.Go(func() { _, _ = crashed.grant(crashed.keyring("alice")) })
			defer gone.Wait()
			defer close(dead)
			<-entered

			w.clock.Advance(59 * time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			before := w.count()
			_, err := alice.Grant(ctx, store.Call{Need: github})
			is(t, err, context.DeadlineExceeded)
			same(t, w.count(), before)

			w.clock.Advance(time.Second)
			grant, err := w.grant(alice)
			if spent {
				needs(t, err, "an earlier renewal was cut short")
				kept, err := alice.Info(t.Context(), "github")
				ok(t, err)
				contains(t, &store.NeedsConnect{Reason: kept.Broken}, "the provider revoked it", "cut short")
				return
			}
			ok(t, err)
			same(t, grant.Version, info.Version+1)
			same(t, w.provider.reused, 0)
		})
	}
}

// hanging is a provider whose answer never arrives.
type hanging struct {
	*provider
	spends  bool
	entered func()
	dead    chan struct{}
}

func (h *hanging) Refresh(_ context.Context, _ string, t store.Token) (store.Token, error) {
	if h.spends {
		_, _ = h.rotate(t)
	}
	h.entered()
	<-h.dead
	return store.Token{}, errors.New("gone")
}

// A refusal counts only from the one who holds the lease: another process may
// have got what was refused here, and is about to write it.
func TestARefusalWithoutTheLeaseBreaksNothing(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	other := w.other()
	entered, release := make(chan struct{}), make(chan struct{})
	var second sync.WaitGroup
	w.provider.during = func(context.Context) {
		// The first process stood still with its request under way; the second asks,
		// and is slow to write.
		w.provider.during = func(context.Context) { close(entered); <-release }
		w.clock.Advance(2 * time.Minute)
		w.provider.set(func() { // the first request lost: the token is the second's to spend
			clear(w.provider.dead)
			for old, family := range w.provider.spent {
				w.provider.life[old] = family
			}
			clear(w.provider.spent)
		})
		second.Go(func() { _, _ = other.grant(other.keyring("alice")) })
		<-entered
		time.AfterFunc(50*time.Millisecond, func() { close(release) })
	}
	refusing := w.with(refuser{w.provider})
	grant, err := refusing.grant(refusing.keyring("alice"))
	second.Wait()
	ok(t, err)
	same(t, grant.Version, info.Version+1) // the other's, with no broken one before it
	_ = alice
}

// refuser says no, after all that happens meanwhile.
type refuser struct{ *provider }

func (r refuser) Refresh(ctx context.Context, name string, t store.Token) (store.Token, error) {
	_, _ = r.provider.Refresh(ctx, name, t)
	return store.Token{}, &store.Refused{Reason: "the provider revoked it"}
}

// Where the lease can't be written, or was too long in coming, nobody is asked.
func TestNoRefreshWithoutLease(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	w.sql("CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT raise(ABORT, 'no room'); END")
	_, err := w.grant(alice)
	contains(t, err, "no room")
	w.sql("DROP TRIGGER full")
	same(t, w.count(), 0)

	slow := &slowBackend{Backend: w.db, pass: func() { w.clock.Advance(15 * time.Second) }}
	vault, err := store.Open(t.Context(), w.config(slow))
	ok(t, err)
	late, err := vault.Keyring(w.issuer.Caller("alice"))
	ok(t, err)
	_, err = w.grant(late)
	is(t, err, store.ErrUnavailable)
	contains(t, err, "the database took too long")
	same(t, w.count(), 0)
	_, err = w.grant(alice) // at once: the lease was put down
	ok(t, err)
}

// A slowBackend takes its time over the audit record.
type slowBackend struct {
	store.Backend
	pass func()
}

func (s *slowBackend) Audit() audit.Table { return slowTable{s.Backend.Audit(), s.pass} }

type slowTable struct {
	audit.Table
	pass func()
}

func (l slowTable) Append(ctx context.Context, from, to audit.Head, rows []audit.Row) error {
	l.pass()
	return l.Table.Append(ctx, from, to, rows)
}

// The lease is on record before the provider is asked, in another handle's eyes.
func TestLeaseIsDurableBeforeTheProviderIsAsked(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	other := w.other()
	w.clock.Advance(2 * time.Hour)
	leases := func() int {
		list, err := other.db.Records().List(t.Context(), "lease", [32]byte{}, 10)
		ok(t, err)
		return len(list)
	}
	w.provider.during = func(context.Context) { same(t, leases(), 1) }
	_, err := w.grant(alice)
	ok(t, err)
	same(t, leases(), 0) // and nothing of it stays behind
}

// A caller with a living token never waits, not even for a provider that hangs;
// the refresh happens behind its back, once.
func TestRefreshAheadOfExpiry(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	release := make(chan struct{})
	w.provider.during = func(context.Context) { <-release }
	w.clock.Advance(44 * time.Minute)
	_, err := w.grant(alice)
	ok(t, err)
	same(t, w.count(), 0)
	w.clock.Advance(8 * time.Minute)
	for range 20 {
		grant, err := w.grant(alice)
		ok(t, err)
		same(t, grant.Version, info.Version)
	}
	eventually(t, func() bool { return w.count() == 1 })
	close(release)
	eventually(t, func() bool {
		grant, err := w.grant(alice)
		ok(t, err)
		return grant.Version == info.Version+1
	})
	same(t, w.count(), 1)
	ok(t, w.vault.Close())
}

// People who connected together don't come back together.
func TestRefreshAheadIsSpread(t *testing.T) {
	w := newWorld(t)
	const people = 40
	var keyrings []store.Keyring
	for i := range people {
		k, _ := w.connect("person-" + string(rune('A'+i)))
		keyrings = append(keyrings, k)
	}
	call := func(at time.Duration) int {
		w.clock.Advance(at)
		for _, k := range keyrings {
			_, err := w.grant(k)
			ok(t, err)
		}
		eventually(t, func() bool { return w.vault.Idle() })
		return w.count()
	}
	same(t, call(45*time.Minute-time.Second), 0)
	half := call(3*time.Minute + time.Second) // at 80 %
	if half < people/10 || half > people*9/10 {
		t.Fatalf("%d of %d were refreshed at 80 %%", half, people)
	}
	same(t, call(3*time.Minute), people)
}

// A provider in trouble is left alone: for a few seconds at first, longer each
// time, as long as it asks for, but not for ever.
func TestNoRefreshStorm(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	other := w.other()
	w.clock.Advance(2 * time.Hour)
	asked := 0
	try := func(at time.Duration, want int) {
		t.Helper()
		w.clock.Advance(at)
		for _, k := range []store.Keyring{alice, other.keyring("alice"), alice} {
			_, err := w.grant(k)
			is(t, err, store.ErrUnavailable)
			contains(t, err, "no route")
		}
		w.provider.set(func() { asked = w.provider.failed })
		same(t, asked, want)
	}
	w.provider.down = errors.New("no route")
	try(0, 1)
	try(2*time.Second, 1)
	try(2*time.Second, 2) // 3.75 s at most
	try(4*time.Second, 2) // 4.5 s at least
	try(4*time.Second, 3)
	w.provider.set(func() {
		w.provider.down = &store.Trouble{Answered: true, RetryAfter: 2 * time.Minute, Err: errors.New("no route")}
	})
	try(time.Minute, 4)
	try(119*time.Second, 4)
	w.provider.set(func() {
		w.provider.down = &store.Trouble{Answered: true, RetryAfter: 24 * time.Hour, Err: errors.New("no route")}
	})
	try(time.Second, 5)
	try(299*time.Second, 5)
	w.provider.set(func() { w.provider.down = nil })
	w.clock.Advance(time.Second)
	grant, err := w.grant(alice)
	ok(t, err)
	same(t, grant.Version, info.Version+1)
	same(t, grant.Broken, "")
}

// Why a refusal may be ours: only after an attempt whose answer nobody knows.
func TestRefusedAfterAnOutage(t *testing.T) {
	for name, test := range map[string]struct {
		down error
		want string
	}{
		"no answer": {errors.New("no route"), "the provider revoked it; an earlier renewal was cut short, which may be why"},
		"an answer": {&store.Trouble{Answered: true, Err: errors.New("busy")}, "the provider revoked it"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, _ := w.connect("alice")
			w.clock.Advance(2 * time.Hour)
			w.provider.down = test.down
			_, err := w.grant(alice)
			is(t, err, store.ErrUnavailable)
			w.provider.set(func() { w.provider.down = nil; clear(w.provider.life) })
			w.clock.Advance(time.Minute)
			_, err = w.grant(alice)
			same(t, needs(t, err, "").Reason, test.want)
		})
	}
}
