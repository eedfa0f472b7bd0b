package store

import (
	"context"
	"crypto/sha256"
)

// An Event is what Config.Observe is told of.
type Event int

// The events, each with the provider that it is about but AuditFailed.
const (
	Released       Event = iota // a credential was released
	Withheld                    // nothing was released, or a link or an egress was refused
	Refreshed                   // the provider gave a new access token
	RefreshRevoked              // the provider said that the credential is dead
	RefreshOutage               // the provider could not be asked, or decided nothing
	AuditFailed                 // an entry could not be written to the audit record
)

func (v *Vault) observe(e Event, provider string) {
	if v.observer != nil {
		v.observer(e, provider)
	}
}

// AuditBroken is why nothing is released any more, or nil.
func (v *Vault) AuditBroken() error { return v.audit.Broken() }

// PendingRevocations is how many disconnected tokens no provider has confirmed yet.
func (v *Vault) PendingRevocations(ctx context.Context) (n int, err error) {
	var after [sha256.Size]byte
	for {
		list, err := v.backend.Records().List(ctx, revocationKind, after, revocationPage)
		if err != nil {
			return 0, err
		}
		n += len(list)
		if len(list) < revocationPage {
			return n, nil
		}
		after = list[len(list)-1].Key
	}
}
