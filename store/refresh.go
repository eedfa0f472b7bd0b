package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
)

const (
	refreshMargin  = time.Minute      // a token that ends within it is refreshed
	refreshTimeout = 15 * time.Second // for the provider to answer
	persistTimeout = 10 * time.Second // for the answer to become durable
	persistTries   = 3
)

// stale reports whether g must be refreshed before it is released for call.
func (k Keyring) stale(g held, call Call) bool {
	if call.Rejected != 0 && call.Rejected == g.Version {
		return true
	}
	return !g.token.Refresh.IsZero() && g.token.over(k.vault.now().Add(refreshMargin))
}

// refresh returns what follows g, from one request to the provider for all who
// wait. Where the provider can't be asked, the token at hand serves while it lives.
func (k Keyring) refresh(ctx context.Context, g held, call Call) (held, error) {
	key := string(fields(string(k.owner[:]), g.Provider, strconv.FormatInt(g.Version, 10)))
	var next held
	landed := make(chan error, 1)
	// Counted before it starts, so that Close can't overtake it when ctx ends.
	k.vault.running.Go(func() {
		done, err, _ := k.vault.flights.Do(key, func() (any, error) {
			return k.renew(context.WithoutCancel(ctx), g.Provider, g.Version)
		})
		next, _ = done.(held)
		landed <- err
	})
	select {
	case <-ctx.Done():
		return held{}, fmt.Errorf("waiting for %s to refresh a credential: %w", g.Provider, ctx.Err())
	case err := <-landed:
		if errors.Is(err, ErrUnavailable) && call.Rejected != g.Version {
			return k.atHand(ctx, g.Provider, err)
		}
		return next, err
	}
}

// atHand is the grant as it is by now, while its token lives; else down. It is
// read again because it may have been disconnected while the provider was silent.
func (k Keyring) atHand(ctx context.Context, provider string, down error) (held, error) {
	g, err := k.load(ctx, provider)
	if err == nil && g.token.over(k.vault.now()) {
		return held{}, down
	}
	return g, err
}

// renew refreshes the grant of that version, unless there is a newer one by now.
// Its entry in the audit record comes first: where that can't be written, the new
// token couldn't be either, and the provider would have spent the old one.
func (k Keyring) renew(ctx context.Context, provider string, version int64) (held, error) {
	g, err := k.load(ctx, provider)
	if err != nil || g.Version != version {
		return g, err
	}
	if g.token.Refresh.IsZero() {
		return k.giveUp(ctx, g, rejected)
	}
	if err := k.record(ctx, audit.Entry{Event: audit.Refresh, Provider: provider}); err != nil {
		return held{}, err
	}
	asking, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	t, err := k.vault.exchange.Refresh(asking, provider, g.token)
	var dead *Refused
	if errors.As(err, &dead) {
		return k.giveUp(ctx, g, dead.Reason)
	}
	if err == nil && t.Access.IsZero() {
		err = errors.New("an answer without an access token")
	}
	if err != nil {
		return held{}, fmt.Errorf("%w: %s: %v", ErrUnavailable, provider, err)
	}
	return k.keep(ctx, g, t)
}

// giveUp marks g as broken. Where its version moved meanwhile, the refusal was
// about a token that somebody else has just spent, and the newer grant counts.
func (k Keyring) giveUp(ctx context.Context, g held, reason string) (held, error) {
	g.Broken = reason
	saved, err := k.save(ctx, g, g.Version)
	if errors.Is(err, ErrConflict) {
		return k.load(ctx, g.Provider)
	}
	return saved, err
}

// keep persists the provider's answer to g's refresh token, on a deadline of its
// own: the provider may have used up the other, and a rotated token exists
// nowhere else.
func (k Keyring) keep(ctx context.Context, g held, t Token) (held, error) {
	ctx, cancel := context.WithTimeout(ctx, persistTimeout)
	defer cancel()
	next, version := g.renewed(t), g.Version
	var err error
	for try := range persistTries {
		var saved held
		if saved, err = k.save(ctx, next, version); err == nil {
			return saved, nil
		}
		if !errors.Is(err, ErrConflict) {
			pause(ctx, try)
			continue
		}
		newer, gone := k.load(ctx, g.Provider)
		if gone != nil || !newer.refusedAfter(g) {
			k.orphan(ctx, g.Provider, t, gone)
			return newer, gone
		}
		version = newer.Version
	}
	return held{}, err
}

// refusedAfter reports whether g is what another process made of old: it asked
// with the same refresh token, a moment too late, and took the provider's
// refusal for the end.
func (g held) refusedAfter(old held) bool {
	return g.Broken != "" && g.token.Refresh == old.token.Refresh
}

// orphan revokes a new token whose grant was disconnected meanwhile: nobody else
// knows it. Where there is a newer grant it is left alone, since revoking one
// token may end them all.
func (k Keyring) orphan(ctx context.Context, provider string, t Token, gone error) {
	var needs *NeedsConnect
	if errors.As(gone, &needs) && needs.Reason == notConnected {
		_ = k.vault.exchange.Revoke(ctx, provider, t)
	}
}

// renewed is g with t. What a refresh answer leaves out stays as it was (RFC 6749,
// sections 5.1 and 6).
func (g held) renewed(t Token) held {
	if t.Refresh.IsZero() {
		t.Refresh, t.RefreshExpiry = g.token.Refresh, g.token.RefreshExpiry
	}
	if len(t.Scopes) == 0 {
		t.Scopes = g.Scopes
	}
	g.token, g.Scopes = t, t.Scopes
	return g
}

// pause waits a little longer after each try, or until ctx ends.
func pause(ctx context.Context, try int) {
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond << try):
	}
}
