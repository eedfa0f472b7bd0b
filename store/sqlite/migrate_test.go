package sqlite

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/pressly/goose/v3"
)

// A database from before there were several accounts: each grant's account comes out
// of what is sealed, and no mark goes down.
func TestAccountsAreCarriedOver(t *testing.T) {
	dir := t.TempDir()
	before, err := pool(filepath.Join(dir, File), writing, 1)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(err)
	files, err := fs.Sub(migrations, "migrations")
	check(err)
	provider, err := goose.NewProvider(goose.DialectSQLite3, before, files, goose.WithLogger(goose.NopLogger()))
	check(err)
	_, err = provider.UpTo(t.Context(), 4)
	check(err)

	long := bytes.Repeat([]byte("é"), 300) // 600 bytes
	sealed := map[byte][]byte{
		1: append([]byte{1, 0, 0, 0, 4}, "1234rest"...),
		2: slices.Concat([]byte{1, 0, 0, 600 >> 8, 600 & 255}, long, []byte("rest")),
		3: {1, 0, 0, 0, 9, '1'}, // cut off
		4: {2, 0, 0, 0, 1, '1'}, // another format
		5: {1, 255},
		6: {1, 1, 0, 0, 1, '1', 'x'},
	}
	accounts := map[byte]string{1: "1234", 2: string(long), 3: "", 4: "", 5: "", 6: ""}
	for i, bytes := range sealed {
		_, err := before.Exec("INSERT INTO grants VALUES (?, 'github', ?, ?, ?)", owner(i), 10*int64(i), bytes, 1)
		check(err)
	}
	_, err = before.Exec("UPDATE marks SET version = 99 WHERE owner = ?", owner(1)) // an old row is there
	check(err)
	_, err = before.Exec("INSERT INTO marks VALUES (?, 'github', 77)", owner(7)) // disconnected
	check(err)
	check(before.Close())

	db, err := Open(t.Context(), dir, time.Now)
	check(err)
	defer db.Close()
	for i, account := range accounts {
		row, err := db.Grants().Get(t.Context(), identity.Digest(owner(i)), "github", account)
		if err != nil || row.Version != 10*int64(i) || !bytes.Equal(row.Sealed, sealed[i]) || row.Updated.UnixMicro() != 1 {
			t.Errorf("row %d: %+v %v", i, row, err)
		}
		if want := map[bool]int64{true: 99, false: row.Version}[i == 1]; row.Mark != want {
			t.Errorf("row %d has mark %d", i, row.Mark)
		}
	}
	mark, err := db.Grants().Mark(t.Context(), identity.Digest(owner(7)), "github", "whatever")
	if err != nil || mark != 77 {
		t.Errorf("what was disconnected has mark %d (%v)", mark, err)
	}
}

func owner(i byte) []byte { return bytes.Repeat([]byte{i}, len(identity.Digest{})) }
