package storetest

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

// OpenVault is a new vault for iss on SQLite, with the clock of iss; it ends with
// the test. ex may be nil: no provider answers then.
func OpenVault(t testing.TB, iss *Issuer, ex store.Exchange) *store.Vault {
	t.Helper()
	v, _ := OpenBackend(t, iss, ex)
	return v
}

// OpenBackend is OpenVault, with the database for looking behind the vault: its
// AuditEntries, its rows.
func OpenBackend(t testing.TB, iss *Issuer, ex store.Exchange) (*store.Vault, *sqlite.DB) {
	t.Helper()
	return OpenIn(t, t.TempDir(), iss, ex)
}

// OpenIn opens the vault that is or will be in dir: after Close of an earlier
// one, a restart.
func OpenIn(t testing.TB, dir string, iss *Issuer, ex store.Exchange) (*store.Vault, *sqlite.DB) {
	t.Helper()
	if ex == nil {
		ex = noProviders{}
	}
	keys, err := store.KeysFromFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), dir, iss.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	v, err := store.Open(t.Context(), store.Config{
		Backend: db, Keys: keys, Exchange: ex, Issuer: iss.URL, Now: iss.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v, db
}

var errNoProvider = errors.New("this test has no provider")

// noProviders compares scopes by name and answers nothing else.
type noProviders struct{}

func (noProviders) Refresh(context.Context, string, store.Token) (store.Token, error) {
	return store.Token{}, errNoProvider
}

func (noProviders) Revoke(context.Context, string, store.Token) error { return errNoProvider }

func (noProviders) Missing(_ string, granted, needed []string) []string {
	return slices.DeleteFunc(slices.Clone(needed), func(scope string) bool {
		return slices.Contains(granted, scope)
	})
}
