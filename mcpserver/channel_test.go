package mcpserver

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// elicitor answers elicitations like a person with a browser.
type elicitor struct {
	seen    []mcp.ElicitationParams
	then    func(mcp.ElicitationParams) mcp.ElicitationResponseAction
	content any // of a form
}

func (e *elicitor) Elicit(_ context.Context, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	e.seen = append(e.seen, r.Params)
	return &mcp.ElicitationResult{ElicitationResponse: mcp.ElicitationResponse{Action: e.then(r.Params), Content: e.content}}, nil
}

// dial is mcp-go's own client, speaking for person. url says whether it declares
// elicitation.url.
func (w *world) dial(person string, url bool, e *elicitor, options ...client.ClientOption) *client.Client {
	w.t.Helper()
	wire, err := transport.NewStreamableHTTP(w.url+"/mcp", transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + w.issuer.Token(person)}))
	if err != nil {
		w.t.Fatal(err)
	}
	if e != nil {
		capability := &mcp.ElicitationCapability{}
		if url {
			capability.URL = &struct{}{}
		}
		options = append(options, client.WithElicitationHandler(e),
			client.WithClientCapabilities(mcp.ClientCapabilities{Elicitation: capability}))
	}
	c := client.NewClient(wire, options...)
	w.t.Cleanup(func() { c.Close() })
	if err := c.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	hello := mcp.InitializeRequest{}
	hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	hello.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	if e != nil {
		hello.Params.Capabilities.Elicitation = &mcp.ElicitationCapability{}
		if url {
			hello.Params.Capabilities.Elicitation.URL = &struct{}{}
		}
	}
	if _, err := c.Initialize(w.t.Context(), hello); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func readCall() mcp.CallToolRequest {
	r := mcp.CallToolRequest{}
	r.Params.Name, r.Params.Arguments = "acme_read", map[string]any{"query": "x"}
	return r
}

func textOf(t *testing.T, r *mcp.CallToolResult) string {
	t.Helper()
	if len(r.Content) != 1 {
		t.Fatalf("%+v", r)
	}
	return r.Content[0].(mcp.TextContent).Text
}

func TestModernClientConnectsInTheMiddle(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.issuer.Caller("alice")
	e := &elicitor{then: func(mcp.ElicitationParams) mcp.ElicitationResponseAction {
		go w.connectLater(alice, "alice") // the browser is slower than the client's retry
		return mcp.ElicitationResponseActionAccept
	}}
	c := w.dial("alice", true, e)
	if c.ProtocolVersion() != mcp.ProtocolVersion20260728 {
		t.Fatalf("the client speaks %s", c.ProtocolVersion())
	}
	out, err := c.CallTool(t.Context(), readCall())
	if err != nil || out.IsError || !strings.Contains(textOf(t, out), "alice") {
		t.Fatalf("%+v, %v", out, err)
	}
	if len(e.seen) != 1 || e.seen[0].Mode != "url" || e.seen[0].URL != w.url+"/connect/alice-1" ||
		e.seen[0].ElicitationID == "" || !strings.Contains(e.seen[0].Message, "Acme") {
		t.Errorf("asked %+v", e.seen)
	}
	if w.linkCount() != 1 || w.links[0].Provider != "acme" || strings.Join(w.links[0].Scopes, " ") != "read" {
		t.Errorf("links for %+v", w.links)
	}
}

func TestModernClientWaitsAtMostThrice(t *testing.T) {
	w := newWorld(t, nil)
	w.face.wait = 20 * time.Millisecond
	e := &elicitor{then: func(mcp.ElicitationParams) mcp.ElicitationResponseAction { return mcp.ElicitationResponseActionAccept }}
	began := time.Now()
	out, err := w.dial("alice", true, e).CallTool(t.Context(), readCall())
	if err != nil || !out.IsError || !strings.Contains(textOf(t, out), w.url+"/connect/alice-1") {
		t.Fatalf("%+v, %v", out, err)
	}
	if len(e.seen) != 1 || w.linkCount() != 1 {
		t.Errorf("%d prompts, %d links", len(e.seen), w.linkCount())
	}
	if waited := time.Since(began); waited < 3*w.face.wait {
		t.Errorf("only %s: the retries weren't slowed", waited)
	}
}

func TestModernClientDeclines(t *testing.T) {
	for _, action := range []mcp.ElicitationResponseAction{"decline", "cancel", "something new"} {
		w := newWorld(t, nil)
		e := &elicitor{then: func(mcp.ElicitationParams) mcp.ElicitationResponseAction { return action }}
		began := time.Now()
		out, err := w.dial("alice", true, e).CallTool(t.Context(), readCall())
		if err != nil || !out.IsError || !strings.Contains(textOf(t, out), w.url+"/connect/alice-1") {
			t.Fatalf("%s: %+v, %v", action, out, err)
		}
		if len(e.seen) != 1 || w.linkCount() != 1 || time.Since(began) > connectWait/2 {
			t.Errorf("%s: %d prompts, %d links, %s", action, len(e.seen), w.linkCount(), time.Since(began))
		}
	}
}

func TestModernClientWithFormsOnlyGetsText(t *testing.T) {
	w := newWorld(t, nil)
	e := &elicitor{then: func(mcp.ElicitationParams) mcp.ElicitationResponseAction { return "accept" }}
	out, err := w.dial("alice", false, e).CallTool(t.Context(), readCall())
	if err != nil || !out.IsError || !strings.Contains(textOf(t, out), w.url+"/connect/alice-1") || len(e.seen) != 0 {
		t.Errorf("%+v, %v, %d prompts", out, err, len(e.seen))
	}
}

func TestLegacyClientWithURLElicitation(t *testing.T) {
	w := newWorld(t, nil)
	e := &elicitor{}
	c := w.dial("alice", true, e, client.WithProtocolVersion(mcp.ProtocolVersion20251125))
	_, err := c.CallTool(t.Context(), readCall())
	var required mcp.URLElicitationRequiredError
	if !errors.As(err, &required) || len(required.Elicitations) != 1 {
		t.Fatalf("%v", err)
	}
	got := required.Elicitations[0]
	if got.Mode != "url" || got.URL != w.url+"/connect/alice-1" || got.ElicitationID == "" || got.Validate() != nil {
		t.Errorf("%+v", got)
	}
	// The message alone has the link too, for clients that show nothing else.
	alice := w.issuer.Token("alice")
	session := w.initialize(alice, mcp.ProtocolVersion20251125, withURL)
	raw := w.legacy(alice, session, "", "tools/call", callParams("acme_read", "{}"))
	if message, _, _ := strings.Cut(raw.text, `"data"`); !strings.Contains(message, "-32042") || !strings.Contains(message, w.url+"/connect/") {
		t.Errorf("the error's message: %s", raw.text)
	}
	w.connect("alice")
	out, err := c.CallTool(t.Context(), readCall())
	if err != nil || out.IsError || !strings.Contains(textOf(t, out), "alice") {
		t.Errorf("after connecting: %+v, %v", out, err)
	}
}

func TestLegacyClientWithoutElicitationGetsText(t *testing.T) {
	w := newWorld(t, nil)
	out, err := w.dial("alice", false, nil, client.WithProtocolVersion(mcp.ProtocolVersion20251125)).CallTool(t.Context(), readCall())
	if err != nil || !out.IsError {
		t.Fatalf("%+v, %v", out, err)
	}
	text := textOf(t, out)
	for _, part := range []string{w.url + "/connect/alice-1", "Acme", "not connected yet", "browser", "acme_read again"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q lacks %q", text, part)
		}
	}
}

func TestLegacyChannelByWhatTheSessionSays(t *testing.T) {
	w := newWorld(t, nil)
	token := w.issuer.Token("alice")
	cases := map[string]struct {
		session string
		code    int
	}{
		"url, 2025-11-25":        {w.initialize(token, mcp.ProtocolVersion20251125, withURL), mcp.URL_ELICITATION_REQUIRED},
		"form, 2025-11-25":       {w.initialize(token, mcp.ProtocolVersion20251125, `{"elicitation":{"form":{}}}`), 0},
		"empty, 2025-11-25":      {w.initialize(token, mcp.ProtocolVersion20251125, `{"elicitation":{}}`), 0},
		"url, before it existed": {w.initialize(token, mcp.ProtocolVersion20250618, withURL), 0},
		"url, 2025-03-26":        {w.initialize(token, mcp.ProtocolVersion20250326, withURL), 0},
		"no session":             {"", 0},
	}
	for name, c := range cases {
		r := w.legacy(token, c.session, "", "tools/call", callParams("acme_read", "{}"))
		if c.code != 0 {
			if r.status != 200 || r.rpc.Error == nil || r.rpc.Error.Code != c.code {
				t.Errorf("%s: %d %s", name, r.status, r.text)
			}
			continue
		}
		if text, isError := r.says(t); !isError || !strings.Contains(text, "/connect/alice-") || r.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %s", name, r.text)
		}
	}
}

// asked is a first try of alice's, and the state that it got.
func asked(w *world, capabilities, more string) string {
	w.t.Helper()
	out := w.modern(w.issuer.Token("alice"), capabilities, "tools/call", "acme_read", more).result(w.t)
	if !out.NeedsInput() || out.RequestState == "" || len(out.InputRequests) != 1 {
		w.t.Fatalf("%+v", out)
	}
	return out.RequestState
}

func retry(state, answer, arguments string) string {
	return `"requestState":"` + state + `","inputResponses":` + answer + `,"arguments":` + arguments
}

const accepted = `{"connect":{"action":"accept"}}`

func TestStateIsForOneCallOfOnePerson(t *testing.T) {
	w := newWorld(t, nil)
	w.face.wait = time.Millisecond
	const arguments = `{"query":"x"}`
	state := asked(w, withURL, `"arguments":{ "query" : "x" }`)
	other := w.issuer.Claims("alice")
	other["client_id"] = "another-client"
	flipped := []byte(state)
	flipped[len(flipped)/2] ^= 1
	cases := map[string]struct {
		token, tool, state, arguments string
	}{
		"bob's":           {w.issuer.Token("bob"), "acme_read", state, arguments},
		"another client":  {w.issuer.Sign(nil, other), "acme_read", state, arguments},
		"another tool":    {w.issuer.Token("alice"), "acme_write", state, arguments},
		"other arguments": {w.issuer.Token("alice"), "acme_read", state, `{"query":"y"}`},
		"tampered":        {w.issuer.Token("alice"), "acme_read", string(flipped), arguments},
		"invented":        {w.issuer.Token("alice"), "acme_read", "eyJsIjoiIn0", arguments},
		"not base64":      {w.issuer.Token("alice"), "acme_read", "!", arguments},
	}
	for name, c := range cases {
		text, isError := w.modern(c.token, withURL, "tools/call", c.tool, retry(c.state, accepted, c.arguments)).says(t)
		if !isError || !strings.Contains(text, "requestState doesn't belong") || strings.Contains(text, "/connect/") {
			t.Errorf("%s: %q", name, text)
		}
	}
	if n := w.linkCount(); n != 1 {
		t.Errorf("%d links were made", n)
	}
	out := w.modern(w.issuer.Token("alice"), withURL, "tools/call", "acme_read", retry(state, accepted, arguments)).result(t)
	if !out.NeedsInput() || len(out.InputRequests) != 0 || out.RequestState == "" || out.RequestState == state {
		t.Errorf("her own, white space aside: %+v", out)
	}
}

// A grant that is there by now doesn't make up for another's state, or for a no.
func TestEarlierTryIsJudgedBeforeTheGrant(t *testing.T) {
	w := newWorld(t, nil)
	state := asked(w, withURL, `"arguments":{}`)
	w.connect("alice")
	const declined = `{"connect":{"action":"decline"}}`
	try := func(state, answer string) (string, bool) {
		return w.modern(w.issuer.Token("alice"), withURL, "tools/call", "acme_read", retry(state, answer, `{}`)).says(t)
	}
	if text, isError := try("eyJsIjoiIn0", accepted); !isError || !strings.Contains(text, "requestState doesn't belong") {
		t.Errorf("an invented state: %s", text)
	}
	if text, isError := try(state, declined); !isError || !strings.Contains(text, "did nothing") || !strings.Contains(text, "/connect/alice-1") {
		t.Errorf("declined: %s", text)
	}
	w.clock.forward(stateLife)
	if text, isError := try(state, declined); !isError || !strings.Contains(text, "call it again") || strings.Contains(text, "/connect/") {
		t.Errorf("declined late: %s", text)
	}
	if n := len(w.provider.requests()); n != 0 {
		t.Errorf("%d requests reached the provider", n)
	}
	if text, isError := try(state, accepted); isError || !strings.Contains(text, "alice") {
		t.Errorf("accepted late: %s", text)
	}
}

// Before 2026-07-28 the members of that era mean nothing.
func TestLegacyCallCarriesNoState(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	params := `{"name":"acme_read",` + retry("invented", `{"connect":{"action":"decline"}}`, `{}`) + `}`
	if text, isError := w.legacy(w.issuer.Token("alice"), "", "", "tools/call", params).says(t); isError || !strings.Contains(text, "alice") {
		t.Errorf("%s", text)
	}
}

func TestStateWithoutAnAnswerAsksTheSameAgain(t *testing.T) {
	w := newWorld(t, nil)
	state := asked(w, withURL, `"arguments":{}`)
	out := w.modern(w.issuer.Token("alice"), withURL, "tools/call", "acme_read", retry(state, `{}`, `{}`)).result(t)
	again := out.InputRequests[inputID]
	if again.Elicitation == nil || again.Elicitation.URL != w.url+"/connect/alice-1" || w.linkCount() != 1 {
		t.Errorf("%+v, %d links", out, w.linkCount())
	}
}

func TestOldStateAsksAnew(t *testing.T) {
	w := newWorld(t, nil)
	state := asked(w, withURL, `"arguments":{}`)
	w.clock.forward(stateLife)
	out := w.modern(w.issuer.Token("alice"), withURL, "tools/call", "acme_read", retry(state, accepted, `{}`)).result(t)
	if !out.NeedsInput() || out.InputRequests[inputID].Elicitation.URL != w.url+"/connect/alice-2" {
		t.Errorf("%+v", out)
	}
}

func TestRetryWaitsForTheGrant(t *testing.T) {
	w := newWorld(t, nil)
	state := asked(w, withURL, `"arguments":{}`)
	done := make(chan reply, 1)
	token := w.issuer.Token("alice")
	go func() {
		done <- w.modern(token, withURL, "tools/call", "acme_read", retry(state, accepted, `{}`))
	}()
	select {
	case r := <-done:
		t.Fatalf("it didn't wait: %s", r.text)
	case <-time.After(100 * time.Millisecond):
	}
	w.connect("alice")
	if text, isError := (<-done).says(t); isError || !strings.Contains(text, "alice") {
		t.Errorf("%s", text)
	}
}

func TestMissingScopeNeedsConnect(t *testing.T) {
	w := newWorld(t, nil)
	keys, err := w.vault.Keyring(w.issuer.Caller("alice"))
	if err != nil {
		t.Fatal(err)
	}
	token := w.provider.issue("alice")
	token.Scopes = []string{"profile"}
	if _, err := keys.Put(t.Context(), connectionOf("alice", token)); err != nil {
		t.Fatal(err)
	}
	text, isError := w.legacy(w.issuer.Token("alice"), "", "", "tools/call", callParams("acme_read", "{}")).says(t)
	if !isError || !strings.Contains(text, "missing: read") || !strings.Contains(text, "/connect/") || len(w.provider.requests()) != 0 {
		t.Errorf("%s", text)
	}
}

func TestGrantThatDiesInTheMiddle(t *testing.T) {
	bodies := map[string]string{"GET": "", "POST": "{}"}
	for first, asksAgain := range map[string]bool{"GET": true, "POST": false} {
		t.Run("after "+first, func(t *testing.T) {
			w := newWorld(t, nil)
			w.connect("alice")
			w.probe = func(ctx context.Context, api *http.Client) (string, error) {
				if _, err := send(ctx, api, first, "https://api.acme.test/items", bodies[first]); err != nil {
					return "", err
				}
				w.provider.revoke()
				_, err := send(ctx, api, "GET", "https://api.acme.test/items", "")
				return "", errors.New("a library's own words for: " + err.Error())
			}
			out := w.modern(w.issuer.Token("alice"), withURL, "tools/call", "acme_probe", "").result(t)
			if out.NeedsInput() != asksAgain {
				t.Fatalf("%+v", out)
			}
			if !asksAgain && (!strings.Contains(textOf(t, &out), "/connect/alice-1") || !strings.Contains(textOf(t, &out), "check before calling it again")) {
				t.Errorf("a write would be repeated: %+v", out)
			}
			if n := len(w.audited("alice", audit.Refuse)); n != 1 {
				t.Errorf("%d refusals recorded", n)
			}
		})
	}
}

func TestProviderThatCanNotRenew(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.provider.expire()
	w.provider.mu.Lock()
	w.provider.down = true
	w.provider.mu.Unlock()
	text, isError := w.legacy(w.issuer.Token("alice"), "", "", "tools/call", callParams("acme_read", "{}")).says(t)
	if !isError || !strings.Contains(text, "Acme can't be reached") || w.linkCount() != 0 {
		t.Errorf("%s", text)
	}
}

func TestLinkThatCanNotBeMade(t *testing.T) {
	w := newWorld(t, nil)
	w.face.ConnectLink = func(context.Context, identity.Caller, store.Need) (string, error) {
		return "", errors.New("disk full: hunter2")
	}
	text, isError := w.legacy(w.issuer.Token("alice"), "", "", "tools/call", callParams("acme_read", "{}")).says(t)
	if !isError || strings.Contains(text, "hunter2") || !strings.Contains(w.log.String(), "hunter2") {
		t.Errorf("%s", text)
	}
}

// Clients come back at once after an accepted elicitation, and give up on requests
// that take much longer: the pause is there, and is not above 30 s.
func TestWaitForAConnectIsBounded(t *testing.T) {
	s, err := newServer(newWorld(t, nil).face.Config)
	if err != nil || s.wait < time.Second || s.wait > 30*time.Second {
		t.Errorf("a retry waits for %v (%v)", s.wait, err)
	}
}
