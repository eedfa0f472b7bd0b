package store_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// TestProofSwap: whatever is exchanged between rows, columns and times, by somebody
// who can write to the file, nothing opens as anything but what it is.
func TestProofSwap(t *testing.T) {
	t.Run("grants", swapGrants)
	t.Run("records", swapRecords)
}

// A swapping is a vault whose rows were written several times each, with all that its
// tables ever held.
type swapping struct {
	*world
	file                                *vandal
	folk, providers, accounts, versions int
	most                                int // columns that are changed together, unless it is all
	tries, opened, pasts                int
	progress                            func(int)
	pending                             map[pendingKey]bool // what is filed to be revoked
	owners                              []identity.Digest
	keys                                []store.Keyring
}

// A pendingKey is all that a pending revocation can do: have that token revoked.
type pendingKey struct {
	owner           identity.Digest
	provider, token string
}

func newSwapping(t *testing.T, folk, providers, accounts, versions, most int) *swapping {
	s := &swapping{
		world: newWorld(t), pending: map[pendingKey]bool{},
		folk: folk, providers: providers, accounts: accounts, versions: versions, most: most,
	}
	for p := range s.folk {
		s.owners = append(s.owners, owner(s.world, s.subject(p)))
		s.keys = append(s.keys, s.keyring(s.subject(p)))
	}
	return s
}

func (s *swapping) subject(i int) string { return []string{"alice", "bob", "carol", "dave", "erin"}[i] }
func (s *swapping) at(i int) string      { return []string{"github", "google", "acme", "other"}[i] }

// fill connects everybody everywhere, once more. What each opens as is in its label,
// which is sealed. The accounts have the same ids for all, so that nothing differs but
// what is meant to.
func (s *swapping) fill(version int) {
	s.t.Helper()
	for p := range s.folk {
		for q := range s.providers {
			for a := range s.accounts {
				row, err := s.db.Grants().Get(s.t.Context(), s.owners[p], s.at(q), s.account(a))
				if err != nil {
					is(s.t, err, store.ErrNotFound)
				}
				token := s.world.provider.issue()
				s.pending[pendingKey{s.owners[p], s.at(q), token.Access.Reveal()}] = true
				_, err = s.keys[p].Put(s.t.Context(), store.Connection{
					Provider: s.at(q), IfVersion: row.Version, Token: token,
					Account: store.Account{ID: s.account(a), Label: s.label(p, q, a, version)},
				})
				ok(s.t, err)
			}
		}
	}
}

func (s *swapping) account(i int) string { return []string{"one", "two"}[i] }

func (s *swapping) label(person, provider, account, version int) string {
	return fmt.Sprintf("%s at %s as %s, version %d", s.subject(person), s.at(provider), s.account(account), version)
}

func swapGrants(t *testing.T) {
	s := newSwapping(t, storetest.Size(2, 2, 4), storetest.Size(2, 2, 3), 2, storetest.Size(2, 3, 4), storetest.Size(1, 9, 9))
	var older [][]any
	for version := range s.versions {
		s.fill(version)
		if version < s.versions-1 {
			older = append(older, s.sheetOf("grants").rows...)
		}
	}
	s.file = s.vandalise()
	now, marks := s.file.read("grants"), s.file.read("marks")
	past := append(now.rows[:len(now.rows):len(now.rows)], older...)
	s.progress = storetest.Progress(t, len(now.rows)*len(past)*len(sets(len(now.columns), s.most))*2)

	s.checkGrants("nothing", nil)
	if s.opened != s.folk*s.providers*s.accounts {
		t.Fatalf("only %d grants open before anything was touched", s.opened)
	}
	s.opened = 0
	now.each(past, s.most, func(c change, changed sheet) {
		s.file.write(marks)
		s.file.write(changed)
		s.checkGrants("marks as they are", &c)
		// With every mark made to fit, the sealing alone stands in the way. An old row
		// that is put back together with its mark is the past, which nothing in the
		// file tells from the present.
		s.file.alignMarks(marks)
		if changed.holds(older, "owner", "provider", "account", "version", "sealed") {
			s.pasts++
			return
		}
		s.checkGrants("marks made to fit", &c)
	})
	s.file.write(now)
	marks.each(marks.rows, s.most, func(c change, changed sheet) {
		s.file.write(changed)
		s.checkGrants("other marks", &c)
	})
	s.file.write(marks)
	s.opened = 0
	s.checkGrants("nothing any more", nil)
	if s.opened != s.folk*s.providers*s.accounts {
		t.Errorf("only %d grants open after everything was put back", s.opened)
	}
	t.Logf("%d rows of %d that ever were, %d columns: %d changes, 0 opened as anything but itself (%d whole pasts left out)",
		len(now.rows), len(past), len(now.columns), s.tries, s.pasts)
}

// sheetOf is the table as it is, read by a vandal who does no harm.
func (s *swapping) sheetOf(table string) sheet {
	s.t.Helper()
	return (&vandal{s.world, s.open()}).read(table)
}

// checkGrants looks at what everybody has: it may be unusable, or else it must be
// what that person filed there last.
func (s *swapping) checkGrants(after string, c *change) {
	s.t.Helper()
	s.tries++
	s.progress(1)
	for p := range s.folk {
		infos, err := s.keys[p].List(s.t.Context())
		ok(s.t, err)
		for _, info := range infos {
			if info.Broken != "" {
				continue
			}
			s.opened++
			if !s.fits(p, info) {
				s.t.Fatalf("%s, %+v: %s's grant of %s at %s opens as %q", after, c, s.subject(p), info.Account.ID, info.Provider, info.Account.Label)
			}
		}
	}
}

// fits reports whether info is what that person filed last.
func (s *swapping) fits(person int, info store.Info) bool {
	for q := range s.providers {
		for a := range s.accounts {
			if info.Provider == s.at(q) && info.Account.ID == s.account(a) {
				return info.Account.Label == s.label(person, q, a, s.versions-1)
			}
		}
	}
	return false
}

func swapRecords(t *testing.T) {
	s := newSwapping(t, storetest.Size(2, 2, 4), storetest.Size(1, 2, 3), 1, storetest.Size(2, 3, 3), storetest.Size(1, 2, 9))
	s.provider.down = &store.Trouble{Answered: true, Err: errors.New("not now")}
	tables := []store.Table[string]{store.NewTable[string](s.vault, "code"), store.NewTable[string](s.vault, "ticket")}
	s.fillRecords(tables)
	older := s.rewriteRecords(tables)
	s.file = s.vandalise()
	now := s.file.read("records")
	past := append(now.rows[:len(now.rows):len(now.rows)], older...)
	s.progress = storetest.Progress(t, len(now.rows)*len(past)*len(sets(len(now.columns), s.most)))

	s.checkRecords(tables, nil)
	whole := s.opened
	if whole != 2*2*s.folk+s.folk*s.providers {
		t.Fatalf("%d records open before anything was touched", whole)
	}
	now.each(past, s.most, func(c change, changed sheet) {
		if changed.holds(older, now.columns...) {
			s.pasts++ // records have no mark: an old one as a whole is what it was
			return
		}
		s.file.write(changed)
		s.checkRecords(tables, &c)
	})
	s.file.write(now)
	s.opened = 0
	s.checkRecords(tables, nil)
	if s.opened != whole {
		t.Errorf("%d records open after everything was put back, not %d", s.opened, whole)
	}
	t.Logf("%d records of %d that ever were, %d columns: %d changes, 0 opened as anything but itself (%d whole old records left out)",
		len(now.rows), len(past), len(now.columns), s.tries, s.pasts)
}

// recordValue is what the record of that kind and key holds.
func (s *swapping) recordValue(kind, person, key, version int) string {
	return fmt.Sprintf("%s's record %d of kind %d, version %d", s.subject(person), key, kind, version)
}

func (s *swapping) key(person, key int) string { return fmt.Sprint(s.subject(person), key) }

// fillRecords puts two records of each kind for everybody, and leaves a pending
// revocation of every grant.
func (s *swapping) fillRecords(tables []store.Table[string]) {
	s.t.Helper()
	s.fill(0)
	for p := range s.folk {
		mine := s.owners[p]
		for kind, table := range tables {
			for key := range 2 {
				ok(s.t, table.Put(s.t.Context(), s.key(p, key), mine, 100*time.Hour, s.recordValue(kind, p, key, 0)))
			}
		}
		for q := range s.providers {
			ok(s.t, s.keys[p].Unplug(s.t.Context(), s.at(q), s.account(0)))
		}
	}
}

// rewriteRecords writes every record anew, several times, and returns what they were.
func (s *swapping) rewriteRecords(tables []store.Table[string]) (older [][]any) {
	s.t.Helper()
	for version := 1; version < s.versions; version++ {
		older = append(older, s.sheetOf("records").rows...)
		for p := range s.folk {
			for kind, table := range tables {
				for key := range 2 {
					item, err := table.Get(s.t.Context(), s.key(p, key))
					ok(s.t, err)
					item.Value = s.recordValue(kind, p, key, version)
					ok(s.t, table.Replace(s.t.Context(), s.key(p, key), item))
				}
			}
		}
		s.clock.Advance(2 * time.Hour) // the pending revocations are due, and come to nothing
		ok(s.t, s.vault.Revoke(s.t.Context()))
	}
	return older
}

func (s *swapping) checkRecords(tables []store.Table[string], c *change) {
	s.t.Helper()
	s.tries++
	s.progress(1)
	for p := range s.folk {
		for kind, table := range tables {
			for key := range 2 {
				item, err := table.Get(s.t.Context(), s.key(p, key))
				if err != nil {
					continue
				}
				s.opened++
				if item.Value != s.recordValue(kind, p, key, s.versions-1) || item.Owner != s.owners[p] {
					s.t.Fatalf("%+v: %s's record %d of kind %d opens as %q of %s", c, s.subject(p), key, kind, item.Value, item.Owner)
				}
			}
		}
	}
	s.checkRevocations(c)
}

// checkRevocations opens what Revoke would, as it does.
func (s *swapping) checkRevocations(c *change) {
	s.t.Helper()
	list, err := s.db.Records().List(s.t.Context(), "revocation", [sha256.Size]byte{}, 1000)
	ok(s.t, err)
	for _, r := range list {
		provider, token, tries, err := s.vault.OpenRevocation(r)
		if err != nil {
			continue
		}
		s.opened++
		if !s.pending[pendingKey{r.Owner, provider, token}] || tries != s.versions-1 {
			s.t.Fatalf("%+v: a revocation of %s opens as one at %s, try %d", c, r.Owner, provider, tries)
		}
	}
}
