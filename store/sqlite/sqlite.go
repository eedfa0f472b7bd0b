// Package sqlite is the vault's default backend: one SQLite file.
package sqlite

import (
	"context"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

// Open opens or makes the database in the directory dir and brings it up to date.
func Open(ctx context.Context, dir string, now func() time.Time) (store.Backend, error) {
	panic("not written yet")
}
