package store

import (
	"context"
	"time"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// A Table keeps records of one kind as JSON of T, sealed, under a key of which
// only the hash is stored. It is safe for concurrent use.
type Table[T any] struct{}

// An Item is one value of a Table, with what Replace needs.
type Item[T any] struct {
	Value   T
	Owner   identity.Digest
	Expires time.Time
	Version int64
}

// NewTable is the table of that kind in v.
func NewTable[T any](v *Vault, kind string) Table[T] { panic("not written yet") }

// Put adds value for ttl (0: for ever); owner may be zero. ErrConflict where the
// key exists.
func (t Table[T]) Put(ctx context.Context, key string, owner identity.Digest, ttl time.Duration, value T) error {
	panic("not written yet")
}

// Get is the value under key; ErrNotFound.
func (t Table[T]) Get(ctx context.Context, key string) (Item[T], error) { panic("not written yet") }

// Take is the value under key, removed: one taker wins, others get ErrNotFound.
func (t Table[T]) Take(ctx context.Context, key string) (Item[T], error) { panic("not written yet") }

// Replace writes item back where nobody else has since it was read; ErrConflict.
func (t Table[T]) Replace(ctx context.Context, key string, item Item[T]) error {
	panic("not written yet")
}

// DeleteByOwner removes all that an owner has in the table.
func (t Table[T]) DeleteByOwner(ctx context.Context, owner identity.Digest) error {
	panic("not written yet")
}
