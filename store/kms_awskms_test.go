//go:build awskms

package store_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

const awsKey = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"

// anAWS is a strict stand-in for AWS KMS's Encrypt and Decrypt (JSON 1.1), with real
// encryption under it. It doesn't check the signature, only that there is one.
type anAWS struct {
	key  cipher.AEAD
	deny bool
}

func newAWS(t *testing.T) *anAWS {
	t.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	ok(t, err)
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	ok(t, err)
	a := &anAWS{key: gcm}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": canary,
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none",
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	return a
}

func (a *anAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		KeyID             string `json:"KeyId"`
		Plaintext         []byte
		CiphertextBlob    []byte
		EncryptionContext map[string]string
	}
	strict := json.NewDecoder(r.Body)
	strict.DisallowUnknownFields()
	err := strict.Decode(&in)
	context, _ := json.Marshal(in.EncryptionContext) // sorted
	target := r.Header.Get("X-Amz-Target")
	switch {
	case err != nil || r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1":
		refuseAWS(w, "ValidationException")
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") ||
		!strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/kms/aws4_request") || a.deny:
		refuseAWS(w, "AccessDeniedException")
	case in.KeyID != awsKey:
		refuseAWS(w, "NotFoundException")
	case target == "TrentService.Encrypt":
		grantAWS(w, map[string]any{"KeyId": awsKey, "CiphertextBlob": a.key.Seal(nil, nil, in.Plaintext, context)})
	case target == "TrentService.Decrypt":
		plain, err := a.key.Open(nil, nil, in.CiphertextBlob, context)
		if err != nil {
			refuseAWS(w, "InvalidCiphertextException")
			return
		}
		grantAWS(w, map[string]any{"KeyId": awsKey, "Plaintext": plain})
	default:
		refuseAWS(w, "UnknownOperationException")
	}
}

func refuseAWS(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": canary})
}

func grantAWS(w http.ResponseWriter, out map[string]any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(out)
}

func TestKMSOfAWS(t *testing.T) {
	aws := newAWS(t)
	f := store.KeyFile{Path: filepath.Join(t.TempDir(), "key"), KMS: "aws-kms://" + awsKey}
	keys, err := f.Keys(t.Context())
	ok(t, err)
	first, err := keys.List()
	ok(t, err)
	keys, err = f.Existing(t.Context())
	ok(t, err)
	again, err := keys.List()
	ok(t, err)
	same(t, again, first)
	_, err = f.Add(t.Context())
	ok(t, err)
	_, err = store.KeyFile{Path: f.Path, KMS: f.KMS + "5"}.Existing(t.Context())
	contains(t, err, "AWS answered NotFoundException")
	aws.deny = true
	_, err = f.Existing(t.Context())
	contains(t, err, f.KMS+" can't be used: AWS answered AccessDeniedException")

	t.Cleanup(store.SetKMSTimeout(2 * time.Second))
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	_, err = f.Existing(t.Context())
	contains(t, err, "check the credentials (AWS_ACCESS_KEY_ID")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	_, err = f.Existing(t.Context())
	contains(t, err, "can't be used")
}
