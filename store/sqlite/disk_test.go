package sqlite_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

func setPages(t *testing.T, db *sqlite.DB, n int) {
	t.Helper()
	if err := db.SetMaxPages(n); err != nil {
		t.Fatal(err)
	}
}

// A full disk refuses entries and breaks nothing: when there's room again, the
// process begins another chain.
func TestAuditFullDisk(t *testing.T) {
	db := open(t, t.TempDir())
	log := storetest.NewLog(db, nil)
	e := audit.Entry{Event: audit.Release, Owner: alice, Reason: strings.Repeat("x", 3000)}
	written := 0
	for setPages(t, db, 1); put(log, e) == nil; written++ {
		if written > 1000 {
			t.Fatal("the disk doesn't become full")
		}
	}
	for range 3 {
		if err := put(log, e); err == nil || errors.Is(err, audit.ErrBroken) || !strings.Contains(err.Error(), "make room") {
			t.Fatalf("error %v", err)
		}
	}
	setPages(t, db, 1<<20)
	for range 2 {
		if err := put(log, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	storetest.VerifyAudit(t, db)
	list, err := db.AuditEntries(t.Context(), alice)
	if err != nil || len(list) != written+2 {
		t.Fatalf("%d entries of %d, error %v", len(list), written+2, err)
	}
}

// revoker is a provider that only revokes.
type revoker struct{ revoked int }

func (r *revoker) Refresh(context.Context, string, store.Token) (store.Token, error) {
	return store.Token{}, errors.New("no refresh")
}
func (r *revoker) Revoke(context.Context, string, store.Token) error  { r.revoked++; return nil }
func (r *revoker) Missing(string, []string, []string) (none []string) { return none }

// On a full disk nothing is released, and disconnecting works.
func TestVaultOnFullDisk(t *testing.T) {
	iss, provider := storetest.NewIssuer(t, storetest.NewClock().Now), &revoker{}
	v, db := storetest.OpenBackend(t, iss, provider)
	ctx, need := t.Context(), store.Need{Provider: "github"}
	keys, err := v.Keyring(iss.Caller("alice"))
	if err != nil {
		t.Fatal(err)
	}
	c := store.Connection{Provider: "github", Account: store.Account{ID: "1"}, Token: store.Token{Access: store.NewSecret("a")}}
	if _, err := keys.Put(ctx, c); err != nil {
		t.Fatal(err)
	}
	setPages(t, db, 1)
	for i := 0; err == nil; i++ {
		if _, err = keys.Grant(ctx, store.Call{Need: need, Rule: strings.Repeat("x", 3000)}); i > 1000 {
			t.Fatal("the disk doesn't become full")
		}
	}
	grant, err := keys.Grant(ctx, store.Call{Need: need, Rule: strings.Repeat("x", 3000)})
	if err == nil || !grant.Access.IsZero() || !strings.Contains(err.Error(), "audit record can't be written") ||
		!strings.Contains(err.Error(), "make room") {
		t.Fatalf("grant %v, error %v", grant, err)
	}
	if err := keys.Delete(ctx, "github", "1"); err != nil || provider.revoked != 1 {
		t.Fatalf("revoked %d times, error %v", provider.revoked, err)
	}
	var needs *store.NeedsConnect
	if err := keys.Ready(ctx, need); !errors.As(err, &needs) {
		t.Fatalf("error %v", err)
	}
	setPages(t, db, 1<<20)
	if _, err := keys.Put(ctx, c); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Grant(ctx, store.Call{Need: need}); err != nil {
		t.Fatal(err)
	}
}

// On a full disk a person can have themselves forgotten.
func TestForgetOnFullDisk(t *testing.T) {
	iss, provider := storetest.NewIssuer(t, storetest.NewClock().Now), &revoker{}
	v, db := storetest.OpenBackend(t, iss, provider)
	ctx, need := t.Context(), store.Need{Provider: "github"}
	keys, err := v.Keyring(iss.Caller("alice"))
	if err != nil {
		t.Fatal(err)
	}
	c := store.Connection{Provider: "github", Account: store.Account{ID: "1"}, Token: store.Token{Access: store.NewSecret("a")}}
	if _, err := keys.Put(ctx, c); err != nil {
		t.Fatal(err)
	}
	owner, sessions := iss.Caller("alice").Principal().Digest(), store.NewTable[string](v, "session")
	if err := sessions.Put(ctx, "hers", owner, 0, "value"); err != nil {
		t.Fatal(err)
	}
	setPages(t, db, 1)
	for i := 0; err == nil; i++ {
		if _, err = keys.Grant(ctx, store.Call{Need: need, Rule: strings.Repeat("x", 3000)}); i > 1000 {
			t.Fatal("the disk doesn't become full")
		}
	}
	for i := 0; ; i++ {
		if err := sessions.Put(ctx, strconv.Itoa(i), iss.Caller("bob").Principal().Digest(), 0, "x"); err != nil {
			break
		}
	}
	_, err = keys.Forget(ctx, func(context.Context) ([]store.Connection, error) { return nil, nil })
	// What went has made room for the moment.
	if noted, failed := v.Forgotten(ctx, owner); failed != nil || noted.IsZero() || err != nil {
		t.Fatalf("noted at %v (%v), error %v", noted, failed, err)
	}
	if _, err := sessions.Get(ctx, "hers"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the session is there: %v", err)
	}
	var needs *store.NeedsConnect
	if err := keys.Ready(ctx, need); !errors.As(err, &needs) || provider.revoked != 1 {
		t.Errorf("revoked %d times, error %v", provider.revoked, err)
	}
}
