package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// A place is a row of the table of grants, and who may open it.
type place struct {
	keyring store.Keyring
	row     store.Row
}

// places fills a vault with rows that differ in one thing each: the person, the
// provider, the account, the version.
func (w *world) places() []place {
	w.t.Helper()
	var list []place
	file := func(subject, provider, account string, ifVersion int64) int64 {
		k := w.keyring(subject)
		c := w.connection(account, w.provider.issue())
		c.Provider, c.IfVersion = provider, ifVersion
		info, err := k.Put(w.t.Context(), c)
		ok(w.t, err)
		row, err := w.db.Grants().Get(w.t.Context(), owner(w, subject), provider, "id-of-"+account)
		ok(w.t, err)
		list = append(list, place{k, row})
		return info.Version
	}
	first := file("alice", "github", "one", 0)
	file("alice", "github", "one", first) // list[0] is what it was before
	file("alice", "google", "one", 0)
	file("bob", "github", "one", 0)
	file("bob", "google", "two", 0)
	return list
}

func owner(w *world, subject string) identity.Digest {
	return w.issuer.Caller(subject).Principal().Digest()
}

// put writes row as somebody does who has the file, its mark too: what is left is the
// sealing.
func (w *world) put(row store.Row) {
	w.t.Helper()
	w.sql("UPDATE grants SET sealed = ?, version = ? WHERE owner = ? AND provider = ? AND account = ?",
		row.Sealed, row.Version, row.Owner[:], row.Provider, row.Account)
	w.sql("UPDATE marks SET version = ? WHERE owner = ? AND provider = ? AND account = ?",
		row.Version, row.Owner[:], row.Provider, row.Account)
}

func TestRowsOpenOnlyAsWhatTheyAre(t *testing.T) {
	w := newWorld(t)
	places := w.places()
	for i, to := range places[1:] {
		need := store.Need{Provider: to.row.Provider}
		for j, from := range places {
			if i+1 == j {
				continue
			}
			swapped := to.row
			swapped.Sealed = from.row.Sealed
			w.put(swapped)
			needs(t, to.keyring.Ready(t.Context(), need), "can't be read")
			if from.row.Owner == to.row.Owner && from.row.Provider == to.row.Provider {
				continue // with its version and mark too it is a restored backup
			}
			swapped.Version = from.row.Version
			w.put(swapped)
			needs(t, to.keyring.Ready(t.Context(), need), "can't be read")
		}
		relabelled := to.row
		relabelled.Version++
		w.put(relabelled)
		needs(t, to.keyring.Ready(t.Context(), need), "can't be read")
		w.put(to.row)
		ok(t, to.keyring.Ready(t.Context(), need))
	}
}

// The same subject at another issuer is another person, also where the same keys
// seal both vaults and the row comes with that person's own owner.
func TestRowsOpenOnlyUnderTheirIssuer(t *testing.T) {
	here, there := newWorld(t), newWorld(t)
	raw, err := os.ReadFile(filepath.Join(here.dir, "key"))
	ok(t, err)
	there.dir = t.TempDir()
	ok(t, os.WriteFile(filepath.Join(there.dir, "key"), raw, 0o600))
	*there = *there.other()
	here.connect("alice", "repo")
	row, err := here.db.Grants().Get(t.Context(), owner(here, "alice"), "github", "id-of-alice")
	ok(t, err)
	row.Owner = owner(there, "alice")
	ok(t, there.db.Grants().Put(t.Context(), row, 0))
	needs(t, there.keyring("alice").Ready(t.Context(), github), "can't be read")
}

// Another deployment with the same keys and the same issuer, so that the same person
// has the same owner there, opens nothing of this one's: no row, record or session.
func TestRowsOpenOnlyInTheirDeployment(t *testing.T) {
	here := newWorld(t)
	raw, err := os.ReadFile(filepath.Join(here.dir, "key"))
	ok(t, err)
	there := *here
	there.dir = t.TempDir()
	ok(t, os.WriteFile(filepath.Join(there.dir, "key"), raw, 0o600))
	there = *there.other()

	for _, p := range here.places()[1:] {
		ok(t, there.db.Grants().Put(t.Context(), p.row, 0))
	}
	for _, subject := range []string{"alice", "bob"} {
		for _, provider := range []string{"github", "google"} {
			need := store.Need{Provider: provider}
			ok(t, here.keyring(subject).Ready(t.Context(), need))
			needs(t, there.keyring(subject).Ready(t.Context(), need), "can't be read")
		}
	}

	ok(t, store.NewTable[string](here.vault, "ticket").Put(t.Context(), "a", owner(here, "alice"), 0, "value"))
	records, err := here.db.Sealed().Records(t.Context(), store.Record{}, 9)
	ok(t, err)
	ok(t, there.db.Records().Put(t.Context(), records[0]))
	_, err = store.NewTable[string](there.vault, "ticket").Get(t.Context(), "a")
	contains(t, err, "doesn't open")

	session, err := here.vault.AEAD("session").Encrypt([]byte("alice"), nil)
	ok(t, err)
	if _, err := there.vault.AEAD("session").Decrypt(session, nil); err == nil {
		t.Fatal("a session of another deployment opens")
	}
}

func TestNoByteOfARowCanChange(t *testing.T) {
	w := newWorld(t)
	p := w.places()[4]
	need := store.Need{Provider: p.row.Provider}
	backend := func(sealed []byte) error {
		row := p.row
		row.Sealed = sealed
		w.put(row)
		return p.keyring.Ready(t.Context(), need)
	}
	for i := range p.row.Sealed {
		changed := bytes.Clone(p.row.Sealed)
		changed[i] ^= 1
		needs(t, backend(changed), "can't be read")
	}
	for i := 0; i < len(p.row.Sealed); i += 7 {
		needs(t, backend(p.row.Sealed[:i]), "can't be read")
	}
	ok(t, backend(p.row.Sealed))
}

// A row that doesn't open is shown, can be connected anew and can be removed.
func TestAnUnreadableRowIsNoDeadEnd(t *testing.T) {
	w := newWorld(t)
	alice, info := w.connect("alice")
	w.sql("UPDATE grants SET sealed = x'01ff'")
	shown, err := alice.Info(t.Context(), "github")
	ok(t, err)
	same(t, shown, store.Info{
		Provider: "github", Account: store.Account{ID: "id-of-alice"}, Version: info.Version, UpdatedAt: info.UpdatedAt,
		Broken: "the stored connection can't be read any more",
	})
	list, err := alice.List(t.Context())
	ok(t, err)
	same(t, list, []store.Info{shown})

	c := w.connection("alice", w.provider.issue())
	c.IfVersion = shown.Version
	_, err = alice.Put(t.Context(), c)
	ok(t, err)
	ok(t, alice.Ready(t.Context(), github))
}

// Whoever steals the files has nothing: no token, account label or scope is in
// the database, its log or the key file.
func TestTheft(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice", "scope-"+canary)
	w.clock.Advance(2 * time.Hour)
	_, err := alice.Grant(t.Context(), store.Call{Need: github}) // refreshes
	ok(t, err)
	bob, _ := w.connect("bob")
	w.provider.set(func() { w.provider.down = fmt.Errorf("down") })
	if bob.Delete(t.Context(), "github", "id-of-bob") == nil {
		t.Fatal("revoked by a provider that is down") // leaves a pending revocation
	}
	secret := struct{ Secret string }{canary}
	ok(t, store.NewTable[any](w.vault, "ticket").Put(t.Context(), "key-"+canary, owner(w, "alice"), time.Hour, secret))

	files, err := filepath.Glob(filepath.Join(w.dir, "*"))
	ok(t, err)
	if len(files) < 3 {
		t.Fatalf("only %v: the write-ahead log is not among them", files)
	}
	seen := false
	for _, file := range files {
		raw, err := os.ReadFile(file)
		ok(t, err)
		if bytes.Contains(raw, []byte(canary)) || bytes.Contains(raw, []byte("@alice")) {
			t.Errorf("%s holds a secret in clear", filepath.Base(file))
		}
		seen = seen || bytes.Contains(raw, []byte("id-of-alice"))
	}
	if !seen {
		t.Fatal("the search itself doesn't work: the account id is not found, which is in clear")
	}
}

// What is sealed comes back as it was, down to microseconds.
func TestSealedWhole(t *testing.T) {
	w := newWorld(t)
	k := w.keyring("alice")
	token := w.provider.issue("repo", "read:org", "")
	token.Expiry = time.Date(2299, 1, 2, 3, 4, 5, 678_000, time.UTC)
	token.RefreshExpiry = time.Time{}
	put, err := k.Put(t.Context(), w.connection("alice", token))
	ok(t, err)
	grant, err := k.Grant(t.Context(), store.Call{Need: github})
	ok(t, err)
	same(t, grant.Info.Scopes, []string{"repo", "read:org", ""})
	same(t, grant.Info, put)
	same(t, grant.Expiry, token.Expiry)
	same(t, grant.Access.Equal(token.Access), true)
}
