package store

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const hidden = "[secret]"

// A Secret is a credential at a provider. It prints, logs and marshals as
// [secret]; only mcpserver's transport and oauthflow's Exchange may Reveal it,
// which a test of the source holds.
//
// The value is behind a pointer, because fmt calls no methods below an unexported
// field: there it prints an address. Secrets are compared with Equal, not with ==.
type Secret struct {
	_     [0]func()
	value *string
}

// NewSecret wraps value; the zero Secret where it is empty.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal is the credential itself.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no credential.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal reports whether both are the same credential, in a time that doesn't tell how
// much of them is.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format prints [secret], whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// String is [secret].
func (s Secret) String() string { return hidden }

// LogValue is [secret].
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is [secret].
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
