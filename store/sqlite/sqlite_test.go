package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"slices"
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

// Whatever table names people is known to Forget: its records and grants go, the
// others stay and are said to.
func TestTablesThatNamePeople(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.File))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND c.name LIKE '%owner%' ORDER BY m.name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if want := []string{"audit", "audit_owned", "audit_unchained", "grants", "marks", "records"}; !slices.Equal(tables, want) {
		t.Errorf("tables with an owner are %q, want %q: say in store.Forget and SECURITY.md what becomes of it", tables, want)
	}
}
