package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

const (
	refreshMargin  = 5 * time.Second  // a token that ends within it may die on its way
	refreshTimeout = 15 * time.Second // for the provider to answer
	persistTimeout = 10 * time.Second // for pauses until the answer is durable
	persistTries   = 3
)

// cutShort follows the provider's reason where the provider may have refused a
// token only because an earlier answer of its own was lost.
const cutShort = "; an earlier renewal was cut short, which may be why"

// outOfDate does so where the token came out of a backup.
const outOfDate = "; this server was restored from a backup, and the access was perhaps renewed in the meantime"

// stale reports whether g must be refreshed before it is released for call.
func (k Keyring) stale(g held, call Call) bool {
	if call.Rejected != 0 && call.Rejected == g.Version {
		return true
	}
	return !g.token.Refresh.IsZero() && g.token.over(k.vault.now().Add(min(refreshMargin, g.life()/10)))
}

// life is how long g's access token was given to live; 0 where nobody knows.
func (g held) life() time.Duration {
	if g.token.Expiry.IsZero() {
		return 0
	}
	return max(0, g.token.Expiry.Sub(g.UpdatedAt))
}

// due reports whether g had better be refreshed soon: at 75 to 85 % of its life,
// a moment that differs from grant to grant, so that people who connected together
// don't come back together.
func (g held) due(owner identity.Digest, now time.Time) bool {
	if g.token.Refresh.IsZero() || g.token.Expiry.IsZero() {
		return false
	}
	spread := (binary.BigEndian.Uint64(owner[:]) ^ uint64(g.Version)) % 1000
	left := g.life() / 10000 * time.Duration(2500-spread)
	return g.token.over(now.Add(left))
}

// ahead renews g in the background, where that is due and not under way already.
// Only a call of the owner's comes here, and it doesn't wait.
func (k Keyring) ahead(ctx context.Context, g held) {
	if !g.due(k.owner, k.vault.now()) {
		return
	}
	key := k.flight(g)
	if _, underway := k.vault.early.LoadOrStore(key, true); underway {
		return
	}
	k.vault.running.Go(func() {
		defer k.vault.early.Delete(key)
		_, _, _ = k.vault.flights.Do(key, func() (any, error) {
			return k.renew(context.WithoutCancel(ctx), g)
		})
	})
}

// flight names the refresh that follows g.
func (k Keyring) flight(g held) string {
	return string(fields(string(k.owner[:]), g.Provider, g.Account.ID, strconv.FormatInt(g.Version, 10)))
}

// refresh returns what follows g, from one request to the provider for all who
// wait. Where the provider can't be asked, the token at hand serves while it lives.
func (k Keyring) refresh(ctx context.Context, g held, call Call) (held, error) {
	key := k.flight(g)
	var next held
	landed := make(chan error, 1)
	// Counted before it starts, so that Close can't overtake it when ctx ends.
	k.vault.running.Go(func() {
		done, err, _ := k.vault.flights.Do(key, func() (any, error) {
			return k.renew(context.WithoutCancel(ctx), g)
		})
		next, _ = done.(held)
		landed <- err
	})
	select {
	case <-ctx.Done():
		return held{}, fmt.Errorf("waiting for %s to refresh a credential: %w", g.Provider, ctx.Err())
	case err := <-landed:
		if errors.Is(err, ErrUnavailable) && call.Rejected != g.Version {
			return k.atHand(ctx, g, err)
		}
		return next, err
	}
}

// atHand is the grant as it is by now, while its token lives; else down. It is
// read again because it may have been disconnected while the provider was silent.
func (k Keyring) atHand(ctx context.Context, g held, down error) (held, error) {
	g, err := k.again(ctx, g)
	if err == nil && g.token.over(k.vault.now()) {
		return held{}, down
	}
	return g, err
}

// again is the grant of old's account as it is by now.
func (k Keyring) again(ctx context.Context, old held) (held, error) {
	return k.load(ctx, old.Provider, old.Account.ID)
}

// renew refreshes old, unless there is a newer one by now. While another process does
// so, it looks for what comes of that.
func (k Keyring) renew(ctx context.Context, old held) (held, error) {
	for wait := firstPoll; ; wait = min(2*wait, lastPoll) {
		g, err := k.again(ctx, old)
		if err != nil || g.Version != old.Version {
			return g, err
		}
		if g.token.Refresh.IsZero() {
			return k.giveUp(ctx, g, rejected)
		}
		lease, err := k.lease(ctx, g)
		if err == nil {
			g, err = k.renewUnder(ctx, lease, old)
		}
		if !errors.Is(err, errLeased) {
			return g, err
		}
		select {
		case <-k.vault.closing:
			return held{}, fmt.Errorf("%w: %s: %w, and this one stops", ErrUnavailable, old.Provider, errLeased)
		case <-time.After(wait):
		}
	}
}

// renewUnder refreshes old under lease. It reads the grant again, because whoever held
// the lease before may have renewed it meanwhile.
func (k Keyring) renewUnder(ctx context.Context, lease *holding, old held) (held, error) {
	g, err := k.again(ctx, old)
	if err != nil || g.Version != old.Version {
		lease.drop(ctx)
		return g, err
	}
	// The entry in the audit record comes first: where that can't be written, the
	// new token couldn't be either, and the provider would have spent the old one.
	if err := k.record(ctx, audit.Entry{Event: audit.Refresh, Provider: g.Provider}); err != nil {
		lease.putDown(ctx)
		return held{}, err
	}
	if !lease.enough(k.vault.now()) {
		lease.putDown(ctx)
		return held{}, fmt.Errorf("%w: %s: the database took too long to ask it safely", ErrUnavailable, g.Provider)
	}
	t, err := k.ask(ctx, g)
	if err != nil {
		return k.refused(ctx, lease, g, err)
	}
	k.vault.observe(Refreshed, g.Provider)
	next, err := k.keep(ctx, g, t)
	if err != nil {
		_ = lease.write(ctx, lease.item.Value.failed(k.vault.now(), err))
		return held{}, err
	}
	lease.drop(ctx)
	return next, nil
}

// ask is the one request to the provider.
func (k Keyring) ask(ctx context.Context, g held) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	t, err := k.vault.exchange.Refresh(ctx, g.Provider, g.token)
	if err == nil && t.Access.IsZero() {
		err = errors.New("an answer without an access token")
	}
	return t, err
}

// refused is what follows from the provider's no, which breaks the grant, or from
// its silence, which doesn't.
func (k Keyring) refused(ctx context.Context, lease *holding, g held, err error) (held, error) {
	var dead *Refused
	if !errors.As(err, &dead) {
		k.vault.observe(RefreshOutage, g.Provider)
		_ = lease.write(ctx, lease.item.Value.failed(k.vault.now(), err))
		return held{}, fmt.Errorf("%w: %s: %v", ErrUnavailable, g.Provider, err)
	}
	if !lease.ours(ctx) {
		return held{}, errLeased // the other may have got what was refused here
	}
	k.vault.observe(RefreshRevoked, g.Provider)
	reason := dead.Reason
	if lease.item.Value.Unsure {
		reason += cutShort
	}
	if g.Restored {
		reason += outOfDate
	}
	saved, err := k.giveUp(ctx, g, reason)
	if err == nil {
		lease.drop(ctx)
	}
	return saved, err
}

// giveUp marks g as broken. Where its version moved meanwhile, the refusal was
// about a token that somebody else has just spent, and the newer grant counts.
func (k Keyring) giveUp(ctx context.Context, g held, reason string) (held, error) {
	g.Broken = reason
	saved, err := k.save(ctx, g, g.Version)
	if errors.Is(err, ErrConflict) {
		return k.again(ctx, g)
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
		newer, gone := k.again(ctx, g)
		if gone != nil || !newer.refusedAfter(g) {
			k.orphan(ctx, g, t, gone)
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
	return g.Broken != "" && g.token.Refresh.Equal(old.token.Refresh)
}

// orphan revokes a new token whose grant was disconnected meanwhile: nobody else
// knows it. Where there is a newer grant it is left alone, since revoking one
// token may end them all.
func (k Keyring) orphan(ctx context.Context, g held, t Token, gone error) {
	var needs *NeedsConnect
	if !errors.As(gone, &needs) || needs.Reason != notConnected {
		return
	}
	g.token = t
	if pending, err := k.file(ctx, g); err == nil {
		receipt := k.revoke(ctx, g.Provider, t, pending)
		_ = k.record(ctx, audit.Entry{Event: audit.Disconnect, Provider: g.Provider, Reason: receipt})
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
