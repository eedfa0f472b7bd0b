package mcpserver

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/latchkey-mcp/latchkey/tools"
)

// longWay is a Content-Type that direct leaves to mcp-go's HTTP layer.
const longWay = "application/json; charset=utf-8"

// bothWays sends the request past mcp-go's HTTP layer and through it, and reports
// where the answers differ.
func bothWays(t *testing.T, w *world, a ask) reply {
	t.Helper()
	header := a.header
	short := w.do(a)
	a.header = map[string]string{"Content-Type": longWay}
	for name, value := range header {
		a.header[name] = value
	}
	long := w.do(a)
	type answer struct {
		Status             int
		Type, Cache, Asked string
		Text               string
	}
	of := func(r reply) answer {
		return answer{r.status, r.header.Get("Content-Type"), r.header.Get("Cache-Control"), r.header.Get("WWW-Authenticate"), strings.TrimSpace(r.text)}
	}
	if diff := cmp.Diff(of(long), of(short)); diff != "" {
		t.Errorf("%v %s: the long way (-) and the short (+) differ: %s", header, a.body, diff)
	}
	return short
}

// What a call is answered doesn't depend on its way, whatever is wrong with it.
func TestDirectAnswersAlike(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.provider.answer(nil)
	w.probe = func(context.Context, *http.Client) (string, error) {
		return "", &tools.Error{Message: "No such <item> & no other."}
	}
	meta := `"_meta":{"` + mcp.MetaKeyProtocolVersion + `":"2026-07-28","` + mcp.MetaKeyClientCapabilities + `":{}}`
	bodies := []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"acme_read","arguments":{},META}}`,
		`{"jsonrpc":"2.0","id":"a<b","method":"tools/call","params":{"name":"acme_read",META}}`,
		`{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"acme_probe","arguments":{},META}}`,
		`{"jsonrpc":"2.0","id":-1,"method":"tools/call","params":{"name":"acme_write","arguments":{},META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"acme_read","arguments":{"user":"bob"},META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"acme_nothing",META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"acme_read","arguments":1,META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":1,META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`,
		`{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"acme_read",META}}`,
		`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"acme_read",META}}`,
		`{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"acme_read",META}}`,
		`{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{"name":"acme_read",META}}`,
		`{"jsonrpc":"2.0","id":true,"method":"tools/call","params":{"name":"acme_read",META}}`,
		`{"jsonrpc":"2.0","id":1,"result":{},"method":"tools/call","params":{"name":"acme_read",META}}`,
		`{"jsonrpc":"2.0","id":1,"error":{},"method":"tools/call","params":{"name":"acme_read",META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"ping","params":{META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"acme_read",META},"params":{}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"acme_read"},"params":{META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"acme_read",META,"_meta":{}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","PARAMS":{"name":"acme_read",META}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"acme_write",META,"name":"acme_read"}}`,
		`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"acme_read",META}}]`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"acme_read",META}} x`,
		`{`, ``,
	}
	metas := []string{
		meta, `"_meta":{}`, `"_meta":null`, `"_meta":1`,
		strings.ReplaceAll(meta, "2026-07-28", "2025-11-25"), strings.ReplaceAll(meta, "2026-07-28", "2027-01-01"),
		strings.ReplaceAll(meta, "io.modelcontextprotocol", "IO.modelcontextprotocol"),
		`"_meta":{"` + mcp.MetaKeyProtocolVersion + `":"2026-07-28"}`,
	}
	headers := []map[string]string{
		{}, {mcp.HeaderProtocolVersion: "2025-11-25"}, {mcp.HeaderProtocolVersion: "2024-01-01"},
		{mcp.HeaderProtocolVersion: "2026-07-28"},
		{mcp.HeaderProtocolVersion: "2026-07-28", mcp.HeaderMethod: "tools/call", mcp.HeaderName: "acme_read"},
		{mcp.HeaderProtocolVersion: "2026-07-28", mcp.HeaderMethod: "tools/call", mcp.HeaderName: "acme_nothing"},
		{mcp.HeaderProtocolVersion: "2026-07-28", mcp.HeaderMethod: "tools/call", mcp.HeaderName: "=?base64?YWNtZV9yZWFk?="},
		{mcp.HeaderProtocolVersion: "2026-07-28", mcp.HeaderMethod: "ping", mcp.HeaderName: "acme_read"},
		{mcp.HeaderProtocolVersion: "2026-07-28", mcp.HeaderMethod: "tools/call", mcp.HeaderName: "acme_read", mcp.HeaderLastEventID: "1"},
		{mcp.HeaderProtocolVersion: "2027-01-01", mcp.HeaderMethod: "tools/call", mcp.HeaderName: "acme_read"},
	}
	token, answered, direct := w.issuer.Token("alice"), 0, 0
	for _, body := range bodies {
		for _, meta := range metas {
			for _, header := range headers {
				w.face.calls.mu.Lock()
				clear(w.face.calls.of) // who asks so much is limited
				w.face.calls.mu.Unlock()
				text, sent := strings.ReplaceAll(body, "META", meta), http.Header{"Content-Type": {"application/json"}}
				for name, value := range header {
					sent.Set(name, value)
				}
				if _, ok := plainCall(sent, []byte(text)); ok {
					direct++
				}
				r := bothWays(t, w, ask{token: token, header: header, body: text})
				if len(r.rpc.Result) > 0 {
					answered++
				}
			}
		}
	}
	for _, method := range []string{"initialize", "subscriptions/listen", "tools/list", "notifications/cancelled"} {
		if _, ok := plainCall(http.Header{"Content-Type": {"application/json"}}, []byte(rpc+`"`+method+`"}`)); ok {
			t.Errorf("%s is direct", method)
		}
	}
	if answered < 100 || direct < 100 {
		t.Errorf("only %d requests came to a result, and only %d are direct", answered, direct)
	}
}

// A token without the scope is refused on both ways, with the same challenge.
func TestDirectKeepsTheChallenge(t *testing.T) {
	w := newWorld(t, nil)
	body := rpc + `"tools/call","params":` + callParams("acme_write", "{}") + `}`
	if r := bothWays(t, w, ask{token: w.token("alice", ScopeRead), body: body}); r.status != http.StatusForbidden {
		t.Errorf("%d %s", r.status, r.text)
	}
}

// fast has the JSON of the type that it stands for.
func TestFastResult(t *testing.T) {
	asked := mcpgo.NewInputRequestBuilder("sealed").Elicit(inputID, mcp.ElicitationParams{Message: "m"}).ToolResult()
	marked := succeeded("{}")
	marked.Meta, marked.ResultType = &mcp.Meta{AdditionalFields: map[string]any{"k": 1}}, mcp.ResultTypeComplete
	cases := []*mcp.CallToolResult{{}, failed("no <such> thing"), succeeded(`{"a":[1,"<&>"]}`), asked, marked}
	for i, c := range cases {
		want, err := json.Marshal(c)
		got, wrong := json.Marshal(fast(c))
		if diff := cmp.Diff(string(want), string(got)); diff != "" || err != nil || wrong != nil {
			t.Errorf("%d: %s %v %v", i, diff, err, wrong)
		}
	}
}
