package identity

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	refreshAfter = 10 * time.Minute // a set older than this is fetched anew, behind the callers' backs
	keepFor      = 24 * time.Hour   // a set older than this is not used
	retryAfter   = time.Second      // between two tries while there is no set at all
	againAfter   = 10 * time.Second // between two fetches for an unknown key, or of an old set
)

// A keyCache keeps an issuer's last good key set. Whoever has a set to use never
// waits for a fetch; whoever hasn't waits no longer than its own context.
type keyCache struct {
	source  source
	now     func() time.Time
	current atomic.Pointer[keySet]

	mu      sync.Mutex // guards all below
	flight  chan struct{}
	lastErr error     // of the last fetch
	tried   time.Time // the last fetch for want of a fresh set
	unknown time.Time // the last fetch for the sake of an unknown key
}

func newKeyCache(issuer string, client *http.Client, now func() time.Time) *keyCache {
	return &keyCache{source: source{issuer: issuer, client: withoutRedirects(client)}, now: now}
}

// usable is the last good set, or nil where there is none that is young enough.
func (c *keyCache) usable() *keySet {
	set := c.current.Load()
	if set == nil || c.now().Sub(set.fetched) >= keepFor {
		return nil
	}
	return set
}

// get is a usable set. Only where there is none does it wait.
func (c *keyCache) get(ctx context.Context) (*keySet, error) {
	set := c.usable()
	if set == nil {
		return c.wait(ctx, c.fetch(&c.tried, retryAfter))
	}
	if c.now().Sub(set.fetched) >= refreshAfter {
		c.fetch(&c.tried, againAfter)
	}
	return set, nil
}

// newer is a set fetched after old, for a token that no key in old fits; or old
// itself where the issuer was asked a moment ago.
func (c *keyCache) newer(ctx context.Context, old *keySet) (*keySet, error) {
	if set := c.usable(); set != nil && set != old {
		return set, nil
	}
	flight := c.fetch(&c.unknown, againAfter)
	if flight == nil {
		return old, nil
	}
	return c.wait(ctx, flight)
}

// wait is the set that the flight brings, if one is on its way.
func (c *keyCache) wait(ctx context.Context, flight <-chan struct{}) (*keySet, error) {
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
	c.mu.Lock()
	err := c.lastErr
	c.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if set := c.usable(); set != nil {
		return set, nil
	}
	return nil, ErrUnavailable
}

// fetch joins the fetch that is under way, or starts one unless the last with
// this stamp is less than pause ago; then it is nil.
func (c *keyCache) fetch(stamp *time.Time, pause time.Duration) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight != nil {
		return c.flight
	}
	now := c.now()
	if since := now.Sub(*stamp); since >= 0 && since < pause {
		return nil
	}
	*stamp = now
	c.flight = make(chan struct{})
	go c.fly(c.flight)
	return c.flight
}

// fly fetches on its own time, so that no caller's leaving ends it for the rest.
func (c *keyCache) fly(flight chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	set, err := c.source.keys(ctx, c.now())
	if err == nil {
		c.current.Store(set)
	}
	c.mu.Lock()
	c.flight, c.lastErr = nil, err
	c.mu.Unlock()
	close(flight)
}
