package sqlite

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"

	driver "modernc.org/sqlite"
)

// The reserve is a file beside the database that holds a place on the disk. No entry
// is added to the audit record without it, and so no provider is asked for a refresh
// and nothing is released. It makes room, where there is none any more, for changes and removals
// of grants that are there: an answer that a provider gives only once, a disconnect.
const (
	reserveSuffix = "-reserve"
	reserveSize   = 1 << 20 // for dozens of answers that are on their way at once
)

// keepReserve makes the reserve where it isn't there or isn't whole. Where that fails,
// it takes no room.
func (db *DB) keepReserve() error {
	db.reserving.Lock()
	defer db.reserving.Unlock()
	path := db.path + reserveSuffix
	if info, err := os.Lstat(path); err == nil && info.Size() == reserveSize {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return explainFile(db.path, err)
	}
	if err := errors.Join(db.fill(f, reserveSize), f.Close()); err != nil {
		os.Remove(path)
		return explainFile(db.path, err)
	}
	return nil
}

// fill writes what no file system stores in less room than it says.
func fill(f *os.File, size int64) error {
	var seed [32]byte
	copy(seed[:], time.Now().String())
	if _, err := io.CopyN(f, rand.NewChaCha8(seed), size); err != nil {
		return err
	}
	return f.Sync()
}

// lastRoom is findRoom for what must find room: it has the reserve's too.
func (db *DB) lastRoom(ctx context.Context, write func() error) error {
	err := db.findRoom(ctx, write)
	var failed *driver.Error
	if !errors.As(err, &failed) || advice(failed.Code()) != adviceFull {
		return err
	}
	// Where it is gone, somebody else has just made this room.
	if gone := os.Remove(db.path + reserveSuffix); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		return err
	}
	return db.findRoom(ctx, write)
}
