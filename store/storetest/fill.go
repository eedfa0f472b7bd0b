package storetest

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

// Fill files a connection for each of n people of the issuer in the vault in dir,
// which nobody has open: really sealed, as the vault itself does it, but written in
// large transactions and without an audit record. It says on the way how far it is.
// keyFile is the vault's; subject and connection are the i-th person's.
func Fill(t testing.TB, dir, keyFile, issuer string, n int, subject func(i int) string, connection func(i int) store.Connection) {
	t.Helper()
	keys, err := store.KeysFromFile(keyFile)
	must(t, err)
	db, err := sqlite.Open(t.Context(), dir, nil)
	must(t, err)
	fast := newBulk(t, db, dir)
	vault, err := store.Open(t.Context(), store.Config{Backend: fast, Keys: keys, Exchange: noProviders{}, Issuer: issuer})
	must(t, err)
	browser, err := identity.NewBrowser(identity.BrowserConfig{Issuer: issuer, ClientID: "fill", Seal: unsealed{}})
	must(t, err)
	file := func(i int) error {
		s, err := browser.Open(cookie(issuer, subject(i)))
		if err != nil {
			return err
		}
		keyring, err := vault.Keyring(s.Caller())
		if err != nil {
			return err
		}
		_, err = keyring.Put(t.Context(), connection(i))
		return err
	}
	started, told := time.Now(), time.Now()
	const chunk = 10_000
	for from := 0; from < n; from += chunk {
		must(t, inParallel(from, min(from+chunk, n), file))
		must(t, fast.flush())
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			t.Logf("%d of %d people are in the vault after %s", from+chunk, n, time.Since(started).Round(time.Second))
		}
	}
	must(t, fast.raw.Close())
	must(t, vault.Close())
}

// OpenFilled opens a vault that Fill filled; it ends with the test.
func OpenFilled(t testing.TB, dir, keyFile, issuer string) (*store.Vault, *sqlite.DB) {
	t.Helper()
	keys, err := store.KeysFromFile(keyFile)
	must(t, err)
	db, err := sqlite.Open(t.Context(), dir, nil)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	v, err := store.Open(t.Context(), store.Config{Backend: db, Keys: keys, Exchange: noProviders{}, Issuer: issuer})
	must(t, err)
	t.Cleanup(func() { v.Close() })
	return v, db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inParallel calls do for each number from from up to to.
func inParallel(from, to int, do func(i int) error) error {
	workers := runtime.GOMAXPROCS(0)
	failed := make(chan error, workers)
	for w := range workers {
		go func() {
			for i := from + w; i < to; i += workers {
				if err := do(i); err != nil {
					failed <- fmt.Errorf("person %d: %w", i, err)
					return
				}
			}
			failed <- nil
		}()
	}
	var err error
	for range workers {
		if one := <-failed; one != nil {
			err = one
		}
	}
	return err
}

// cookie is the session cookie of an issuer's person, for a browser with the seal
// unsealed: the quickest way to a million callers.
func cookie(issuer, subject string) string {
	plain, err := json.Marshal(map[string]any{
		"issuer": issuer, "subject": subject, "id": "fill", "issued": time.Now().Unix(), "expires": time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(plain)
}

// unsealed seals nothing.
type unsealed struct{}

func (unsealed) Encrypt(plain, _ []byte) ([]byte, error)  { return plain, nil }
func (unsealed) Decrypt(sealed, _ []byte) ([]byte, error) { return sealed, nil }

// A bulk is a backend that keeps new grants back until flush, and no audit record.
type bulk struct {
	store.Backend
	raw *sql.DB

	mu   sync.Mutex
	rows []store.Row
}

func newBulk(t testing.TB, db *sqlite.DB, dir string) *bulk {
	t.Helper()
	raw, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(dir, sqlite.File))+"?_pragma=busy_timeout(5000)")
	must(t, err)
	return &bulk{Backend: db, raw: raw}
}

func (b *bulk) Grants() store.Grants { return bulkGrants{b.Backend.Grants(), b} }

func (b *bulk) Audit() audit.Table { return forgetful{} }

// flush writes what was kept back, in one transaction.
func (b *bulk) flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	tx, err := b.raw.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	add, err := tx.Prepare(`INSERT INTO grants (owner, provider, account, version, sealed, updated) VALUES (?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	for _, r := range b.rows {
		if _, err := add.Exec(r.Owner[:], r.Provider, r.Account, r.Version, r.Sealed, r.Updated.UnixMicro()); err != nil {
			return err
		}
	}
	b.rows = nil
	return tx.Commit()
}

type bulkGrants struct {
	store.Grants
	bulk *bulk
}

func (bulkGrants) Get(context.Context, identity.Digest, string, string) (store.Row, error) {
	return store.Row{}, store.ErrNotFound
}

func (bulkGrants) Accounts(context.Context, identity.Digest, string) ([]store.Row, error) {
	return nil, nil
}

func (bulkGrants) Mark(context.Context, identity.Digest, string, string) (int64, error) {
	return 0, nil
}

func (g bulkGrants) Put(_ context.Context, row store.Row, _ int64) error {
	g.bulk.mu.Lock()
	defer g.bulk.mu.Unlock()
	g.bulk.rows = append(g.bulk.rows, row)
	return nil
}

// A forgetful audit table keeps nothing.
type forgetful struct{ audit.Table }

func (forgetful) Append(context.Context, audit.Head, audit.Head, []audit.Row) error { return nil }

func (forgetful) Heads(context.Context) ([]audit.Head, error) { return nil, nil }

func (forgetful) Rows(context.Context, string, int64, int) ([]audit.Row, error) { return nil, nil }
