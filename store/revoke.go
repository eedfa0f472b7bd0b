package store

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
)

const (
	revokeTimeout = 15 * time.Second
	revokeTries   = 3
	deleteTries   = 10 // against refreshes that move the version meanwhile
)

// Reasons of a Disconnect entry: the receipt.
const (
	receiptRevoked     = "removed here; revoked at the provider"
	receiptUnconfirmed = "removed here; the provider did not confirm the revocation yet, and is asked again for 24 hours"
	receiptUnkept      = "removed here; the provider did not confirm the revocation, and there was no room to ask it again later"
	receiptUnreadable  = "removed here; it could not be read, so the provider was not asked to revoke it"
)

// Delete disconnects an account: the grant is unusable when it returns, and the
// provider has been asked to revoke it. A *RevokeError means that it is gone here, but that the
// provider didn't confirm yet: Revoke asks it again. ErrNotFound where nothing was
// connected.
func (k Keyring) Delete(ctx context.Context, provider, account string) error {
	k.vault.running.Add(1)
	defer k.vault.running.Done()
	ctx = context.WithoutCancel(ctx) // half a disconnect is none
	token, pending, err := k.remove(ctx, provider, account)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	// Where that fails, whoever used the account has to choose another.
	if err := k.settle(ctx, provider); err != nil {
		k.vault.log.Error("no other account could be made the default", "provider", provider, "err", err)
	}
	if err != nil {
		return err
	}
	return k.revoked(ctx, provider, token, pending)
}

// revoked asks the provider to forget a token that is gone here, and writes the
// receipt; zero is one that could not be read.
func (k Keyring) revoked(ctx context.Context, provider string, token Token, pending string) error {
	receipt := receiptUnreadable
	if !token.Access.IsZero() {
		receipt = k.revoke(ctx, provider, token, pending)
	}
	k.receipt(ctx, audit.Entry{Event: audit.Disconnect, Provider: provider, Reason: receipt})
	if receipt != receiptRevoked {
		return &RevokeError{Provider: provider}
	}
	return nil
}

// remove moves the grant's token into a pending revocation, which is written first
// so that a crash in between loses nothing, and removes the grant. pending is ""
// where the grant didn't open.
func (k Keyring) remove(ctx context.Context, provider, account string) (t Token, pending string, err error) {
	err = ErrConflict
	for try := 0; errors.Is(err, ErrConflict) && try < deleteTries; try++ {
		var row Row
		if row, err = k.vault.backend.Grants().Get(ctx, k.owner, provider, account); err != nil {
			break
		}
		t, pending = Token{}, ""
		if g, unreadable := k.open(row); unreadable == nil {
			t = g.token
			// Where there's no room for the pending revocation, the grant goes all the
			// same: the provider is asked right away.
			if pending, err = k.file(ctx, g); err != nil {
				k.vault.log.Error("a revocation can't be kept for a crash", "provider", provider, "err", err)
				pending = ""
			}
		}
		if err = k.vault.backend.Grants().Delete(ctx, k.owner, provider, account, row.Version); err != nil {
			k.unfile(ctx, pending)
		}
	}
	return t, pending, err
}

// file keeps g's token as a pending revocation under a new key.
func (k Keyring) file(ctx context.Context, g held) (key string, err error) {
	now := k.vault.now()
	key = rand.Text()
	return key, k.vault.revocations().Put(ctx, key, k.owner, 0, revocation{
		Provider: g.Provider, Account: g.Account.ID,
		Access: g.token.Access.Reveal(), Refresh: g.token.Refresh.Reveal(), Expiry: g.token.Expiry,
		Filed: now, Next: now.Add(firstRevocation),
	})
}

// unfile forgets a pending revocation. Where that fails, Revoke finds out.
func (k Keyring) unfile(ctx context.Context, key string) {
	if key != "" {
		_, _ = k.vault.revocations().Take(ctx, key)
	}
}

// revoke asks the provider to forget t, and says what came of it.
func (k Keyring) revoke(ctx context.Context, provider string, t Token, pending string) (receipt string) {
	asking, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	heard := false
	for try := range revokeTries {
		err := k.vault.exchange.Revoke(asking, provider, t)
		var unknown *Refused
		if err == nil || errors.As(err, &unknown) {
			k.unfile(ctx, pending)
			return receiptRevoked
		}
		heard = heard || answered(err)
		if try < revokeTries-1 {
			pause(asking, try)
		}
	}
	if pending == "" {
		return receiptUnkept
	}
	if heard {
		k.heard(ctx, pending)
	}
	return receiptUnconfirmed
}

// heard notes that the provider answered, for the receipt at the end. Where that
// can't be written, a later answer says the same.
func (k Keyring) heard(ctx context.Context, pending string) {
	item, err := k.vault.revocations().Get(ctx, pending)
	if err == nil {
		item.Value.Answered = true
		_ = k.vault.revocations().Replace(ctx, pending, item)
	}
}
