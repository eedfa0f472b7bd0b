package store

import (
	"context"
	"fmt"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// AuditSeal is what the audit record's checkpoints are made and checked with. Those of
// a retired key stay good: entries can't be sealed anew.
func AuditSeal(k *Keys) tink.AEAD {
	return purposeAEAD{recordKeys{k.aead}, fields("latchkey purpose v1", "audit checkpoint")}
}

type recordKeys struct{ *liveKeys }

func (k recordKeys) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	state := k.now.Load()
	by := sealedBy(ciphertext)
	if _, has := state.known[by]; !has {
		state = k.follow()
		if _, has = state.known[by]; !has && k.behind(state) {
			return nil, fmt.Errorf("%w: %w", audit.ErrNotYet, errBehind)
		}
	}
	return state.retired.Decrypt(ciphertext, associatedData)
}

// CheckAudit verifies the whole audit record. Where it is broken, no credential is
// released from then on, and the log says what to do; disconnecting goes on.
func (v *Vault) CheckAudit(ctx context.Context) { v.checkAudit(ctx, true) }

// checkAudit looks at all of the record, or only at the ends of its chains.
func (v *Vault) checkAudit(ctx context.Context, all bool) {
	if err := v.audit.Check(ctx, all); err != nil && ctx.Err() == nil {
		v.report(err)
	}
}

// PruneAudit removes what is older than keep from the audit record and says how
// many chains that was; 0 keeps all for ever. Call it every hour.
func (v *Vault) PruneAudit(ctx context.Context, keep time.Duration) (int, error) {
	if keep == 0 {
		return 0, nil
	}
	return v.audit.Prune(ctx, keep)
}

func (v *Vault) report(err error) { v.log.Error("audit record", "err", err) }

// recorded has e in the audit record before it returns, and names it there.
func (v *Vault) recorded(_ context.Context, e audit.Entry) (audit.Ref, error) {
	e.Time = v.now()
	ref, err := v.audit.Append(e)
	if err != nil {
		v.observe(AuditFailed, "")
		return "", fmt.Errorf("the audit record can't be written: %w", err)
	}
	return ref, nil
}

// Outcome records what came of a released grant, in a few words without secrets.
// It doesn't wait: after a crash, a release without an outcome may have been used.
func (k Keyring) Outcome(g Grant, words string) {
	k.vault.audit.Note(audit.Entry{
		Time: k.vault.now(), Event: audit.Outcome, Owner: k.owner, Client: k.client,
		Provider: g.Provider, Reason: words, Of: g.entry,
	})
}

// receipt records what a disconnect or a forgetting did, if that can be: where the
// record can't be written, it still counts, and the receipt goes to the log.
func (k Keyring) receipt(ctx context.Context, e audit.Entry) {
	if err := k.record(ctx, e); err != nil {
		k.vault.log.Error("a "+string(e.Event)+" is not in the audit record", "owner", k.owner.String(),
			"provider", e.Provider, "receipt", e.Reason, "err", err)
	}
}

// CheckKeys fails where keys are not those that the vault in b is sealed with.
func CheckKeys(ctx context.Context, b Backend, keys *Keys) error { return tieKeys(ctx, b, keys) }
