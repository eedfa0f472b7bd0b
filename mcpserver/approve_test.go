package mcpserver

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/storetest"
	"github.com/latchkey-mcp/latchkey/tools"
)

type replaceIn struct {
	Title string   `json:"title" jsonschema:"the new title"`
	Tags  []string `json:"tags,omitempty" jsonschema:"replace all"`
}

// withReplace adds acme_replace, which is destructive.
func withReplace(cfg *Config) {
	m := &cfg.Modules[0]
	m.Tools = append(m.Tools, tools.Define(tools.Spec{
		Name: "acme_replace", Title: "Replace an item", Description: "Tests.", Can: "Replace your items",
		Provider: "acme", Scopes: []string{"read"}, Destructive: true,
		Egress: []tools.Rule{{Method: "POST", Host: "api.acme.test", Path: "/items"}},
	}, func(ctx context.Context, api *http.Client, in replaceIn) (whoOut, error) {
		return fetch(ctx, api, http.MethodPost, "https://api.acme.test/items", `{"title":"x"}`)
	}))
}

const (
	withForm  = `{"elicitation":{"form":{}}}`
	withBoth  = `{"elicitation":{"form":{},"url":{}}}`
	replaceIt = `{"title":"New"}`
	yes       = `{"approve":{"action":"accept","content":{"approve":true}}}`
	followed  = `{"approve":{"action":"accept"}}`
)

// asking is a world in which alice is connected and asked.
func asking(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, withReplace)
	w.connect("alice")
	return w
}

// replace calls acme_replace as a client of 2026-07-28; state and answer may be "".
func (w *world) replace(token, capabilities, state, answer, arguments string) mcp.CallToolResult {
	w.t.Helper()
	more := `"arguments":` + arguments
	if state != "" {
		more += `,"requestState":"` + state + `"`
	}
	if answer != "" {
		more += `,"inputResponses":` + answer
	}
	return w.modern(token, capabilities, "tools/call", "acme_replace", more).result(w.t)
}

// questioned is a first try of alice's with a form, and the state that it got.
func (w *world) questioned(arguments string) (state string, form mcp.ElicitationParams) {
	w.t.Helper()
	out := w.replace(w.issuer.Token("alice"), withForm, "", "", arguments)
	asked := out.InputRequests[approveID].Elicitation
	if !out.NeedsInput() || asked == nil || len(out.InputRequests) != 1 {
		w.t.Fatalf("%+v", out)
	}
	return out.RequestState, *asked
}

// pages is person's keyring as a browser has it.
func (w *world) pages(person string) store.Keyring {
	w.t.Helper()
	keys, err := w.vault.Keyring(storetest.BrowserCaller(w.t, w.issuer, w.vault, person))
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

// decide is alice's word on the page behind the link in text.
func (w *world) decide(text string, approved bool) {
	w.t.Helper()
	_, rest, _ := strings.Cut(text, w.url+"/approve/")
	ticket, _, _ := strings.Cut(rest, " ")
	if err := w.pages("alice").Decide(w.t.Context(), ticket, approved); err != nil {
		w.t.Fatalf("%v: %s", err, text)
	}
}

// permit has client ask alice as writing says.
func (w *world) permit(client string, writing store.Writing) {
	w.t.Helper()
	err := w.pages("alice").SetPermission(w.t.Context(), client, func(p *store.Permission) { p.Writing = writing })
	if err != nil {
		w.t.Fatal(err)
	}
}

// writes is how many requests changed something at the provider.
func (w *world) writes() int {
	n := 0
	for _, r := range w.provider.requests() {
		if r.Method == http.MethodPost {
			n++
		}
	}
	return n
}

func said(t *testing.T, out mcp.CallToolResult) string {
	t.Helper()
	if len(out.Content) != 1 || !out.IsError {
		t.Fatalf("%+v", out)
	}
	return out.Content[0].(mcp.TextContent).Text
}

func TestAFormShowsWhatWillBeDone(t *testing.T) {
	w := asking(t)
	state, form := w.questioned(`{"tags":["a","b"],"title":"New\n\naccount (yours):\n│ @bob\u202e"}`)
	want := `Replace an item (acme_replace) at Acme, as @alice.
What the tool can do: Replace your items.

title (the new title):
│ New
│ 
│ account (yours):
│ │ @bob⟨U+202E⟩

tags (replace all):
│ • a
│ • b

If you approve, it is done once, exactly so. Otherwise nothing is done.`
	if form.Message != want || form.Mode != mcp.ElicitationModeForm || state == "" {
		t.Errorf("%s: %s", form.Mode, form.Message)
	}
	schema, _ := json.Marshal(form.RequestedSchema)
	if string(schema) != `{"properties":{"approve":{"default":false,"description":"Do exactly this, once","title":"Approve","type":"boolean"}},"required":["approve"],"type":"object"}` {
		t.Errorf("%s", schema)
	}
	if w.writes() != 0 || w.linkCount() != 0 {
		t.Errorf("%d writes, %d links", w.writes(), w.linkCount())
	}
}

func TestAnApprovedFormRunsOnce(t *testing.T) {
	w := asking(t)
	alice := w.issuer.Token("alice")
	state, _ := w.questioned(replaceIt)
	if out := w.replace(alice, withForm, state, yes, `{ "title" : "New" }`); out.IsError || w.writes() != 1 {
		t.Fatalf("%+v, %d writes", out, w.writes())
	}
	if text := said(t, w.replace(alice, withForm, state, yes, replaceIt)); !strings.Contains(text, "was used before") || w.writes() != 1 {
		t.Errorf("twice: %s, %d writes", text, w.writes())
	}
	if approved, spent := w.audited("alice", audit.Approve), w.audited("alice", audit.Spend); len(approved) != 1 || len(spent) != 1 ||
		approved[0].Tool != "acme_replace" || spent[0].Of == "" || spent[0].Arguments != w.audited("alice", audit.Release)[0].Arguments {
		t.Errorf("recorded %+v, %+v", approved, spent)
	}
	if out := w.replace(alice, withForm, "", "", replaceIt); !out.NeedsInput() {
		t.Errorf("the same call again: %+v", out)
	}
}

func TestAFormThatIsNotAYes(t *testing.T) {
	for name, answer := range map[string]string{
		"decline": `{"approve":{"action":"decline"}}`, "cancel": `{"approve":{"action":"cancel"}}`,
		"unticked": `{"approve":{"action":"accept","content":{"approve":false}}}`, "empty": followed,
		"decline with a tick": `{"approve":{"action":"decline","content":{"approve":true}}}`,
		"a word":              `{"approve":{"action":"accept","content":{"approve":"true"}}}`,
		"another field":       `{"approve":{"action":"accept","content":{"Approve":true}}}`,
		"something new":       `{"approve":{"action":"agree","content":{"approve":true}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := asking(t)
			alice := w.issuer.Token("alice")
			state, _ := w.questioned(replaceIt)
			if text := said(t, w.replace(alice, withForm, state, answer, replaceIt)); !strings.Contains(text, "did not approve") {
				t.Errorf("%s", text)
			}
			if text := said(t, w.replace(alice, withForm, state, yes, replaceIt)); !strings.Contains(text, "was used before") {
				t.Errorf("a yes after a no: %s", text)
			}
			if n := len(w.audited("alice", audit.Refuse)); w.writes() != 0 || n != 1 {
				t.Errorf("%d writes, %d refusals recorded", w.writes(), n)
			}
		})
	}
}

// Without an answer the same question is asked, and one answer counts.
func TestAFormWithoutAnAnswerAsksTheSameAgain(t *testing.T) {
	w := asking(t)
	alice := w.issuer.Token("alice")
	first, _ := w.questioned(replaceIt)
	second := w.replace(alice, withForm, first, `{"connect":{"action":"accept"}}`, replaceIt)
	if !second.NeedsInput() || second.RequestState == "" {
		t.Fatalf("%+v", second)
	}
	if out := w.replace(alice, withForm, second.RequestState, yes, replaceIt); out.IsError {
		t.Fatalf("%+v", out)
	}
	if text := said(t, w.replace(alice, withForm, first, yes, replaceIt)); !strings.Contains(text, "was used before") || w.writes() != 1 {
		t.Errorf("%s, %d writes", text, w.writes())
	}
}

func TestAnApprovalIsForOneCall(t *testing.T) {
	w := asking(t)
	w.connect("bob")
	state, _ := w.questioned(replaceIt)
	other := w.issuer.Claims("alice")
	other["client_id"] = "another-client"
	flipped := []byte(state)
	flipped[len(flipped)/2] ^= 1
	connecting := newConnectState(w)
	for name, c := range map[string]struct{ token, state, arguments string }{
		"bob's":           {w.issuer.Token("bob"), state, replaceIt},
		"another client":  {w.issuer.Sign(nil, other), state, replaceIt},
		"other arguments": {w.issuer.Token("alice"), state, `{"title":"Newer"}`},
		"tampered":        {w.issuer.Token("alice"), string(flipped), replaceIt},
		"a connect's":     {w.issuer.Token("alice"), connecting, replaceIt},
	} {
		out := w.replace(c.token, withForm, c.state, yes, c.arguments)
		if name == "a connect's" && out.NeedsInput() { // of this very call, so it asks
			continue
		}
		if text := said(t, out); !strings.Contains(text, "requestState doesn't belong") {
			t.Errorf("%s: %q", name, text)
		}
	}
	text, isError := w.modern(w.issuer.Token("alice"), withForm, "tools/call", "acme_write", retry(state, yes, `{}`)).says(t)
	if !isError || !strings.Contains(text, "requestState doesn't belong") {
		t.Errorf("another tool: %s", text)
	}
	if w.writes() != 0 {
		t.Errorf("%d writes", w.writes())
	}
}

// newConnectState is a state that alice got for connecting, for the same call.
func newConnectState(w *world) string {
	w.t.Helper()
	sealed, err := w.face.sealState(w.face.states, w.callOf("alice", replaceIt), approval{
		state: state{ID: "x", Expires: w.clock.now().Add(time.Hour).Unix()}, Nonce: "n", Account: "id-alice",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return sealed
}

func (w *world) callOf(person, arguments string) *call {
	w.t.Helper()
	c, err := w.face.bind(&request{caller: w.issuer.Caller(person)}, w.face.tools["acme_replace"], "Acme",
		mcp.CallToolParams{RawArguments: []byte(arguments)})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// An approval's state is none for connecting either: its link would be followed.
func TestAnApprovalStateIsNoConnectState(t *testing.T) {
	w := asking(t)
	c := w.callOf("alice", replaceIt)
	c.modern.input.RequestState, _ = w.questioned(replaceIt)
	st, err := w.face.earlier(c)
	if err != nil || st != (state{}) || c.approval.Nonce == "" {
		t.Errorf("%+v, %+v, %v", st, c.approval, err)
	}
	c.approval, c.modern.input.RequestState = approval{}, newConnectState(w)
	if st, err := w.face.earlier(c); err != nil || st.ID != "x" || c.approval != (approval{}) {
		t.Errorf("%+v, %+v, %v", st, c.approval, err)
	}
}

func TestAnOldFormAsksAnew(t *testing.T) {
	w := asking(t)
	state, _ := w.questioned(replaceIt)
	w.clock.forward(stateLife)
	out := w.replace(w.issuer.Token("alice"), withForm, state, yes, replaceIt)
	if !out.NeedsInput() || w.writes() != 0 {
		t.Errorf("%+v", out)
	}
}

func TestFiftyRetriesRunOnce(t *testing.T) {
	for name, run := range map[string]func(w *world) func(){
		"form": func(w *world) func() {
			state, _ := w.questioned(replaceIt)
			return func() { w.replace(w.issuer.Token("alice"), withForm, state, yes, replaceIt) }
		},
		"page": func(w *world) func() {
			w.decide(said(w.t.(*testing.T), w.replace(w.issuer.Token("alice"), `{}`, "", "", replaceIt)), true)
			return func() { w.replace(w.issuer.Token("alice"), `{}`, "", "", replaceIt) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := asking(t)
			retry := run(w)
			var all sync.WaitGroup
			for range 50 {
				all.Go(retry)
			}
			all.Wait()
			if w.writes() != 1 {
				t.Errorf("%d writes", w.writes())
			}
		})
	}
}

// connectAs files another account of alice's, and has it serve her client or not.
func (w *world) connectAs(account string, chosen bool) {
	w.t.Helper()
	c := connectionOf("alice", w.provider.issue("alice"))
	c.Account = store.Account{ID: account, Label: "@" + account}
	keys := w.pages("alice")
	if _, err := keys.Put(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	if chosen {
		if err := keys.Choose(w.t.Context(), "acme", account, ""); err != nil {
			w.t.Fatal(err)
		}
	}
}

// What was approved for one account doesn't run on another, on either channel.
func TestAnApprovalIsForOneAccount(t *testing.T) {
	w := asking(t)
	alice := w.issuer.Token("alice")
	state, _ := w.questioned(replaceIt)
	w.decide(said(t, w.replace(alice, `{}`, "", "", replaceIt)), true)
	w.connectAs("private", true)
	out := w.replace(alice, withForm, state, yes, replaceIt)
	if !out.NeedsInput() || !strings.Contains(out.InputRequests[approveID].Elicitation.Message, "as @private") {
		t.Errorf("form: %+v", out)
	}
	if text := said(t, w.replace(alice, `{}`, "", "", replaceIt)); !strings.Contains(text, "account @private") || !strings.Contains(text, "/approve/") {
		t.Errorf("page: %s", text)
	}
	if w.writes() != 0 {
		t.Errorf("%d writes", w.writes())
	}
}

// The choice changes between the look at the approval and the release: the call keeps
// the account that was approved.
func TestAnApprovedCallKeepsItsAccount(t *testing.T) {
	w := asking(t)
	w.connectAs("private", false)
	c := w.callOf("alice", replaceIt)
	p, err := c.propose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.pages("alice").Choose(t.Context(), "acme", "private", ""); err != nil {
		t.Fatal(err)
	}
	out, err := w.face.perform(t.Context(), c, p.account, state{})
	if err != nil || out.IsError || !strings.Contains(textOf(t, out), `"account":"@alice"`) {
		t.Errorf("%+v, %v", out, err)
	}
}
