//go:build !hcvault && !awskms && !gcpkms

package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
)

// The default build says how to build one with the driver, and makes no key file.
func TestKMSDriversAreLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for tag, uri := range map[string]string{
		"hcvault": aKMS,
		"awskms":  "aws-kms://arn:aws:kms:eu-central-1:111122223333:key/1",
		"gcpkms":  "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
	} {
		want := "go build -tags " + tag + " ./cmd/latchkey"
		contains(t, store.CheckKMS(uri), want)
		_, err := store.KeyFile{Path: path, KMS: uri}.Keys(t.Context())
		contains(t, err, want)
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Fatal("a key file was made")
		}
	}
}
