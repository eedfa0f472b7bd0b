package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// Whichever step of a refresh fails, and nothing else does: up to the request the
// provider isn't asked for it, and whatever it was, the next call is served.
func TestNoRefreshUnprepared(t *testing.T) {
	for name, test := range map[string]struct {
		before func(w *world, keys store.Keyring) // the refresh
		steps  []string                           // before the request
	}{
		"a new lease": {
			func(*world, store.Keyring) {},
			[]string{"read grant", "read lease", "write lease", "read grant", "write entries", "write entries", "write entries"},
		},
		"one that was put down": {
			func(w *world, keys store.Keyring) {
				w.provider.set(func() { w.provider.down = errors.New("no route") })
				_, err := w.grant(keys)
				is(t, err, store.ErrUnavailable)
				w.provider.set(func() { w.provider.down = nil })
				w.clock.Advance(time.Minute)
			},
			[]string{"read grant", "read lease", "write lease", "read grant", "write entries"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for n := range len(test.steps) + 1 {
				w := newWorld(t)
				w.connect("alice")
				w.clock.Advance(2 * time.Hour)
				b := &unreliable{Backend: w.db, good: -1}
				v, err := store.Open(t.Context(), w.config(b))
				ok(t, err)
				keys, err := v.Keyring(w.issuer.Caller("alice"))
				ok(t, err)
				test.before(w, keys)
				b.good, b.steps = n, nil
				asked := 0
				w.provider.during = func(context.Context) {
					asked++
					if n == len(test.steps) && !slices.Equal(b.steps, test.steps) {
						t.Errorf("asked after %q, want %q", b.steps, test.steps)
					}
				}
				_, err = w.grant(keys)
				if n < len(test.steps) {
					contains(t, err, errNoRoom.Error())
					same(t, b.steps[:n+1], test.steps[:n+1])
					same(t, asked, 0)
				}
				b.good = -1                  // and the disk is well again
				w.clock.Advance(time.Minute) // a lease that couldn't be put down is over
				_, err = w.grant(keys)
				ok(t, err)
				same(t, w.provider.reused, 0)
				ok(t, v.Close())
			}
		})
	}
}

var errNoRoom = errors.New("no room")

// unreliable is a backend of which one step fails, after so many good ones.
type unreliable struct {
	store.Backend
	good  int // -1: all are
	steps []string
}

func (u *unreliable) step(name string) error {
	u.steps = append(u.steps, name)
	if len(u.steps) == u.good+1 {
		return errNoRoom
	}
	return nil
}

func (u *unreliable) Grants() store.Grants   { return unreliableGrants{u.Backend.Grants(), u} }
func (u *unreliable) Records() store.Records { return unreliableRecords{u.Backend.Records(), u} }
func (u *unreliable) Audit() audit.Table     { return unreliableAudit{u.Backend.Audit(), u} }

type unreliableGrants struct {
	store.Grants
	u *unreliable
}

func (g unreliableGrants) Get(ctx context.Context, owner identity.Digest, provider, account string) (store.Row, error) {
	if err := g.u.step("read grant"); err != nil {
		return store.Row{}, err
	}
	return g.Grants.Get(ctx, owner, provider, account)
}

type unreliableRecords struct {
	store.Records
	u *unreliable
}

func (r unreliableRecords) Get(ctx context.Context, kind string, key [sha256.Size]byte) (store.Record, error) {
	if err := r.u.step("read " + kind); err != nil {
		return store.Record{}, err
	}
	return r.Records.Get(ctx, kind, key)
}

func (r unreliableRecords) Put(ctx context.Context, rec store.Record) error {
	if err := r.u.step("write " + rec.Kind); err != nil {
		return err
	}
	return r.Records.Put(ctx, rec)
}

func (r unreliableRecords) Replace(ctx context.Context, rec store.Record) error {
	if err := r.u.step("write " + rec.Kind); err != nil {
		return err
	}
	return r.Records.Replace(ctx, rec)
}

type unreliableAudit struct {
	audit.Table
	u *unreliable
}

func (a unreliableAudit) Append(ctx context.Context, from, to audit.Head, rows []audit.Row) error {
	if err := a.u.step("write entries"); err != nil {
		return err
	}
	return a.Table.Append(ctx, from, to, rows)
}
