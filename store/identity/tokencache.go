package identity

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	maxRemembered = 10_000          // verified tokens
	rememberFor   = 5 * time.Minute // a verified token, at most
)

// A tokenCache remembers verified tokens by the SHA-256 of their text. It holds
// two generations; when the younger is full the older is dropped, so that a
// token in use survives and the whole stays bounded. The zero value is empty.
type tokenCache struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]remembered
}

type remembered struct {
	caller Caller
	keys   [sha256.Size]byte // the key set that verified it
	at     time.Time
}

// get is the caller of a token that set verified before and that still holds.
func (c *tokenCache) get(id [sha256.Size]byte, set *keySet, now time.Time) (Caller, bool) {
	if set == nil {
		return Caller{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.young[id]
	if !ok {
		if r, ok = c.old[id]; !ok {
			return Caller{}, false
		}
		c.add(id, r)
	}
	if r.keys != set.digest || !r.holds(now) {
		return Caller{}, false
	}
	return r.caller, true
}

func (r remembered) holds(now time.Time) bool {
	return now.Sub(r.at) < rememberFor && now.Before(r.caller.expiresAt.Add(skew))
}

func (c *tokenCache) put(id [sha256.Size]byte, set *keySet, caller Caller, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(id, remembered{caller: caller, keys: set.digest, at: now})
}

func (c *tokenCache) add(id [sha256.Size]byte, r remembered) {
	if c.young == nil || len(c.young) >= maxRemembered/2 {
		c.old, c.young = c.young, map[[sha256.Size]byte]remembered{}
	}
	c.young[id] = r
}
