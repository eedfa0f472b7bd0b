package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// explain puts err into one line that names the file, and says what to do where
// the operator can do something.
func (db *DB) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("database %s: it did not answer within %s: check the disk, or try again: %w", db.path, db.limit, err)
	}
	var failed *driver.Error
	if !errors.As(err, &failed) {
		return fmt.Errorf("database %s: %w", db.path, err)
	}
	if advice := advice(failed.Code()); advice != "" {
		return fmt.Errorf("database %s: %s", db.path, advice)
	}
	return fmt.Errorf("database %s: %w", db.path, failed)
}

const (
	adviceFull     = "the disk is full: make room, nothing is lost"
	adviceReadOnly = "it can't be written: make the file and its directory writable for the user that latchkey runs as, " +
		"or choose another directory with --data"
)

// advice is for SQLite's result code.
func advice(code int) string {
	if code == sqlite3.SQLITE_IOERR_SHMSIZE { // the log's index doesn't find room
		return adviceFull
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return adviceFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return adviceReadOnly
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "another process keeps it locked: stop that one, or try again"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "it is damaged: restore it from a backup"
	case sqlite3.SQLITE_IOERR:
		return "the disk can't be read or written: check it"
	default:
		return ""
	}
}

// explainFile is for what the operating system says of the file or its directory.
func explainFile(path string, err error) error {
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("database %s: %s (%w)", path, adviceReadOnly, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("database %s: %s", path, adviceFull)
	}
	return fmt.Errorf("database %s: it can't be opened: %w", path, err)
}
