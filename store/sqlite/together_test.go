package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

// crowd runs do so often at the same time, the first a moment before the others. All
// wait for the writer until they are there.
func crowd(t *testing.T, db *DB, many int, do func(i int)) {
	t.Helper()
	conn, err := db.writer.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	before := db.writer.Stats().WaitCount
	all.Go(func() { do(0) })
	await(t, func() bool { return db.writer.Stats().WaitCount > before })
	for i := 1; i < many; i++ {
		all.Go(func() { do(i) })
	}
	await(t, func() bool {
		db.writes.mu.Lock()
		defer db.writes.mu.Unlock()
		return len(db.writes.queue) == many-1
	})
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it doesn't come to that")
		}
	}
}

// commits counts those in the write-ahead log: frames that say how large the database
// is then (https://www.sqlite.org/fileformat2.html, section 4.1).
func commits(t *testing.T, db *DB) (n int) {
	t.Helper()
	log, err := os.ReadFile(db.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	page := int(binary.BigEndian.Uint32(log[8:]))
	for at := 32; at+24+page <= len(log); at += 24 + page {
		if binary.BigEndian.Uint32(log[at+4:]) != 0 {
			n++
		}
	}
	return n
}

func recordOf(i int) store.Record {
	return store.Record{Kind: "test", Key: sha256.Sum256(fmt.Append(nil, i)), Version: 1, Data: []byte("x")}
}

// Writes that wait share one commit, and each hears what came of it alone.
func TestWritesShareCommits(t *testing.T) {
	db := openDB(t)
	const many = 41
	errs := make([]error, many)
	before := commits(t, db)
	crowd(t, db, many, func(i int) { errs[i] = db.Records().Put(t.Context(), recordOf(i%20)) })
	added := 0
	for _, err := range errs {
		if err == nil {
			added++
		} else if !errors.Is(err, store.ErrConflict) {
			t.Error(err)
		}
	}
	if n := commits(t, db) - before; added != 20 || n != 2 {
		t.Errorf("%d of 20 records were added, in %d commits instead of 2", added, n)
	}
	taken := make([]error, 20)
	crowd(t, db, len(taken), func(i int) {
		_, taken[i] = db.Records().Take(t.Context(), "test", recordOf(i/2).Key)
	})
	for i := range 10 {
		if first, second := taken[2*i], taken[2*i+1]; (first == nil) == (second == nil) {
			t.Errorf("one record was taken by both or by nobody: %v, %v", first, second)
		}
	}
}

// A write that fails takes no other one with it, and is the only one that fails.
func TestFailedWriteIsAlone(t *testing.T) {
	db := openDB(t)
	broken := errors.New("broken")
	errs := make([]error, 9)
	crowd(t, db, len(errs), func(i int) {
		if i == 5 {
			errs[i] = db.together(t.Context(), func(context.Context, func(*sql.Stmt) *sql.Stmt) error { return broken })
			return
		}
		errs[i] = db.Records().Put(t.Context(), recordOf(i))
	})
	for i, err := range errs {
		_, lost := db.Records().Get(t.Context(), "test", recordOf(i).Key)
		if alone := i == 5; errors.Is(err, broken) != alone || (err == nil) == alone || (lost == nil) == alone {
			t.Errorf("write %d: %v, read again: %v", i, err, lost)
		}
	}
}

// Writes that can't be made end in time, and none of them is made later.
func TestWritesEndInTime(t *testing.T) {
	db := openDB(t)
	db.limit = 100 * time.Millisecond
	conn, err := db.writer.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	start := time.Now()
	for i := range 10 {
		all.Go(func() {
			if err := db.Records().Put(t.Context(), recordOf(i)); err == nil {
				t.Error("a write without a writer")
			}
		})
	}
	all.Wait()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("they took %s", took)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	db.limit = timeout
	for i := range 10 {
		if err := db.Records().Put(t.Context(), recordOf(i)); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
}
