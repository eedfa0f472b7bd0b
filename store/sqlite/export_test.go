package sqlite

import (
	"os"
	"strconv"
)

// SetMaxPages makes the disk full at n pages, or at the pages that there are now
// where those are more.
func (db *DB) SetMaxPages(n int) error {
	_, err := db.writer.Exec("PRAGMA max_page_count = " + strconv.Itoa(n))
	return err
}

// Exec runs a statement on the connection that writes.
func (db *DB) Exec(statement string) error {
	_, err := db.writer.Exec(statement)
	return err
}

// ReserveSize is how large the reserve is.
const ReserveSize = reserveSize

// SetFill has f make the reserve.
func (db *DB) SetFill(f func(f *os.File, size int64) error) { db.fill = f }
