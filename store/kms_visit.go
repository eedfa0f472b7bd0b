//go:build gcpkms || hcvault

package store

import (
	"context"
	"net/http"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// A visit ends every request with ctx, which some drivers don't take.
type visit struct {
	ctx  context.Context
	next http.RoundTripper
}

func (v visit) RoundTrip(r *http.Request) (*http.Response, error) {
	return v.next.RoundTrip(r.WithContext(v.ctx))
}

// withoutContext is the key of a driver that has the context in its transport.
type withoutContext struct{ aead tink.AEAD }

func (w withoutContext) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return w.aead.Encrypt(plaintext, associatedData)
}

func (w withoutContext) DecryptWithContext(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return w.aead.Decrypt(ciphertext, associatedData)
}
