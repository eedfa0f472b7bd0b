package oauthflow

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/tools"
)

type replaceIn struct {
	Title string   `json:"title" jsonschema:"the new title"`
	Body  string   `json:"body,omitempty" jsonschema:"Markdown"`
	Tags  []string `json:"tags,omitempty" jsonschema:"replace all"`
}

// approving is a world with a tool to approve, and alice's browser with an account.
func approving(t *testing.T) (*world, *browser) {
	t.Helper()
	w := newWorld(t)
	alice := w.as("alice")
	alice.connect(w.link("alice", "github", "repo"))
	return w, alice
}

func replaceTool() tools.Tool {
	return tools.Define(tools.Spec{
		Name: "github_replace", Title: "Replace an item", Description: "For tests.", Can: "Replace your items", Provider: "github",
		Scopes: []string{"repo"}, Destructive: true, Egress: []tools.Rule{{Method: "POST", Host: "api.github.com", Path: "/x"}},
	}, func(context.Context, *http.Client, replaceIn) (nothing, error) { return nothing{}, nil })
}

func deed(arguments string) store.Deed {
	return store.Deed{Tool: "github_replace", Provider: "github", Account: "1001", Arguments: json.RawMessage(arguments), Digest: [32]byte{1}}
}

// approveLink is a new approval link of person's client's, as a path.
func (w *world) approveLink(person string, d store.Deed) string {
	w.t.Helper()
	raw := must(w.flow.ApproveLink(w.t.Context(), w.iss.Caller(person), d))(w.t)
	path, ok := strings.CutPrefix(raw, w.url)
	if !ok || !strings.HasPrefix(path, "/approve/") {
		w.t.Fatalf("the link %q is not on our origin", raw)
	}
	return path
}

// decision is what person's client finds, once.
func (w *world) decision(person string, d store.Deed) string {
	w.t.Helper()
	approved, err := w.keyring(person).Decision(w.t.Context(), d)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "none"
	case err != nil:
		w.t.Fatal(err)
	case approved:
		return "approved"
	}
	return "declined"
}

func answers(word string) url.Values { return url.Values{"answer": {word}} }

func TestTheApprovalPageShowsAllOfIt(t *testing.T) {
	w, alice := approving(t)
	long := strings.Repeat("0123456789", 6000) + "the end"
	arguments, _ := json.Marshal(replaceIn{"<b>New</b>\u202e", "\none\n\n" + long, []string{"a", "b\nc"}})
	got := alice.get(w.approveLink("alice", deed(string(arguments))))
	got.wants(t, http.StatusOK, "Approve this?", "Name of alice", "Client <test-client> asks", "test-client", "@gh1001 at GitHub",
		"Replace an item", "github_replace", "It canReplace your items", "title the new title", "<b>New</b>⟨U+202E⟩",
		"body Markdown", long, "tags replace all", "• a • b c", "Nothing is done yet", "once, with this account")
	// A browser drops a newline that comes first, and must not drop the value's own.
	for _, part := range []string{"<pre dir=\"auto\">\n&lt;b&gt;New&lt;/b&gt;", "<pre dir=\"auto\">\n\none\n\n0123"} {
		if !strings.Contains(got.body, part) {
			t.Errorf("%q is not on the page as it is", part)
		}
	}
	if w.decision("alice", deed(string(arguments))) != "none" {
		t.Error("looking has decided")
	}
}

func TestApproveAndDont(t *testing.T) {
	for word, want := range map[string]string{"approve": "approved", "decline": "declined", "": "declined", "Approve": "declined"} {
		w, alice := approving(t)
		d := deed(`{"title":"x"}`)
		link := w.approveLink("alice", d)
		for range 3 {
			alice.get(link).wants(t, http.StatusOK)
			alice.do(http.MethodHead, link, nil, http.Header{"Sec-Purpose": {"prefetch"}}).wants(t, http.StatusOK)
		}
		page := map[string]string{"approved": "It has ten minutes, and can do it once", "declined": "Nothing was done"}[want]
		alice.post(link, answers(word)).wants(t, http.StatusOK, page, "Client <test-client>")
		alice.get(link).wants(t, http.StatusGone, "This link no longer works")
		alice.post(link, answers("approve")).wants(t, http.StatusGone)
		if got := w.decision("alice", d); got != want {
			t.Errorf("%q has %s it", word, got)
		}
		if got := w.decision("alice", d); got != "none" {
			t.Errorf("%q has %s it twice", word, got)
		}
	}
}

func TestSomebodyElsesApprovalLinkIsRefused(t *testing.T) {
	w, alice := approving(t)
	d := deed(`{"title":"what only she may read"}`)
	link, bob := w.approveLink("alice", d), w.as("bob")
	bob.connect(w.link("bob", "github", "repo"))
	for name, got := range map[string]answer{"GET": bob.get(link), "POST": bob.post(link, answers("approve"))} {
		got.wants(t, http.StatusForbidden, "This link is for somebody else", "Name of bob")
		for _, secret := range []string{"alice", "test-client", "only she may read", "Replace"} {
			if strings.Contains(got.text(), secret) {
				t.Errorf("%s tells bob %q: %s", name, secret, got.text())
			}
		}
	}
	if got := w.refusals("bob"); len(got) != 2 || !strings.Contains(got[0], "approval link") {
		t.Errorf("the audit record has %q", got)
	}
	if a, b := w.decision("alice", d), w.decision("bob", d); a != "none" || b != "none" {
		t.Errorf("bob has %s alice's, %s his own", a, b)
	}
	b := w.as("alice")
	b.get(link).wants(t, http.StatusOK)
	b.signIn("bob") // between page and button
	b.post(link, answers("approve")).wants(t, http.StatusForbidden)
	alice.post(link, answers("approve")).wants(t, http.StatusOK)
	if got := w.decision("alice", d); got != "approved" {
		t.Error("her own doesn't count any more")
	}
}

func TestAnApprovalLinkAsksToSignIn(t *testing.T) {
	w, _ := approving(t)
	link := w.approveLink("alice", deed(`{"title":"x"}`))
	if got := w.browser().get(link); got.status != http.StatusSeeOther || got.location != signInPath(link, false) {
		t.Errorf("%d %s", got.status, got.location)
	}
	got := w.browser().post(link, answers("approve"))
	got.wants(t, http.StatusUnauthorized, "You are signed out")
	if !strings.Contains(got.body, "return="+url.QueryEscape(link)) {
		t.Errorf("the page doesn't lead back: %s", got.body)
	}
}

func TestAnApprovalLinkThatIsOver(t *testing.T) {
	w, alice := approving(t)
	gone := w.approveLink("alice", deed(`{"title":"x"}`))
	other := deed(`{"title":"x"}`)
	other.Account = "never connected"
	unknown := deed(`{"title":"x"}`)
	unknown.Tool = "github_forgotten"
	strange := w.approveLink("alice", deed(`{"title":1}`))
	for name, link := range map[string]string{
		"account": w.approveLink("alice", other), "tool": w.approveLink("alice", unknown), "arguments": strange, "invented": "/approve/" + newKey(),
	} {
		alice.get(link).wants(t, http.StatusGone, "This link no longer works")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	w.pass(store.ApprovalLife + time.Second)
	alice.get(gone).wants(t, http.StatusGone)
	alice.post(gone, answers("approve")).wants(t, http.StatusGone)
	if w.decision("alice", deed(`{"title":"x"}`)) != "none" {
		t.Error("too late, and decided")
	}
}

func TestOneDecisionCounts(t *testing.T) {
	w, alice := approving(t)
	link := w.approveLink("alice", deed(`{"title":"x"}`))
	var counted atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if alice.post(link, answers([]string{"approve", "decline"}[i%2])).status == http.StatusOK {
				counted.Add(1)
			}
		})
	}
	all.Wait()
	if counted.Load() != 1 {
		t.Errorf("%d decisions", counted.Load())
	}
}

func TestAnApprovalLinkNeedsACaller(t *testing.T) {
	w := newWorld(t)
	if _, err := w.flow.ApproveLink(t.Context(), identity.Caller{}, deed(`{}`)); err == nil {
		t.Error("nobody got a link")
	}
}

func (w *world) writing(person string) store.Writing {
	w.t.Helper()
	return must(w.keyring(person).Permission(w.t.Context()))(w.t).Writing
}

func permit(client, writing string) url.Values {
	return url.Values{"client": {client}, "writing": {writing}}
}

func TestTheConnectionsPagePermits(t *testing.T) {
	w, alice := approving(t)
	bob := w.as("bob")
	if strings.Contains(alice.get("/connections").text(), "Before your clients write") {
		t.Error("there is something to set without a client")
	}
	for _, person := range []string{"alice", "bob"} { // by which the client is known
		w.keyring(person).Grant(t.Context(), store.Call{Need: store.Need{Provider: "google"}})
	}
	alice.get("/connections").wants(t, http.StatusOK, "Before your clients write", "Client <test-client>test-client",
		"Ask me before every change", "Set for Client <test-client>")
	for _, writing := range []string{"ask", "allow", "destructive", "allow"} {
		if got := alice.post("/clients/permission", permit(testClient, writing)); got.status != http.StatusSeeOther || got.location != "/connections" {
			t.Fatalf("%s: %d %s", writing, got.status, got.text())
		}
		if got := w.writing("alice"); string(got) != writing {
			t.Errorf("%s: it is %s", writing, got)
		}
		if got := alice.get("/connections"); !strings.Contains(got.body, `value="`+writing+`" checked`) && !strings.Contains(got.body, `value="`+writing+`" required checked`) ||
			strings.Count(got.body, `name="writing"`) != 3 || strings.Count(got.body, " checked") != 1 {
			t.Errorf("%s: the page shows another", writing)
		}
	}
	for name, got := range map[string]answer{
		"an unknown word": alice.post("/clients/permission", permit(testClient, "always")), "no word": alice.post("/clients/permission", permit(testClient, "")),
	} {
		if got.status != http.StatusNotFound {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	alice.post("/clients/permission", permit("never seen", "allow")).wants(t, http.StatusConflict)
	w.browser().post("/clients/permission", permit(testClient, "ask")).wants(t, http.StatusUnauthorized)
	bob.post("/clients/permission", permit(testClient, "ask"))
	if a, b := w.writing("alice"), w.writing("bob"); a != store.NeverAsk || b != store.AskToWrite {
		t.Errorf("alice's is %s, bob's %s", a, b)
	}
}

// Of two clients with one name each has its own.
func TestAPermissionDoesNotGoByName(t *testing.T) {
	w, alice := approving(t)
	w.flow.ClientName = func(context.Context, string) string { return "Same name" }
	claims := w.iss.Claims("alice")
	claims["client_id"] = "the-second"
	second := must(w.vault.Keyring(must(w.iss.Verifier().Verify(t.Context(), w.iss.Sign(nil, claims)))(t)))(t)
	for _, k := range []store.Keyring{w.keyring("alice"), second} {
		k.Grant(t.Context(), store.Call{Need: store.Need{Provider: "google"}})
	}
	alice.get("/connections").wants(t, http.StatusOK, "Same nametest-client", "Same namethe-second")
	alice.post("/clients/permission", permit("the-second", "allow"))
	if p := must(second.Permission(t.Context()))(t); p.Writing != store.NeverAsk || w.writing("alice") != store.AskToDestroy {
		t.Errorf("%s and %s", p.Writing, w.writing("alice"))
	}
}

// Who is forgotten in that very moment leaves no permission behind.
func TestAPermissionOfWhoIsForgottenMeanwhile(t *testing.T) {
	w, alice := approving(t)
	w.keyring("alice").Grant(t.Context(), store.Call{Need: store.Need{Provider: "google"}})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/clients/permission", strings.NewReader(permit(testClient, "allow").Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	u, _ := url.Parse(w.url)
	for _, c := range alice.jar.Cookies(u) {
		req.AddCookie(c)
	}
	s := must(w.flow.session(req))(t)
	alice.forgetMe().wants(t, http.StatusOK)
	if err := w.flow.permit(nil, req, s); !errors.Is(err, identity.ErrSignedOut) {
		t.Errorf("%v", err)
	}
	if kinds := w.ownedKinds("alice"); slices.Contains(kinds, "permission") {
		t.Errorf("what is left: %q", kinds)
	}
}

func TestDecisionsAreOnRecord(t *testing.T) {
	w, alice := approving(t)
	d := deed(`{"title":"x"}`)
	alice.post(w.approveLink("alice", d), answers("approve"))
	w.decision("alice", d)
	alice.post(w.approveLink("alice", d), answers("decline"))
	var got []string
	for _, e := range must(w.db.AuditEntries(t.Context(), w.iss.Caller("alice").Principal().Digest()))(t) {
		if e.Tool == "github_replace" {
			got = append(got, string(e.Event)+" by "+e.Client)
		}
	}
	if want := []string{"approve by test-client", "spend by test-client", "refuse by test-client"}; !slices.Equal(got, want) {
		t.Errorf("the record has %q", got)
	}
}
