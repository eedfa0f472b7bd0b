package store

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// A Row is a grant as a Backend keeps it. Only Sealed holds anything secret.
type Row struct {
	Owner    identity.Digest
	Provider string
	// Version is one more with each write. The vault chooses where it starts, at
	// random, so that no version comes back after a disconnect.
	Version int64
	Sealed  []byte
	Updated time.Time // kept to the microsecond
}

// Grants is a Backend's table of grants, keyed by owner and provider. Methods are
// atomic, durable when they return, and safe for concurrent use. A write goes
// through although its context is cancelled meanwhile.
type Grants interface {
	// Get returns ErrNotFound where there is none.
	Get(ctx context.Context, owner identity.Digest, provider string) (Row, error)
	// List is in the order of the providers' names.
	List(ctx context.Context, owner identity.Digest) ([]Row, error)
	// Put writes row where the stored version is ifVersion (0: none is stored),
	// in one statement; else ErrConflict.
	Put(ctx context.Context, row Row, ifVersion int64) error
	// Delete removes the row of that version; else ErrConflict.
	Delete(ctx context.Context, owner identity.Digest, provider string, ifVersion int64) error
}

// A Record is anything else that must be kept: a ticket, a flow, an OAuth client,
// a code, a refresh family, a browser session. Data is sealed.
type Record struct {
	Kind    string
	Key     [sha256.Size]byte // a hash: the key itself is never stored
	Owner   identity.Digest   // zero where it is nobody's
	Expires time.Time         // from then on it is not found; zero means never; kept to the microsecond
	Version int64             // 1 at first, one more with each Replace
	Data    []byte
}

// Records is a Backend's table of records. Methods are atomic, durable when they
// return, and safe for concurrent use. What expired is not found. A write goes
// through although its context is cancelled meanwhile.
type Records interface {
	// Put adds r; ErrConflict where kind and key exist.
	Put(ctx context.Context, r Record) error
	// Get returns ErrNotFound where there is none.
	Get(ctx context.Context, kind string, key [sha256.Size]byte) (Record, error)
	// Take returns the record and removes it: one taker wins, all others get
	// ErrNotFound.
	Take(ctx context.Context, kind string, key [sha256.Size]byte) (Record, error)
	// Replace writes r where the stored version is r.Version, and adds one to
	// it; else ErrConflict.
	Replace(ctx context.Context, r Record) error
	// List is at most limit records of that kind whose keys are above after, in
	// the order of keys; the zero key lists from the start.
	List(ctx context.Context, kind string, after [sha256.Size]byte, limit int) ([]Record, error)
	// DeleteByOwner removes all of an owner's records of that kind.
	DeleteByOwner(ctx context.Context, kind string, owner identity.Digest) error
	// Sweep removes what expired before now and says how many.
	Sweep(ctx context.Context, now time.Time) (int64, error)
}

// A Backend keeps rows. It never sees a plain secret. An operation ends within ten
// seconds, with an error if need be: leases count on it. Every backend passes the
// suite in storetest.
type Backend interface {
	Grants() Grants
	Records() Records
	Audit() audit.Table
	// Fix keeps value under name the first time and returns what is kept: the
	// facts that a vault is tied to, like its issuer.
	Fix(ctx context.Context, name, value string) (string, error)
	Close() error
}
