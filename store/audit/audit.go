// Package audit is the record of every release of a credential, written before
// the release happens, and of every refusal.
//
// It guarantees that no credential leaves the vault without a durable entry: the
// vault appends and only then releases, and an append that fails refuses the
// release. Entries name people by digest and never hold a token, an argument or
// a provider's answer.
package audit

import (
	"context"
	"time"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// An Event is what an entry records.
type Event string

// The events.
const (
	Release    Event = "release"    // a credential was released for a call
	Refuse     Event = "refuse"     // a release, a link or an egress was refused; Reason says why
	Connect    Event = "connect"    // a person connected an account
	Disconnect Event = "disconnect" // a person disconnected an account
	Refresh    Event = "refresh"    // the vault asked the provider for a new access token
)

// An Entry is one row. Fields that don't apply are empty.
type Entry struct {
	Time      time.Time
	Event     Event
	Owner     identity.Digest // whose credential; for a wrong person at a link: who was signed in
	Client    string          // OAuth client id
	Tool      string
	Provider  string
	Rule      string // the egress rule, as "GET /repos/{owner}/{repo}"
	Arguments string // hex SHA-256 of the call's arguments
	Reason    string // for Refuse and Disconnect: a short sentence without secrets
}

// A Log keeps entries. Append returns once the entry is durable; it is safe for
// concurrent use.
type Log interface {
	Append(ctx context.Context, e Entry) error
}
