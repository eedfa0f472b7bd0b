package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// CutoffLife is how long it is remembered when somebody was forgotten: longer than
// anything lives that began before and could be used after.
const CutoffLife = 90 * 24 * time.Hour

// Kinds of records that outlive their owner's Forget.
const (
	revocationKind = "revocation"
	cutoffKind     = "cutoff"
)

// A cutoff says that no sign-in from before it counts any more. It is what ends
// sealed cookies, which nobody can take back, in all browsers.
type cutoff struct{ At time.Time }

func (v *Vault) cutoffs() Table[cutoff] { return NewTable[cutoff](v, cutoffKind) }

// Forgotten is when the owner was last forgotten; zero where that was never, or
// longer than CutoffLife ago. A sign-in that isn't later doesn't count.
func (v *Vault) Forgotten(ctx context.Context, owner identity.Digest) (time.Time, error) {
	item, err := v.cutoffs().Get(ctx, owner.String())
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	return item.Value.At, err
}

// Forget removes all that there is of the person: every grant is disconnected as
// Delete does it, every record of theirs goes, whatever its kind, and no sign-in from
// before counts. Only pending revocations stay, the moment of the forgetting, the
// grants' marks, and the audit record.
//
// waiting is asked for tokens that wait elsewhere and have to be revoked like the
// grants', once nothing can be added to them unnoticed: who adds something after a
// sign-in looks at Forgotten afterwards, and takes it back where that has changed.
//
// unrevoked are the providers that didn't confirm yet. An error says what could not
// be removed; all else is.
func (k Keyring) Forget(ctx context.Context, waiting func(context.Context) ([]Connection, error)) (unrevoked []string, err error) {
	k.vault.running.Add(1)
	defer k.vault.running.Done()
	ctx = context.WithoutCancel(ctx) // half a forgetting is none
	cut := k.cutOff(ctx)
	found, unread := waiting(ctx)
	var f forgetting
	for _, c := range found { // filed before the records go, revoked after
		f.start(c.Provider, k.discarding(ctx, c))
	}
	removed := k.removeRecords(ctx)
	infos, unlisted := k.List(ctx)
	for _, info := range infos {
		f.start(info.Provider, func() error { return k.Delete(ctx, info.Provider, info.Account.ID) })
	}
	f.jobs.Wait()
	// A refresh may have taken a lease until its grant was gone.
	removed = errors.Join(removed, k.removeRecords(ctx))
	if cut != nil { // on a full disk there may be room by now
		cut = k.cutOff(ctx)
	}
	err = errors.Join(cut, unread, unlisted, removed, f.failed)
	said := fmt.Sprintf("%d connections were there; they, sessions, links and tokens of clients ended", len(infos))
	if err != nil {
		said += ", but not all of it"
	}
	k.receipt(ctx, audit.Entry{Event: audit.Forget, Reason: said})
	return f.unrevoked, err
}

// cutOff notes that nothing from before now counts.
func (k Keyring) cutOff(ctx context.Context) error {
	table, key, now := k.vault.cutoffs(), k.owner.String(), k.vault.now()
	for {
		err := table.Put(ctx, key, k.owner, CutoffLife, cutoff{At: now})
		if !errors.Is(err, ErrConflict) {
			return err
		}
		item, err := table.Get(ctx, key)
		if err == nil {
			item.Value.At, item.Expires = now, now.Add(CutoffLife)
			err = table.Replace(ctx, key, item)
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
}

func (k Keyring) removeRecords(ctx context.Context) error {
	return k.vault.backend.Records().DeleteByOwner(ctx, k.owner, revocationKind, cutoffKind)
}

// A forgetting asks all providers at once, so that no grant stays usable while
// another's provider is silent.
type forgetting struct {
	jobs      sync.WaitGroup
	mu        sync.Mutex
	unrevoked []string
	failed    error
}

func (f *forgetting) start(provider string, job func() error) {
	f.jobs.Go(func() {
		err := job()
		f.mu.Lock()
		defer f.mu.Unlock()
		var unconfirmed *RevokeError
		switch {
		case errors.As(err, &unconfirmed):
			f.unrevoked = append(f.unrevoked, provider)
		case !errors.Is(err, ErrNotFound): // which somebody else disconnected
			f.failed = errors.Join(f.failed, err)
		}
	})
}

// Discard has the token of c revoked at the provider, as Delete does it, where c was
// never Put. A *RevokeError means that the provider didn't confirm yet. Where anyone
// here has that account connected it is not revoked, since that may end their access:
// then it is forgotten alone.
func (k Keyring) Discard(ctx context.Context, c Connection) error {
	held, err := k.vault.backend.Grants().Shared(ctx, identity.Digest{}, c.Provider, c.Account.ID)
	if err != nil || held {
		return err
	}
	k.vault.running.Add(1)
	defer k.vault.running.Done()
	return k.discarding(context.WithoutCancel(ctx), c)()
}

// discarding keeps c's token as a pending revocation at once, and returns what asks
// the provider. It does neither where somebody else has the account connected.
func (k Keyring) discarding(ctx context.Context, c Connection) (ask func() error) {
	if shared, err := k.vault.backend.Grants().Shared(ctx, k.owner, c.Provider, c.Account.ID); err == nil && shared {
		return func() error { return nil }
	}
	pending, err := k.file(ctx, held{Info: Info{Provider: c.Provider, Account: c.Account}, token: c.Token})
	if err != nil { // as in remove
		k.vault.log.Error("a revocation can't be kept for a crash", "provider", c.Provider, "err", err)
		pending = ""
	}
	return func() error { return k.revoked(ctx, c.Provider, c.Token, pending) }
}
