package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

func openDB(t *testing.T) *DB {
	t.Helper()
	db, err := Open(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// logOn is a process's audit log.
func logOn(db *DB) *audit.Log {
	seal, err := subtle.NewXChaCha20Poly1305(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	return audit.NewLog(audit.Config{Table: db.Audit(), Seal: seal, Now: time.Now, Report: func(err error) { panic(err) }})
}

func put(log *audit.Log, e audit.Entry) error {
	_, err := log.Append(e)
	return err
}

func run(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// Every connection has its pragmas, also one that replaces a discarded one.
func TestPragmas(t *testing.T) {
	db := openDB(t)
	for range 2 {
		for name, test := range map[string]struct {
			pool *sql.DB
			n    int
			want map[string]string
		}{
			"writer": {db.writer, 1, map[string]string{
				"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000",
				"secure_delete": "1", "query_only": "0",
			}},
			"reader": {db.reader, readers, map[string]string{
				"journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000", "query_only": "1",
			}},
			"points": {db.points, readers, map[string]string{
				"foreign_keys": "1", "busy_timeout": "5000", "query_only": "1", "mmap_size": "2147418112",
			}},
		} {
			if n := test.pool.Stats().MaxOpenConnections; n != test.n {
				t.Errorf("%s: %d connections, want %d", name, n, test.n)
			}
			for pragma, want := range test.want {
				var got string
				if err := test.pool.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
					t.Errorf("%s: %s is %q (%v), want %q", name, pragma, got, err, want)
				}
			}
			test.pool.SetMaxIdleConns(-1) // the next use opens another
		}
	}
}

// A transaction that locked only at its first write could find by then that
// another process was faster, and fail without waiting. Migrations are some.
func TestTransactionsLockAtOnce(t *testing.T) {
	db := openDB(t)
	tx, err := db.writer.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	other, err := pool(db.path, writing, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	run(t, other, "PRAGMA busy_timeout = 10")
	if _, err := other.Exec("DELETE FROM audit"); err == nil {
		t.Error("another process writes in the middle of a transaction")
	}
}

// A reader that could write would go around the one writer.
func TestReadersCanNotWrite(t *testing.T) {
	db := openDB(t)
	_, err := db.reader.Exec("DELETE FROM audit")
	err = db.explain(err)
	if err == nil || !strings.Contains(err.Error(), "can't be written") {
		t.Fatalf("error %v", err)
	}
}

// A cancelled context would discard the connection and all that is prepared on
// it. The temporary table lives as long as the connection does.
func TestCancelledContextKeepsTheConnection(t *testing.T) {
	db := openDB(t)
	run(t, db.writer, "CREATE TEMP TABLE witness (x)")
	row := store.Row{Provider: "github", Sealed: []byte("sealed")}
	for i := range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(i)*5*time.Microsecond, cancel)
		row.Version++
		if err := db.Grants().Put(ctx, row, row.Version-1); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	run(t, db.writer, "SELECT x FROM witness")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Grants().Get(gone, row.Owner, row.Provider, row.Account); err != nil {
		t.Errorf("a read whose caller has left: %v", err)
	}
}

// Whatever becomes of the caller's context, an operation ends: here the one
// writing connection is taken, and so are all that read.
func TestOperationsEndOnTheirOwn(t *testing.T) {
	db := openDB(t)
	db.limit = 50 * time.Millisecond
	for _, pool := range []*sql.DB{db.writer, db.reader} {
		for range pool.Stats().MaxOpenConnections {
			conn, err := pool.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
	}
	for range readers {
		if err := db.sit(); err != nil {
			t.Fatal(err)
		}
	}
	_, read := db.Grants().List(t.Context(), identity.Digest{})
	_, point := db.Grants().Get(t.Context(), identity.Digest{}, "github", "")
	for name, err := range map[string]error{"write": put(logOn(db), audit.Entry{}), "read": read, "point": point} {
		if err == nil || !strings.Contains(err.Error(), "did not answer within 50ms") || !strings.Contains(err.Error(), db.path) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// The faults are SQLite's own; only the file is told to be full or read-only.
func TestFaultsAreExplained(t *testing.T) {
	for name, test := range map[string]struct {
		fault, says string
	}{
		"a full disk":   {"PRAGMA max_page_count = 1", "the disk is full: make room, nothing is lost"},
		"read-only":     {"PRAGMA query_only(1)", "it can't be written: make the file and its directory writable"},
		"a locked file": {"PRAGMA busy_timeout = 10", "another process keeps it locked"},
		"a lost table":  {"DROP TABLE audit", "no such table"},
	} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t)
			if name == "a locked file" {
				other, err := sql.Open("sqlite", db.path)
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close()
				other.SetMaxOpenConns(1)
				run(t, other, "BEGIN IMMEDIATE")
			}
			run(t, db.writer, test.fault)
			var err error
			for log, i := logOn(db), 0; err == nil && i < 200; i++ {
				err = put(log, audit.Entry{Reason: strings.Repeat("x", 4000)})
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), db.path) ||
				strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v", err)
			}
		})
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	db := openDB(t)
	run(t, db.writer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	dir := filepath.Dir(db.path)
	_, err := Open(t.Context(), dir, nil)
	if err == nil || !strings.Contains(err.Error(), "use a newer Latchkey") {
		t.Fatalf("error %v", err)
	}
}

// What is deleted is overwritten: a data key that is gone is gone from the file.
func TestDeletedIsOverwritten(t *testing.T) {
	db := openDB(t)
	const marker = "a-reason-that-was-deleted"
	log := logOn(db)
	for i := range 20 {
		if err := put(log, audit.Entry{Reason: fmt.Sprint(marker, i)}); err != nil {
			t.Fatal(err)
		}
	}
	run(t, db.writer, "DELETE FROM audit")
	run(t, db.writer, "PRAGMA wal_checkpoint(TRUNCATE)")
	raw, err := os.ReadFile(db.path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), marker) {
		t.Fatal("what was deleted is still in the file")
	}
}

// Nothing is overwritten that comes up while a new file is being written.
func TestNewFileOverwritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	err := newFile(path, func(string) error { return os.WriteFile(path, []byte("theirs"), 0o600) })
	if !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "theirs" {
		t.Fatal(string(text), err)
	}
}
