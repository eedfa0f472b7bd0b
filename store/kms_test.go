package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// aKMS is a well-formed URI that no test asks.
const aKMS = "hcvault://127.0.0.1:1/transit/keys/one"

func TestKMSURIs(t *testing.T) {
	for uri, says := range map[string]string{
		"":                                    "is not a KMS key's URI",
		"transit/keys/one":                    "is not a KMS key's URI",
		"hcvault://":                          "is not a KMS key's URI",
		"hcvault://u:" + canary + "@v/t/k/n":  "is not a KMS key's URI",
		"hcvault://v/t/k/n?token=" + canary:   "is not a KMS key's URI",
		"hcvault://v/t/k/n#" + canary:         "is not a KMS key's URI",
		"azure-kms://vault/key":               "no KMS of the kind azure-kms://",
		"https://v.example/v1/transit/keys/n": "no KMS of the kind https://",
	} {
		contains(t, store.CheckKMS(uri), says)
	}
}

// A keyset that a KMS encrypts and one in clear are never taken for each other.
func TestKMSAndKeysInClear(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	_, err := store.KeysFromFile(path)
	ok(t, err)
	text, err := os.ReadFile(path)
	ok(t, err)
	both := store.KeyFile{Path: path, KMS: aKMS}
	_, err = both.Keys(t.Context())
	contains(t, err, path, "is in clear while --keys-kms (LATCHKEY_KEYS_KMS) is set", "latchkey keys wrap")
	_, err = both.Add(t.Context())
	contains(t, err, "is in clear while")
	_, err = store.KeysFromText(t.Context(), string(text), aKMS)
	contains(t, err, "LATCHKEY_KEYS: it is in clear while")
	_, err = plain(path).Wrap(t.Context(), "")
	contains(t, err, path, "is in clear: name the KMS key", "--keys-kms")

	encrypted := storetest.NewTransit(t).Keyset(t, "one", "latchkey keyset v1")
	ok(t, os.WriteFile(path, encrypted, 0o600))
	_, err = store.KeysFromFile(path)
	contains(t, err, path, "is encrypted by a KMS: name that KMS key with --keys-kms (LATCHKEY_KEYS_KMS)")
	_, err = store.KeysFromText(t.Context(), string(encrypted), "")
	contains(t, err, "LATCHKEY_KEYS: it is encrypted by a KMS")
	_, err = plain(path).Wrap(t.Context(), "")
	contains(t, err, "--from-kms")
	_, err = both.Wrap(t.Context(), "")
	contains(t, err, "is encrypted by a KMS already", "--from-kms")

	ok(t, os.WriteFile(path, []byte(strings.Replace(string(text), "key", "kye", 1)), 0o600))
	_, err = both.Keys(t.Context())
	contains(t, err, path, "is damaged")
}
