package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
)

const unchosen = "has to be chosen on the connections page"

// add files one more account of subject's.
func (w *world) add(subject, account string) store.Info {
	w.t.Helper()
	info, err := w.keyring(subject).Put(w.t.Context(), w.connection(account, w.provider.issue()))
	ok(w.t, err)
	return info
}

// two is a world in which alice has a work account, and a private one that she added
// a minute later.
func two(t *testing.T) (*world, store.Keyring) {
	w := newWorld(t)
	w.add("alice", "work")
	w.clock.Advance(time.Minute)
	w.add("alice", "private")
	return w, w.keyring("alice")
}

// serves checks which account k's client gets, by all ways to it.
func (w *world) serves(k store.Keyring, account string) {
	w.t.Helper()
	ok(w.t, k.Ready(w.t.Context(), github))
	info, err := k.Info(w.t.Context(), "github")
	ok(w.t, err)
	grant, err := w.grant(k)
	ok(w.t, err)
	same(w.t, []string{info.Account.ID, grant.Account.ID}, []string{"id-of-" + account, "id-of-" + account})
}

func (w *world) choose(account, client string) {
	w.t.Helper()
	if account != "" {
		account = "id-of-" + account
	}
	ok(w.t, w.keyring("alice").Choose(w.t.Context(), "github", account, client))
}

func (w *world) accounts(k store.Keyring) store.Accounts {
	w.t.Helper()
	all, err := k.Accounts(w.t.Context(), "github")
	ok(w.t, err)
	return all
}

// The keyrings of these tests are for the client "test-client".
func TestAnAccountServesAsChosen(t *testing.T) {
	w, alice := two(t)
	w.serves(alice, "work") // the first
	w.choose("private", "another-client")
	w.serves(alice, "work")
	w.choose("private", "test-client")
	w.serves(alice, "private")
	w.choose("private", "")
	w.choose("work", "test-client")
	w.serves(alice, "work")
	w.choose("", "test-client")
	w.serves(alice, "private") // the default

	all := w.accounts(alice)
	same(t, all.Default, "id-of-private")
	same(t, all.Clients, map[string]string{"another-client": "id-of-private"})
	for client, account := range map[string]string{"another-client": "private", "test-client": "private", "": "private"} {
		info, _ := all.For(client)
		same(t, info.Account.ID, "id-of-"+account)
	}
	bob, _ := w.connect("bob")
	w.serves(bob, "bob")
	is(t, bob.Choose(t.Context(), "github", "id-of-work", ""), store.ErrNotFound)
	is(t, alice.Choose(t.Context(), "github", "", ""), store.ErrNotFound)
	is(t, alice.Choose(t.Context(), "google", "id-of-work", ""), store.ErrNotFound)
	chosen := 0
	for _, e := range w.entries("alice") {
		if e.Event == audit.Choose {
			chosen++
		}
	}
	same(t, chosen, 5)
}

func TestADisconnectedChoiceFallsBack(t *testing.T) {
	w, alice := two(t)
	w.add("alice", "third")
	w.choose("private", "test-client")
	ok(t, alice.Delete(t.Context(), "github", "id-of-private"))
	w.serves(alice, "work")
	same(t, w.accounts(alice).Clients["test-client"], "id-of-private") // for the page to say so
	w.choose("third", "")
	w.clock.Advance(time.Minute)
	w.add("alice", "fourth")
	w.serves(alice, "third") // still, though others were there before
	ok(t, alice.Delete(t.Context(), "github", "id-of-third"))
	w.serves(alice, "work") // the first of those that are left
	ok(t, alice.Delete(t.Context(), "github", "id-of-fourth"))
	w.serves(alice, "work")
	w.add("alice", "private")
	w.serves(alice, "private") // as chosen
	same(t, w.accounts(alice).Default, "id-of-work")

	for _, account := range []string{"work", "private"} {
		ok(t, alice.Delete(t.Context(), "github", "id-of-"+account))
	}
	needs(t, alice.Ready(t.Context(), github), "not connected yet")
	w.add("alice", "work")
	same(t, len(w.accounts(alice).Clients), 0) // nothing of before is left
}

// Of several accounts the first remains the default, however it is connected again.
func TestTheDefaultStays(t *testing.T) {
	w, alice := two(t)
	w.sql("UPDATE grants SET sealed = x'01ff' WHERE account = 'id-of-work'")
	needs(t, alice.Ready(t.Context(), github), "can't be read") // and the other doesn't serve
	c := w.connection("work", w.provider.issue())
	info, _ := w.accounts(alice).Of("id-of-work")
	c.IfVersion = info.Version
	_, err := alice.Put(t.Context(), c)
	ok(t, err)
	w.serves(alice, "work")
}

// Where nobody can tell which account was chosen, nobody gets one until the person
// has chosen again. Who has one account is not affected.
func TestNobodyGuessesTheAccount(t *testing.T) {
	for name, damage := range map[string]string{
		"damaged":        "UPDATE records SET data = x'00' WHERE kind = 'accounts'",
		"removed":        "DELETE FROM records WHERE kind = 'accounts'",
		"another's":      "UPDATE records SET data = (SELECT data FROM records WHERE kind = 'accounts' AND owner <> r.owner) FROM (SELECT owner FROM records WHERE kind = 'accounts' LIMIT 1) r WHERE kind = 'accounts' AND records.owner = r.owner",
		"an old version": "UPDATE records SET version = version - 1 WHERE kind = 'accounts'",
	} {
		t.Run(name, func(t *testing.T) {
			w, alice := two(t)
			w.choose("private", "test-client")
			carol, _ := w.connect("carol")
			w.add("bob", "one")
			w.add("bob", "two")
			w.sql(damage)
			if name == "another's" { // one of the two has the other's
				if alice.Ready(t.Context(), github) == nil && w.keyring("bob").Ready(t.Context(), github) == nil {
					t.Fatal("another's choice serves")
				}
				return
			}
			needs(t, alice.Ready(t.Context(), github), unchosen)
			_, err := alice.Info(t.Context(), "github")
			needs(t, err, unchosen)
			_, err = w.grant(alice)
			needs(t, err, unchosen)
			if _, known := w.accounts(alice).For("test-client"); known {
				t.Error("the pages guess")
			}
			w.serves(carol, "carol")
			w.add("alice", "third")
			needs(t, alice.Ready(t.Context(), github), unchosen)

			w.choose("private", "")
			w.serves(alice, "private")
		})
	}
}

// relabelled is sealed as somebody makes it who knows the format: with another account
// id in clear at its start.
func relabelled(sealed []byte, account string) []byte {
	head := binary.BigEndian.AppendUint32([]byte{sealed[0]}, uint32(len(account)))
	rest := sealed[5+binary.BigEndian.Uint32(sealed[1:]):]
	return slices.Concat(head, []byte(account), rest)
}

// A row is sealed to its account: of one person's two, neither opens as the other.
func TestAccountsDoNotOpenAsEachOther(t *testing.T) {
	for name, swap := range map[string]string{
		"what is sealed": `UPDATE grants SET sealed = (SELECT was.sealed FROM was WHERE was.account <> grants.account)`,
		"the account":    `UPDATE grants SET account = CASE account WHEN 'id-of-work' THEN 'id-of-privatf' ELSE 'id-of-worl' END`,
		"and its version": `UPDATE grants SET (sealed, version) = (SELECT was.sealed, was.version FROM was WHERE was.account <> grants.account);
			UPDATE marks SET version = (SELECT g.version FROM grants g WHERE g.account = marks.account)`,
		"relabelled": `UPDATE grants SET (sealed, version) = (SELECT swapped.sealed, swapped.version FROM swapped WHERE swapped.account = grants.account);
			UPDATE marks SET version = (SELECT g.version FROM grants g WHERE g.account = marks.account)`,
	} {
		t.Run(name, func(t *testing.T) {
			w, alice := two(t)
			w.sql("CREATE TABLE was AS SELECT * FROM grants")
			w.sql("CREATE TABLE swapped (account TEXT, sealed BLOB, version INTEGER)")
			rows, err := w.db.Grants().List(t.Context(), owner(w, "alice"))
			ok(t, err)
			for i, row := range rows {
				to := rows[1-i].Account
				w.sql("INSERT INTO swapped VALUES (?, ?, ?)", to, relabelled(row.Sealed, to), row.Version)
			}
			w.sql(swap)
			all := w.accounts(alice)
			same(t, len(all.Infos), 2)
			for _, info := range all.Infos {
				if info.Broken == "" {
					t.Errorf("%s opens", info.Account.ID)
				}
				_, err := alice.Grant(t.Context(), store.Call{Need: github, Account: info.Account.ID})
				needs(t, err, "the stored connection")
			}
		})
	}
}

// Two accounts with rows of the same version, which expire together: each is renewed
// with its own token, and one's end doesn't touch the other.
func TestRefreshesAreTheAccountsOwn(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	ok(t, alice.Delete(t.Context(), "github", "id-of-alice"))
	work, private := w.add("alice", "work"), w.add("alice", "private")
	same(t, work.Version, private.Version)
	w.clock.Advance(2 * time.Hour)

	inside := make(chan struct{}, 2)
	w.provider.during = func(context.Context) { // until both have asked
		inside <- struct{}{}
		for deadline := time.Now().Add(3 * time.Second); len(inside) < 2 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
	var both sync.WaitGroup
	for _, account := range []string{"work", "private"} {
		both.Go(func() {
			grant, err := alice.Grant(t.Context(), store.Call{Need: github, Account: "id-of-" + account})
			if err != nil || grant.Account.Label != "@"+account {
				t.Errorf("%s: %v %v", account, grant.Account, err)
			}
		})
	}
	both.Wait()
	same(t, w.provider.refreshed, 2)

	w.provider.during = nil
	w.provider.set(func() { clear(w.provider.life) })
	info, _ := w.accounts(alice).Of("id-of-private")
	_, err := alice.Grant(t.Context(), store.Call{Need: github, Account: "id-of-private", Rejected: info.Version})
	needs(t, err, "revoked")
	w.serves(alice, "work")
}

// A call that began with an account goes on with it, and with no other once that is
// disconnected.
func TestACallKeepsItsAccount(t *testing.T) {
	w, alice := two(t)
	call := store.Call{Need: github, Account: "id-of-work"}
	w.choose("private", "test-client")
	grant, err := alice.Grant(t.Context(), call)
	ok(t, err)
	same(t, grant.Account.ID, "id-of-work")
	ok(t, alice.Delete(t.Context(), "github", "id-of-work"))
	_, err = alice.Grant(t.Context(), call)
	needs(t, err, "not connected yet")
	w.connect("bob")
	_, err = alice.Grant(t.Context(), store.Call{Need: github, Account: "id-of-bob"})
	needs(t, err, "not connected yet")
}

// Processes that choose at the same time lose none of it.
func TestChoosingTogether(t *testing.T) {
	w, alice := two(t)
	other := w.other()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			k := []store.Keyring{alice, other.keyring("alice")}[i%2]
			ok := false
			for range 20 { // a loser of ten races is told so, and presses again
				err := k.Choose(t.Context(), "github", "id-of-private", fmt.Sprint("client", i))
				if ok = err == nil; ok || !errors.Is(err, store.ErrConflict) {
					break
				}
			}
			if !ok {
				t.Error("a choice was not taken")
			}
		})
	}
	all.Wait()
	same(t, len(w.accounts(alice).Clients), 8)
	same(t, w.accounts(alice).Default, "id-of-work")
}

func TestChoicesAreBounded(t *testing.T) {
	w, alice := two(t)
	var err error
	for i := 0; err == nil && i < 200; i++ {
		err = alice.Choose(t.Context(), "github", "id-of-work", fmt.Sprint("client", i))
	}
	contains(t, err, "at most 100 clients")
	w.serves(alice, "work")
}

// The new account takes over what the old one was chosen for.
func TestSucceed(t *testing.T) {
	w, alice := two(t)
	w.add("alice", "third")
	w.choose("work", "test-client")
	w.choose("private", "another-client")
	ok(t, alice.Succeed(t.Context(), "github", "id-of-work", "id-of-third"))
	ok(t, alice.Delete(t.Context(), "github", "id-of-work"))
	all := w.accounts(alice)
	same(t, all.Default, "id-of-third")
	same(t, all.Clients, map[string]string{"test-client": "id-of-third", "another-client": "id-of-private"})
}

func TestChoosingWakes(t *testing.T) {
	w, alice := two(t)
	c := w.connection("private", w.provider.issue("repo"))
	info, _ := w.accounts(alice).Of("id-of-private")
	c.IfVersion = info.Version
	_, err := alice.Put(t.Context(), c)
	ok(t, err)
	done := wait(t.Context(), alice, store.Need{Provider: "github", Scopes: []string{"repo"}})
	started := time.Now()
	w.choose("private", "")
	ok(t, <-done)
	if since := time.Since(started); since > 700*time.Millisecond {
		t.Errorf("woken after %v: that was the poll, not the bell", since)
	}
}

// Whether an account is somebody else's too, only who has it can ask.
func TestShared(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	bob := w.keyring("bob")
	_, err := bob.Shared(t.Context(), "github", "id-of-alice")
	is(t, err, store.ErrNotFound)
	shared, err := alice.Shared(t.Context(), "github", "id-of-alice")
	ok(t, err)
	same(t, shared, false)
	w.add("bob", "alice")
	for _, k := range []store.Keyring{alice, bob} {
		shared, err = k.Shared(t.Context(), "github", "id-of-alice")
		ok(t, err)
		same(t, shared, true)
	}
}

// To discard a token must not end what others, or the person, have of that account.
func TestDiscard(t *testing.T) {
	w := newWorld(t)
	w.connect("alice")
	for account, revoked := range map[string]int{"id-of-alice": 0, "id-of-bob": 1} {
		w.provider.revoked = nil
		c := w.connection("bob", w.provider.issue())
		c.Account.ID = account
		ok(t, w.keyring("bob").Discard(t.Context(), c))
		same(t, len(w.provider.revoked), revoked)
	}
}

// A pending revocation of one account is carried out although another is connected.
func TestRevocationsAreTheAccountsOwn(t *testing.T) {
	w, alice := two(t)
	w.provider.set(func() { w.provider.down = errUnreached })
	var unconfirmed *store.RevokeError
	if err := alice.Delete(t.Context(), "github", "id-of-work"); !errors.As(err, &unconfirmed) {
		t.Fatal(err)
	}
	w.provider.set(func() { w.provider.down = nil })
	w.clock.Advance(2 * time.Minute)
	ok(t, w.vault.Revoke(t.Context()))
	same(t, len(w.provider.revoked), 1)
	w.serves(alice, "private")
}

// An account that was disconnected leaves no id behind, and its old row doesn't serve
// beside the other.
func TestADisconnectedAccountIsGone(t *testing.T) {
	w, alice := two(t)
	old, err := w.db.Grants().Get(t.Context(), owner(w, "alice"), "github", "id-of-work")
	ok(t, err)
	ok(t, alice.Delete(t.Context(), "github", "id-of-work"))
	w.sql("CREATE TABLE left (n INTEGER CHECK (n = 0))")
	w.sql(`INSERT INTO left SELECT count(*) FROM grants WHERE account = 'id-of-work'
		UNION SELECT count(*) FROM marks WHERE account = 'id-of-work'`)
	w.restore(old)
	info, _ := w.accounts(alice).Of("id-of-work")
	same(t, info.Broken, "the stored connection "+putBack)
}

func TestClients(t *testing.T) {
	w, alice := two(t)
	list, err := alice.Clients(t.Context())
	ok(t, err)
	same(t, list, []string{"test-client"})
	list, err = w.keyring("bob").Clients(t.Context())
	ok(t, err)
	same(t, len(list), 0)
}
