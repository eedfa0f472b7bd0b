package store

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// kmsPurpose is the associated data of a keyset that a KMS encrypts, so that the KMS
// key decrypts nothing else for us, nor the keyset for another use of that key.
const kmsPurpose = "latchkey keyset v1"

// kmsTimeout is for one visit to a KMS, with all that it asks. Tests shorten it.
var kmsTimeout = 15 * time.Second

// A kmsDriver speaks to one kind of KMS.
type kmsDriver struct {
	// open is a client for the key at uri, for one visit that ends with ctx, and what
	// closes it.
	open func(ctx context.Context, uri string) (client tink.AEADWithContext, done func(), err error)
	// answer is what the KMS answered in an error, in our words; "" where the error
	// is no answer. An error's own words may quote the request, its token too.
	answer func(err error) string
	// credentials is where they come from, for errors.
	credentials string
}

// A kmsSetup is a mistake in a driver's settings, in our words.
type kmsSetup string

func (e kmsSetup) Error() string { return string(e) }

// CheckKMS fails where uri isn't a KMS key's that this build can use. It asks nobody.
func CheckKMS(uri string) error {
	_, err := kmsFor(uri)
	return err
}

// kmsFor is the driver for the key at uri.
func kmsFor(uri string) (*kmsDriver, error) {
	kind, rest, _ := strings.Cut(uri, "://")
	if rest == "" || strings.ContainsAny(uri, "@?#\\ \t\r\n") {
		// What stands there may be a password, so that uri isn't quoted.
		return nil, errors.New("is not a KMS key's URI: gcp-kms://…, aws-kms://arn:… or hcvault://HOST:PORT/MOUNT/keys/NAME")
	}
	driver, tag := (*kmsDriver)(nil), ""
	switch kind {
	case "gcp-kms":
		driver, tag = gcpKMS(), "gcpkms"
	case "aws-kms":
		driver, tag = awsKMS(), "awskms"
	case "hcvault":
		driver, tag = hcvaultKMS(), "hcvault"
	default:
		return nil, fmt.Errorf("there is no KMS of the kind %s://: give gcp-kms://…, aws-kms://… or hcvault://…", kind)
	}
	if driver == nil {
		return nil, fmt.Errorf("this build has no driver for %s://: build with go build -tags %s ./cmd/latchkey", kind, tag)
	}
	return driver, nil
}

// visitKMS calls do with a client for the key at uri. Its errors never quote what a
// driver or the KMS says.
func visitKMS(ctx context.Context, uri string, do func(context.Context, tink.AEADWithContext) error) error {
	driver, err := kmsFor(uri)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, kmsTimeout)
	defer cancel()
	client, done, err := driver.open(ctx, uri)
	if err == nil {
		defer done()
		err = do(ctx, client)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("the KMS key %s can't be used: %s", uri, driver.why(ctx, err))
}

// why is err in our words.
func (d *kmsDriver) why(ctx context.Context, err error) string {
	if setup, ok := errors.AsType[kmsSetup](err); ok {
		return string(setup)
	}
	if said := d.answer(err); said != "" {
		return said
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate isn't good: " + certificate.Err.Error()
	}
	if network, ok := errors.AsType[*net.OpError](err); ok && ctx.Err() == nil {
		return network.Error()
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", kmsTimeout)
	case ctx.Err() != nil:
		return "stopped"
	}
	return "there was no answer that makes sense: check the credentials (" + d.credentials + ") and the URI"
}

// wrapKeyset is handle as a key file holds it that the KMS key at uri encrypts. It has
// been decrypted again, so that it may replace another.
func wrapKeyset(ctx context.Context, uri string, handle *keyset.Handle) ([]byte, error) {
	var b bytes.Buffer
	err := visitKMS(ctx, uri, func(ctx context.Context, client tink.AEADWithContext) error {
		kept := &kmsErrors{AEADWithContext: client}
		err := handle.WriteWithContext(ctx, keyset.NewJSONWriter(&b), kept, []byte(kmsPurpose))
		return kept.first(err)
	})
	if err != nil {
		return nil, err
	}
	_, err = unwrapKeyset(ctx, uri, b.Bytes())
	return b.Bytes(), err
}

// unwrapKeyset is what wrapKeyset encrypted.
func unwrapKeyset(ctx context.Context, uri string, raw []byte) (handle *keyset.Handle, err error) {
	err = visitKMS(ctx, uri, func(ctx context.Context, client tink.AEADWithContext) (err error) {
		kept := &kmsErrors{AEADWithContext: client}
		handle, err = keyset.ReadWithContext(ctx, keyset.NewJSONReader(bytes.NewReader(raw)), kept, []byte(kmsPurpose))
		return kept.first(err)
	})
	return handle, err
}

// kmsErrors keeps a driver's error, of which Tink passes on only the words.
type kmsErrors struct {
	tink.AEADWithContext
	err error
}

func (k *kmsErrors) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) (sealed []byte, err error) {
	sealed, k.err = k.AEADWithContext.EncryptWithContext(ctx, plaintext, associatedData)
	return sealed, k.err
}

func (k *kmsErrors) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) (plain []byte, err error) {
	plain, k.err = k.AEADWithContext.DecryptWithContext(ctx, ciphertext, associatedData)
	return plain, k.err
}

// first is the driver's error, or else err.
func (k *kmsErrors) first(err error) error {
	if k.err != nil {
		return k.err
	}
	return err
}
