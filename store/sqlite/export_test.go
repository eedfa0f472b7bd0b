package sqlite

import "strconv"

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
