package mcpserver

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// A reply is what came over the wire.
type reply struct {
	status int
	header http.Header
	text   string
	rpc    struct {
		Result json.RawMessage          `json:"result"`
		Error  *mcp.JSONRPCErrorDetails `json:"error"`
	}
}

// result is the reply's tool result.
func (r reply) result(t testing.TB) mcp.CallToolResult {
	t.Helper()
	var out mcp.CallToolResult
	if r.status != http.StatusOK || r.rpc.Result == nil {
		t.Fatalf("no result: %d %s", r.status, r.text)
	}
	if err := json.Unmarshal(r.rpc.Result, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// says is the text of the reply's tool result, and whether it is an error.
func (r reply) says(t testing.TB) (string, bool) {
	t.Helper()
	out := r.result(t)
	if len(out.Content) == 0 {
		return "", out.IsError
	}
	return out.Content[0].(mcp.TextContent).Text, out.IsError
}

// An ask is one HTTP request of a client.
type ask struct {
	method string // "" means POST
	path   string // "" means /mcp
	token  string
	header map[string]string
	body   string
}

func (w *world) do(a ask) reply {
	w.t.Helper()
	method, path := a.method, a.path
	if method == "" {
		method = http.MethodPost
	}
	if path == "" {
		path = "/mcp"
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(a.body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	for name, value := range a.header {
		req.Header.Set(name, value)
	}
	if host := a.header["Host"]; host != "" {
		req.Host = host
	}
	return w.send(req)
}

func (w *world) send(req *http.Request) reply {
	w.t.Helper()
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req) // a stream left open is a failure
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	r := reply{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &r.rpc)
	return r
}

const rpc = `{"jsonrpc":"2.0","id":1,"method":`

// legacy is a request of the handshake era. params is JSON or "".
func (w *world) legacy(token, session, version, method, params string) reply {
	w.t.Helper()
	header := map[string]string{}
	if session != "" {
		header[mcp.HeaderSessionID] = session
	}
	if version != "" {
		header[mcp.HeaderProtocolVersion] = version
	}
	if params == "" {
		params = "{}"
	}
	return w.do(ask{token: token, header: header, body: rpc + `"` + method + `","params":` + params + `}`})
}

// initialize begins a session and returns its id.
func (w *world) initialize(token, version, capabilities string) string {
	w.t.Helper()
	r := w.legacy(token, "", "", "initialize", `{"protocolVersion":"`+version+`","capabilities":`+capabilities+`,"clientInfo":{"name":"t","version":"1"}}`)
	if r.status != http.StatusOK || r.header.Get(mcp.HeaderSessionID) == "" {
		w.t.Fatalf("initialize: %d %s", r.status, r.text)
	}
	return r.header.Get(mcp.HeaderSessionID)
}

func callParams(tool, arguments string) string {
	return `{"name":"` + tool + `","arguments":` + arguments + `}`
}

// modern is a request of 2026-07-28; more are further members of params.
func (w *world) modern(token, capabilities, method, name, more string) reply {
	w.t.Helper()
	header := map[string]string{mcp.HeaderProtocolVersion: mcp.ProtocolVersion20260728, mcp.HeaderMethod: method}
	if name != "" {
		header[mcp.HeaderName] = name
		more = `"name":"` + name + `",` + more
	}
	meta := `"_meta":{"` + mcp.MetaKeyProtocolVersion + `":"` + mcp.ProtocolVersion20260728 + `","` + mcp.MetaKeyClientCapabilities + `":` + capabilities + `}`
	params := strings.TrimSuffix(more, ",")
	if params != "" {
		params += ","
	}
	return w.do(ask{token: token, header: header, body: rpc + `"` + method + `","params":{` + params + meta + `}}`})
}
