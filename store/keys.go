package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Keys is the key-encryption keyset (Tink, XChaCha20-Poly1305: its nonces are
// long enough to be random for any number of values). It follows its file: a running
// process has a key as soon as the file has it.
type Keys struct {
	aead *liveKeys
	path string // "" where they are of KeysFromText
	made bool   // by this process, just now
}

// KeysFromFile reads the keyset at path, or makes one there with mode 0600 on
// first start. A file that group or others can read is refused, and so is
// anything that isn't a regular file.
func KeysFromFile(path string) (*Keys, error) {
	keys, err := ExistingKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	made, err := makeKeyFile(path)
	if err != nil {
		return nil, err
	}
	if keys, err = ExistingKeys(path); err != nil {
		return nil, err
	}
	keys.made = made
	return keys, nil
}

// ExistingKeys is KeysFromFile without making any: fs.ErrNotExist where path
// isn't there.
func ExistingKeys(path string) (*Keys, error) {
	state, err := readKeys(path)
	if err != nil {
		return nil, err
	}
	return newKeys(path, state), nil
}

// KeysFromText is for a keyset that comes from the environment: text is what a key
// file holds. Errors don't quote it.
func KeysFromText(text string) (*Keys, error) {
	state, err := parseKeys([]byte(text))
	if err != nil {
		return nil, errors.New("it is not a keyset: it must be the whole content of a key file")
	}
	return newKeys("", state), nil
}

func newKeys(path string, state *keyState) *Keys {
	live := &liveKeys{path: path}
	live.now.Store(state)
	return &Keys{aead: live, path: path}
}

// String is where the keys are from, for errors; nothing of the keys.
func (k *Keys) String() string {
	if k.path == "" {
		return "the keyset in LATCHKEY_KEYS"
	}
	return "key file " + k.path
}

// readTries is for files that are replaced at the very moment, as rotation does.
const readTries = 5

var errReplaced = errors.New("was replaced while it was opened")

// readKeys reads the file at path.
func readKeys(path string) (*keyState, error) {
	raw, info, err := readKeyFile(path)
	for try := 1; try < readTries && errors.Is(err, errReplaced); try++ {
		raw, info, err = readKeyFile(path)
	}
	if err != nil {
		return nil, err
	}
	state, err := parseKeys(raw)
	if err != nil {
		return nil, fmt.Errorf("key file %s is damaged: restore it from a backup", path)
	}
	state.file = info
	return state, nil
}

func parseKeys(raw []byte) (*keyState, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, err
	}
	return newKeyState(handle)
}

func readKeyFile(path string) ([]byte, fs.FileInfo, error) {
	before, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, missingKeyFile(path)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("key file: %w", err)
	}
	if err := checkKeyFile(path, before); err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	after, err := f.Stat()
	if err != nil || !os.SameFile(before, after) {
		return nil, nil, fmt.Errorf("key file %s %w: start again", path, errReplaced)
	}
	if err := checkKeyFile(path, after); err != nil {
		return nil, nil, err
	}
	var raw bytes.Buffer
	_, err = raw.ReadFrom(f)
	return raw.Bytes(), after, err
}

func missingKeyFile(path string) error {
	return fmt.Errorf("key file %s: %w: put it there, or name the right one with --keys-file", path, fs.ErrNotExist)
}

func checkKeyFile(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("key file %s is not a regular file: put the file itself there, no link", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("key file %s can be read by others (mode %04o): run chmod 600 %s",
			path, info.Mode().Perm(), path)
	}
	return nil
}

// makeKeyFile writes a new keyset whole, or not at all: a file of another name
// is filled, flushed and then linked, which fails where path exists. made is
// false where another process was first.
func makeKeyFile(path string) (made bool, err error) {
	raw, err := newKeyset()
	if err != nil {
		return false, err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("make the key file's directory: %w", err)
	}
	temp, err := writeTemp(dir, raw)
	if err != nil {
		return false, fmt.Errorf("make the key file: %w", err)
	}
	defer os.Remove(temp)
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("make the key file: %w", err)
	}
	return true, syncDir(dir)
}

func newKeyset() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.XChaCha20Poly1305KeyTemplate())
	if err != nil {
		return nil, err
	}
	return written(handle)
}

// written is the keyset as a key file holds it.
func written(handle *keyset.Handle) ([]byte, error) {
	var b bytes.Buffer
	err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b))
	return b.Bytes(), err
}

// writeTemp relies on os.CreateTemp: O_EXCL and mode 0600 from the start.
func writeTemp(dir string, raw []byte) (string, error) {
	f, err := os.CreateTemp(dir, ".key-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// wrong is the error of keys that didn't seal the vault. Keys that were made just
// now are removed again: nothing is sealed with them, and the file would only
// hide that the right one is missing.
func (k *Keys) wrong() error {
	if k.made {
		os.Remove(k.path)
		return fmt.Errorf("key file %s is missing, and this vault is sealed with it: "+
			"restore it from a backup", k.path)
	}
	return fmt.Errorf("%s is not the one that this vault is sealed with: "+
		"restore the right one from a backup", k)
}
