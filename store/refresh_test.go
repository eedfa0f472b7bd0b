package store_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

func (w *world) grant(k store.Keyring) (store.Grant, error) {
	return k.Grant(w.t.Context(), store.Call{Need: github, Tool: "tool"})
}

func TestRefreshWhenItIsDue(t *testing.T) {
	for name, test := range map[string]struct {
		later     time.Duration
		rejected  int64 // relative to the version
		refreshed int
	}{
		"alive":                      {later: 44 * time.Minute, rejected: -1},
		"within the margin":          {later: time.Hour - 5*time.Second, rejected: -1, refreshed: 1},
		"over":                       {later: 2 * time.Hour, rejected: -1, refreshed: 1},
		"rejected":                   {rejected: 0, refreshed: 1},
		"an older one was rejected":  {rejected: -1},
		"an unknown one is rejected": {rejected: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, info := w.connect("alice", "repo")
			before, err := w.grant(alice)
			ok(t, err)
			w.clock.Advance(test.later)
			after, err := alice.Grant(t.Context(), store.Call{Need: github, Rejected: info.Version + test.rejected})
			ok(t, err)
			same(t, w.provider.refreshed, test.refreshed)
			same(t, after.Version, info.Version+int64(test.refreshed))
			same(t, !after.Access.Equal(before.Access), test.refreshed == 1)
			same(t, after.Scopes, []string{"repo"})
			same(t, after.ConnectedAt, info.ConnectedAt)
			if test.refreshed == 1 {
				same(t, w.events("alice"), "connect release refresh release")
			}
		})
	}
}

// What the answer leaves out stays: the refresh token and the scopes.
func TestRefreshKeepsWhatTheProviderDoesNotRepeat(t *testing.T) {
	w := newWorld(t)
	w.provider.keepsOld = true
	alice, _ := w.connect("alice", "repo")
	for range 3 {
		w.clock.Advance(2 * time.Hour)
		grant, err := w.grant(alice)
		ok(t, err)
		same(t, grant.Scopes, []string{"repo"})
	}
	same(t, w.provider.refreshed, 3)
}

// The second use of a refresh token would end the family.
func TestOneRefreshForAllWhoWait(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	const callers = 30
	release, entered := make(chan struct{}), make(chan struct{})
	w.provider.during = func(context.Context) { close(entered); <-release }
	grants := make([]store.Grant, callers)
	errs := make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { grants[i], errs[i] = w.grant(alice) })
	}
	<-entered
	close(release)
	all.Wait()
	for i := range callers {
		ok(t, errs[i])
		if !grants[i].Access.Equal(grants[0].Access) {
			t.Fatal("two different tokens were released")
		}
	}
	same(t, w.provider.refreshed, 1)
	same(t, w.provider.reused, 0)
}

// The new token is durable before anyone has it: another process that opens the
// data, at the moment of the release, finds it.
func TestPersistBeforeUse(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	grant, err := w.grant(alice)
	ok(t, err)
	again := w.other()
	kept, err := again.grant(again.keyring("alice"))
	ok(t, err)
	if !kept.Access.Equal(grant.Access) || kept.Version != info.Version+1 {
		t.Fatal("what was released is not what is kept")
	}
	same(t, w.provider.refreshed, 1)
}

// When the new token can't be kept, nobody gets it.
func TestNothingIsUsedThatIsNotKept(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	w.provider.during = func(context.Context) {
		w.sql("CREATE TRIGGER full BEFORE UPDATE ON grants BEGIN SELECT raise(ABORT, 'no room'); END")
	}
	grant, err := w.grant(alice)
	contains(t, err, "no room", "latchkey.db")
	if !grant.Access.IsZero() {
		t.Fatal("a token was released that is kept nowhere")
	}
}

// A full disk must not burn a refresh token: the provider isn't even asked.
func TestNoRefreshWithoutRecord(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	w.sql("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'no room'); END")
	_, err := w.grant(alice)
	contains(t, err, "no room")
	same(t, w.provider.refreshed, 0)
	w.sql("DROP TRIGGER full")
	_, err = w.grant(alice)
	ok(t, err)
}

// A caller who gives up in the middle doesn't take the rotated token along.
func TestRefreshSurvivesItsCaller(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	ctx, giveUp := context.WithCancel(t.Context())
	entered, release := make(chan error, 1), make(chan struct{})
	w.provider.during = func(ctx context.Context) {
		giveUp()
		<-release
		_, bounded := ctx.Deadline()
		entered <- errors.Join(ctx.Err(), map[bool]error{false: errors.New("no deadline")}[bounded])
	}
	_, err := alice.Grant(ctx, store.Call{Need: github})
	is(t, err, context.Canceled) // at once: the provider hasn't answered yet
	close(release)
	ok(t, <-entered)
	grant, err := w.grant(alice)
	ok(t, err)
	same(t, grant.Version, info.Version+1)
	same(t, w.provider.refreshed, 1)
	same(t, w.provider.reused, 0)
}

// Close is how a shutdown waits for a refresh whose caller is gone.
func TestCloseWaitsForARefresh(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	ctx, giveUp := context.WithCancel(t.Context())
	release := make(chan struct{})
	w.provider.during = func(context.Context) { giveUp(); <-release }
	_, err := alice.Grant(ctx, store.Call{Need: github})
	is(t, err, context.Canceled)
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	ok(t, w.vault.Close())
	again := w.other()
	kept, err := again.keyring("alice").Info(t.Context(), "github")
	ok(t, err)
	same(t, kept.Version, info.Version+1)
}

// Close counts a refresh from the moment at which it is wanted, not from when its
// goroutine runs: one that is overtaken would lose the rotated token.
func TestCloseIsNotOvertakenByARefresh(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a new goroutine runs only once this one waits
	gone, giveUp := context.WithCancel(t.Context())
	giveUp()
	_, err := alice.Grant(gone, store.Call{Need: github})
	is(t, err, context.Canceled)
	ok(t, w.vault.Close())
	same(t, w.provider.refreshed, 1)
	again := w.other()
	kept, err := again.keyring("alice").Info(t.Context(), "github")
	ok(t, err)
	same(t, kept.Version, info.Version+1)
}

// Nothing is released after a disconnect, also by a call that was waiting for a
// provider which then didn't answer.
func TestDisconnectWhileTheProviderIsDown(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.clock.Advance(time.Hour - 3*time.Second) // it lives for a moment more
	w.provider.down = errors.New("no route")
	w.provider.during = func(context.Context) {
		var unconfirmed *store.RevokeError
		if err := alice.Delete(t.Context(), "github", "id-of-alice"); !errors.As(err, &unconfirmed) {
			t.Errorf("error %v, want a RevokeError", err)
		}
	}
	_, err := w.grant(alice)
	needs(t, err, "not connected yet")
}

func TestProviderSaysNo(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	w.provider.set(func() { clear(w.provider.life) })
	w.clock.Advance(2 * time.Hour)
	for range 2 {
		_, err := w.grant(alice)
		needs(t, err, "the provider revoked it")
	}
	same(t, w.provider.refreshed, 1) // and never again
	again := w.other()
	kept, err := again.keyring("alice").Info(t.Context(), "github")
	ok(t, err)
	same(t, kept.Broken, "the provider revoked it")
	same(t, kept.Version, info.Version+1)
	same(t, w.events("alice"), "connect refresh refuse refuse")
}

func TestRejectedWithoutRefreshToken(t *testing.T) {
	w := newWorld(t)
	alice := w.keyring("alice")
	c := w.connection("alice", w.provider.issue())
	c.Token.Refresh, c.Token.Expiry = store.Secret{}, time.Time{}
	info, err := alice.Put(t.Context(), c)
	ok(t, err)
	_, err = w.grant(alice)
	ok(t, err)
	_, err = alice.Grant(t.Context(), store.Call{Need: github, Rejected: info.Version})
	needs(t, err, "the provider no longer accepts it")
	kept, err := alice.Info(t.Context(), "github")
	ok(t, err)
	same(t, kept.Broken, "the provider no longer accepts it")
	same(t, w.provider.refreshed, 0)
}

func TestProviderIsDown(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	w.provider.down = errors.New("no route")
	w.clock.Advance(time.Hour - 3*time.Second)
	_, err := w.grant(alice)
	ok(t, err) // it lives for a moment more
	_, err = alice.Grant(t.Context(), store.Call{Need: github, Rejected: info.Version})
	is(t, err, store.ErrUnavailable) // but not if the provider refuses it
	w.clock.Advance(5 * time.Second)
	_, err = w.grant(alice)
	is(t, err, store.ErrUnavailable)
	contains(t, err, "github", "no route")

	w.provider.set(func() { w.provider.down = nil })
	w.clock.Advance(time.Minute)
	grant, err := w.grant(alice)
	ok(t, err) // nothing was lost
	same(t, grant.Version, info.Version+1)
}

// Two processes refresh with the same token. The later one is refused, and must
// not take a lost race for a revocation, whichever of the two writes first.
func TestLostRaceIsNoRevocation(t *testing.T) {
	t.Run("the winner writes first", func(t *testing.T) {
		w := newWorld(t)
		alice, info := w.connect("alice")
		w.clock.Advance(2 * time.Hour)
		other := w.other()
		w.provider.during = func(context.Context) {
			w.provider.during = nil // this process has won at the provider; the other loses
			c := w.connection("alice", w.provider.issue())
			c.IfVersion = info.Version
			_, err := other.keyring("alice").Put(t.Context(), c)
			ok(t, err)
		}
		w.provider.set(func() { clear(w.provider.life) })
		grant, err := w.grant(alice)
		ok(t, err)
		same(t, grant.Version, info.Version+1)
		same(t, grant.Broken, "")
	})
	t.Run("the loser writes first", func(t *testing.T) {
		w := newWorld(t)
		alice, info := w.connect("alice")
		w.clock.Advance(2 * time.Hour)
		w.provider.during = func(context.Context) {
			w.provider.during = nil
			w.clock.Advance(2 * time.Minute) // this process stood still, and lost its lease
			other := w.other()
			_, err := other.grant(other.keyring("alice"))
			needs(t, err, "revoked") // the other process was told that it is spent
			w.provider.set(func() { clear(w.provider.dead) })
		}
		grant, err := w.grant(alice)
		ok(t, err)
		same(t, grant.Version, info.Version+2)
		kept, err := alice.Info(t.Context(), "github")
		ok(t, err)
		same(t, kept.Broken, "")
	})
}

// A refresh that comes back after a disconnect brings nothing back to life.
func TestDisconnectDuringRefresh(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.clock.Advance(2 * time.Hour)
	w.provider.during = func(context.Context) {
		w.provider.during = nil
		ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
	}
	_, err := w.grant(alice)
	needs(t, err, "not connected yet")
	_, err = alice.Info(t.Context(), "github")
	is(t, err, store.ErrNotFound)
	same(t, len(w.provider.revoked), 2) // the old token, and the new one that nobody knows
}

// A refresh that comes back after a disconnect and a new connection leaves that
// alone. Where it is another account's, the call doesn't go on with it.
func TestReconnectDuringRefresh(t *testing.T) {
	for account, revoked := range map[string]int{"alice": 1, "work-account": 2} {
		t.Run(account, func(t *testing.T) {
			w := newWorld(t)
			alice, _ := w.connect("alice")
			w.clock.Advance(2 * time.Hour)
			var second store.Info
			w.provider.during = func(context.Context) {
				w.provider.during = nil
				ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
				var err error
				second, err = alice.Put(t.Context(), w.connection(account, w.provider.issue()))
				ok(t, err)
			}
			grant, err := w.grant(alice)
			if account != "alice" {
				needs(t, err, "not connected yet")
				grant, err = w.grant(alice)
			}
			ok(t, err)
			same(t, grant.Info, second)
			same(t, len(w.provider.revoked), revoked)
		})
	}
}
