// Package store is the vault: it keeps people's credentials at providers, sealed,
// and answers one question only, "this verified caller's own token, for this
// declared call".
//
// It guarantees that
//
//   - a credential is released only through a Keyring, that a Keyring exists only
//     for a verified identity.Caller, and that no method of either names a person;
//   - an audit entry is durable before each release;
//   - a row opens only as what it was sealed as: person, provider, account and
//     version are associated data of the encryption;
//   - every write is a compare-and-swap on the row's version, and what was
//     acknowledged is durable;
//   - a refresh is done once for all who wait, under its own deadline, and the
//     new token is persisted before anyone uses it.
package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Errors that callers branch on.
var (
	// ErrNobody is what Vault.Keyring returns for the zero Caller.
	ErrNobody = errors.New("nobody is asking: the caller is not verified")
	// ErrNotFound means that there is no such row or record, or that it expired.
	ErrNotFound = errors.New("not found")
	// ErrConflict means that the row or record changed, or exists already: a
	// compare-and-swap lost.
	ErrConflict = errors.New("changed in between")
	// ErrUnavailable means that the provider could not be asked to refresh a
	// credential: try again later, nothing is lost.
	ErrUnavailable = errors.New("the provider is unavailable")
)

// A Need is what a call needs from a provider.
type Need struct {
	Provider string
	Scopes   []string // the provider's own scopes, all of them
}

// NeedsConnect is the error that means "this person must connect (again) first".
type NeedsConnect struct {
	Provider string
	Missing  []string // scopes that the grant lacks; empty where there is no usable grant
	Reason   string   // why, for the person: "not connected yet", "the provider revoked it", …
}

func (e *NeedsConnect) Error() string {
	return fmt.Sprintf("%s needs connecting: %s", e.Provider, e.Reason)
}

// An Account is a provider's own account: its stable id, and the label that people
// know it by ("@octocat", "a@example.com").
type Account struct{ ID, Label string }

// A Token is what a provider's token endpoint answered (RFC 6749, section 5.1).
type Token struct {
	Access        Secret
	Refresh       Secret    // zero where there is none
	Expiry        time.Time // of Access; zero where the provider doesn't say
	RefreshExpiry time.Time // of Refresh; zero where the provider doesn't say
	Scopes        []string  // as granted, not as asked
}

// A Connection is a token to file.
type Connection struct {
	Provider string
	Account  Account
	Token    Token
	// IfVersion is the version of the grant that is replaced, 0 for none: Put
	// returns ErrConflict where the vault holds another.
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
}

// A Grant is one released credential: an access token that lives.
type Grant struct {
	Info
	Access Secret
	Expiry time.Time // zero where the provider doesn't say
}

// A Call says what a credential is wanted for. It is recorded before the release.
type Call struct {
	Need
	Tool      string
	Rule      string            // the egress rule in use, as "GET /user/repos"
	Arguments [sha256.Size]byte // digest of the call's arguments
	// Rejected is the version of a grant whose access token the provider's API
	// has just refused with 401: if it is still the current one, it is
	// refreshed first, and without a refresh token the grant becomes broken.
	Rejected int64
}

// An Exchange is the provider's side of a grant's life; oauthflow implements it.
// Methods are safe for concurrent use and never log what they carry.
type Exchange interface {
	// Refresh asks the token endpoint once (RFC 6749, section 6). A *Refused
	// error means that the credential is dead; any other, that it may live.
	Refresh(ctx context.Context, provider string, t Token) (Token, error)
	// Revoke asks the provider to forget the token (RFC 7009 or its own way).
	Revoke(ctx context.Context, provider string, t Token) error
	// Missing lists which needed scopes the granted ones don't cover, knowing
	// which scopes imply others, and that some providers' tokens have none.
	Missing(provider string, granted, needed []string) []string
}

// Refused is an Exchange's word that a credential is dead; Reason is for people.
type Refused struct{ Reason string }

func (e *Refused) Error() string { return "refused: " + e.Reason }

// A Row is a grant as a Backend keeps it. Only Sealed holds anything secret.
type Row struct {
	Owner    identity.Digest
	Provider string
	Version  int64 // 1 at first, one more with each write
	Sealed   []byte
	Updated  time.Time
}

// Grants is a Backend's table of grants, keyed by owner and provider. Methods are
// atomic, durable when they return, and safe for concurrent use.
type Grants interface {
	// Get returns ErrNotFound where there is none.
	Get(ctx context.Context, owner identity.Digest, provider string) (Row, error)
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
	Expires time.Time         // from then on it is not found; zero means never
	Version int64             // 1 at first, one more with each Replace
	Data    []byte
}

// Records is a Backend's table of records. Methods are atomic, durable when they
// return, and safe for concurrent use. What expired is not found.
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
	// DeleteByOwner removes all of an owner's records of that kind.
	DeleteByOwner(ctx context.Context, kind string, owner identity.Digest) error
	// Sweep removes what expired before now and says how many.
	Sweep(ctx context.Context, now time.Time) (int64, error)
}

// A Backend keeps rows. It never sees a plain secret. Every backend passes the
// suite in storetest.
type Backend interface {
	Grants() Grants
	Records() Records
	Audit() audit.Log
	// Fix keeps value under name the first time and returns what is kept: the
	// facts that a vault is tied to, like its issuer.
	Fix(ctx context.Context, name, value string) (string, error)
	Close() error
}

// Config is what a Vault is made of.
type Config struct {
	Backend  Backend
	Keys     *Keys
	Exchange Exchange
	// Issuer is the one whose principals this vault holds. It is fixed at first
	// start; opening the vault with another one fails.
	Issuer string
	Now    func() time.Time // nil means time.Now
}

// A Vault holds everybody's grants and hands out none: Keyring does, to one
// verified caller. It is safe for concurrent use.
type Vault struct{}

// Open ties the backend to cfg.Issuer, or fails where it is tied to another.
func Open(ctx context.Context, cfg Config) (*Vault, error) { panic("not written yet") }

// Keyring is c's own. ErrNobody on the zero Caller.
func (v *Vault) Keyring(c identity.Caller) (Keyring, error) { panic("not written yet") }

// Refuse records a refusal that happened outside the vault: a link opened by
// somebody else, an egress outside the contract. c may be nobody.
func (v *Vault) Refuse(ctx context.Context, c identity.Caller, e audit.Entry) error {
	panic("not written yet")
}

// AEAD seals short-lived values (session ids, cookies, request states) with the
// vault's keys; what is sealed for one purpose doesn't open for another.
func (v *Vault) AEAD(purpose string) tink.AEAD { panic("not written yet") }

// A Keyring is one person's grants, and only theirs.
type Keyring struct{}

// Ready returns nil where the person has a usable grant for need, else
// *NeedsConnect. It releases nothing.
func (k Keyring) Ready(ctx context.Context, need Need) error { panic("not written yet") }

// Grant releases a living access token for call, after recording it. It refreshes
// what is expired. Errors: *NeedsConnect, ErrUnavailable.
func (k Keyring) Grant(ctx context.Context, call Call) (Grant, error) { panic("not written yet") }

// Put files a connection and returns the grant's new version; ErrConflict.
func (k Keyring) Put(ctx context.Context, c Connection) (Info, error) { panic("not written yet") }

// Info is the person's grant at provider, without secrets; ErrNotFound.
func (k Keyring) Info(ctx context.Context, provider string) (Info, error) { panic("not written yet") }

// List is all of the person's grants, without secrets, by provider.
func (k Keyring) List(ctx context.Context) ([]Info, error) { panic("not written yet") }

// Delete disconnects: the grant is unusable when it returns, and the provider has
// been asked to revoke it. A *RevokeError means that it is gone here, but that the
// provider didn't confirm.
func (k Keyring) Delete(ctx context.Context, provider string) error { panic("not written yet") }

// Wait returns nil as soon as Ready does, or the last *NeedsConnect once ctx ends.
func (k Keyring) Wait(ctx context.Context, need Need) error { panic("not written yet") }

// A RevokeError says that a grant is gone from the vault while the provider did
// not confirm that it revoked the token.
type RevokeError struct{ Provider string }

func (e *RevokeError) Error() string {
	return e.Provider + " did not confirm the revocation; the credential is gone here"
}
