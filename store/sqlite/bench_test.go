package sqlite_test

import (
	"crypto/sha256"
	"path/filepath"
	"testing"
	"time"

	"database/sql"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// BenchmarkAudit appends to the record beside its floor, a bare durable insert of a
// like row on the same file system: one caller at a time, and 64.
func BenchmarkAudit(b *testing.B) {
	owner := sha256.Sum256([]byte("alice"))
	b.Run("floor", func(b *testing.B) {
		raw := bareDB(b)
		insert, err := raw.Prepare("INSERT INTO entries (time, owner, text) VALUES (?, ?, ?)")
		if err != nil {
			b.Fatal(err)
		}
		text := make([]byte, 200)
		for b.Loop() {
			if _, err := insert.Exec(time.Now().UnixMicro(), owner[:], text); err != nil {
				b.Fatal(err)
			}
		}
	})
	e := audit.Entry{
		Event: audit.Release, Owner: owner, Client: "client-0123456789", Tool: "github_search_issues", Provider: "github",
		Rule: "GET /search/issues", Arguments: "0123456789012345678901234567890123456789012345678901234567890123",
	}
	b.Run("one", func(b *testing.B) {
		log := benchLog(b)
		for b.Loop() {
			if err := put(log, e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64", func(b *testing.B) {
		log := benchLog(b)
		b.SetParallelism(32) // times GOMAXPROCS
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := put(log, e); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func bareDB(b *testing.B) *sql.DB {
	path := filepath.Join(b.TempDir(), "bare.db")
	raw, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { raw.Close() })
	raw.SetMaxOpenConns(1)
	_, err = raw.Exec("CREATE TABLE entries (id INTEGER PRIMARY KEY, time INTEGER, owner BLOB, text BLOB); CREATE INDEX own ON entries (owner)")
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

func benchLog(b *testing.B) *audit.Log {
	db, err := sqlite.Open(b.Context(), b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return storetest.NewLog(db, nil)
}
