//go:build unix

package sqlite_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// A rotator is a strict provider: a refresh token works once.
type rotator struct {
	mu      sync.Mutex
	alive   map[string]bool // refresh tokens
	asked   int             // for a refresh
	latest  string          // access token that it answered with
	reused  int
	revoked map[string]bool // access tokens
	deaf    bool            // to revocations
	asking  func()          // runs before each answer to a refresh
}

func newRotator() *rotator {
	return &rotator{alive: map[string]bool{}, revoked: map[string]bool{}}
}

// issue is a new token, until then.
func (r *rotator) issue(expiry time.Time) store.Token {
	r.mu.Lock()
	defer r.mu.Unlock()
	refresh := rand.Text()
	r.alive[refresh] = true
	return store.Token{
		Access: store.NewSecret(rand.Text()), Refresh: store.NewSecret(refresh), Expiry: expiry,
	}
}

func (r *rotator) Refresh(_ context.Context, _ string, t store.Token) (store.Token, error) {
	r.mu.Lock()
	r.asked++
	known := r.alive[t.Refresh.Reveal()]
	if delete(r.alive, t.Refresh.Reveal()); !known {
		r.reused++
	}
	r.mu.Unlock()
	if !known {
		return store.Token{}, &store.Refused{Reason: "the refresh token was used before"}
	}
	if r.asking != nil {
		r.asking()
	}
	next := r.issue(t.Expiry)
	r.set(func(r *rotator) { r.latest = next.Access.Reveal() })
	return next, nil
}

func (r *rotator) Revoke(_ context.Context, _ string, t store.Token) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deaf {
		return &store.Trouble{Answered: true, Err: errors.New("not now")}
	}
	r.revoked[t.Access.Reveal()] = true
	return nil
}

func (r *rotator) Missing(string, []string, []string) (none []string) { return none }

// set changes r.
func (r *rotator) set(change func(*rotator)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// A world is a vault in a directory, with what is around it.
type world struct {
	dir      string
	clock    *storetest.Clock
	issuer   *storetest.Issuer
	provider *rotator
	vault    *store.Vault
	db       *sqlite.DB
}

func newWorld(t *testing.T) *world {
	t.Helper()
	clock := storetest.NewClock()
	return &world{
		dir: t.TempDir(), clock: clock, issuer: storetest.NewIssuer(t, clock.Now), provider: newRotator(),
	}
}

// open starts the vault, also after a close.
func (w *world) open(ctx context.Context) error {
	keys, err := store.KeysFromFile(filepath.Join(w.dir, "key"))
	if err != nil {
		return err
	}
	if w.db, err = sqlite.Open(ctx, w.dir, w.clock.Now); err != nil {
		return err
	}
	if d, under := disks.Load(w.dir); under {
		w.db.SetFill(d.(*disk).fill)
	}
	w.vault, err = store.Open(ctx, store.Config{
		Backend: w.db, Keys: keys, Exchange: w.provider, Issuer: w.issuer.URL, Now: w.clock.Now,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return errors.Join(err, w.db.Close())
	}
	return nil
}

func (w *world) keyring(t *testing.T, subject string) store.Keyring {
	t.Helper()
	k, err := w.vault.Keyring(w.issuer.Caller(subject))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// connection is a new one of an account of its own.
func (w *world) connection() store.Connection {
	return store.Connection{
		Provider: "github", Account: store.Account{ID: rand.Text()},
		Token: w.provider.issue(w.clock.Now().Add(10_000 * time.Hour)),
	}
}

var github = store.Need{Provider: "github"}
