package store

import (
	"errors"
	"fmt"
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

// NeedsConnect is the error that means "this person must connect (again) first".
type NeedsConnect struct {
	Provider string
	Missing  []string // scopes that the grant lacks; empty where there is no usable grant
	Reason   string   // why, for the person: "not connected yet", "the provider revoked it", …
}

func (e *NeedsConnect) Error() string {
	return fmt.Sprintf("%s needs connecting: %s", e.Provider, e.Reason)
}

// A RevokeError says that a grant is gone from the vault while the provider did
// not confirm that it revoked the token.
type RevokeError struct{ Provider string }

func (e *RevokeError) Error() string {
	return e.Provider + " did not confirm the revocation; the credential is gone here"
}
