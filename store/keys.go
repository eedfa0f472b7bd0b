package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

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

// A KeyFile is where a keyset is kept.
type KeyFile struct {
	Path string
	// KMS is the URI of the KMS key that encrypts the keyset in the file; "" where it
	// is there in clear. The KMS is asked at the start and when the file changes,
	// never for a grant, and for at most 15 s.
	KMS string
}

// Keys reads the keyset, or makes one with mode 0600 on first start. A file that
// group or others can read is refused, and so is anything that isn't a regular file,
// or is in clear where f.KMS says otherwise.
func (f KeyFile) Keys(ctx context.Context) (*Keys, error) {
	keys, err := f.Existing(ctx)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	made, err := f.make(ctx)
	if err != nil {
		return nil, err
	}
	if keys, err = f.Existing(ctx); err != nil {
		return nil, err
	}
	keys.made = made
	return keys, nil
}

// Existing is Keys without making any: fs.ErrNotExist where the file isn't there.
func (f KeyFile) Existing(ctx context.Context) (*Keys, error) {
	state, err := f.read(ctx)
	if err != nil {
		return nil, err
	}
	return newKeys(f, state), nil
}

// KeysFromFile is the Keys of a file that has them in clear.
func KeysFromFile(path string) (*Keys, error) {
	return KeyFile{Path: path}.Keys(context.Background())
}

// KeysFromText is for a keyset that comes from the environment: text is what a key
// file holds, encrypted by the KMS key at kms unless that is "". Errors don't quote it.
func KeysFromText(ctx context.Context, text, kms string) (*Keys, error) {
	state, err := parseKeys(ctx, []byte(text), kms)
	if errors.Is(err, errNoKeyset) {
		return nil, errors.New("it is not a keyset: it must be the whole content of a key file")
	}
	if err != nil {
		return nil, fmt.Errorf("the keyset in LATCHKEY_KEYS: %w", err)
	}
	return newKeys(KeyFile{}, state), nil
}

func newKeys(f KeyFile, state *keyState) *Keys {
	live := &liveKeys{file: f, clock: time.Now, log: slog.Default()}
	live.now.Store(state)
	return &Keys{aead: live, path: f.Path}
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

// read reads the keyset that is in the file by now.
func (f KeyFile) read(ctx context.Context) (*keyState, error) {
	raw, info, err := readKeyFile(f.Path)
	for try := 1; try < readTries && errors.Is(err, errReplaced); try++ {
		raw, info, err = readKeyFile(f.Path)
	}
	if err != nil {
		return nil, err
	}
	state, err := parseKeys(ctx, raw, f.KMS)
	if errors.Is(err, errNoKeyset) {
		return nil, fmt.Errorf("key file %s is damaged: restore it from a backup", f.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", f.Path, err)
	}
	state.file = info
	return state, nil
}

var (
	errNoKeyset = errors.New("not a keyset")
	errNoKMS    = errors.New("it is encrypted by a KMS: name that KMS key with --keys-kms (LATCHKEY_KEYS_KMS)")
	errInClear  = errors.New("it is in clear while --keys-kms (LATCHKEY_KEYS_KMS) is set: " +
		"run latchkey keys wrap, which has that KMS key encrypt a key file")
)

// parseKeys never takes a keyset in clear for one that a KMS is to have encrypted: who
// can write the file but not use the KMS would choose the keys.
func parseKeys(ctx context.Context, raw []byte, kms string) (*keyState, error) {
	if encrypted(raw) {
		if kms == "" {
			return nil, errNoKMS
		}
		handle, err := unwrapKeyset(ctx, kms, raw)
		if err != nil {
			return nil, err
		}
		return newKeyState(handle)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, errNoKeyset
	}
	if kms != "" {
		return nil, errInClear
	}
	return newKeyState(handle)
}

// encrypted reports whether raw is a keyset that a KMS encrypted.
func encrypted(raw []byte) bool {
	var file struct {
		EncryptedKeyset []byte `json:"encryptedKeyset"`
	}
	return json.Unmarshal(raw, &file) == nil && len(file.EncryptedKeyset) > 0
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

// make writes a new keyset whole, or not at all: a file of another name
// is filled, flushed and then linked, which fails where path exists. made is
// false where another process was first.
func (f KeyFile) make(ctx context.Context) (made bool, err error) {
	handle, err := keyset.NewHandle(aead.XChaCha20Poly1305KeyTemplate())
	if err != nil {
		return false, err
	}
	raw, err := written(ctx, handle, f.KMS)
	if err != nil {
		return false, fmt.Errorf("make the key file: %w", err)
	}
	dir := filepath.Dir(f.Path)
	if err := MakeDir(dir); err != nil {
		return false, fmt.Errorf("make the key file's directory: %w", err)
	}
	temp, err := writeTemp(dir, raw)
	if err != nil {
		return false, fmt.Errorf("make the key file: %w", err)
	}
	defer os.Remove(temp)
	if err := os.Link(temp, f.Path); errors.Is(err, fs.ErrExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("make the key file: %w", err)
	}
	return true, syncDir(dir)
}

// written is the keyset as a key file holds it, encrypted by the KMS key at kms unless
// that is "".
func written(ctx context.Context, handle *keyset.Handle, kms string) ([]byte, error) {
	if kms != "" {
		return wrapKeyset(ctx, kms, handle)
	}
	var b bytes.Buffer
	err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b))
	return b.Bytes(), err
}

// tempKeys is the name of a key file that is being made.
const tempKeys = ".key-*"

// writeTemp relies on os.CreateTemp: O_EXCL and mode 0600 from the start.
func writeTemp(dir string, raw []byte) (string, error) {
	f, err := os.CreateTemp(dir, tempKeys)
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

// MakeDir makes dir and what is missing above it, for its owner only, and flushes
// each into its parent: else a power loss could take all that was kept in it.
func MakeDir(dir string) error {
	switch info, err := os.Stat(dir); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := MakeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
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
