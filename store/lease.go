package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// A lease lasts longer than all that is done under it, so that only a holder that
// crashed, or that was stopped by its machine, is ever replaced.
const (
	writeTimeout = 10 * time.Second // in which a Backend ends an operation
	leaseNeeds   = refreshTimeout + persistTries*writeTimeout + time.Second
	leaseLife    = leaseNeeds + writeTimeout + 4*time.Second // and its own commit
	leaseKept    = 30 * 24 * time.Hour                       // so that a later refusal can be explained

	firstPoll = 10 * time.Millisecond // how soon a waiting process looks again: at first,
	lastPoll  = 200 * time.Millisecond

	firstRetry = 3 * time.Second // after the first attempt that came to nothing, then twice that, …
	lastRetry  = time.Minute
	// longestWait is how long a provider can have us wait: what it asks for beyond
	// that is asked of a person, whose calls fail meanwhile.
	longestWait = 5 * time.Minute
)

// errLeased means that another process is asking the provider.
var errLeased = errors.New("another process is renewing the credential")

// A lease is the right to spend the refresh token of one version of one grant. It
// is a record, written before the provider is asked; the record's version is its
// fence: one more each time that it changes hands, and checked in the statement of
// each write. It is gone once the grant has moved on.
type lease struct {
	Until time.Time `json:"until,omitzero"` // zero: nobody holds it

	// What came of earlier attempts with the same refresh token.
	Failures int       `json:"failures,omitzero"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
	Said     string    `json:"said,omitzero"` // why the last one came to nothing
	// Unsure says that an attempt got no answer that was kept: the provider may
	// have spent the refresh token.
	Unsure bool `json:"unsure,omitzero"`
}

// taken is l in the hands of a new holder. One that was never put down belonged to
// a process that crashed while it asked.
func (l lease) taken(now time.Time) lease {
	l.Unsure = l.Unsure || !l.Until.IsZero()
	l.Until = now.Add(leaseLife)
	return l
}

// put down after an attempt that came to nothing.
func (l lease) failed(now time.Time, err error) lease {
	l.Failures++
	wait := backoff(firstRetry, lastRetry, l.Failures-1)
	var trouble *Trouble
	if errors.As(err, &trouble) {
		wait = max(wait, min(trouble.RetryAfter, longestWait))
	}
	l.Unsure = l.Unsure || !answered(err)
	l.Until, l.RetryAt, l.Said = time.Time{}, now.Add(wait), err.Error()
	return l
}

// free reports whether l can be taken at that time; errLeased while somebody holds
// it, ErrUnavailable while the provider is to be left alone.
func (l lease) free(provider string, now time.Time) error {
	if now.Before(l.Until) {
		return errLeased
	}
	if l.Until.IsZero() && now.Before(l.RetryAt) {
		return fmt.Errorf("%w: %s: %s; it is asked again in %d seconds", ErrUnavailable, provider, l.Said,
			int(l.RetryAt.Sub(now).Seconds())+1)
	}
	return nil
}

// A holding is a lease in this process's hands.
type holding struct {
	table Table[lease]
	key   string
	item  Item[lease]
}

// lease takes the lease on g's version. The error is errLeased or ErrUnavailable
// as in free, or the backend's: then the provider must not be asked.
func (k Keyring) lease(ctx context.Context, g held) (*holding, error) {
	now := k.vault.now()
	h := &holding{
		table: NewTable[lease](k.vault, "lease"),
		key:   k.flight(g),
	}
	item, err := h.table.Get(ctx, h.key)
	switch {
	case errors.Is(err, ErrNotFound):
		h.item = Item[lease]{Value: lease{}.taken(now), Owner: k.owner, Version: 1}
		err = h.table.Put(ctx, h.key, k.owner, leaseKept, h.item.Value)
		h.item.Expires = now.Add(leaseKept)
	case err == nil:
		h.item = item
		if err = item.Value.free(g.Provider, now); err == nil {
			err = h.write(ctx, item.Value.taken(now))
		}
	}
	if errors.Is(err, ErrConflict) {
		return nil, errLeased // somebody was faster
	}
	return h, err
}

// write replaces the lease where its fence is still this holder's; ErrConflict.
func (h *holding) write(ctx context.Context, l lease) error {
	next := h.item
	next.Value = l
	if err := h.table.Replace(ctx, h.key, next); err != nil {
		return err
	}
	next.Version++
	h.item = next
	return nil
}

// putDown lets others go on. Where that can't be written, they wait until it ends.
func (h *holding) putDown(ctx context.Context) {
	l := h.item.Value
	l.Until = time.Time{}
	_ = h.write(ctx, l)
}

// drop removes a lease on a version that is no more.
func (h *holding) drop(ctx context.Context) { _, _ = h.table.Take(ctx, h.key) }

// enough reports whether the lease lasts until the answer is kept.
func (h *holding) enough(now time.Time) bool {
	return !now.Add(leaseNeeds).After(h.item.Value.Until)
}

// ours reports whether nobody has taken the lease over.
func (h *holding) ours(ctx context.Context) bool {
	item, err := h.table.Get(ctx, h.key)
	return err == nil && item.Version == h.item.Version
}

// backoff is first, doubled for each failure before it up to most, give or take a
// quarter so that not all come back at once.
func backoff(first, most time.Duration, failures int) time.Duration {
	wait := min(first<<min(failures, 20), most)
	return wait - wait/4 + rand.N(wait/2+1)
}
