package sqlite

import (
	"context"
	"errors"
	"fmt"

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
	if advice := advice(failed.Code() & 0xff); advice != "" {
		return fmt.Errorf("database %s: %s", db.path, advice)
	}
	return fmt.Errorf("database %s: %w", db.path, failed)
}

// advice is for SQLite's primary result code.
func advice(code int) string {
	switch code {
	case sqlite3.SQLITE_FULL:
		return "the disk is full: make room, nothing is lost"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return "it can't be written: check the permissions of the file and of its directory"
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
