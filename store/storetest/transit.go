package storetest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// A Transit is a strict stand-in for Vault's transit secrets engine, over TLS, with
// real encryption under it. It serves the keys "one" and "two" of the mount
// "transit", for one token.
type Transit struct {
	Token  string
	CAFile string // what a client trusts

	server *httptest.Server
	keys   map[string]cipher.AEAD
	hang   chan struct{}

	mu        sync.Mutex
	trouble   string
	namespace string
	asked     []string
	forgets   bool
}

// NewTransit serves until the test ends. Its variables are in the environment of the
// test from then on.
func NewTransit(t testing.TB) *Transit {
	t.Helper()
	v := &Transit{
		Token: "hvs." + rand.Text(), CAFile: filepath.Join(t.TempDir(), "ca.pem"),
		keys: map[string]cipher.AEAD{"one": newGCM(t), "two": newGCM(t)}, hang: make(chan struct{}),
	}
	v.server = httptest.NewTLSServer(v)
	t.Cleanup(func() { close(v.hang); v.server.Close() })
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.server.Certificate().Raw})
	if err := os.WriteFile(v.CAFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	if env, ok := t.(interface{ Setenv(name, value string) }); ok {
		env.Setenv("VAULT_TOKEN", v.Token)
		env.Setenv("VAULT_CACERT", v.CAFile)
	}
	return v
}

func newGCM(t testing.TB) cipher.AEAD {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm
}

// URI names the key of that name.
func (v *Transit) URI(key string) string {
	return "hcvault://" + v.server.Listener.Addr().String() + "/transit/keys/" + key
}

// Trouble has all further requests meet it: "sealed", "down", which drops
// connections, "silent", which answers nothing, "odd", which answers nonsense, or ""
// for none.
func (v *Transit) Trouble(kind string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trouble = kind
}

// Namespace is where the mount is.
func (v *Transit) Namespace(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.namespace = name
}

// Forget has it decrypt nothing from now on, as a key whose versions are lost.
func (v *Transit) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forgets = true
}

// Asked is what was asked since the last time, as "encrypt one".
func (v *Transit) Asked() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	asked := v.asked
	v.asked = nil
	return asked
}

// ServeHTTP implements http.Handler.
func (v *Transit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/transit/"), "/")
	v.mu.Lock()
	trouble, namespace, forgets := v.trouble, v.namespace, v.forgets
	v.asked = append(v.asked, operation+" "+key)
	v.mu.Unlock()
	switch trouble {
	case "down":
		panic(http.ErrAbortHandler)
	case "silent":
		<-v.hang
		return
	case "odd":
		fmt.Fprint(w, r.Header.Get("X-Vault-Token")+" is odd")
		return
	case "sealed":
		refuse(w, r, http.StatusServiceUnavailable, "Vault is sealed")
		return
	}
	switch {
	case !strings.HasPrefix(r.URL.Path, "/v1/transit/") || r.URL.RawQuery != "" || r.Header.Get("X-Vault-Namespace") != namespace:
		refuse(w, r, http.StatusNotFound, "no handler for route")
	case r.Header.Get("X-Vault-Token") != v.Token:
		refuse(w, r, http.StatusForbidden, "permission denied")
	case r.Header.Get("X-Vault-Request") != "true" || r.Method != http.MethodPut && r.Method != http.MethodPost:
		refuse(w, r, http.StatusMethodNotAllowed, "unsupported operation")
	case v.keys[key] == nil || forgets && operation == "decrypt":
		refuse(w, r, http.StatusBadRequest, "encryption key not found")
	default:
		v.operate(w, r, operation, v.keys[key])
	}
}

func (v *Transit) operate(w http.ResponseWriter, r *http.Request, operation string, key cipher.AEAD) {
	var body struct {
		Plaintext      []byte `json:"plaintext"`
		Ciphertext     string `json:"ciphertext"`
		AssociatedData []byte `json:"associated_data"`
	}
	strict := json.NewDecoder(r.Body)
	strict.DisallowUnknownFields()
	if err := strict.Decode(&body); err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	switch {
	case operation == "encrypt" && len(body.Plaintext) > 0 && body.Ciphertext == "":
		sealed := key.Seal(nil, nil, body.Plaintext, body.AssociatedData)
		grant(w, "ciphertext", "vault:v1:"+base64.StdEncoding.EncodeToString(sealed))
	case operation == "decrypt" && strings.HasPrefix(body.Ciphertext, "vault:v1:") && body.Plaintext == nil:
		sealed, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(body.Ciphertext, "vault:v1:"))
		if err != nil {
			refuse(w, r, http.StatusBadRequest, "invalid ciphertext: could not decode base64")
			return
		}
		plain, err := key.Open(nil, nil, sealed, body.AssociatedData)
		if err != nil {
			refuse(w, r, http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		grant(w, "plaintext", base64.StdEncoding.EncodeToString(plain))
	default:
		refuse(w, r, http.StatusBadRequest, "invalid request")
	}
}

// refuse quotes the token, as a proxy in front may: nobody may print what it says.
func refuse(w http.ResponseWriter, r *http.Request, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {why, "token: " + r.Header.Get("X-Vault-Token")}})
}

func grant(w http.ResponseWriter, name, value string) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"request_id": rand.Text(), "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": map[string]any{name: value, "key_version": 1}, "wrap_info": nil, "warnings": nil, "auth": nil,
	})
}

// Keyset is a new keyset that the key of that name encrypts for purpose.
func (v *Transit) Keyset(t testing.TB, key, purpose string) []byte {
	t.Helper()
	handle, err := keyset.NewHandle(aead.XChaCha20Poly1305KeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewJSONWriter(&b), transitKey{v.keys[key]}, []byte(purpose)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A transitKey encrypts as the key does through the server.
type transitKey struct{ cipher.AEAD }

func (k transitKey) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	sealed := k.Seal(nil, nil, plaintext, associatedData)
	return []byte("vault:v1:" + base64.StdEncoding.EncodeToString(sealed)), nil
}

func (k transitKey) Decrypt([]byte, []byte) ([]byte, error) {
	return nil, errors.New("only the server does that")
}
