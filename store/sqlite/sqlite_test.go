package sqlite_test

import (
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

func TestBackend(t *testing.T) {
	var dirs sync.Map // by test: the suite opens one test's data more than once
	storetest.TestBackend(t, func(t *testing.T, now func() time.Time) store.Backend {
		dir, known := dirs.Load(t.Name())
		if !known {
			dir = t.TempDir()
			dirs.Store(t.Name(), dir)
		}
		db, err := sqlite.Open(t.Context(), dir.(string), now)
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}
