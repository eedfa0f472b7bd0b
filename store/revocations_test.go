package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

var (
	errUnreached = errors.New("no route")
	errAnswered  = &store.Trouble{Answered: true, Err: errors.New("no")}
)

// disconnectedWhile disconnects alice while the provider says down.
func (w *world) disconnectedWhile(down error) store.Keyring {
	w.t.Helper()
	alice, _ := w.connect("alice")
	w.provider.set(func() { w.provider.down = down })
	var unconfirmed *store.RevokeError
	if err := alice.Delete(w.t.Context(), "github", "id-of-alice"); !errors.As(err, &unconfirmed) {
		w.t.Fatalf("error %v, want a RevokeError", err)
	}
	return alice
}

func (w *world) asked() int {
	n := 0
	w.provider.set(func() { n = w.provider.unrevoked })
	return n
}

// A revocation is tried again, less and less often, until the provider confirms
// it; then it is destroyed, after its receipt.
func TestRevocationIsRetried(t *testing.T) {
	w := newWorld(t)
	w.disconnectedWhile(errUnreached)
	inline := w.asked()
	ok(t, w.vault.Revoke(t.Context()))
	same(t, w.asked(), inline) // not due: the disconnect itself has just tried
	for range 120 {            // an hour, by half minutes
		w.clock.Advance(30 * time.Second)
		ok(t, w.vault.Revoke(t.Context()))
	}
	if n := w.asked() - inline; n < 4 || n > 8 {
		t.Fatalf("asked %d times in the first hour", n)
	}
	same(t, w.pending(), 1)
	w.provider.set(func() { w.provider.down = nil })
	w.clock.Advance(2 * time.Hour)
	ok(t, w.vault.Revoke(t.Context()))
	same(t, len(w.provider.revoked), 1)
	same(t, w.pending(), 0)
	same(t, w.receipt("alice"), "disconnect: revoked at the provider at a later try")
}

// After a restart too, and where the provider knows the token no more.
func TestRevocationSurvivesARestart(t *testing.T) {
	w := newWorld(t)
	w.disconnectedWhile(errUnreached)
	ok(t, w.vault.Close())
	again := w.other()
	w.provider.set(func() { w.provider.down = &store.Refused{Reason: "unknown token"} })
	w.clock.Advance(time.Hour)
	ok(t, again.vault.Revoke(t.Context()))
	same(t, again.pending(), 0)
	same(t, again.receipt("alice"), "disconnect: revoked at the provider at a later try")
}

// After 24 hours the token is destroyed, and the receipt says whether the
// provider ever answered.
func TestRevocationIsGivenUp(t *testing.T) {
	for name, test := range map[string]struct {
		first, later error
		receipt      string
	}{
		"never an answer":            {errUnreached, errUnreached, "the provider never gave a usable answer"},
		"answered the disconnect":    {errAnswered, errUnreached, "the provider answered, but did not confirm"},
		"answered a later try":       {errUnreached, errAnswered, "the provider answered, but did not confirm"},
		"answered all, never with 1": {errAnswered, errAnswered, "the provider answered, but did not confirm"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.disconnectedWhile(test.first)
			w.provider.set(func() { w.provider.down = test.later })
			for range 23 {
				w.clock.Advance(time.Hour)
				ok(t, w.vault.Revoke(t.Context()))
			}
			same(t, w.pending(), 1)
			w.clock.Advance(2 * time.Hour)
			ok(t, w.vault.Revoke(t.Context()))
			same(t, w.pending(), 0)
			if got := w.receipt("alice"); !strings.Contains(got, "given up after 24 hours: "+test.receipt) {
				t.Fatalf("receipt %q", got)
			}
			asked := w.asked()
			w.clock.Advance(time.Hour)
			ok(t, w.vault.Revoke(t.Context()))
			same(t, w.asked(), asked)
		})
	}
}

// To revoke the old token of an account that is connected again may end the new
// one: Google's way.
func TestNoRevocationAfterAReconnect(t *testing.T) {
	for name, test := range map[string]struct {
		account string
		revoked int
		receipt string
	}{
		"the same account": {"alice", 0, "not revoked at the provider, because the same account is connected here again"},
		"another account":  {"work", 1, "revoked at the provider at a later try"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := w.disconnectedWhile(errUnreached)
			w.provider.set(func() { w.provider.down = nil })
			_, err := alice.Put(t.Context(), w.connection(test.account, w.provider.issue()))
			ok(t, err)
			w.clock.Advance(5 * time.Minute)
			ok(t, w.vault.Revoke(t.Context()))
			same(t, len(w.provider.revoked), test.revoked)
			same(t, w.pending(), 0)
			same(t, w.receipt("alice"), "disconnect: "+test.receipt)
			ok(t, alice.Ready(t.Context(), github))
		})
	}
}

// Two processes look at the same moment: one asks. And one outage is asked about
// once a round, not once a person.
func TestRevocationsAreTriedOnce(t *testing.T) {
	w := newWorld(t)
	for _, who := range []string{"alice", "bob", "carol"} {
		k, _ := w.connect(who)
		w.provider.set(func() { w.provider.down = errUnreached })
		if err := k.Delete(t.Context(), "github", "id-of-"+who); err == nil {
			t.Fatal("confirmed by a provider that is down")
		}
		w.provider.set(func() { w.provider.down = nil })
	}
	w.provider.set(func() { w.provider.down = errUnreached })
	w.clock.Advance(2 * time.Minute)
	inline := w.asked()
	ok(t, w.vault.Revoke(t.Context()))
	same(t, w.asked(), inline+1)

	w.provider.set(func() { w.provider.down = nil })
	w.clock.Advance(5 * time.Minute)
	other := w.other()
	nested := 0
	w.provider.revoking = func(context.Context) {
		w.provider.revoking = nil
		ok(t, other.vault.Revoke(t.Context())) // while the first is asked about one
		w.provider.set(func() { nested = len(w.provider.revoked) })
	}
	ok(t, w.vault.Revoke(t.Context()))
	same(t, nested, 2)
	same(t, len(w.provider.revoked), 3)
	same(t, w.pending(), 0)
}

// Where the receipt can't be written, the token stays, and is tried again.
func TestNoDestructionWithoutReceipt(t *testing.T) {
	w := newWorld(t)
	w.disconnectedWhile(errUnreached)
	w.provider.set(func() { w.provider.down = nil })
	w.clock.Advance(2 * time.Minute)
	w.sql("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'no room'); END")
	contains(t, w.vault.Revoke(t.Context()), "no room")
	same(t, w.pending(), 1)
	w.sql("DROP TRIGGER full")
	w.clock.Advance(5 * time.Minute)
	ok(t, w.vault.Revoke(t.Context()))
	same(t, w.pending(), 0)
}
