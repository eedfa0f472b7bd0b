package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

func TestNobodyHasNoKeyring(t *testing.T) {
	w := newWorld(t)
	_, err := w.vault.Keyring(identity.Caller{})
	is(t, err, store.ErrNobody)
	stranger := storetest.NewIssuer(t, w.clock.Now)
	_, err = w.vault.Keyring(stranger.Caller("alice"))
	is(t, err, store.ErrNobody)
}

func TestGrantIsReleasedAndRecorded(t *testing.T) {
	w := newWorld(t)
	token := w.provider.issue("repo", "user")
	alice := w.keyring("alice")
	put, err := alice.Put(t.Context(), w.connection("alice", token))
	ok(t, err)
	want := store.Info{
		Provider: "github", Account: store.Account{ID: "id-of-alice", Label: "@alice"}, Scopes: []string{"repo", "user"},
		ConnectedAt: w.clock.Now(), UpdatedAt: w.clock.Now(), Version: put.Version,
	}
	same(t, put, want)

	arguments := sha256.Sum256([]byte("{}"))
	grant, err := alice.Grant(t.Context(), store.Call{
		Need: store.Need{Provider: "github", Scopes: []string{"repo"}}, Tool: "github_read", Rule: "GET /user",
		Arguments: arguments,
	})
	ok(t, err)
	same(t, grant.Info, want)
	if !grant.Access.Equal(token.Access) || !grant.Expiry.Equal(token.Expiry) {
		t.Fatal("another token than the one that was filed")
	}
	owner := w.issuer.Caller("alice").Principal().Digest()
	same(t, w.entries("alice"), []audit.Entry{
		{Time: w.clock.Now(), Event: audit.Connect, Owner: owner, Client: "test-client", Provider: "github"},
		{
			Time: w.clock.Now(), Event: audit.Release, Owner: owner, Client: "test-client", Provider: "github",
			Tool: "github_read", Rule: "GET /user", Arguments: hex.EncodeToString(arguments[:]),
		},
	})
}

func TestGrantsAreOnlyTheOwners(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	bob := w.keyring("bob")
	needs(t, bob.Ready(t.Context(), github), "not connected yet")
	_, err := bob.Grant(t.Context(), store.Call{Need: github})
	needs(t, err, "not connected yet")
	_, err = bob.Info(t.Context(), "github")
	is(t, err, store.ErrNotFound)
	is(t, bob.Delete(t.Context(), "github", "id-of-bob"), store.ErrNotFound)
	list, err := bob.List(t.Context())
	ok(t, err)
	same(t, list, []store.Info{})
	ok(t, alice.Ready(t.Context(), github))
	same(t, w.events("bob"), "refuse")
}

func TestReady(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(w *world, c *store.Connection)
		need    store.Need
		reason  string // "" where it is ready
		missing []string
	}{
		"ready":               {need: store.Need{Provider: "github", Scopes: []string{"repo"}}},
		"another provider":    {need: store.Need{Provider: "google"}, reason: "not connected yet"},
		"a scope is missing":  {need: store.Need{Provider: "github", Scopes: []string{"repo", "gist"}}, reason: "missing: gist", missing: []string{"gist"}},
		"the end, no refresh": {need: github, reason: "expired", change: func(w *world, c *store.Connection) { c.Token.Refresh = store.Secret{}; c.Token.Expiry = w.clock.Now() }},
		"near the end, none": {need: github, change: func(w *world, c *store.Connection) {
			c.Token.Refresh = store.Secret{}
			c.Token.Expiry = w.clock.Now().Add(time.Microsecond)
		}},
		"the end, a refresh": {need: github, change: func(w *world, c *store.Connection) { c.Token.Expiry = w.clock.Now() }},
		"without an expiry":  {need: github, change: func(w *world, c *store.Connection) { c.Token.Expiry = time.Time{} }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.connection("alice", w.provider.issue("repo"))
			if test.change != nil {
				test.change(w, &c)
			}
			alice := w.keyring("alice")
			_, err := alice.Put(t.Context(), c)
			ok(t, err)
			err = alice.Ready(t.Context(), test.need)
			_, granted := alice.Grant(t.Context(), store.Call{Need: test.need, Tool: "tool"})
			if test.reason == "" {
				ok(t, err)
				ok(t, granted)
				return
			}
			same(t, needs(t, err, test.reason).Missing, test.missing)
			same(t, needs(t, granted, test.reason).Missing, test.missing)
			last := w.entries("alice")[1]
			if last.Event != audit.Refuse || last.Tool != "tool" || last.Reason == "" {
				t.Fatalf("the refusal is recorded as %+v", last)
			}
		})
	}
}

// Without a record there is no release: the fault is real, the table is gone.
func TestNoReleaseWithoutRecord(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	w.sql("DROP TABLE audit")
	grant, err := alice.Grant(t.Context(), store.Call{Need: github})
	contains(t, err, "audit record can't be written")
	if !grant.Access.IsZero() {
		t.Fatal("a secret came with the error")
	}
	_, err = w.keyring("bob").Put(t.Context(), w.connection("bob", w.provider.issue()))
	contains(t, err, "audit record can't be written")
	needs(t, w.keyring("bob").Ready(t.Context(), github), "not connected yet")
	_, err = w.keyring("bob").Grant(t.Context(), store.Call{Need: github})
	contains(t, err, "audit record can't be written")
	contains(t, w.vault.Refuse(t.Context(), identity.Caller{}, audit.Entry{}), "audit record can't be written")
}

func TestPutIsACompareAndSwap(t *testing.T) {
	w := newWorld(t)
	alice, first := w.connect("alice")
	for _, version := range []int64{0, first.Version - 1, first.Version + 1} {
		c := w.connection("alice", w.provider.issue())
		c.IfVersion = version
		_, err := alice.Put(t.Context(), c)
		is(t, err, store.ErrConflict)
	}
	another := w.connection("alice2", w.provider.issue())
	another.IfVersion = first.Version
	_, err := alice.Put(t.Context(), another)
	is(t, err, store.ErrConflict)
	c := w.connection("bob", w.provider.issue())
	c.IfVersion = 5
	_, err = w.keyring("bob").Put(t.Context(), c)
	is(t, err, store.ErrConflict)
	same(t, w.events("alice"), "connect")

	c = w.connection("alice", w.provider.issue("repo"))
	c.IfVersion = first.Version
	w.clock.Advance(time.Hour)
	second, err := alice.Put(t.Context(), c)
	ok(t, err)
	same(t, second.Version, first.Version+1)
	same(t, second.ConnectedAt, first.ConnectedAt)
	same(t, second.UpdatedAt, first.UpdatedAt.Add(time.Hour))

	another.IfVersion = 0
	third, err := alice.Put(t.Context(), another)
	ok(t, err)
	same(t, third.ConnectedAt, w.clock.Now())
}

func TestPutNeedsAllOfAConnection(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(c *store.Connection){
		"no provider": func(c *store.Connection) { c.Provider = "" },
		"no account":  func(c *store.Connection) { c.Account.ID = "" },
		"no token":    func(c *store.Connection) { c.Token.Access = store.Secret{} },
	} {
		c := w.connection("alice", w.provider.issue())
		change(&c)
		if _, err := w.keyring("alice").Put(t.Context(), c); err == nil {
			t.Errorf("%s: filed", name)
		}
	}
}

// Google gives a refresh token at the first consent only.
func TestPutKeepsTheRefreshTokenOfTheSameAccount(t *testing.T) {
	for name, test := range map[string]struct {
		broken, another, keeps bool
	}{
		"same account, none given":    {keeps: true},
		"another account, none given": {another: true},
		"same account, but broken":    {broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, info := w.connect("alice")
			if test.broken {
				w.provider.set(func() { clear(w.provider.life) })
				_, err := alice.Grant(t.Context(), store.Call{Need: github, Rejected: info.Version})
				needs(t, err, "revoked")
				info.Version++
			}
			c := w.connection("alice", w.provider.issue())
			c.Token.Refresh, c.IfVersion = store.Secret{}, info.Version
			if test.another {
				c.Account.ID, c.IfVersion = "another", 0
			}
			_, err := alice.Put(t.Context(), c)
			ok(t, err)
			if test.another {
				ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
			}
			ok(t, alice.Ready(t.Context(), github)) // no longer broken
			w.clock.Advance(2 * time.Hour)
			grant, err := alice.Grant(t.Context(), store.Call{Need: github})
			if !test.keeps {
				needs(t, err, "expired")
				return
			}
			ok(t, err)
			if grant.Access.Equal(c.Token.Access) {
				t.Fatal("not refreshed")
			}
		})
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	alice, github := w.connect("alice")
	c := w.connection("alice", w.provider.issue("calendar"))
	c.Provider = "calendar"
	other, err := alice.Put(t.Context(), c)
	ok(t, err)
	w.connect("bob")
	list, err := alice.List(t.Context())
	ok(t, err)
	same(t, list, []store.Info{other, github})
	info, err := alice.Info(t.Context(), "github")
	ok(t, err)
	same(t, info, github)
}

// A version that came back would let a refresh from before a disconnect
// overwrite what was connected after it.
func TestVersionsNeverComeBack(t *testing.T) {
	w := newWorld(t)
	alice, first := w.connect("alice")
	ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
	_, second := w.connect("alice")
	if first.Version == second.Version {
		t.Fatal("the version came back after a disconnect")
	}
}
