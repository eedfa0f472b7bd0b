package store

import (
	"context"
	"encoding/binary"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// A liveKeys seals and opens with the keyset as it is in its file by now. It looks at
// the file's identity, time and size before each sealing, so that nothing is sealed
// with the former primary once another is promoted, and where it meets a key that it
// doesn't know, so that what another process has sealed opens at once. It is a
// tink.AEAD and safe for concurrent use. Where a KMS encrypts the file, see followKMS.
type liveKeys struct {
	file KeyFile // its Path is "" where there is no file to follow
	now  atomic.Pointer[keyState]

	mu     sync.Mutex
	proven func(tink.AEAD) bool // they open the vault; nil while they are tied to none
	clock  func() time.Time
	log    *slog.Logger
	try    *kmsTry // the last one; nil before the first
	// troubled: the last try failed, and the log has it.
	troubled bool
}

// A keyState is a keyset as it was in its file.
type keyState struct {
	handle  *keyset.Handle
	aead    tink.AEAD
	retired tink.AEAD // the retired keys too: they open old checkpoints of the audit record
	primary uint32
	known   map[uint32]bool
	file    fs.FileInfo // nil where it came from elsewhere
}

func newKeyState(handle *keyset.Handle) (*keyState, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, err
	}
	retired, err := withRetired(handle)
	if err != nil {
		return nil, err
	}
	s := &keyState{handle: handle, aead: primitive, retired: retired, known: map[uint32]bool{}}
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, err
		}
		s.known[entry.KeyID()] = entry.KeyStatus() == keyset.Enabled
		if entry.IsPrimary() {
			s.primary = entry.KeyID()
		}
	}
	return s, nil
}

// withRetired opens with every key of handle, the retired ones too.
func withRetired(handle *keyset.Handle) (tink.AEAD, error) {
	manager := keyset.NewManagerFromHandle(handle)
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, err
		}
		if err := manager.Enable(entry.KeyID()); err != nil {
			return nil, err
		}
	}
	all, err := manager.Handle()
	if err != nil {
		return nil, err
	}
	return aead.New(all)
}

func (k *liveKeys) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	state := k.follow()
	if k.retiredMeanwhile(state) {
		return nil, errBehind
	}
	return state.aead.Encrypt(plaintext, associatedData)
}

func (k *liveKeys) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	state := k.now.Load()
	if by := sealedBy(ciphertext); !state.known[by] {
		if state = k.follow(); !state.known[by] && k.behind(state) {
			return nil, errBehind
		}
	}
	return state.aead.Decrypt(ciphertext, associatedData)
}

// follow reads the file again where it changed. A file that is missing, damaged or
// readable by others, or that is another vault's, changes nothing: the process goes
// on as it started, and the next start says what is wrong.
func (k *liveKeys) follow() *keyState {
	state := k.now.Load()
	if !state.outdated(k.file.Path) {
		return state
	}
	if k.file.KMS != "" {
		return k.followKMS()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if state = k.now.Load(); !state.outdated(k.file.Path) {
		return state // somebody else was first
	}
	for range readTries {
		next, err := k.file.read(context.Background())
		if err != nil || k.proven == nil {
			return state
		}
		if k.proven(next.aead) {
			k.now.Store(next)
			return next
		}
		if !next.outdated(k.file.Path) {
			return state
		} // else the next step of a rotation overtook us: look again
	}
	return state
}

func (s *keyState) outdated(path string) bool {
	if path == "" {
		return false
	}
	info, err := os.Lstat(path)
	return err == nil && !unchanged(info, s.file)
}

func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// tie has k follow its file as long as what is there opens the vault.
func (k *liveKeys) tie(proven func(tink.AEAD) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.proven = proven
}

// reports has k tell log what an operator must know.
func (k *liveKeys) reports(log *slog.Logger, clock func() time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log, k.clock = log, clock
}

// sealedBy is the id of the key that ciphertext was sealed with; 0, which no key has,
// where it doesn't say. Tink writes it after a byte 1.
func sealedBy(ciphertext []byte) uint32 {
	if len(ciphertext) < 5 || ciphertext[0] != 1 {
		return 0
	}
	return binary.BigEndian.Uint32(ciphertext[1:])
}
