// Package store is the vault: it keeps people's credentials at providers, sealed,
// and answers one question only, "this verified caller's own token, for this
// declared call".
//
// It guarantees that
//
//   - a credential is released only through a Keyring, that a Keyring exists only
//     for a verified identity.Caller, and that no method of either names a person;
//   - an audit entry is durable before each release, and a broken audit record
//     stops releases while disconnecting goes on;
//   - a row opens only as what it was sealed as: deployment, person, provider,
//     account and version are associated data of the encryption; and only while no
//     later version and no disconnect came after it;
//   - keys are changed while processes with the old and the new keyset serve;
//   - a KMS that encrypts the keyset is asked at the start and when the key file
//     changes, never for a call, and a keyset in clear is never taken for it;
//   - every write is a compare-and-swap on the row's version, and what was
//     acknowledged is durable;
//   - a refresh is done once for all who wait, in all processes on one database,
//     under a lease that is durable before the provider is asked and under its own
//     deadline, and the new token is persisted before anyone uses it;
//   - who has a living token doesn't wait for a refresh;
//   - of several accounts of one provider a client gets the one that the person chose,
//     and none where nobody can tell which that is;
//   - what a client may do without asking, only its person's own browser says, and what
//     they approve is one call of one client, which is on record and used up before it
//     is made;
//   - a disconnected token can do nothing any more but be revoked, which is tried
//     for 24 hours and then recorded, whatever came of it.
package store

import (
	"crypto/sha256"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
)

// A Need is what a call needs from a provider.
type Need struct {
	Provider string
	Scopes   []string // the provider's own scopes, all of them
}

// An Account is a provider's own account: its stable id, and the label that people
// know it by ("@octocat", "a@example.com").
type Account struct{ ID, Label string }

// A Connection is a token to file.
type Connection struct {
	Provider string
	Account  Account
	Token    Token
	// IfVersion is the version of the account's grant that is replaced, 0 for none:
	// Put returns ErrConflict where the vault holds another.
	IfVersion int64
}

// Info is a grant without its secrets, for pages.
type Info struct {
	Provider    string
	Account     Account
	Scopes      []string
	ConnectedAt time.Time
	UpdatedAt   time.Time
	Version     int64
	// Broken is why the grant can't be used any more and must be connected
	// again; "" while it can.
	Broken string
	// Restored says that the grant is as a backup had it: its provider may have
	// renewed or ended it since, and may refuse it now.
	Restored bool
}

// A Grant is one released credential: an access token that lives.
type Grant struct {
	Info
	Access Secret
	Expiry time.Time // zero where the provider doesn't say
	entry  audit.Ref // the release in the audit record
}

// A Call says what a credential is wanted for. It is recorded before the release.
type Call struct {
	Need
	// Account is the id of the account to use, so that all requests of one tool call
	// go to the one that it began with; "" means the one that serves the client.
	Account   string
	Tool      string
	Rule      string            // the egress rule in use, as "GET /user/repos"
	Arguments [sha256.Size]byte // digest of the call's arguments
	// Rejected is the version of a grant whose access token the provider's API
	// has just refused with 401: if it is still the current one, it is
	// refreshed first, and without a refresh token the grant becomes broken.
	Rejected int64
}
