package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// A dialect is which kind of MCP client speaks.
type dialect string

const (
	modern    dialect = "modern"    // 2026-07-28 with URL elicitation
	eliciting dialect = "eliciting" // 2025-11-25 with URL elicitation
	forming   dialect = "forming"   // 2026-07-28 with form elicitation
	plain     dialect = "plain"     // 2025-06-18 with no capability at all
)

var revision = map[dialect]string{modern: "2026-07-28", forming: "2026-07-28", eliciting: "2025-11-25", plain: "2025-06-18"}

// stateless reports whether d is of the revision that has no handshake.
func (d dialect) stateless() bool { return revision[d] == revision[modern] }

// An mcpClient is one person's MCP client: it registers, signs in through a
// visitor, and speaks JSON-RPC over HTTP plainly, so that a test sees what is on
// the wire.
type mcpClient struct {
	dialect  dialect
	base     string
	resource string // the audience that it asks a token for
	clientID string
	redirect string
	token    string
	refresh  string
	tokenURL string
	session  string // Mcp-Session-Id, of the older revisions
	id       int
	http     http.Client
}

func newMCPClient(base string, d dialect) *mcpClient {
	return &mcpClient{
		dialect: d, base: base, resource: base + "/mcp",
		redirect: "http://127.0.0.1:33418/callback", http: http.Client{Timeout: 60 * time.Second},
	}
}

// signIn does what a client does on its first 401: discovery (RFC 9728, RFC 8414),
// registration (RFC 7591), authorization code with PKCE and resource (RFC 8707).
// approve takes the visitor from the authorization page to the redirect.
func (c *mcpClient) signIn(v *visitor, approve func(v *visitor) error) error {
	as, err := c.discover()
	if err != nil {
		return err
	}
	c.tokenURL, _ = as["token_endpoint"].(string)
	if c.clientID == "" {
		if err := c.register(as["registration_endpoint"].(string)); err != nil {
			return err
		}
	}
	verifier, state := rand.Text()+rand.Text(), rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {c.clientID}, "redirect_uri": {c.redirect}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		"resource": {c.resource}, "scope": {"tools:read tools:write offline_access"},
	}
	v.stopAt = c.redirect
	if err := v.open(as["authorization_endpoint"].(string) + "?" + query.Encode()); err != nil {
		return err
	}
	if err := approve(v); err != nil {
		return err
	}
	back := v.at.Query()
	if !strings.HasPrefix(v.at.String(), c.redirect) || back.Get("state") != state || back.Get("iss") != as["issuer"] {
		return fmt.Errorf("authorization did not come back as it should\n%s", v)
	}
	return c.exchange(url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "code_verifier": {verifier},
		"redirect_uri": {c.redirect}, "client_id": {c.clientID}, "resource": {c.resource},
	})
}

var metadataURL = regexp.MustCompile(`resource_metadata="([^"]+)"`)

// discover is the authorization server's metadata, found through a 401.
func (c *mcpClient) discover() (map[string]any, error) {
	res, err := c.http.Post(c.base+"/mcp", "application/json", strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	m := metadataURL.FindStringSubmatch(res.Header.Get("WWW-Authenticate"))
	if res.StatusCode != http.StatusUnauthorized || m == nil {
		return nil, fmt.Errorf("no token: got %d and %q, want 401 with resource_metadata", res.StatusCode, res.Header.Get("WWW-Authenticate"))
	}
	protected, err := c.getJSON(m[1])
	if err != nil {
		return nil, err
	}
	servers, _ := protected["authorization_servers"].([]any)
	if protected["resource"] != c.base+"/mcp" || len(servers) != 1 {
		return nil, fmt.Errorf("resource metadata: %v", protected)
	}
	return c.getJSON(fmt.Sprint(servers[0]) + "/.well-known/oauth-authorization-server")
}

func (c *mcpClient) register(endpoint string) error {
	answer, err := c.post(endpoint, "application/json", mustJSON(map[string]any{
		"client_name": "Test client (" + string(c.dialect) + ")", "redirect_uris": []string{c.redirect},
		"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"},
	}))
	c.clientID, _ = answer["client_id"].(string)
	return err
}

// exchange asks the token endpoint and keeps what it gives.
func (c *mcpClient) exchange(form url.Values) error {
	answer, err := c.post(c.tokenURL, "application/x-www-form-urlencoded", []byte(form.Encode()))
	if err != nil {
		return err
	}
	c.token, _ = answer["access_token"].(string)
	c.refresh, _ = answer["refresh_token"].(string)
	return nil
}

// renew exchanges the refresh token for new tokens.
func (c *mcpClient) renew() error {
	return c.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.refresh}, "client_id": {c.clientID}})
}

func (c *mcpClient) getJSON(address string) (map[string]any, error) {
	res, err := c.http.Get(address)
	if err != nil {
		return nil, err
	}
	return decodeOK(res)
}

func (c *mcpClient) post(address, kind string, body []byte) (map[string]any, error) {
	res, err := c.http.Post(address, kind, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return decodeOK(res)
}

func decodeOK(res *http.Response) (map[string]any, error) {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s answered %d: %s %w", res.Request.URL, res.StatusCode, body, err)
	}
	var v map[string]any
	return v, json.Unmarshal(body, &v)
}

// An answer is what came back for one request.
type answer struct {
	Status  int    // HTTP
	Body    string // of the HTTP answer, for failures
	Channel string // how it asks to connect or approve: "input_required", "-32042", "text"; or ""
	Link    string // where to, on any channel
	Form    string // the message of a form
	Text    string // what a model reads
	IsError bool
	Data    json.RawMessage // structuredContent
	State   string          // requestState
	Inputs  []string        // keys of inputRequests
	call    map[string]any  // the params, for a retry
	result  json.RawMessage
}

// tools is the live tools/list.
func (c *mcpClient) tools() ([]toolListing, error) {
	a, err := c.send("tools/list", map[string]any{})
	if err != nil {
		return nil, err
	}
	var list struct{ Tools []toolListing }
	if err := json.Unmarshal(a.result, &list); err != nil || len(list.Tools) == 0 {
		return nil, fmt.Errorf("tools/list answered %s: %w", a.Body, err)
	}
	return list.Tools, nil
}

type toolListing struct {
	Name                      string
	InputSchema, OutputSchema json.RawMessage
	Annotations               map[string]any
}

// call calls a tool with arguments, which marshal to an object.
func (c *mcpClient) call(tool string, arguments any) (answer, error) {
	return c.send("tools/call", map[string]any{"name": tool, "arguments": arguments})
}

// retry repeats the call that a asked input for, with action ("accept", "decline"
// or "cancel") as the person's answer, as the revision 2026-07-28 wants it. A form is
// accepted with its box ticked.
func (c *mcpClient) retry(a answer, action string) (answer, error) {
	params := map[string]any{"requestState": a.State}
	for k, v := range a.call {
		params[k] = v
	}
	if len(a.Inputs) > 0 {
		responses := map[string]any{}
		for _, key := range a.Inputs {
			response := map[string]any{"action": action}
			if a.Form != "" && action == "accept" {
				response["content"] = map[string]any{"approve": true}
			}
			responses[key] = response
		}
		params["inputResponses"] = responses
	}
	return c.send("tools/call", params)
}

// send sends one request in the client's dialect, with a handshake first where the
// dialect has one.
func (c *mcpClient) send(method string, params map[string]any) (answer, error) {
	if !c.dialect.stateless() && c.session == "" {
		if err := c.initialize(); err != nil {
			return answer{}, err
		}
	}
	a, _, err := c.roundTrip(method, params)
	a.call = params
	return a, err
}

// initialize does the handshake of the older revisions.
func (c *mcpClient) initialize() error {
	a, header, err := c.roundTrip("initialize", c.hello())
	if err != nil {
		return err
	}
	c.session = header.Get("Mcp-Session-Id")
	if a.Status != http.StatusOK || c.session == "" {
		return fmt.Errorf("initialize answered %d without a session id: %s", a.Status, a.Body)
	}
	return nil
}

// hello is what initialize says.
func (c *mcpClient) hello() map[string]any {
	return map[string]any{
		"protocolVersion": revision[c.dialect], "capabilities": c.capabilities(),
		"clientInfo": map[string]any{"name": "test", "version": "1"},
	}
}

func (c *mcpClient) capabilities() map[string]any {
	switch c.dialect {
	case plain:
		return map[string]any{}
	case forming:
		return map[string]any{"elicitation": map[string]any{"form": map[string]any{}}}
	}
	return map[string]any{"elicitation": map[string]any{"url": map[string]any{}}}
}

// newRequest is one JSON-RPC request in the client's dialect.
func (c *mcpClient) newRequest(method string, params map[string]any) (*http.Request, error) {
	c.id++
	message := map[string]any{"jsonrpc": "2.0", "id": c.id, "method": method, "params": params}
	if c.dialect.stateless() {
		message["params"] = withMeta(params, map[string]any{
			"io.modelcontextprotocol/protocolVersion":    revision[c.dialect],
			"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "test", "version": "1"},
			"io.modelcontextprotocol/clientCapabilities": c.capabilities(),
		})
	}
	req, err := http.NewRequest(http.MethodPost, c.base+"/mcp", bytes.NewReader(mustJSON(message)))
	if err != nil {
		return nil, err
	}
	c.headers(req.Header, method, params)
	return req, nil
}

// roundTrip sends one JSON-RPC request and reads its answer, JSON or event stream.
func (c *mcpClient) roundTrip(method string, params map[string]any) (answer, http.Header, error) {
	req, err := c.newRequest(method, params)
	if err != nil {
		return answer{}, nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, nil, err
	}
	return readAnswer(res.StatusCode, res.Header, body), res.Header, nil
}

func (c *mcpClient) headers(h http.Header, method string, params map[string]any) {
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, text/event-stream")
	if c.token != "" {
		h.Set("Authorization", "Bearer "+c.token)
	}
	if method != "initialize" {
		h.Set("Mcp-Protocol-Version", revision[c.dialect])
	}
	if c.session != "" {
		h.Set("Mcp-Session-Id", c.session)
	}
	if c.dialect.stateless() {
		h.Set("Mcp-Method", method)
		if name, ok := params["name"].(string); ok {
			h.Set("Mcp-Name", name)
		}
	}
}

func withMeta(params map[string]any, meta map[string]any) map[string]any {
	all := map[string]any{"_meta": meta}
	for k, v := range params {
		all[k] = v
	}
	return all
}

var ourLink = regexp.MustCompile(`https?://[^\s"')\]>]+/(connect|approve)/[A-Za-z0-9_-]+`)

// readAnswer makes sense of an HTTP answer.
func readAnswer(status int, h http.Header, body []byte) answer {
	a := answer{Status: status, Body: string(body)}
	if strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") {
		body = lastEvent(body)
	}
	var message struct {
		Result json.RawMessage
		Error  *struct {
			Code    int
			Message string
			Data    json.RawMessage
		}
	}
	if json.Unmarshal(body, &message) != nil {
		return a
	}
	a.result = message.Result
	if e := message.Error; e != nil {
		a.IsError, a.Text = true, e.Message
		if a.Link = ourLink.FindString(string(e.Data)); a.Link != "" {
			a.Channel = fmt.Sprint(e.Code)
		}
		return a
	}
	a.readResult()
	return a
}

func (a *answer) readResult() {
	var r struct {
		Content           []struct{ Text string }
		StructuredContent json.RawMessage
		IsError           bool
		ResultType        string
		RequestState      string
		InputRequests     map[string]json.RawMessage
	}
	_ = json.Unmarshal(a.result, &r)
	for _, c := range r.Content {
		a.Text += c.Text
	}
	a.IsError, a.Data, a.State = r.IsError, r.StructuredContent, r.RequestState
	for key, request := range r.InputRequests {
		a.Inputs = append(a.Inputs, key)
		a.Link, a.Form = ourLink.FindString(string(request)), formOf(request)
	}
	switch {
	case r.ResultType == "input_required":
		a.Channel = r.ResultType
	case r.IsError && ourLink.MatchString(a.Text):
		a.Channel, a.Link = "text", ourLink.FindString(a.Text)
	}
}

// formOf is the message of an input request that is a form.
func formOf(request json.RawMessage) string {
	var r struct {
		Params struct{ Mode, Message string }
	}
	if json.Unmarshal(request, &r) != nil || r.Params.Mode != "form" {
		return ""
	}
	return r.Params.Message
}

// lastEvent is the data of an event stream's last event.
func lastEvent(stream []byte) []byte {
	var last []byte
	lines := bufio.NewScanner(bytes.NewReader(stream))
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:")); ok {
			last = bytes.Clone(bytes.TrimSpace(data))
		}
	}
	return last
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
