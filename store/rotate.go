package store

import (
	"context"
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

// Add adds a new key to the key file. Every process opens with it from now on, and
// none seals with it before Promote.
func (f KeyFile) Add(ctx context.Context) (id uint32, err error) {
	err = f.change(ctx, func(m *keyset.Manager) error {
		id, err = m.Add(aead.XChaCha20Poly1305KeyTemplate())
		return err
	})
	return id, err
}

// Promote makes the key of that id the one that seals. The former goes on to open
// what it sealed.
func (f KeyFile) Promote(ctx context.Context, id uint32) error {
	return f.change(ctx, func(m *keyset.Manager) error {
		if err := m.SetPrimary(id); err != nil {
			return fmt.Errorf("key file %s has no key %d: see latchkey keys list", f.Path, id)
		}
		return nil
	})
}

// Retire has a key open nothing any more of what it sealed, old sessions and
// backups too, but old checkpoints of the audit record, which nobody can seal anew. A
// running process follows when it next seals. The caller has seen that no row needs
// the key (KeyUse). The primary stays.
func (f KeyFile) Retire(ctx context.Context, id uint32) error {
	return f.change(ctx, func(m *keyset.Manager) error {
		if err := m.Disable(id); err != nil {
			return fmt.Errorf("key file %s has no key %d that could be retired (the primary can't): see latchkey keys list", f.Path, id)
		}
		return nil
	})
}

// Wrap has f.KMS encrypt the keyset that the file has in clear, or that the KMS key at
// from encrypts; where f.KMS is "", the file has it in clear then. copies are the files
// beside it that a first start which was cut short has left: they may be the keyset in
// clear.
func (f KeyFile) Wrap(ctx context.Context, from string) (copies []string, err error) {
	raw, _, err := readKeyFile(f.Path)
	if err != nil {
		return nil, err
	}
	switch is := encrypted(raw); {
	case is && from == "" && f.KMS != "":
		return nil, fmt.Errorf("key file %s is encrypted by a KMS already: to have another encrypt it, name the present one with --from-kms", f.Path)
	case is && from == "":
		return nil, fmt.Errorf("key file %s is encrypted by a KMS: name the one that is to encrypt it with --keys-kms (LATCHKEY_KEYS_KMS), "+
			"or, to have it in clear, the present one with --from-kms", f.Path)
	case !is && f.KMS == "":
		return nil, fmt.Errorf("key file %s is in clear: name the KMS key that is to encrypt it with --keys-kms (LATCHKEY_KEYS_KMS)", f.Path)
	case !is:
		from = ""
	}
	err = KeyFile{Path: f.Path, KMS: from}.rewrite(ctx, f.KMS, func(*keyset.Manager) error { return nil })
	if err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(filepath.Dir(f.Path), tempKeys))
}

// change replaces the key file as a whole, or not at all.
func (f KeyFile) change(ctx context.Context, change func(*keyset.Manager) error) error {
	return f.rewrite(ctx, f.KMS, change)
}

// rewrite replaces the key file by one that the KMS key at to encrypts. The new file's
// name is fixed, so that of two processes one waits its turn instead of losing a key.
func (f KeyFile) rewrite(ctx context.Context, to string, change func(*keyset.Manager) error) error {
	next, err := os.OpenFile(f.Path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key file %s is being changed by another latchkey: try again; if none runs, remove %s.new", f.Path, f.Path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return missingKeyFile(f.Path)
	}
	if err != nil {
		return fmt.Errorf("change the key file: %w", err)
	}
	err = f.fill(ctx, next, to, change)
	if closed := next.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(next.Name(), f.Path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return syncDir(filepath.Dir(f.Path))
}

// fill writes the keyset of f, changed, into next, encrypted by the KMS key at to.
func (f KeyFile) fill(ctx context.Context, next *os.File, to string, change func(*keyset.Manager) error) error {
	state, err := f.read(ctx)
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
	raw, err := written(ctx, handle, to)
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
