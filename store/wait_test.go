package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

// wait starts a Wait and returns what it will return.
func wait(ctx context.Context, k store.Keyring, need store.Need) <-chan error {
	done := make(chan error, 1)
	go func() { done <- k.Wait(ctx, need) }()
	return done
}

func TestWait(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.keyring("alice"), w.keyring("bob")
	ctx, cancel := context.WithCancel(t.Context())
	ready, never := wait(t.Context(), alice, github), wait(ctx, bob, github)
	started := time.Now()
	w.connect("alice")
	ok(t, <-ready)
	if since := time.Since(started); since > 500*time.Millisecond {
		t.Errorf("woken after %v: that was the poll, not the bell", since)
	}
	ok(t, alice.Wait(t.Context(), github)) // at once
	cancel()
	needs(t, <-never, "not connected yet")
}

func TestWaitForMoreScopes(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice", "user")
	done := wait(t.Context(), alice, store.Need{Provider: "github", Scopes: []string{"repo"}})
	c := w.connection("alice", w.provider.issue("user"))
	c.IfVersion = info.Version
	info, err := alice.Put(t.Context(), c) // wakes it, but isn't enough
	ok(t, err)
	c = w.connection("alice", w.provider.issue("user", "repo"))
	c.IfVersion = info.Version
	_, err = alice.Put(t.Context(), c)
	ok(t, err)
	ok(t, <-done)
}

// What another process files rings no bell here; the poll finds it.
func TestWaitForAnotherProcess(t *testing.T) {
	w := newWorld(t)
	done := wait(t.Context(), w.keyring("alice"), github)
	w.other().connect("alice")
	ok(t, <-done)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	needs(t, w.keyring("alice").Wait(ctx, github), "not connected yet")
	w.sql("DROP TABLE grants")
	contains(t, w.keyring("alice").Wait(t.Context(), github), "grants") // not swallowed
}
