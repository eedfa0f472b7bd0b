package store_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// canary is in every token of these tests.
const canary = "c4n4ry"

// A provider is a strict stand-in: refresh tokens rotate and work once, and the
// second use of one ends the whole family.
type provider struct {
	now func() time.Time

	mu        sync.Mutex
	life      map[string]string // refresh token → family, while it is unspent
	spent     map[string]string
	dead      map[string]bool // families
	refreshed int
	failed    int // refreshes that met down
	unrevoked int // revocations that met down
	reused    int
	revoked   []string // access tokens
	down      error    // what every request fails with
	stumbles  int      // this many revocations fail
	keepsOld  bool     // doesn't rotate, and doesn't say the token again

	// during runs in the middle of each refresh, when the old token is spent.
	during func(ctx context.Context)
	// revoking runs before each revocation.
	revoking func(ctx context.Context)
}

func newProvider(now func() time.Time) *provider {
	return &provider{now: now, life: map[string]string{}, spent: map[string]string{}, dead: map[string]bool{}}
}

func fresh(kind string) string { return kind + "-" + canary + "-" + rand.Text() }

// issue is a new token of a family of its own, for an hour.
func (p *provider) issue(scopes ...string) store.Token {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token(fresh("family"), scopes)
}

func (p *provider) token(family string, scopes []string) store.Token {
	refresh := fresh("refresh")
	p.life[refresh] = family
	return store.Token{
		Access: store.NewSecret(fresh("access")), Refresh: store.NewSecret(refresh),
		Expiry: p.now().Add(time.Hour), Scopes: scopes,
	}
}

func (p *provider) Refresh(ctx context.Context, _ string, t store.Token) (store.Token, error) {
	next, err := p.rotate(t)
	if p.during != nil {
		p.during(ctx)
	}
	if ctx.Err() != nil {
		return store.Token{}, ctx.Err()
	}
	return next, err
}

func (p *provider) rotate(t store.Token) (store.Token, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down != nil {
		p.failed++
		return store.Token{}, p.down
	}
	p.refreshed++
	used := t.Refresh.Reveal()
	if family, ok := p.spent[used]; ok {
		p.reused++
		p.dead[family] = true
	}
	family, ok := p.life[used]
	if !ok || p.dead[family] {
		return store.Token{}, &store.Refused{Reason: "the provider revoked it"}
	}
	if p.keepsOld {
		return store.Token{Access: store.NewSecret(fresh("access")), Expiry: p.now().Add(time.Hour)}, nil
	}
	delete(p.life, used)
	p.spent[used] = family
	return p.token(family, t.Scopes), nil
}

func (p *provider) Revoke(ctx context.Context, _ string, t store.Token) error {
	if p.revoking != nil {
		p.revoking(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if p.down != nil {
		p.unrevoked++
		return p.down
	}
	if p.stumbles > 0 {
		p.stumbles--
		return errors.New("try again")
	}
	p.revoked = append(p.revoked, t.Access.Reveal())
	return nil
}

func (p *provider) Missing(_ string, granted, needed []string) []string {
	return slices.DeleteFunc(slices.Clone(needed), func(s string) bool { return slices.Contains(granted, s) })
}

// set runs f over the provider's state.
func (p *provider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// A world is a vault with everything around it.
type world struct {
	t        testing.TB
	clock    *storetest.Clock
	issuer   *storetest.Issuer
	provider *provider
	vault    *store.Vault
	db       *sqlite.DB
	dir      string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	clock := storetest.NewClock()
	w := &world{t: t, clock: clock, issuer: storetest.NewIssuer(t, clock.Now), dir: t.TempDir()}
	w.provider = newProvider(clock.Now)
	w.vault, w.db = storetest.OpenIn(t, w.dir, w.issuer, w.provider)
	return w
}

// other is another process's vault on the same data.
func (w *world) other() *world {
	w.t.Helper()
	next := *w
	next.vault, next.db = storetest.OpenIn(w.t, w.dir, w.issuer, w.provider)
	return &next
}

// with is another process's vault, which has ex for a provider.
func (w *world) with(ex store.Exchange) *world {
	w.t.Helper()
	next := *w
	next.vault, next.db = storetest.OpenIn(w.t, w.dir, w.issuer, ex)
	return &next
}

// config is this world's vault on another backend.
func (w *world) config(b store.Backend) store.Config {
	w.t.Helper()
	keys, err := store.KeysFromFile(filepath.Join(w.dir, "key"))
	ok(w.t, err)
	return store.Config{Backend: b, Keys: keys, Exchange: w.provider, Issuer: w.issuer.URL, Now: w.clock.Now}
}

func (w *world) keyring(subject string) store.Keyring {
	w.t.Helper()
	k, err := w.vault.Keyring(w.issuer.Caller(subject))
	ok(w.t, err)
	return k
}

// connect files a new token of subject's at GitHub.
func (w *world) connect(subject string, scopes ...string) (store.Keyring, store.Info) {
	w.t.Helper()
	k := w.keyring(subject)
	info, err := k.Put(w.t.Context(), w.connection(subject, w.provider.issue(scopes...)))
	ok(w.t, err)
	return k, info
}

func (w *world) connection(subject string, t store.Token) store.Connection {
	return store.Connection{
		Provider: "github", Account: store.Account{ID: "id-of-" + subject, Label: "@" + subject}, Token: t,
	}
}

// entries is subject's audit record, as events with their reasons.
func (w *world) entries(subject string) []audit.Entry {
	w.t.Helper()
	owner := w.issuer.Caller(subject).Principal().Digest()
	list, err := w.db.AuditEntries(w.t.Context(), owner)
	ok(w.t, err)
	return list
}

func (w *world) events(subject string) string {
	w.t.Helper()
	var events []string
	for _, e := range w.entries(subject) {
		events = append(events, string(e.Event))
	}
	return strings.Join(events, " ")
}

// sql runs statements on the file itself, as a thief or a broken disk would.
func (w *world) sql(statement string, args ...any) {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, sqlite.File))
	ok(w.t, err)
	defer db.Close()
	_, err = db.ExecContext(w.t.Context(), statement, args...)
	ok(w.t, err)
}

var github = store.Need{Provider: "github"}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func same(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
}

// needs checks that err is a *store.NeedsConnect with that in its reason.
func needs(t testing.TB, err error, reason string) *store.NeedsConnect {
	t.Helper()
	var n *store.NeedsConnect
	if !errors.As(err, &n) || !strings.Contains(n.Reason, reason) {
		t.Fatalf("error %v, want one that needs connecting: %s", err, reason)
	}
	return n
}

func contains(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Fatalf("error %q lacks %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), canary) {
		t.Fatalf("error %q has several lines or a secret", err)
	}
}
