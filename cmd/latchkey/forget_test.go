package main

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

// ownership says of every kind of record whether it is on a person. Each one that is
// has to be in TestForgetMe's journey, or among the others.
var ownership = map[string]string{
	"session": "person", "ticket": "person", "flow": "person", "replacement": "person", "accounts": "person",
	"approval": "person", "approval link": "person", "approval question": "person", "approval ticket": "person",
	"permission":      "person",
	"authserver code": "person", "authserver consent": "person", "authserver refresh family": "person",

	"lease":           "person, elsewhere", // store's TestForget and TestForgottenInARefresh
	"idempotency key": "person, elsewhere", // mcpserver's TestKeysAreForgotten
	"revocation":      "person, stays",     // until it is over
	"cutoff":          "person, stays",     // for store.CutoffLife

	"signin": "nobody yet", "authserver upstream login": "nobody yet",
	"authserver client": "nobody", "authserver keys": "nobody",
}

var (
	tableCall = regexp.MustCompile(`NewTable\[\w+\]\([\w.]+, ("[^"]+"|\w+)\)`)
	kindConst = regexp.MustCompile(`(\w+Kind)\s*= ("[^"]+")`)
	tableUse  = regexp.MustCompile(`NewTable\[`)
)

// TestEveryKindOfRecordHasAnOwner fails on a kind of record of which nobody has said
// whether forgetting a person covers it.
func TestEveryKindOfRecordHasAnOwner(t *testing.T) {
	names, used := map[string]string{}, map[string]bool{}
	var calls []string
	for _, f := range readSource(t) {
		text, err := os.ReadFile(filepath.Join(root, f.path))
		check(t, err)
		for _, m := range kindConst.FindAllSubmatch(text, -1) {
			names[string(m[1])] = string(m[2])
		}
		if f.path == "store/table.go" { // which has its definition
			continue
		}
		found := tableCall.FindAllSubmatch(text, -1)
		if all := tableUse.FindAll(text, -1); len(all) != len(found) {
			t.Errorf("%s makes a table in a way that this test can't read", f.path)
		}
		for _, m := range found {
			calls = append(calls, string(m[1]))
		}
	}
	for _, call := range calls {
		if name := names[call]; name != "" {
			call = name
		}
		kind := call[1 : len(call)-1]
		used[kind] = true
		if ownership[kind] == "" {
			t.Errorf("records of kind %q: whose are they, and does forgetting cover them? Say so in ownership", kind)
		}
	}
	for kind := range ownership {
		if !used[kind] {
			t.Errorf("there are no records of kind %q", kind)
		}
	}
}

// kindsOf are the kinds of all records that the vault in data has of the owner.
func kindsOf(t *testing.T, data string, owner identity.Digest) []string {
	t.Helper()
	db, err := sqlite.Open(t.Context(), data, time.Now)
	check(t, err)
	defer db.Close()
	list, err := db.Sealed().Records(t.Context(), store.Record{}, 100_000)
	check(t, err)
	kinds := []string{}
	for _, r := range list {
		if r.Owner == owner {
			kinds = append(kinds, r.Kind)
		}
	}
	rows, err := db.Grants().List(t.Context(), owner)
	check(t, err)
	for _, row := range rows {
		kinds = append(kinds, "grant at "+row.Provider)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// TestForgetMe drives a person through everything that leaves a record of them, and
// looks through the whole database afterwards.
func TestForgetMe(t *testing.T) {
	d := startDemo(t, "")
	people := twoPeople(t, d.URL)
	alice, bob := people[0], people[1]
	elsewhere := newPerson("alice", d.URL, plain)
	check(t, elsewhere.openLink(d.URL+"/connections"))
	check(t, elsewhere.visitor.sees("Connected as"))

	// A choice between accounts, a token that waits, a question that waits, a flow and
	// a ticket.
	check(t, alice.connectOn(d.URL, "GitHub", "bob"))
	check(t, alice.visitor.open(d.URL+"/connections"))
	check(t, alice.visitor.press("#connect-google"))
	check(t, alice.visitor.press("Continue to"))
	check(t, alice.visitor.press("#as-bob"))
	check(t, alice.visitor.sees("Add this account, or replace one?"))
	stop := errors.New("at the question")
	if err := newMCPClient(d.URL, plain).signIn(elsewhere.visitor, func(v *visitor) error {
		check(t, v.sees("Allow"))
		return stop
	}); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	check(t, elsewhere.visitor.open(d.URL+"/connections"))
	check(t, elsewhere.visitor.press("again"))
	check(t, elsewhere.visitor.press("Continue to"))
	check(t, elsewhere.visitor.open(d.URL+"/connections"))
	check(t, elsewhere.visitor.press("again"))

	alice.leaveApprovals(t)
	owner, bobs := identity.OwnerOf(d.URL, "alice"), identity.OwnerOf(d.URL, "bob")
	want := []string{"grant at github", "grant at google"}
	for kind, whose := range ownership {
		if whose == "person" {
			want = append(want, kind)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, kindsOf(t, d.Data, owner)); diff != "" {
		t.Fatalf("the journey doesn't leave every kind of record:\n%s", diff)
	}
	before := kindsOf(t, d.Data, bobs)

	check(t, alice.visitor.open(d.URL+"/connections"))
	check(t, alice.visitor.press("Forget me"))
	check(t, alice.visitor.sees("What stays"))
	check(t, alice.visitor.press("Forget me"))
	check(t, alice.visitor.sees("You are forgotten here"))

	if diff := cmp.Diff([]string{"cutoff"}, kindsOf(t, d.Data, owner)); diff != "" {
		t.Errorf("of alice there is left:\n%s", diff)
	}
	if diff := cmp.Diff(before, kindsOf(t, d.Data, bobs)); diff != "" {
		t.Errorf("of bob's records:\n%s", diff)
	}
	afterwards(t, d, alice, elsewhere)
	check(t, bob.call("calendar_list_events", map[string]any{}))
	if bob.last.IsError {
		t.Errorf("bob: %s", bob.last.Body)
	}
}

// leaveApprovals leaves a permission, a call that waits for a decision, a decision that
// waits for its call, and a question in a client.
func (p *person) leaveApprovals(t *testing.T) {
	t.Helper()
	write := func(c *mcpClient, title string) answer {
		a, err := c.call("github_write_issue", map[string]any{"repo": "alice-dev/garden", "title": title})
		check(t, err)
		return a
	}
	check(t, p.openLink(write(p.client, "decided").Link))
	check(t, p.visitor.press("Approve"))
	check(t, p.visitor.sees("can do it once"))
	write(p.client, "waiting")
	other := newMCPClient(p.client.base, forming)
	other.token = p.client.token
	if a := write(other, "asked"); a.Form == "" {
		t.Fatalf("no form: %s", a.Body)
	}
	check(t, p.openLink(p.client.base+"/connections"))
	check(t, p.visitor.pick("Ask me before every change", "Set for"))
}

// afterwards holds what alice's clients and browsers can still do: nothing.
func afterwards(t *testing.T, d *running, alice, elsewhere *person) {
	t.Helper()
	if err := alice.client.exchange(url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {alice.client.refresh}, "client_id": {alice.client.clientID},
	}); err == nil {
		t.Error("the refresh token still works")
	}
	for name, v := range map[string]*visitor{"this": alice.visitor, "the other": elsewhere.visitor} {
		check(t, v.open(d.URL+"/connections"))
		if err := v.sees("I am alice"); err != nil {
			t.Errorf("%s browser is not asked who it is: %v", name, err)
		}
	}
	check(t, alice.call("calendar_list_events", map[string]any{})) // an access token lives on
	if alice.last.Link == "" {
		t.Errorf("a token from before finds an account: %s", alice.last.Body)
	}
}
