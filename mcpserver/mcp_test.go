package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/latchkey-mcp/latchkey/tools"
)

func TestToolsList(t *testing.T) {
	w := newWorld(t, nil)
	r := w.modern(w.token("alice", ScopeRead), "{}", "tools/list", "", "")
	var got struct {
		CacheScope string `json:"cacheScope"`
		Tools      []struct {
			Name, Title, Description  string
			InputSchema, OutputSchema json.RawMessage
			Annotations               map[string]any
		}
	}
	if err := json.Unmarshal(r.rpc.Result, &got); err != nil {
		t.Fatal(err, r.text)
	}
	if got.CacheScope != "private" || len(got.Tools) != 3 || got.Tools[1].Name != "acme_read" {
		t.Fatalf("%s", r.text)
	}
	read := w.face.Modules[0].Tools[0]
	if diff := cmp.Diff(jsonOf(t, read.InputSchema()), jsonOf(t, got.Tools[1].InputSchema)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(jsonOf(t, read.OutputSchema()), jsonOf(t, got.Tools[1].OutputSchema)); diff != "" {
		t.Error(diff)
	}
	want := map[string]any{
		"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": true,
	}
	if diff := cmp.Diff(want, got.Tools[1].Annotations); diff != "" {
		t.Error(diff)
	}
	legacy := w.legacy(w.issuer.Token("bob"), "", mcp.ProtocolVersion20250618, "tools/list", "")
	if !strings.Contains(legacy.text, `"acme_write"`) || strings.Contains(legacy.text, "cacheScope") {
		t.Errorf("legacy: %s", legacy.text)
	}
}

func jsonOf(t *testing.T, raw json.RawMessage) (out any) {
	t.Helper()
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDiscover(t *testing.T) {
	w := newWorld(t, nil)
	r := w.modern(w.issuer.Token("alice"), "{}", "server/discover", "", "")
	var got mcp.DiscoverResult
	if err := json.Unmarshal(r.rpc.Result, &got); err != nil {
		t.Fatal(err, r.text)
	}
	want := []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"}
	if diff := cmp.Diff(want, got.SupportedVersions); diff != "" || got.Instructions != instructions {
		t.Errorf("%s%s", diff, r.text)
	}
	if got.Capabilities.Tasks != nil || got.Capabilities.Resources != nil || got.Capabilities.Prompts != nil || got.Capabilities.Tools == nil {
		t.Errorf("capabilities: %s", r.text)
	}
}

func TestResults(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.provider.answer(nil)
	out := w.modern(w.issuer.Token("alice"), "{}", "tools/call", "acme_read", "").result(t)
	text := out.Content[0].(mcp.TextContent).Text
	if diff := cmp.Diff(jsonOf(t, out.RawStructuredContent), jsonOf(t, json.RawMessage(text))); diff != "" || out.IsError {
		t.Errorf("text and structure differ: %s", diff)
	}
	token := w.issuer.Token("alice")
	cases := map[string]struct {
		fail error
		want string
		log  bool
	}{
		"for the model": {&tools.Error{Message: "No such item. Search first."}, "No such item. Search first.", false},
		"ours":          {errors.New("dial tcp: lookup db.internal: pw hunter2"), "Something went wrong in acme_probe", true},
	}
	for name, c := range cases {
		w.probe = func(context.Context, *http.Client) (string, error) { return "", c.fail }
		text, isError := w.legacy(token, "", "", "tools/call", callParams("acme_probe", "{}")).says(t)
		if !isError || !strings.Contains(text, c.want) || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %q", name, text)
		}
		if strings.Contains(w.log.String(), c.fail.Error()) != c.log {
			t.Errorf("%s: logged wrongly: %s", name, w.log)
		}
	}
	if text, isError := w.legacy(token, "", "", "tools/call", callParams("acme_read", `{"user":"bob"}`)).says(t); !isError || !strings.Contains(text, "user") {
		t.Errorf("an unknown argument: %q", text)
	}
	if r := w.legacy(token, "", "", "tools/call", callParams("acme_nothing", "{}")); r.rpc.Error == nil || r.rpc.Error.Code != mcp.INVALID_PARAMS {
		t.Errorf("an unknown tool: %s", r.text)
	}
}

func TestProviderThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.provider.answer(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	w.probe = func(ctx context.Context, api *http.Client) (string, error) {
		return send(ctx, api, http.MethodPost, "https://api.acme.test/question", `{}`)
	}
	for tool, doubtful := range map[string]bool{"acme_read": false, "acme_write": true, "acme_probe": false} {
		text, isError := w.legacy(w.issuer.Token("alice"), "", "", "tools/call", callParams(tool, `{}`)).says(t)
		if !isError || !strings.Contains(text, "Acme doesn't answer at the moment. Try again") ||
			strings.Contains(text, "check before calling it again") != doubtful || strings.Contains(text, w.provider.url) {
			t.Errorf("%s: %q", tool, text)
		}
	}
}

func TestPanicsStayInside(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	text, isError := w.try(func(context.Context, *http.Client) (string, error) { panic("hunter2") })
	if !isError || strings.Contains(text, "hunter2") || !strings.Contains(w.log.String(), "mcp_test.go") {
		t.Errorf("%q\n%s", text, w.log)
	}
	outside := w.face.recovered(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("hunter2") }))
	rec := httptest.NewRecorder()
	outside.ServeHTTP(rec, nil)
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "hunter2") {
		t.Errorf("%d %s", rec.Code, rec.Body.String())
	}
}

// TestNobodyReadsAnothersNotifications holds what mcp-go would deliver to the
// shared session "": a stream opened by bob carries nothing and ends at once.
func TestNobodyReadsAnothersNotifications(t *testing.T) {
	w := newWorld(t, nil)
	bob := w.issuer.Token("bob")
	r := w.modern(bob, "{}", "subscriptions/listen", "", `"notifications":{"toolsListChanged":true,"resourceSubscriptions":["x://y"]}`)
	if r.status != http.StatusOK || !strings.Contains(r.text, `"resultType":"complete"`) || strings.Contains(r.text, `"toolsListChanged":true`) {
		t.Errorf("%d %s", r.status, r.text)
	}
	for _, session := range []string{"", w.initialize(bob, mcp.ProtocolVersion20251125, "{}")} {
		header := map[string]string{"Accept": "text/event-stream", "Last-Event-ID": "1"}
		if session != "" {
			header[mcp.HeaderSessionID] = session
		}
		if r := w.do(ask{method: "GET", token: bob, header: header}); r.status != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d %s", r.status, r.text)
		}
	}
}

// TestNoStreamBehindTheDoor: were a GET to pass our own 405, mcp-go would attach it
// to the session "" that everybody shares.
func TestNoStreamBehindTheDoor(t *testing.T) {
	w := newWorld(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	rec := httptest.NewRecorder()
	w.face.mcp.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/mcp", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestTasksAreOff(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	token := w.issuer.Token("alice")
	for _, method := range []string{"tasks/list", "tasks/get", "tasks/result", "tasks/cancel", "logging/setLevel", "resources/list", "prompts/list"} {
		if r := w.legacy(token, "", "", method, `{"taskId":"x","level":"debug"}`); r.rpc.Error == nil || r.rpc.Error.Code != mcp.METHOD_NOT_FOUND {
			t.Errorf("%s: %s", method, r.text)
		}
	}
	r := w.legacy(token, "", "", "tools/call", `{"name":"acme_read","arguments":{},"task":{"ttl":60000}}`)
	if text, isError := r.says(t); isError || !strings.Contains(text, "alice") {
		t.Errorf("a call asked for as a task: %s", r.text)
	}
}

// TestErasCanNotBeMixed: the version header decides whether a session id counts,
// so a body of the other era must not be served under it.
func TestErasCanNotBeMixed(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	meta := `"_meta":{"` + mcp.MetaKeyProtocolVersion + `":"2026-07-28","` + mcp.MetaKeyClientCapabilities + `":` + withURL + `}`
	call := rpc + `"tools/call","params":{"name":"acme_read","arguments":{}`
	for name, a := range map[string]ask{
		"modern body, no header":     {body: call + "," + meta + "}}"},
		"modern body, legacy header": {body: call + "," + meta + "}}", header: map[string]string{mcp.HeaderProtocolVersion: "2025-11-25"}},
		"legacy body, modern header": {body: call + "}}", header: map[string]string{mcp.HeaderProtocolVersion: "2026-07-28", mcp.HeaderMethod: "tools/call", mcp.HeaderName: "acme_read"}},
		"other name in the header":   {body: call + "," + meta + "}}", header: map[string]string{mcp.HeaderProtocolVersion: "2026-07-28", mcp.HeaderMethod: "tools/call", mcp.HeaderName: "acme_write"}},
	} {
		a.token = w.issuer.Token("alice")
		if r := w.do(a); r.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	if n := len(w.provider.requests()); n != 0 {
		t.Errorf("%d requests reached the provider", n)
	}
}

// A client of 2026-07-28 picks another revision by the error alone.
func TestUnknownVersionNamesTheOnesWeSpeak(t *testing.T) {
	w := newWorld(t, nil)
	for _, version := range []string{"1900-01-01", "2025-12-31", "2099-01-01"} {
		meta := `{"` + mcp.MetaKeyProtocolVersion + `":"` + version + `","` + mcp.MetaKeyClientCapabilities + `":{}}`
		r := w.do(ask{
			token: w.issuer.Token("alice"), body: rpc + `"server/discover","params":{"_meta":` + meta + `}}`,
			header: map[string]string{mcp.HeaderProtocolVersion: version, mcp.HeaderMethod: "server/discover"},
		})
		want := `"id":1,"error":{"code":-32022`
		data := `"data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"],"requested":"` + version + `"}`
		if r.status != http.StatusBadRequest || !strings.Contains(r.text, want) || !strings.Contains(r.text, data) {
			t.Errorf("%s: %d %s", version, r.status, r.text)
		}
	}
	hello := `{"protocolVersion":"2025-01-01","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`
	if r := w.legacy(w.issuer.Token("alice"), "", "2025-01-01", "initialize", hello); r.status != http.StatusOK || !strings.Contains(r.text, mcp.ProtocolVersion20251125) {
		t.Errorf("initialize didn't negotiate: %d %s", r.status, r.text)
	}
}
