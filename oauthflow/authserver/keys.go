package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

const (
	keyLife   = 30 * 24 * time.Hour // how long a key signs
	keyReread = 5 * time.Minute     // how long another replica's rotation may go unseen
	keyName   = "signing"
)

// A signingKey is a private JWK; the table that keeps it is sealed.
type signingKey struct {
	ID      string
	Private json.RawMessage
}

// A keyRing is the key that signs, the one that will sign next, and the one that
// signed before. All three are published, the next one long before its first
// signature, so that no verifier's copy of the set is ever too old; a previous key
// stays for keyLife, far longer than a token lives.
type keyRing struct {
	Current, Next signingKey
	Previous      *signingKey
	Promoted      time.Time // since when Current signs
}

func (r keyRing) all() []signingKey {
	all := []signingKey{r.Current, r.Next}
	if r.Previous != nil {
		all = append(all, *r.Previous)
	}
	return all
}

// rotated is r one step on: next signs, a new one waits.
func (r keyRing) rotated(now time.Time) (keyRing, error) {
	fresh, err := newSigningKey()
	return keyRing{Current: r.Next, Next: fresh, Previous: &r.Current, Promoted: now}, err
}

func newKeyRing(now time.Time) (keyRing, error) {
	current, err := newSigningKey()
	if err != nil {
		return keyRing{}, err
	}
	next, err := newSigningKey()
	return keyRing{Current: current, Next: next, Promoted: now}, err
}

// keys is the ring that all replicas share. It is safe for concurrent use.
type keys struct {
	table store.Table[keyRing]
	now   func() time.Time

	mu     sync.Mutex
	cached keyRing
	read   time.Time // when cached was read; zero at first
}

func newKeys(v *store.Vault, now func() time.Time) *keys {
	return &keys{table: store.NewTable[keyRing](v, "authserver keys"), now: now}
}

// ring is the current ring: made on first use, and rotated when it is due.
func (k *keys) ring(ctx context.Context) (keyRing, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if age := now.Sub(k.read); !k.read.IsZero() && age >= 0 && age < keyReread {
		return k.cached, nil
	}
	item, err := k.load(ctx)
	if err == nil && now.Sub(item.Value.Promoted) >= keyLife {
		item, err = k.rotate(ctx, item)
	}
	if err != nil {
		return keyRing{}, err
	}
	k.cached, k.read = item.Value, now
	return k.cached, nil
}

// load reads the ring or makes the first one; of several replicas that start at
// once, one writes and the others read.
func (k *keys) load(ctx context.Context) (store.Item[keyRing], error) {
	item, err := k.table.Get(ctx, keyName)
	if !errors.Is(err, store.ErrNotFound) {
		return item, err
	}
	ring, err := newKeyRing(k.now())
	if err != nil {
		return item, err
	}
	err = k.table.Put(ctx, keyName, identity.Digest{}, 0, ring)
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return item, err
	}
	return k.table.Get(ctx, keyName)
}

func (k *keys) rotate(ctx context.Context, item store.Item[keyRing]) (store.Item[keyRing], error) {
	ring, err := item.Value.rotated(k.now())
	if err != nil {
		return item, err
	}
	item.Value = ring
	err = k.table.Replace(ctx, keyName, item)
	if errors.Is(err, store.ErrConflict) { // another replica was faster
		return k.table.Get(ctx, keyName)
	}
	return item, err
}
