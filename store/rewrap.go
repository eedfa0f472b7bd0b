package store

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/tink-crypto/tink-go/v2/tink"
)

const (
	rewrapPage   = 200 // rows in memory at a time
	rewrapPasses = 5   // over what changed in the meantime
)

// Rewrapped is what came of a Rewrap.
type Rewrapped struct {
	Changed int64 // sealed anew by the primary key
	Broken  int64 // they don't open, and stay as they are
	Missed  int64 // they changed each time they were to be sealed anew
}

// Rewrap seals with the primary key whatever other keys still seal: of a grant its
// data key alone, of a record the record. Versions stay, and each write is a
// compare-and-swap on the bytes, so that it doesn't disturb who serves meanwhile.
// report, which may be nil, hears how many of how many are done. It can be stopped
// through ctx at any time, which is its error then; the next one goes on there.
func Rewrap(ctx context.Context, b Backend, keys *Keys, report func(done, total int64)) (Rewrapped, error) {
	var r Rewrapped
	aead, err := tie(ctx, b, keys)
	if err != nil {
		return r, err
	}
	total, err := b.Sealed().Count(ctx)
	if err != nil {
		return r, err
	}
	primary := keys.aead.follow().primary
	for range rewrapPasses {
		var done int64
		r.Broken, r.Missed = 0, 0
		err := each(ctx, b, keys, aead, func(key uint32, rewrap func() error) error {
			if done++; report != nil {
				report(done, max(done, total))
			}
			if key == primary {
				return nil
			}
			return r.count(rewrap())
		})
		if err != nil || r.Missed == 0 {
			return r, err
		}
	}
	return r, nil
}

// count counts what came of one, and returns the errors that end it all.
func (r *Rewrapped) count(err error) error {
	switch {
	case err == nil:
		r.Changed++
	case errors.Is(err, ErrConflict):
		r.Missed++
	case errors.Is(err, errSealed):
		r.Broken++
	default:
		return err
	}
	return nil
}

// KeyUse is how many grants and records each key seals, by its id; 0 stands for what
// is damaged.
func KeyUse(ctx context.Context, b Backend, keys *Keys) (map[uint32]int64, error) {
	use := map[uint32]int64{}
	aead, err := tie(ctx, b, keys)
	if err != nil {
		return nil, err
	}
	err = each(ctx, b, keys, aead, func(key uint32, _ func() error) error {
		use[key]++
		return nil
	})
	return use, err
}

// CountGrants is how many grants there are at each provider.
func CountGrants(ctx context.Context, b Backend) (map[string]int64, error) {
	count := map[string]int64{}
	err := paged(ctx, b.Sealed().Grants, func(row Row) error {
		count[row.Provider]++
		return nil
	})
	return count, err
}

// paged calls visit for everything that read gives, a page at a time, until ctx ends.
func paged[T any](ctx context.Context, read func(ctx context.Context, after T, limit int) ([]T, error), visit func(T) error) error {
	var after T
	for {
		page, err := read(ctx, after, rewrapPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, one := range page {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := visit(one); err != nil {
				return err
			}
		}
		after = page[len(page)-1]
	}
}

// each calls visit for everything that keys seal, with the key's id and what seals it
// anew, until ctx ends. The fact that keys are checked with comes last: by then they
// have proved themselves.
func each(ctx context.Context, b Backend, keys *Keys, aead tink.AEAD, visit func(key uint32, rewrap func() error) error) error {
	if err := eachGrant(ctx, b.Sealed(), aead, visit); err != nil {
		return err
	}
	if err := eachRecord(ctx, b.Sealed(), aead, visit); err != nil {
		return err
	}
	return theKeyCheck(ctx, b, keys, visit)
}

func eachGrant(ctx context.Context, s Sealed, aead tink.AEAD, visit func(uint32, func() error) error) error {
	return paged(ctx, s.Grants, func(row Row) error {
		_, wrapped, _, _ := envelope(row.Sealed)
		return visit(sealedBy(wrapped), func() error {
			sealed, err := rewrapped(aead, row)
			if err != nil {
				return err
			}
			return s.ResealGrant(ctx, row, sealed)
		})
	})
}

func eachRecord(ctx context.Context, s Sealed, aead tink.AEAD, visit func(uint32, func() error) error) error {
	return paged(ctx, s.Records, func(r Record) error {
		return visit(sealedBy(r.Data), func() error {
			plain, err := aead.Decrypt(r.Data, recordData(r))
			if err != nil {
				return unopened(err)
			}
			data, err := aead.Encrypt(plain, recordData(r))
			if err != nil {
				return err
			}
			return s.ResealRecord(ctx, r, data)
		})
	})
}

func theKeyCheck(ctx context.Context, b Backend, keys *Keys, visit func(uint32, func() error) error) error {
	value, err := newKeyCheck(keys.aead)
	if err != nil {
		return err
	}
	kept, err := b.Fix(ctx, keyCheck, value)
	if err != nil {
		return err
	}
	check, err := base64.StdEncoding.DecodeString(kept)
	if err != nil {
		return err
	}
	return visit(sealedBy(check), func() error { return b.Sealed().Refix(ctx, keyCheck, kept, value) })
}
