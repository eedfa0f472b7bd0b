package oauthflow

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
	"github.com/latchkey-mcp/latchkey/store"
)

const testClient = "test-client" // whose links these are

// twoAccounts is alice with 1001 and then 2002 at Google, added on the connections
// page.
func twoAccounts(t *testing.T) (*world, *browser) {
	t.Helper()
	w := newWorld(t)
	alice := w.as("alice")
	alice.connect(w.link("alice", "google", readEvents)).wants(t, http.StatusOK)
	alice.add("2002").wants(t, http.StatusOK, "Connected as g2002@example.com", "Clients without an account of their own use g1001@example.com")
	return w, alice
}

// add connects one more account on the connections page.
func (b *browser) add(account string) answer {
	b.w.t.Helper()
	b.w.google.with(func() { b.w.google.person = account })
	sent := b.post("/connections/google/connect", url.Values{"another": {"1"}})
	asked := b.connect(sent.location)
	asked.wants(b.w.t, http.StatusOK, "Add this account, or replace one?", "your clients go on as they are")
	return b.post("/connections/google/replace", url.Values{"key": {keyField.FindStringSubmatch(asked.body)[1]}, "answer": {"add"}})
}

func (b *browser) choose(account, client string) answer {
	b.w.t.Helper()
	return b.post("/connections/google/choose", url.Values{"account": {account}, "client": {client}})
}

func TestTheConnectionsPageChooses(t *testing.T) {
	w, alice := twoAccounts(t)
	if _, err := w.keyring("alice").Grant(t.Context(), store.Call{Need: store.Need{Provider: "google"}}); err != nil {
		t.Fatal(err) // by which the client is known
	}
	if got := w.as("bob").get("/connections"); strings.Contains(got.text(), testClient) {
		t.Error("bob sees alice's client")
	}
	alice.get("/connections").wants(t, http.StatusOK, "Connected as g1001@example.com since "+w.now().Format("2 January 2006")+". The default.",
		"Connected as g2002@example.com since "+w.now().Format("2 January 2006")+". You allowed", "Connect another account",
		"Disconnect g2002@example.com", "Client <test-client>")
	for _, step := range []struct{ account, client, serves string }{
		{"2002", "", "g2002@example.com"},
		{"1001", testClient, "g1001@example.com"},
		{"", testClient, "g2002@example.com"},
		{"1001", "other", "g2002@example.com"},
		{"1001", "", "g1001@example.com"},
	} {
		if got := alice.choose(step.account, step.client); got.status != http.StatusSeeOther || got.location != "/connections" {
			t.Fatalf("%v: %d %s", step, got.status, got.text())
		}
		if got := w.account("alice", "google"); got != step.serves {
			t.Errorf("after %v the client has %s", step, got)
		}
	}
	got := alice.get("/connections")
	got.wants(t, http.StatusOK, "Client <other>")
	if strings.Contains(got.text(), pagesID) {
		t.Error("our own pages are among the clients")
	}
	for _, wrong := range [][2]string{{"3003", ""}, {"", ""}, {"3003", testClient}} {
		alice.choose(wrong[0], wrong[1]).wants(t, http.StatusConflict)
	}
	alice.choose("1001", strings.Repeat("x", 3000)).wants(t, http.StatusNotFound)
	w.as("bob").choose("2002", "").wants(t, http.StatusConflict)
	w.browser().choose("2002", "").wants(t, http.StatusUnauthorized)
	if got := alice.get("/connections/google/choose?account=2002&client="); got.status != http.StatusMethodNotAllowed && got.status != http.StatusNotFound {
		t.Errorf("a GET is answered %d", got.status)
	}
	if got := w.account("alice", "google"); got != "g1001@example.com" {
		t.Errorf("the client has %s", got)
	}
}

// The client whose link led to a new account uses it, and the page says so.
func TestAnAccountIsAddedForAClient(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	form := secondAccount(t, w, alice)
	form.Set("answer", "add")
	got := alice.post("/connections/google/replace", form)
	got.wants(t, http.StatusOK, "Connected as g2002@example.com", "Client <test-client> uses g2002@example.com", "Use g1001@example.com for Client <test-client>")
	all := must(w.keyring("alice").Accounts(t.Context(), "google"))(t)
	if all.Default != "1001" || all.Clients[testClient] != "2002" {
		t.Errorf("chosen are %+v", all)
	}
	if got := w.google.revocations(); len(got) != 0 {
		t.Errorf("revoked %q", got)
	}
}

// To connect one of several again asks nothing, revokes nothing and changes nobody's
// account.
func TestConnectingOneOfSeveralAgain(t *testing.T) {
	w, alice := twoAccounts(t)
	alice.choose("2002", "other")
	sent := alice.post("/connections/google/connect", url.Values{"account": {"2002"}})
	alice.get(sent.location).wants(t, http.StatusOK, "Connected nowg1001@example.com, g2002@example.com", "This is aboutg2002@example.com")
	alice.connect(sent.location).wants(t, http.StatusOK, "Connected as g2002@example.com", "use g1001@example.com")
	alice.connect(w.link("alice", "google", writeEvents)).wants(t, http.StatusOK,
		"Connected as g2002@example.com", "Client <test-client> uses g1001@example.com", "Use g2002@example.com for Client <test-client>")
	if got := w.google.revocations(); len(got) != 0 {
		t.Errorf("revoked %q", got)
	}
	all := must(w.keyring("alice").Accounts(t.Context(), "google"))(t)
	if all.Default != "1001" || len(all.Infos) != 2 || all.Clients["other"] != "2002" {
		t.Errorf("chosen are %+v", all)
	}
}

// The provider is told which account a link is about, where there are several.
func TestTheProviderLearnsWhichAccount(t *testing.T) {
	w, alice := twoAccounts(t)
	request := func(form url.Values) url.Values {
		alice.callbackURL(alice.post("/connections/google/connect", form).location)
		return w.google.requests[len(w.google.requests)-1]
	}
	if q := w.google.requests[0]; q.Get("prompt") != "consent" || q.Has("login_hint") {
		t.Errorf("the first: %v", q)
	}
	if q := request(url.Values{"another": {"1"}}); q.Get("prompt") != "select_account consent" || q.Has("login_hint") {
		t.Errorf("another: %v", q)
	}
	if q := request(url.Values{"account": {"2002"}}); q.Get("prompt") != "consent" || q.Get("login_hint") != "g2002@example.com" {
		t.Errorf("again: %v", q)
	}
	if q := request(url.Values{"account": {"9009"}}); q.Has("login_hint") {
		t.Errorf("one that isn't there: %v", q)
	}
}

// Which of several is replaced is what the person pressed. It hands over what it was
// chosen for.
func TestOneOfSeveralIsReplaced(t *testing.T) {
	w, alice := twoAccounts(t)
	alice.choose("2002", "other")
	w.google.with(func() { w.google.person = "3003" })
	asked := alice.connect(w.link("alice", "google", readEvents))
	asked.wants(t, http.StatusOK, "Replace g1001@example.com", "Replace g2002@example.com", "Keep everything as it was")
	form := url.Values{"key": {keyField.FindStringSubmatch(asked.body)[1]}, "replace": {"2002"}}
	alice.post("/connections/google/replace", form).wants(t, http.StatusOK, "Connected as g3003@example.com", "Client <test-client> uses g1001@example.com")
	all := must(w.keyring("alice").Accounts(t.Context(), "google"))(t)
	if got := ids(all.Infos); !slices.Equal(got, []string{"1001", "3003"}) || all.Default != "1001" || all.Clients["other"] != "3003" {
		t.Errorf("connected %q, chosen %+v", got, all)
	}
	if got := w.google.revocations(); !slices.Equal(got, []string{"google-refresh-2002-2"}) {
		t.Errorf("revoked %q", got)
	}
}

// A form that names an account that the person was not shown replaces nothing.
func TestOnlyWhatWasShownIsReplaced(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	form := secondAccount(t, w, alice)
	alice.add("3003")
	form.Set("replace", "3003")
	alice.post("/connections/google/replace", form).wants(t, http.StatusConflict)
	all := must(w.keyring("alice").Accounts(t.Context(), "google"))(t)
	if got := ids(all.Infos); !slices.Equal(got, []string{"1001", "3003"}) {
		t.Errorf("connected are %q", got)
	}
}

func TestOneOfSeveralIsDisconnected(t *testing.T) {
	w, alice := twoAccounts(t)
	alice.choose("2002", testClient)
	alice.post("/disconnect/google", url.Values{}) // names none
	alice.disconnect("google", "9009")
	if got := w.google.revocations(); len(got) != 0 {
		t.Fatalf("revoked %q", got)
	}
	alice.disconnect("google", "2002")
	if got := w.google.revocations(); !slices.Equal(got, []string{"google-refresh-2002-2"}) {
		t.Errorf("revoked %q", got)
	}
	alice.get("/connections").wants(t, http.StatusOK, "The account that you chose for Client <test-client> is not connected any more. It uses g1001@example.com now.")
}

// Somebody else's access may end with a disconnect: that is said first, to who has the
// account and to nobody else, and without a name.
func TestASharedAccountIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.as("alice"), w.as("bob"), w.as("carol")
	alice.connect(w.link("alice", "google", readEvents))
	bob.connect(w.link("bob", "google", readEvents))
	const warning = "Somebody else has connected g1001@example.com here too"

	if got := carol.disconnect("google", "1001"); got.status != http.StatusSeeOther {
		t.Errorf("carol learns of it: %d %s", got.status, got.text())
	}
	got := alice.disconnect("google", "1001")
	got.wants(t, http.StatusOK, warning, "Keep it")
	if strings.Contains(got.text(), "bob") {
		t.Errorf("it says who: %s", got.text())
	}
	if w.account("alice", "google") == "" || len(w.google.revocations()) != 0 {
		t.Error("disconnected unasked")
	}
	w.google.with(func() { w.google.person = "2002" })
	asked := alice.connect(w.link("alice", "google", readEvents))
	asked.wants(t, http.StatusOK, warning)

	alice.post("/forget", url.Values{}).wants(t, http.StatusOK, "Somebody else has connected this account here too")

	alice.post("/disconnect/google", url.Values{"account": {"1001"}, "sure": {"1"}})
	if w.account("alice", "google") != "" {
		t.Error("it is still connected")
	}
	if got := bob.disconnect("google", "1001"); got.status != http.StatusSeeOther {
		t.Errorf("bob is warned of nobody: %s", got.text())
	}
}

// Not to want an account must not end the access of who has connected it.
func TestAnUnwantedTokenOfASharedAccountIsNotRevoked(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.as("alice"), w.as("bob")
	w.google.with(func() { w.google.person = "2002" })
	bob.connect(w.link("bob", "google", readEvents))
	w.google.with(func() { w.google.person = "1001" })
	form := secondAccount(t, w, alice)
	form.Set("answer", "keep")
	alice.post("/connections/google/replace", form)
	if got := w.google.revocations(); len(got) != 0 {
		t.Errorf("revoked %q", got)
	}
}

// Where the choice is gone, the pages say what to do, and do it.
func TestWithoutAChoiceThePagesAsk(t *testing.T) {
	w, alice := twoAccounts(t)
	owner := w.iss.Caller("alice").Principal().Digest()
	if err := w.db.Records().DeleteByOwner(t.Context(), owner, "session", "ticket"); err != nil {
		t.Fatal(err)
	}
	alice.get("/connections").wants(t, http.StatusOK, "It is not known which account to use")
	alice.get(w.link("alice", "google", readEvents)).wants(t, http.StatusOK, "it is not known which one Client <test-client> is to use")
	alice.connect(w.link("alice", "google", readEvents)).wants(t, http.StatusOK, "no tool of Google works until you choose", "Use g1001@example.com for Client <test-client>")
	alice.choose("1001", "")
	if got := alice.get("/connections"); strings.Contains(got.text(), "not known") {
		t.Errorf("still: %s", got.text())
	}
	if err := w.keyring("alice").Ready(t.Context(), store.Need{Provider: "google"}); err != nil {
		t.Error(err)
	}
}

// What is true of one of several accounts is said of that one.
func TestEachAccountHasItsOwnState(t *testing.T) {
	body, err := page.Render(templates, "connections", connectionsData{Cards: []card{{Title: "Google", Name: "google", Configured: true, Accounts: []accountView{
		{ID: "1", Label: "one", Restored: true}, {ID: "2", Label: "two", Broken: "it is over"}, {ID: "3", Label: "three", Since: "1 May 2026"},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	answer{status: http.StatusOK, body: string(body)}.wants(t, http.StatusOK,
		"Connected as one. This server was restored from a backup. If Google refuses the access now",
		"Connected as two. It no longer works: it is over.", "Connected as three since 1 May 2026. Connect three again")
}
