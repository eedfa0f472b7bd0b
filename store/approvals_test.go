package store_test

import (
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// of is subject's keyring for that client.
func (w *world) of(subject, client string) store.Keyring {
	w.t.Helper()
	claims := w.issuer.Claims(subject)
	claims["client_id"] = client
	caller, err := w.issuer.Verifier().Verify(w.t.Context(), w.issuer.Sign(nil, claims))
	ok(w.t, err)
	k, err := w.vault.Keyring(caller)
	ok(w.t, err)
	return k
}

// browser is subject's keyring on our pages.
func (w *world) browser(subject string) store.Keyring {
	w.t.Helper()
	k, err := w.vault.Keyring(storetest.BrowserCaller(w.t, w.issuer, w.vault, subject))
	ok(w.t, err)
	return k
}

func deed(change ...func(*store.Deed)) store.Deed {
	d := store.Deed{
		Tool: "github_write", Provider: "github", Account: "1", Arguments: json.RawMessage(`{"title":"x"}`),
		Digest: [32]byte{7},
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

// others are what differs from deed in one thing each.
func others() map[string]store.Deed {
	return map[string]store.Deed{
		"another tool":     deed(func(d *store.Deed) { d.Tool = "github_delete" }),
		"another provider": deed(func(d *store.Deed) { d.Provider = "google" }),
		"another account":  deed(func(d *store.Deed) { d.Account = "2" }),
		"other arguments":  deed(func(d *store.Deed) { d.Arguments = json.RawMessage(`{"title":"y"}`) }),
		"parts moved":      deed(func(d *store.Deed) { d.Tool, d.Provider = "github_writeg", "ithub" }),
	}
}

func TestAnAnswerIsForOneDeedOnce(t *testing.T) {
	w := newWorld(t)
	ctx, alice := t.Context(), w.of("alice", "c1")
	nonce, err := alice.Ask(ctx, deed())
	ok(t, err)
	for name, d := range others() {
		if err := alice.Answer(ctx, d, nonce, true); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, k := range map[string]store.Keyring{"bob": w.of("bob", "c1"), "another client": w.of("alice", "c2")} {
		if err := k.Answer(ctx, deed(), nonce, true); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	is(t, alice.Answer(ctx, deed(), "", true), store.ErrNotFound)
	ok(t, alice.Answer(ctx, deed(), nonce, true))
	is(t, alice.Answer(ctx, deed(), nonce, true), store.ErrNotFound)
	same(t, w.events("alice"), "approve spend")
	entries := w.entries("alice")
	same(t, entries[1].Of != "", true)
	same(t, [3]string{entries[0].Client, entries[0].Tool, entries[1].Arguments[:2]}, [3]string{"c1", "github_write", "07"})

	no, err := alice.Ask(ctx, deed())
	ok(t, err)
	ok(t, alice.Answer(ctx, deed(), no, false))
	is(t, alice.Answer(ctx, deed(), no, true), store.ErrNotFound)
	same(t, w.events("alice"), "approve spend refuse")

	late, err := alice.Ask(ctx, deed())
	ok(t, err)
	w.clock.Advance(store.ApprovalLife)
	is(t, alice.Answer(ctx, deed(), late, true), store.ErrNotFound)
}

func TestADecisionIsForOneDeedOnce(t *testing.T) {
	w := newWorld(t)
	ctx, alice, pages := t.Context(), w.of("alice", "c1"), w.browser("alice")
	ticket, err := alice.Submit(ctx, deed())
	ok(t, err)
	again, err := alice.Submit(ctx, deed())
	ok(t, err)
	same(t, again, ticket)
	_, err = alice.Decision(ctx, deed())
	is(t, err, store.ErrNotFound)

	_, err = w.browser("bob").Submitted(ctx, ticket)
	is(t, err, store.ErrOtherPerson)
	is(t, w.browser("bob").Decide(ctx, ticket, true), store.ErrOtherPerson)
	if err := alice.Decide(ctx, ticket, true); err == nil {
		t.Error("a client's own keyring approved")
	}
	got, err := pages.Submitted(ctx, ticket)
	ok(t, err)
	same(t, got, deed(func(d *store.Deed) { d.Client = "c1" }))
	ok(t, pages.Decide(ctx, ticket, true))
	is(t, pages.Decide(ctx, ticket, true), store.ErrNotFound)

	for name, d := range others() {
		if _, err := alice.Decision(ctx, d); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, k := range map[string]store.Keyring{"bob": w.of("bob", "c1"), "another client": w.of("alice", "c2"), "pages": pages} {
		if _, err := k.Decision(ctx, deed()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	approved, err := alice.Decision(ctx, deed())
	ok(t, err)
	same(t, approved, true)
	_, err = alice.Decision(ctx, deed())
	is(t, err, store.ErrNotFound)
	same(t, w.events("alice"), "approve spend")
	same(t, w.entries("alice")[0].Client, "c1")
}

func TestADecisionNotToIsSaidOnce(t *testing.T) {
	w := newWorld(t)
	ctx, alice := t.Context(), w.of("alice", "c1")
	ticket, err := alice.Submit(ctx, deed())
	ok(t, err)
	ok(t, w.browser("alice").Decide(ctx, ticket, false))
	approved, err := alice.Decision(ctx, deed())
	ok(t, err)
	same(t, approved, false)
	_, err = alice.Decision(ctx, deed())
	is(t, err, store.ErrNotFound)
	same(t, w.events("alice"), "refuse")
	next, err := alice.Submit(ctx, deed())
	ok(t, err)
	same(t, next == ticket, false)
}

// The last word counts: a decision that was not used gives way to the next.
func TestTheLastDecisionCounts(t *testing.T) {
	w := newWorld(t)
	ctx, alice, pages := t.Context(), w.of("alice", "c1"), w.browser("alice")
	for _, yes := range []bool{true, false} {
		ticket, err := alice.Submit(ctx, deed())
		ok(t, err)
		ok(t, pages.Decide(ctx, ticket, yes))
	}
	approved, err := alice.Decision(ctx, deed())
	ok(t, err)
	same(t, approved, false)
	_, err = alice.Decision(ctx, deed())
	is(t, err, store.ErrNotFound)
}

func TestApprovalsExpire(t *testing.T) {
	w := newWorld(t)
	ctx, alice, pages := t.Context(), w.of("alice", "c1"), w.browser("alice")
	ticket, err := alice.Submit(ctx, deed())
	ok(t, err)
	w.clock.Advance(store.ApprovalLife)
	is(t, pages.Decide(ctx, ticket, true), store.ErrNotFound)
	ticket, err = alice.Submit(ctx, deed())
	ok(t, err)
	ok(t, w.browser("alice").Decide(ctx, ticket, true))
	w.clock.Advance(store.ApprovalLife)
	_, err = alice.Decision(ctx, deed())
	is(t, err, store.ErrNotFound)
}

// Of many retries one runs, whoever asked the question.
func TestOneOfManyRetriesRuns(t *testing.T) {
	w := newWorld(t)
	ctx, alice := t.Context(), w.of("alice", "c1")
	nonce, err := alice.Ask(ctx, deed())
	ok(t, err)
	ticket, err := alice.Submit(ctx, deed())
	ok(t, err)
	ok(t, w.browser("alice").Decide(ctx, ticket, true))
	var answered, decided atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if alice.Answer(ctx, deed(), nonce, true) == nil {
				answered.Add(1)
			}
			if yes, err := alice.Decision(ctx, deed()); yes && err == nil {
				decided.Add(1)
			}
		})
	}
	all.Wait()
	same(t, [2]int32{answered.Load(), decided.Load()}, [2]int32{1, 1})
}

// What isn't on record doesn't run.
func TestNoApprovalUnrecorded(t *testing.T) {
	w := newWorld(t)
	ctx, alice := t.Context(), w.of("alice", "c1")
	nonce, err := alice.Ask(ctx, deed())
	ok(t, err)
	ticket, err := alice.Submit(ctx, deed())
	ok(t, err)
	ok(t, w.browser("alice").Decide(ctx, ticket, true))
	second, err := alice.Submit(ctx, deed(func(d *store.Deed) { d.Tool = "second" }))
	ok(t, err)
	w.sql("UPDATE audit SET reason = 'forged'")
	w.vault.CheckAudit(ctx)
	is(t, alice.Answer(ctx, deed(), nonce, true), audit.ErrBroken)
	_, err = alice.Decision(ctx, deed())
	is(t, err, audit.ErrBroken)
	is(t, w.browser("alice").Decide(ctx, second, true), audit.ErrBroken)
	// The ticket is used up; who asks once more gets one that can be decided on.
	third, err := alice.Submit(ctx, deed(func(d *store.Deed) { d.Tool = "second" }))
	ok(t, err)
	_, err = w.browser("alice").Submitted(ctx, third)
	ok(t, err)
}

func TestWhoWaitsForADecisionHearsIt(t *testing.T) {
	w := newWorld(t)
	ctx, alice := t.Context(), w.of("alice", "c1")
	ticket, err := alice.Submit(ctx, deed())
	ok(t, err)
	heard := make(chan error, 1)
	began := time.Now()
	go func() {
		approved, err := alice.AwaitDecision(ctx, deed())
		if err == nil && !approved {
			err = errors.New("it was not approved")
		}
		heard <- err
	}()
	ok(t, w.browser("alice").Decide(ctx, ticket, true))
	ok(t, <-heard)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("after %s", took)
	}
}

func TestForgetTakesApprovalsAndPermissions(t *testing.T) {
	w := newWorld(t)
	ctx, alice, pages := t.Context(), w.of("alice", "c1"), w.browser("alice")
	nonce, err := alice.Ask(ctx, deed())
	ok(t, err)
	_, err = alice.Submit(ctx, deed())
	ok(t, err)
	ticket, err := alice.Submit(ctx, deed(func(d *store.Deed) { d.Tool = "other" }))
	ok(t, err)
	ok(t, pages.Decide(ctx, ticket, true))
	ok(t, pages.SetPermission(ctx, "c1", func(p *store.Permission) { p.Writing = store.NeverAsk }))
	same(t, w.kinds("alice"), []string{"approval", "approval link", "approval question", "approval ticket", "permission"})
	_, err = alice.Forget(ctx, nothingWaits)
	ok(t, err)
	same(t, w.kinds("alice"), []string{"cutoff"})
	is(t, alice.Answer(ctx, deed(), nonce, true), store.ErrNotFound)
	p, err := alice.Permission(ctx)
	ok(t, err)
	same(t, p.Asks(true), true)
}
