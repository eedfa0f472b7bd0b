package store

import (
	"context"
	"time"
)

// Idle reports whether no refresh is under way in the background.
func (v *Vault) Idle() bool {
	idle := true
	v.early.Range(func(any, any) bool { idle = false; return false })
	return idle
}

// Stored is the grant at provider as it is kept, with its token, released to
// nobody and not refreshed.
func (k Keyring) Stored(ctx context.Context, provider string) (Info, Token, error) {
	g, err := k.load(ctx, provider, "")
	return g.Info, g.token, err
}

// SetKMSTimeout replaces the time for a visit to a KMS until undo.
func SetKMSTimeout(d time.Duration) (undo func()) {
	was := kmsTimeout
	kmsTimeout = d
	return func() { kmsTimeout = was }
}

// Unplug is Delete up to where the provider is asked: what a crash there leaves.
func (k Keyring) Unplug(ctx context.Context, provider, account string) error {
	_, _, err := k.remove(ctx, provider, account)
	return err
}

// OpenRevocation opens r as Revoke does.
func (v *Vault) OpenRevocation(r Record) (provider, access string, tries int, err error) {
	item, err := v.revocations().item(r, nil)
	return item.Value.Provider, item.Value.Access, item.Value.Tries, err
}

// Opens is what the grant in row is labelled, if it opens for k.
func (k Keyring) Opens(row Row) (label string, err error) {
	g, err := k.open(row)
	return g.Account.Label, err
}

// OpenRecord is the value in r, if it opens.
func (t Table[T]) OpenRecord(r Record) (T, error) {
	item, err := t.item(r, nil)
	return item.Value, err
}
