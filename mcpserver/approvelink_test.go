package mcpserver

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

func TestAPlainClientGetsALink(t *testing.T) {
	w := asking(t)
	alice := w.issuer.Token("alice")
	call := func(arguments string) (string, bool) {
		return w.legacy(alice, "", "", "tools/call", callParams("acme_replace", arguments)).says(t)
	}
	first, isError := call(replaceIt)
	for _, part := range []string{w.url + "/approve/", "account @alice", "acme_replace again", "nothing is done yet", "browser"} {
		if !isError || !strings.Contains(first, part) {
			t.Errorf("%q lacks %q", first, part)
		}
	}
	if again, _ := call(`{"title" : "New"}`); again != first {
		t.Errorf("undecided, another link: %s", again)
	}
	w.decide(first, true)
	if text, isError := call(`{"title":"Other"}`); !isError || !strings.Contains(text, "/approve/") || text == first {
		t.Errorf("other arguments: %s", text)
	}
	if text, isError := call(replaceIt); isError || w.writes() != 1 {
		t.Errorf("approved: %s", text)
	}
	second, isError := call(replaceIt)
	if !isError || !strings.Contains(second, "/approve/") || second == first || w.writes() != 1 {
		t.Errorf("a second time: %s", second)
	}
	w.decide(second, false)
	if text, _ := call(replaceIt); !strings.Contains(text, "did not approve") {
		t.Errorf("declined: %s", text)
	}
	if text, _ := call(replaceIt); !strings.Contains(text, "/approve/") || w.writes() != 1 {
		t.Errorf("after that: %s", text)
	}
	if w.linkCount() != 0 {
		t.Errorf("%d connect links", w.linkCount())
	}
}

func TestApprovalChannelByWhatIsDeclared(t *testing.T) {
	w := asking(t)
	alice := w.issuer.Token("alice")
	for capabilities, mode := range map[string]string{
		`{}`: "text", withURL: "url", withForm: "form", withBoth: "form", `{"elicitation":{}}`: "form",
	} {
		out := w.replace(alice, capabilities, "", "", replaceIt)
		asked := out.InputRequests[approveID].Elicitation
		if mode == "text" {
			if !strings.Contains(said(t, out), "/approve/") {
				t.Errorf("%s: %+v", capabilities, out)
			}
		} else if asked == nil || asked.Mode != mode || (mode == "url") != strings.HasPrefix(asked.URL, w.url+"/approve/") || asked.Validate() != nil {
			t.Errorf("%s: %+v", capabilities, out)
		}
	}
	session := w.initialize(alice, mcp.ProtocolVersion20251125, withURL)
	r := w.legacy(alice, session, "", "tools/call", callParams("acme_replace", replaceIt))
	if r.rpc.Error == nil || r.rpc.Error.Code != mcp.URL_ELICITATION_REQUIRED || !strings.Contains(string(r.rpc.Error.Message), "/approve/") {
		t.Errorf("2025-11-25: %s", r.text)
	}
	session = w.initialize(alice, mcp.ProtocolVersion20251125, withForm)
	if text, isError := w.legacy(alice, session, "", "tools/call", callParams("acme_replace", replaceIt)).says(t); !isError || !strings.Contains(text, "/approve/") {
		t.Errorf("2025-11-25 with forms: %s", text)
	}
}

// What doesn't fit into a form isn't cut: the page shows all of it.
func TestALongCallIsApprovedOnThePage(t *testing.T) {
	w := asking(t)
	long := `{"title":"` + strings.Repeat("x", longestForm) + `"}`
	if text := said(t, w.replace(w.issuer.Token("alice"), withForm, "", "", long)); !strings.Contains(text, "/approve/") {
		t.Errorf("%s", text)
	}
	out := w.replace(w.issuer.Token("alice"), withBoth, "", "", long)
	if asked := out.InputRequests[approveID].Elicitation; asked == nil || asked.Mode != "url" {
		t.Errorf("%+v", out)
	}
}

// mcp-go's own client, whose person decides while it waits.
func TestAModernClientWaitsForThePage(t *testing.T) {
	w := asking(t)
	e := &elicitor{then: func(p mcp.ElicitationParams) mcp.ElicitationResponseAction {
		go w.decide(p.URL+" ", true)
		return mcp.ElicitationResponseActionAccept
	}}
	in := mcp.CallToolRequest{}
	in.Params.Name, in.Params.Arguments = "acme_replace", map[string]any{"title": "New"}
	out, err := w.dial("alice", true, e).CallTool(t.Context(), in)
	if err != nil || out.IsError || w.writes() != 1 || len(e.seen) != 1 || e.seen[0].Mode != "url" {
		t.Errorf("%+v, %v, %d writes, asked %+v", out, err, w.writes(), e.seen)
	}
}

func TestAModernClientWaitsNotForEver(t *testing.T) {
	w := asking(t)
	w.face.wait = time.Millisecond
	e := &elicitor{then: func(mcp.ElicitationParams) mcp.ElicitationResponseAction { return "accept" }}
	in := mcp.CallToolRequest{}
	in.Params.Name, in.Params.Arguments = "acme_replace", map[string]any{"title": "New"}
	out, err := w.dial("alice", true, e).CallTool(t.Context(), in)
	if err != nil || !out.IsError || !strings.Contains(textOf(t, out), e.seen[0].URL) || len(e.seen) != 1 || w.writes() != 0 {
		t.Errorf("%+v, %v, %d writes, asked %+v", out, err, w.writes(), e.seen)
	}
	e.then = func(mcp.ElicitationParams) mcp.ElicitationResponseAction { return "decline" }
	out, err = w.dial("alice", true, e).CallTool(t.Context(), in)
	if err != nil || !out.IsError || !strings.Contains(textOf(t, out), "did not approve") || w.writes() != 0 {
		t.Errorf("declined: %+v, %v", out, err)
	}
}

// mcp-go's own client, with a form.
func TestAModernClientFillsInTheForm(t *testing.T) {
	w := asking(t)
	e := &elicitor{
		then:    func(mcp.ElicitationParams) mcp.ElicitationResponseAction { return "accept" },
		content: map[string]any{"approve": true},
	}
	in := mcp.CallToolRequest{}
	in.Params.Name, in.Params.Arguments = "acme_replace", map[string]any{"title": "New"}
	out, err := w.dial("alice", false, e).CallTool(t.Context(), in)
	if err != nil || out.IsError || w.writes() != 1 || len(e.seen) != 1 || e.seen[0].Mode != "form" {
		t.Errorf("%+v, %v, %d writes, asked %+v", out, err, w.writes(), e.seen)
	}
}

func TestPermissionsDecideWhoIsAsked(t *testing.T) {
	w := asking(t)
	alice := w.issuer.Token("alice")
	other := w.issuer.Claims("alice")
	other["client_id"] = "another-client"
	asks := func(token, tool, arguments string) bool {
		text, isError := w.legacy(token, "", "", "tools/call", callParams(tool, arguments)).says(t)
		if isError && !strings.Contains(text, "/approve/") {
			t.Fatal(text)
		}
		return isError
	}
	check := func(when, token string, write, replace bool) {
		t.Helper()
		if asks(token, "acme_read", "{}") || asks(token, "acme_write", "{}") != write || asks(token, "acme_replace", replaceIt) != replace {
			t.Errorf("%s: not as chosen", when)
		}
	}
	check("by default", alice, false, true)
	w.permit("test-client", store.AskToWrite)
	check("ask", alice, true, true)
	w.permit("test-client", store.NeverAsk)
	check("allow", alice, false, false)
	check("another client", w.issuer.Sign(nil, other), false, true)
	w.permit("test-client", store.AskToDestroy)
	check("destructive", alice, false, true)
	if _, err := w.pages("alice").Forget(t.Context(), func(context.Context) ([]store.Connection, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	w.connect("alice")
	check("forgotten", alice, false, true)
}

// Who isn't connected connects first: an approval names the account.
func TestConnectFirstThenApprove(t *testing.T) {
	w := newWorld(t, withReplace)
	alice := w.issuer.Token("alice")
	out := w.replace(alice, withBoth, "", "", replaceIt)
	if asked := out.InputRequests[inputID].Elicitation; asked == nil || asked.Mode != "url" || len(out.InputRequests) != 1 {
		t.Fatalf("%+v", out)
	}
	if n := len(w.audited("alice", audit.Refuse)); n != 1 {
		t.Errorf("%d refusals recorded", n)
	}
	go w.connectLater(w.issuer.Caller("alice"), "alice")
	out = w.replace(alice, withBoth, out.RequestState, accepted, replaceIt)
	if asked := out.InputRequests[approveID].Elicitation; asked == nil || !strings.Contains(asked.Message, "as @alice") || w.writes() != 0 {
		t.Fatalf("connected: %+v, %d writes", out, w.writes())
	}
	if out = w.replace(alice, withBoth, out.RequestState, yes, replaceIt); out.IsError || w.writes() != 1 {
		t.Errorf("approved: %+v, %d writes", out, w.writes())
	}
}

// Nobody is asked about a call that can't be made.
func TestWrongArgumentsAreNotAskedAbout(t *testing.T) {
	w := asking(t)
	for _, arguments := range []string{`{}`, `{"title":1}`, `{"title":"x","more":1}`, `{"title":"x","title":"y"}`} {
		if text := said(t, w.replace(w.issuer.Token("alice"), withForm, "", "", arguments)); !strings.Contains(text, "arguments are refused") {
			t.Errorf("%s: %s", arguments, text)
		}
	}
}

// A link that can not be made is an error of ours, and nothing is done.
func TestAnApprovalLinkThatCanNotBeMade(t *testing.T) {
	w := asking(t)
	w.face.ApproveLink = func(context.Context, identity.Caller, store.Deed) (string, error) { return "", context.Canceled }
	if text := said(t, w.replace(w.issuer.Token("alice"), `{}`, "", "", replaceIt)); strings.Contains(text, "/approve/") || w.writes() != 0 {
		t.Errorf("%s", text)
	}
}

// A call whose idempotency_key was used does nothing, so nobody is asked about it.
func TestARepeatedKeyIsNotAskedAbout(t *testing.T) {
	w := newMaker(t)
	w.makes(`{"title":"z"}`, `{"number":1}`, 1) // by which the client is known
	w.permit("test-client", store.AskToWrite)
	text, _ := w.call(w.issuer.Token("alice"), "note_make", one)
	if !strings.Contains(text, "/approve/") {
		t.Fatal(text)
	}
	w.makes(one, "/approve/", 0)
	w.decide(text, true)
	w.makes(one, `{"number":2}`, 1)
	w.makes(one, `{"number":2}`, 0)
	w.makes(`{"title":"b","idempotency_key":"k1"}`, "with other arguments", 0)
	w.makes(`{"title":"a","idempotency_key":"k2"}`, "/approve/", 0)
}

// Questions are kept, so there is a limit to how many and how large.
func TestQuestionsAreLimited(t *testing.T) {
	w := asking(t)
	w.connect("bob")
	alice := w.issuer.Token("alice")
	large := `{"title":"` + strings.Repeat("x", largestAsked) + `"}`
	if text := said(t, w.replace(alice, `{}`, "", "", large)); !strings.Contains(text, "too large") {
		t.Errorf("%.200s", text)
	}
	later := w.clock.now().Add(time.Hour) // so that none comes back while the test runs
	n := 0
	for ; w.face.calls.allowQuestion(w.issuer.Caller("alice").Principal().Digest(), later); n++ {
	}
	for _, capabilities := range []string{`{}`, withForm, withURL} {
		if text := said(t, w.replace(alice, capabilities, "", "", replaceIt)); n != askBurst || !strings.Contains(text, "asked too often") {
			t.Errorf("after %d questions: %s", n, text)
		}
	}
	if text := said(t, w.replace(w.issuer.Token("bob"), `{}`, "", "", replaceIt)); !strings.Contains(text, "/approve/") {
		t.Errorf("bob: %s", text)
	}
	w.clock.forward(time.Hour + askEvery)
	if text := said(t, w.replace(w.issuer.Token("alice"), `{}`, "", "", replaceIt)); !strings.Contains(text, "/approve/") {
		t.Errorf("later: %s", text)
	}
}
