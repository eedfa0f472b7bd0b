// Package sqlite is the vault's default backend: one SQLite file.
//
// It guarantees that a write is on the disk when it returns (WAL with
// synchronous=FULL), that it goes through or fails on a deadline of its own
// whatever becomes of the caller's context, and that compare-and-swap happens in
// the statement itself, so that two processes on one file don't lose a write
// either. What must find room on a full disk has a reserve. Everything in the file that
// is secret was sealed before it came here.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	driver "modernc.org/sqlite" // "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// File is the database's name in its directory.
const File = "latchkey.db"

const (
	// readers is enough for point reads, which are over in microseconds. Each keeps
	// pages of its own, so that more of them find less.
	readers = 2
	// timeout ends an operation. It is longer than busy_timeout, so that SQLite's
	// own word comes first.
	timeout = 10 * time.Second
)

// The pragmas of both pools are constants: their values are run as SQL.
const (
	writing = "_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=secure_delete(1)"
	// The file is mapped, so that reading it costs no system call however large it is.
	reading = "_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=query_only(1)&_pragma=mmap_size(2147418112)"
)

// A DB is an open database. It implements store.Backend.
type DB struct {
	path   string
	now    func() time.Time
	limit  time.Duration // of one operation
	writer *sql.DB       // one connection: SQLite has one writer anyway
	reader *sql.DB
	points *sql.DB       // for reads of one row, which nothing else delays
	seats  chan struct{} // one for each connection of points
	stmt   statements
	writes writes

	reserving sync.Mutex
	fill      func(f *os.File, size int64) error // makes the reserve
}

var _ store.Backend = (*DB)(nil)

// Open opens or makes the database in the directory dir and brings it up to date.
// What it makes only its owner can read. now is the clock that expiry is compared
// with; nil means time.Now.
func Open(ctx context.Context, dir string, now func() time.Time) (*DB, error) {
	if now == nil {
		now = time.Now
	}
	path, err := makeFile(dir)
	if err != nil {
		return nil, err
	}
	db := &DB{path: path, now: now, limit: timeout, fill: fill}
	if err := db.open(ctx); err != nil {
		return nil, errors.Join(db.explain(err), db.Close())
	}
	return db, nil
}

// OpenReadOnly opens the database in dir for looking at it, also beside a process
// that works on it: nothing is made, brought up to date or written.
func OpenReadOnly(ctx context.Context, dir string) (*DB, error) {
	path, err := filepath.Abs(filepath.Join(dir, File))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no vault in %s: name its data directory with --data", dir)
	}
	db := &DB{path: path, now: time.Now, limit: timeout}
	if err = db.openReaders(); err == nil {
		err = readable(ctx, db.reader)
	}
	if err == nil {
		err = db.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(db.explain(err), db.Close())
	}
	return db, nil
}

// makeFile makes the file before SQLite does, with a mode that SQLite then gives
// to the write-ahead log as well. One that is there it doesn't open: to close it would
// end the locks that this process has on it by another DB (POSIX).
func makeFile(dir string) (path string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, File)
	if err := store.MakeDir(dir); err != nil {
		return "", explainFile(path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return path, f.Close()
	}
	info, there := os.Stat(path)
	switch {
	case there != nil:
		return "", explainFile(path, err)
	case info.IsDir():
		return "", explainFile(path, syscall.EISDIR)
	}
	return path, nil
}

func (db *DB) open(ctx context.Context) error {
	var err error
	if db.writer, err = pool(db.path, writing, 1); err != nil {
		return err
	}
	if err := migrate(ctx, db.writer); err != nil {
		return err
	}
	if err := db.openReaders(); err != nil {
		return err
	}
	return db.prepare(ctx)
}

func (db *DB) openReaders() (err error) {
	if db.reader, err = pool(db.path, reading, readers); err != nil {
		return err
	}
	db.points, err = pool(db.path, reading, readers)
	db.seats = make(chan struct{}, readers)
	return err
}

func pool(path, pragmas string, connections int) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: pragmas}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// Close closes the file. Nobody may use the database any more.
func (db *DB) Close() error {
	var err error
	for _, pool := range []*sql.DB{db.points, db.reader, db.writer} {
		if pool != nil {
			err = errors.Join(err, pool.Close())
		}
	}
	return err
}

// Grants is the table of grants.
func (db *DB) Grants() store.Grants { return grants{db} }

// Records is the table of records.
func (db *DB) Records() store.Records { return records{db} }

// Audit is where the audit record is kept.
func (db *DB) Audit() audit.Table { return auditTable{db} }

// Sealed is all that the vault's keys seal.
func (db *DB) Sealed() store.Sealed { return sealed{db} }

// Fix keeps value under name the first time and returns what is kept.
func (db *DB) Fix(ctx context.Context, name, value string) (string, error) {
	var kept string
	err := db.changeOne(ctx, db.stmt.fix, []any{name, value}, &kept)
	return kept, err
}

// exec runs a write and says how many rows it touched. A cancelled context would
// discard the connection in the middle of it, hence the deadline of its own.
func (db *DB) exec(ctx context.Context, stmt *sql.Stmt, args ...any) (int64, error) {
	return db.execWhere(ctx, db.findRoom, stmt, args...)
}

// execWhere is exec with a way to find room.
func (db *DB) execWhere(ctx context.Context, room func(context.Context, func() error) error, stmt *sql.Stmt, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.limit)
	defer cancel()
	var n int64
	err := room(ctx, func() error {
		return db.together(ctx, func(ctx context.Context, on func(*sql.Stmt) *sql.Stmt) error {
			result, err := on(stmt).ExecContext(ctx, args...)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
	})
	return n, db.explain(err)
}

// findRoom runs write, and once more where the disk is full: what is in the log can
// often be written to places that the database file has already, and the log is
// then used again from its start.
func (db *DB) findRoom(ctx context.Context, write func() error) error {
	err := write()
	var failed *driver.Error
	if !errors.As(err, &failed) || failed.Code() != sqlite3.SQLITE_FULL || db.writer == nil {
		return err
	}
	if _, err := db.writer.ExecContext(ctx, "PRAGMA wal_checkpoint"); err != nil {
		return failed
	}
	return write()
}

// query calls scan for each row. It reads to the end, which is when SQLite commits
// a statement with RETURNING.
func (db *DB) query(ctx context.Context, stmt *sql.Stmt, args []any, scan func(*sql.Rows) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.limit)
	defer cancel()
	return db.explain(db.findRoom(ctx, func() error { return each(ctx, stmt, args, scan) }))
}

func each(ctx context.Context, stmt *sql.Stmt, args []any, scan func(*sql.Rows) error) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// one scans the only row into dest; store.ErrNotFound where there is none.
func (db *DB) one(ctx context.Context, stmt *sql.Stmt, args []any, dest ...any) error {
	found := false
	err := db.query(ctx, stmt, args, func(rows *sql.Rows) error {
		found = true
		return rows.Scan(dest...)
	})
	if err == nil && !found {
		return store.ErrNotFound
	}
	return err
}

// changeOne is one for a statement that writes.
func (db *DB) changeOne(ctx context.Context, stmt *sql.Stmt, args []any, dest ...any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.limit)
	defer cancel()
	var found bool
	err := db.findRoom(ctx, func() error {
		return db.together(ctx, func(ctx context.Context, on func(*sql.Stmt) *sql.Stmt) error {
			found = false
			return each(ctx, on(stmt), args, func(rows *sql.Rows) error {
				found = true
				return rows.Scan(dest...)
			})
		})
	})
	if err == nil && !found {
		return store.ErrNotFound
	}
	return db.explain(err)
}

// point reads the few rows that a key finds, like query, on a connection of points.
// Only the wait for that has a deadline: for one of the statement the driver would
// start a goroutine, at twice the read's own cost, and the read itself waits for no
// lock.
func (db *DB) point(ctx context.Context, stmt *sql.Stmt, args []any, scan func(*sql.Rows) error) error {
	if err := db.sit(); err != nil {
		return db.explain(err)
	}
	defer func() { <-db.seats }()
	return db.explain(each(context.WithoutCancel(ctx), stmt, args, scan))
}

// sit takes a seat at points, within the limit of an operation.
func (db *DB) sit() error {
	select {
	case db.seats <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(db.limit)
	defer late.Stop()
	select {
	case db.seats <- struct{}{}:
		return nil
	case <-late.C:
		return context.DeadlineExceeded
	}
}

// swapped turns a count of rows into store.ErrConflict.
func swapped(n int64, err error) error {
	if err == nil && n == 0 {
		return store.ErrConflict
	}
	return err
}

// micros is t as it is stored.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is the time that was stored as micros.
func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
