package store

import (
	"context"
	"errors"
	"time"
)

// A Token is what a provider's token endpoint answered (RFC 6749, section 5.1).
type Token struct {
	Access        Secret
	Refresh       Secret    // zero where there is none
	Expiry        time.Time // of Access; zero where the provider doesn't say
	RefreshExpiry time.Time // of Refresh; zero where the provider doesn't say
	Scopes        []string  // as granted, not as asked
}

// An Exchange is the provider's side of a grant's life; oauthflow implements it.
// Methods are safe for concurrent use, obey the deadline of ctx, and put nothing of
// what they carry into a log or an error.
type Exchange interface {
	// Refresh asks the token endpoint once (RFC 6749, section 6). A *Refused
	// error means that the credential is dead; any other, that it may live. A
	// *Trouble in it says more.
	Refresh(ctx context.Context, provider string, t Token) (Token, error)
	// Revoke asks the provider to forget the token (RFC 7009 or its own way). A
	// *Refused error means that the provider doesn't know it, which is as good;
	// any other, that it is worth another try. A *Trouble in it says more.
	Revoke(ctx context.Context, provider string, t Token) error
	// Missing lists which needed scopes the granted ones don't cover, knowing
	// which scopes imply others, and that some providers' tokens have none.
	Missing(provider string, granted, needed []string) []string
}

// Refused is an Exchange's word that a credential is dead; Reason is for people.
type Refused struct{ Reason string }

func (e *Refused) Error() string { return "refused: " + e.Reason }

// Trouble is an Exchange's word on a request that decided nothing.
type Trouble struct {
	// Answered says that the provider itself answered, and so spent nothing: not a
	// broken connection, a gateway or an unreadable answer, after which nobody knows.
	Answered bool
	// RetryAfter is how long the provider asks to be left alone (RFC 9110,
	// section 10.2.3); 0 where it doesn't.
	RetryAfter time.Duration
	Err        error
}

func (e *Trouble) Error() string { return e.Err.Error() }

func (e *Trouble) Unwrap() error { return e.Err }

// answered reports whether err says that the provider did answer.
func answered(err error) bool {
	var trouble *Trouble
	return errors.As(err, &trouble) && trouble.Answered
}
