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
	revokeKept    = 24 * time.Hour // how long an unconfirmed revocation is kept
	deleteTries   = 10             // against refreshes that move the version meanwhile
)

// Reasons of a Disconnect entry: the receipt.
const (
	receiptRevoked     = "removed here; revoked at the provider"
	receiptUnconfirmed = "removed here; the provider did not confirm the revocation"
	receiptUnreadable  = "removed here; it could not be read, so the provider was not asked to revoke it"
)

// A revocation is a token that can do nothing any more but be revoked.
type revocation struct {
	Provider string    `json:"provider"`
	Access   string    `json:"access"`
	Refresh  string    `json:"refresh,omitzero"`
	Expiry   time.Time `json:"expiry,omitzero"`
}

// Delete disconnects: the grant is unusable when it returns, and the provider has
// been asked to revoke it. A *RevokeError means that it is gone here, but that the
// provider didn't confirm. ErrNotFound where nothing was connected.
func (k Keyring) Delete(ctx context.Context, provider string) error {
	k.vault.running.Add(1)
	defer k.vault.running.Done()
	ctx = context.WithoutCancel(ctx) // half a disconnect is none
	token, pending, err := k.remove(ctx, provider)
	if err != nil {
		return err
	}
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
func (k Keyring) remove(ctx context.Context, provider string) (t Token, pending string, err error) {
	err = ErrConflict
	for try := 0; errors.Is(err, ErrConflict) && try < deleteTries; try++ {
		var row Row
		if row, err = k.vault.backend.Grants().Get(ctx, k.owner, provider); err != nil {
			break
		}
		// Where there's no room for the pending revocation, the grant goes all the
		// same: the provider is asked right away.
		if t, pending, err = k.file(ctx, row); err != nil {
			k.vault.log.Error("a revocation can't be kept for a crash", "provider", provider, "err", err)
			pending = ""
		}
		if err = k.vault.backend.Grants().Delete(ctx, k.owner, provider, row.Version); err != nil {
			k.unfile(ctx, pending)
		}
	}
	return t, pending, err
}

func (k Keyring) revocations() Table[revocation] { return NewTable[revocation](k.vault, "revocation") }

// file keeps the token in row as a pending revocation under a new key; the key is
// "" where the row doesn't open.
func (k Keyring) file(ctx context.Context, row Row) (t Token, key string, err error) {
	g, err := k.open(row)
	if err != nil {
		return Token{}, "", nil
	}
	t, key = g.token, rand.Text()
	return t, key, k.revocations().Put(ctx, key, k.owner, revokeKept, revocation{
		Provider: row.Provider, Access: t.Access.Reveal(), Refresh: t.Refresh.Reveal(), Expiry: t.Expiry,
	})
}

// unfile forgets a pending revocation. Where that fails it expires by itself.
func (k Keyring) unfile(ctx context.Context, key string) {
	if key != "" {
		_, _ = k.revocations().Take(ctx, key)
	}
}

// revoke asks the provider to forget t, and says what came of it.
func (k Keyring) revoke(ctx context.Context, provider string, t Token, pending string) (receipt string) {
	asking, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	for try := range revokeTries {
		err := k.vault.exchange.Revoke(asking, provider, t)
		var unknown *Refused
		if err == nil || errors.As(err, &unknown) {
			k.unfile(ctx, pending)
			return receiptRevoked
		}
		if try < revokeTries-1 {
			pause(asking, try)
		}
	}
	return receiptUnconfirmed
}
