package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

const (
	revokeKept      = 24 * time.Hour // how long an unconfirmed revocation is tried
	firstRevocation = time.Minute    // until the second round of tries, then twice that, …
	lastRevocation  = time.Hour
	revocationPage  = 100 // records read at once
)

// Reasons of the Disconnect entry that closes a pending revocation.
const (
	receiptLater     = "revoked at the provider at a later try"
	receiptReconnect = "not revoked at the provider, because the same account is connected here again"
	receiptRefusing  = "given up after 24 hours: the provider answered, but did not confirm the revocation"
	receiptSilent    = "given up after 24 hours: the provider never gave a usable answer"
)

// A revocation is a token that can do nothing any more but be revoked.
type revocation struct {
	Provider string    `json:"provider"`
	Account  string    `json:"account"`
	Access   string    `json:"access"`
	Refresh  string    `json:"refresh,omitzero"`
	Expiry   time.Time `json:"expiry,omitzero"`
	Filed    time.Time `json:"filed"`
	Next     time.Time `json:"next"`     // when it is tried again
	Tries    int       `json:"tries"`    // by Revoke
	Answered bool      `json:"answered"` // the provider did, though not with a yes
}

func (r revocation) token() Token {
	return Token{Access: NewSecret(r.Access), Refresh: NewSecret(r.Refresh), Expiry: r.Expiry}
}

// giveUp is the receipt of a revocation whose time is over.
func (r revocation) giveUp() string {
	if r.Answered {
		return receiptRefusing
	}
	return receiptSilent
}

func (v *Vault) revocations() Table[revocation] { return NewTable[revocation](v, revocationKind) }

// Revoke tries the pending revocations that are due, and destroys those that are
// done, or over after 24 hours, with an audit entry that says which. Call it every
// half a minute. Several processes may: each try belongs to one. It can do nothing
// with a credential but have it revoked. It ends early with ctx.
func (v *Vault) Revoke(ctx context.Context) error {
	v.running.Add(1)
	defer v.running.Done()
	var failed []error
	silent := map[string]bool{} // providers that are left alone for the rest of this round
	var after [sha256.Size]byte
	for ctx.Err() == nil {
		list, err := v.backend.Records().List(ctx, v.revocations().kind, after, revocationPage)
		if err != nil {
			return err
		}
		for _, r := range list {
			if ctx.Err() != nil {
				break
			}
			failed = append(failed, v.pending(ctx, r, silent))
			after = r.Key
		}
		if len(list) < revocationPage {
			break
		}
	}
	return errors.Join(failed...)
}

// pending tries the revocation in r, where it is due.
func (v *Vault) pending(ctx context.Context, r Record, silent map[string]bool) error {
	ctx = context.WithoutCancel(ctx)
	item, err := v.revocations().item(r, nil)
	if err != nil {
		return err
	}
	now, rev := v.now(), item.Value
	if now.Before(rev.Next) {
		return nil
	}
	if silent[rev.Provider] {
		if now.Before(rev.Filed.Add(revokeKept)) {
			return nil
		}
		return v.close(ctx, r, rev.Provider, rev.giveUp())
	}
	again, err := v.connected(ctx, r.Owner, rev)
	if err != nil {
		return err
	}
	if again {
		return v.close(ctx, r, rev.Provider, receiptReconnect)
	}
	return v.tryRevoke(ctx, r, item, silent)
}

// tryRevoke asks the provider, after it has put the next try off: another process
// that looks at the same record leaves it alone then.
func (v *Vault) tryRevoke(ctx context.Context, r Record, item Item[revocation], silent map[string]bool) error {
	now := v.now()
	item.Value.Next = now.Add(revokeTimeout + backoff(firstRevocation, lastRevocation, item.Value.Tries))
	item.Value.Tries++
	err := v.revocations().replace(ctx, r.Key, item)
	if errors.Is(err, ErrConflict) {
		return nil // it is another's
	}
	if err != nil {
		return err
	}
	item.Version++
	asking, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	err = v.exchange.Revoke(asking, item.Value.Provider, item.Value.token())
	var unknown *Refused
	if err == nil || errors.As(err, &unknown) {
		return v.close(ctx, r, item.Value.Provider, receiptLater)
	}
	return v.unconfirmed(ctx, r, item, silent, err)
}

// unconfirmed notes that a try came to nothing, the last one for good.
func (v *Vault) unconfirmed(ctx context.Context, r Record, item Item[revocation], silent map[string]bool, err error) error {
	if answered(err) {
		item.Value.Answered = true
	} else {
		silent[item.Value.Provider] = true
	}
	if !v.now().Before(item.Value.Filed.Add(revokeKept)) {
		return v.close(ctx, r, item.Value.Provider, item.Value.giveUp())
	}
	return v.revocations().replace(ctx, r.Key, item)
}

// connected reports whether the account of rev is connected again, by the same
// person: to revoke the old token may end the new one (Google's way), or end a
// grant whose disconnect was cut short by a crash and never acknowledged.
func (v *Vault) connected(ctx context.Context, owner identity.Digest, rev revocation) (bool, error) {
	rows, err := v.backend.Grants().Accounts(ctx, owner, rev.Provider)
	return slices.ContainsFunc(rows, func(row Row) bool {
		return row.Account == rev.Account || row.Account == "" // whose is not known may be it
	}), err
}

// close writes the receipt and then destroys the record: a crash in between asks
// the provider once more, and says so once more.
func (v *Vault) close(ctx context.Context, r Record, provider, receipt string) error {
	e := audit.Entry{Event: audit.Disconnect, Owner: r.Owner, Provider: provider, Reason: receipt}
	if err := v.record(ctx, e); err != nil {
		return err
	}
	_, err := v.backend.Records().Take(ctx, r.Kind, r.Key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("a revocation that is over can't be destroyed: %w", err)
	}
	return nil
}
