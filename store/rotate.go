package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// A Key is one key of a keyset, without its material.
type Key struct {
	ID      uint32
	Primary bool // it seals what is written; the others only open
	Retired bool // it opens nothing but old checkpoints of the audit record
}

// List is the keys that there are, oldest first.
func (k *Keys) List() ([]Key, error) {
	handle := k.aead.follow().handle
	list := make([]Key, handle.Len())
	for i := range list {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, err
		}
		list[i] = Key{ID: entry.KeyID(), Primary: entry.IsPrimary(), Retired: entry.KeyStatus() != keyset.Enabled}
	}
	return list, nil
}

// AddKey adds a new key to the key file. Every process opens with it from now on,
// and none seals with it before PromoteKey.
func AddKey(path string) (id uint32, err error) {
	err = changeKeyFile(path, func(m *keyset.Manager) error {
		id, err = m.Add(aead.XChaCha20Poly1305KeyTemplate())
		return err
	})
	return id, err
}

// PromoteKey makes the key of that id the one that seals. The former goes on to open
// what it sealed.
func PromoteKey(path string, id uint32) error {
	return changeKeyFile(path, func(m *keyset.Manager) error {
		if err := m.SetPrimary(id); err != nil {
			return fmt.Errorf("key file %s has no key %d: see latchkey keys list", path, id)
		}
		return nil
	})
}

// RetireKey has a key open nothing any more of what it sealed, old sessions and
// backups too, but old checkpoints of the audit record, which nobody can seal anew. A
// running process follows when it next seals. The caller has seen that no row needs
// the key (KeyUse). The primary stays.
func RetireKey(path string, id uint32) error {
	return changeKeyFile(path, func(m *keyset.Manager) error {
		if err := m.Disable(id); err != nil {
			return fmt.Errorf("key file %s has no key %d that could be retired (the primary can't): see latchkey keys list", path, id)
		}
		return nil
	})
}

// changeKeyFile replaces the key file as a whole, or not at all. The new file's name
// is fixed, so that of two processes one waits its turn instead of losing a key.
func changeKeyFile(path string, change func(*keyset.Manager) error) error {
	next, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key file %s is being changed by another latchkey: try again; if none runs, remove %s.new", path, path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return missingKeyFile(path)
	}
	if err != nil {
		return fmt.Errorf("change the key file: %w", err)
	}
	err = fillChanged(next, path, change)
	if closed := next.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// fillChanged writes the keyset at path, changed, into next.
func fillChanged(next *os.File, path string, change func(*keyset.Manager) error) error {
	state, err := readKeys(path)
	if err != nil {
		return err
	}
	manager := keyset.NewManagerFromHandle(state.handle)
	if err := change(manager); err != nil {
		return err
	}
	handle, err := manager.Handle()
	if err != nil {
		return err
	}
	raw, err := written(handle)
	if err != nil {
		return err
	}
	if err := keepOwner(next, state.file); err != nil {
		return fmt.Errorf("change the key file as the user whose file it is: %w", err)
	}
	if _, err := next.Write(raw); err != nil {
		return err
	}
	return next.Sync()
}
