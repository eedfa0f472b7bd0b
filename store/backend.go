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
	Account  string // the provider's id of it
	// Version is higher with each write, and goes on where it was after a
	// disconnect, so that none comes back.
	Version int64
	// Mark is the highest version that the grant ever had. It is kept outside the row:
	// where the two differ, the row is an old copy. Once the grant is removed, what
	// stays is a floor, above its last version, for all that this owner ever adds at
	// this provider: it doesn't say which account was removed. Get, Accounts and List
	// fill it in.
	Mark    int64
	Sealed  []byte
	Updated time.Time // kept to the microsecond
}

// Grants is a Backend's table of grants, keyed by owner, provider and account. Methods are
// atomic, durable when they return, and safe for concurrent use. A write goes
// through although its context is cancelled meanwhile.
type Grants interface {
	// Get returns ErrNotFound where there is none.
	Get(ctx context.Context, owner identity.Digest, provider, account string) (Row, error)
	// Accounts is all that the owner has at the provider, in the order of accounts.
	// It costs what Get costs where that is one row.
	Accounts(ctx context.Context, owner identity.Digest, provider string) ([]Row, error)
	// List is in the order of providers and accounts.
	List(ctx context.Context, owner identity.Digest) ([]Row, error)
	// Mark is the row's Mark or the floor, whichever is higher; 0 where there never
	// was either.
	Mark(ctx context.Context, owner identity.Digest, provider, account string) (int64, error)
	// Shared reports whether another owner has a grant of that account.
	Shared(ctx context.Context, owner identity.Digest, provider, account string) (bool, error)
	// Put writes row where the stored version is ifVersion (0: none is stored, and
	// row is above the floor) and the row's own is above its mark, which it then is,
	// in one statement; else ErrConflict.
	Put(ctx context.Context, row Row, ifVersion int64) error
	// Delete removes the row of that version and its mark, and moves the floor above
	// both, in one statement; else ErrConflict.
	Delete(ctx context.Context, owner identity.Digest, provider, account string, ifVersion int64) error
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
	// DeleteByOwner removes all of an owner's records but those of the kinds keep.
	DeleteByOwner(ctx context.Context, owner identity.Digest, keep ...string) error
	// Sweep removes what expired before now and says how many.
	Sweep(ctx context.Context, now time.Time) (int64, error)
}

// Sealed is a Backend's rows and records as Rewrap sees them: everybody's, and
// nothing in them but what seals them can be changed. Methods are atomic, durable
// when they return, and safe for concurrent use.
type Sealed interface {
	// Count is how many grants and records there are.
	Count(ctx context.Context) (int64, error)
	// Grants is the next rows after that one, in the order of owner, provider
	// and account, at most limit; the zero Row starts. Mark and Updated may be left out.
	Grants(ctx context.Context, after Row, limit int) ([]Row, error)
	// Records is the same of what has not expired, in the order of kind and key.
	Records(ctx context.Context, after Record, limit int) ([]Record, error)
	// ResealGrant puts sealed in the place of row.Sealed where the stored row is
	// of the same version and bytes; else ErrConflict. The version stays.
	ResealGrant(ctx context.Context, row Row, sealed []byte) error
	// ResealRecord is the same for r.Data.
	ResealRecord(ctx context.Context, r Record, data []byte) error
	// Refix puts next in the place of value, which Fix kept; else ErrConflict.
	Refix(ctx context.Context, name, value, next string) error
}

// A Backend keeps rows. It never sees a plain secret. An operation ends within ten
// seconds, with an error if need be: leases count on it. Every backend passes the
// suite in storetest.
type Backend interface {
	Grants() Grants
	Records() Records
	Audit() audit.Table
	// Sealed is all that the vault's keys seal, for changing keys.
	Sealed() Sealed
	// Fix keeps value under name the first time and returns what is kept: the
	// facts that a vault is tied to, like its issuer.
	Fix(ctx context.Context, name, value string) (string, error)
	Close() error
}
