package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// pollEvery is how often Wait looks for what another process may have written.
const pollEvery = time.Second

// Wait returns nil as soon as Ready does, or the last *NeedsConnect once ctx ends.
func (k Keyring) Wait(ctx context.Context, need Need) error {
	rung, hangUp := k.vault.bells.listen(slot{k.owner, need.Provider})
	defer hangUp()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		err := k.Ready(ctx, need)
		var needs *NeedsConnect
		if !errors.As(err, &needs) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-rung:
		case <-poll.C:
		}
	}
}

// A slot is where one grant is kept.
type slot struct {
	owner    identity.Digest
	provider string
}

// bells wake those who wait for a slot. The zero value is ready to use.
type bells struct {
	mu      sync.Mutex
	waiting map[slot]map[chan struct{}]struct{}
}

// listen returns a channel that receives after each ring, until hangUp.
func (b *bells) listen(s slot) (rung <-chan struct{}, hangUp func()) {
	ch := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = map[slot]map[chan struct{}]struct{}{}
	}
	if b.waiting[s] == nil {
		b.waiting[s] = map[chan struct{}]struct{}{}
	}
	b.waiting[s][ch] = struct{}{}
	return ch, func() { b.hangUp(s, ch) }
}

func (b *bells) hangUp(s slot, ch chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting[s], ch)
	if len(b.waiting[s]) == 0 {
		delete(b.waiting, s)
	}
}

func (b *bells) ring(s slot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.waiting[s] {
		select {
		case ch <- struct{}{}:
		default: // one is pending already
		}
	}
}
