package mcpserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

const listTools = rpc + `"tools/list","params":{}}`

func TestChallenges(t *testing.T) {
	w := newWorld(t, nil)
	where := `resource_metadata="` + w.url + `/.well-known/oauth-protected-resource/mcp"`
	good := w.issuer.Token("alice")
	old := w.issuer.Claims("alice")
	old["exp"] = old["iat"].(int64) - 3600
	cases := map[string]struct {
		authorization []string
		query         string
		status        int
		want          []string // parts of WWW-Authenticate; nil: there is none
	}{
		"no token":          {nil, "", 401, []string{"Bearer " + where + `, scope="tools:read tools:write"`}},
		"another scheme":    {[]string{"Basic YTpi"}, "", 401, []string{"Bearer " + where}},
		"garbage":           {[]string{"Bearer abc"}, "", 401, []string{`error="invalid_token"`, `error_description="`, where, `scope="tools:read tools:write"`}},
		"expired":           {[]string{"Bearer " + w.issuer.Sign(nil, old)}, "", 401, []string{`error="invalid_token"`}},
		"empty":             {[]string{"Bearer"}, "", 400, []string{`error="invalid_request"`}},
		"two words":         {[]string{"Bearer a b"}, "", 401, []string{`error="invalid_token"`}},
		"odd characters":    {[]string{"Bearer a,b"}, "", 401, []string{`error="invalid_token"`}},
		"two headers":       {[]string{"Bearer " + good, "Bearer " + good}, "", 400, []string{`error="invalid_request"`}},
		"in the query":      {nil, "?access_token=" + good, 400, []string{`error="invalid_request"`}},
		"in both":           {[]string{"Bearer " + good}, "?access_token=" + good, 400, []string{`error="invalid_request"`}},
		"hidden in a query": {[]string{"Bearer " + good}, "?a=%zz;Access%5ftoken=x", 400, []string{`error="invalid_request"`}},
		"neither scope":     {[]string{"Bearer " + w.token("alice", "openid")}, "", 403, []string{`error="insufficient_scope"`, `scope="tools:read tools:write"`, where}},
		"reading":           {[]string{"Bearer " + w.token("alice", ScopeRead)}, "", 200, nil},
		"writing alone":     {[]string{"Bearer " + w.token("alice", ScopeWrite)}, "", 200, nil},
		"lower-case scheme": {[]string{"bearer " + good}, "", 200, nil},
	}
	for name, c := range cases {
		for _, method := range []string{"POST", "GET", "DELETE"} {
			req, err := http.NewRequest(method, w.url+"/mcp"+c.query, strings.NewReader(listTools))
			if err != nil {
				t.Fatal(err)
			}
			req.Header["Authorization"] = c.authorization
			req.Header.Set("Content-Type", "application/json")
			r := w.send(req)
			want := c.status
			if want == 200 && method != "POST" {
				want = http.StatusMethodNotAllowed
			}
			if r.status != want {
				t.Errorf("%s, %s: %d, want %d: %s", name, method, r.status, want, r.text)
			}
			got := r.header.Get("WWW-Authenticate")
			if (got != "") != (c.want != nil) {
				t.Errorf("%s, %s: WWW-Authenticate %q", name, method, got)
			}
			for _, part := range c.want {
				if !strings.Contains(got, part) {
					t.Errorf("%s, %s: %s\nlacks %s", name, method, got, part)
				}
			}
			if c.status == 401 && c.authorization == nil && strings.Contains(got, "error") {
				t.Errorf("%s: nothing was wrong with a token that wasn't sent: %s", name, got)
			}
		}
	}
	if strings.Contains(w.log.String(), good) {
		t.Error("a token is in the log")
	}
}

func TestTokenStopsAtTheDoor(t *testing.T) {
	w := newWorld(t, nil)
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/mcp", nil)
	req.Header.Set("Authorization", "Bearer "+w.issuer.Token("alice"))
	passed := false
	w.face.authenticated(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		passed = true
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went on")
		}
		if got := requestOf(r.Context()).caller.Principal().Subject(); got != "alice" {
			t.Errorf("the caller is %q", got)
		}
	})).ServeHTTP(httptest.NewRecorder(), req)
	if !passed {
		t.Error("nothing passed")
	}
}

func TestKeysUnavailable(t *testing.T) {
	w := newWorld(t, func(cfg *Config) {
		const gone = "http://127.0.0.1:1"
		v, err := identity.NewVerifier(identity.VerifierConfig{Issuer: gone, Resource: cfg.PublicURL + "/mcp", Now: cfg.Now})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Verifier, cfg.Issuer = v, gone
	})
	claims := w.issuer.Claims("alice")
	claims["iss"] = "http://127.0.0.1:1"
	r := w.do(ask{token: w.issuer.Sign(nil, claims), body: listTools})
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || r.header.Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v %s", r.status, r.header, r.text)
	}
}

func TestWriteToolNeedsWriteScope(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	reader, writer := w.token("alice", ScopeRead), w.token("alice", ScopeWrite)
	call := func(token, params string) reply { return w.legacy(token, "", "", "tools/call", params) }
	for name, params := range map[string]string{
		"plainly":            callParams("acme_write", "{}"),
		"other case last":    `{"name":"acme_read","NAME":"acme_write","arguments":{}}`,
		"other case first":   `{"NAME":"acme_read","name":"acme_write","arguments":{}}`,
		"twice":              `{"name":"acme_read","name":"acme_write","arguments":{}}`,
		"in a second params": `{"name":"acme_read"},"params":{"name":"acme_write","arguments":{}}`,
	} {
		r := call(reader, params)
		challenge := r.header.Get("WWW-Authenticate")
		if r.status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) ||
			!strings.Contains(challenge, `scope="tools:read tools:write"`) || strings.Contains(r.text, "jsonrpc") {
			t.Errorf("%s: %d %s %s", name, r.status, challenge, r.text)
		}
	}
	if n := len(w.provider.requests()); n != 0 {
		t.Fatalf("%d requests reached the provider", n)
	}
	for token, tool := range map[string]string{reader: "acme_read", writer: "acme_write"} {
		if text, isError := call(token, callParams(tool, "{}")).says(t); isError {
			t.Errorf("%s: %s", tool, text)
		}
	}
	if text, isError := call(writer, callParams("acme_read", "{}")).says(t); isError {
		t.Errorf("writing includes reading: %s", text)
	}
	r := w.modern(reader, "{}", "tools/call", "acme_write", `"arguments":{}`)
	if r.status != http.StatusForbidden || !strings.Contains(r.header.Get("WWW-Authenticate"), "insufficient_scope") {
		t.Errorf("2026-07-28: %d %s", r.status, r.text)
	}
}

func TestMetadata(t *testing.T) {
	w := newWorld(t, nil)
	want := map[string]any{
		"resource": w.url + "/mcp", "resource_name": "Latchkey",
		"authorization_servers":    []any{w.issuer.URL},
		"scopes_supported":         []any{"tools:read", "tools:write"},
		"bearer_methods_supported": []any{"header"},
	}
	for _, path := range []string{metadataPath, metadataPath + "/mcp"} {
		r := w.do(ask{method: "GET", path: path, header: map[string]string{"Origin": "https://anywhere.example"}})
		var got map[string]any
		if err := json.Unmarshal([]byte(r.text), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || r.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %s %v", path, diff, r.header)
		}
		if r := w.do(ask{method: "POST", path: path}); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") == "" {
			t.Errorf("POST %s: %d", path, r.status)
		}
		if r := w.do(ask{method: "OPTIONS", path: path}); r.status != http.StatusNoContent {
			t.Errorf("OPTIONS %s: %d", path, r.status)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	w := newWorld(t, nil)
	for name, change := range map[string]func(*Config){
		"no vault":     func(c *Config) { c.Vault = nil },
		"no verifier":  func(c *Config) { c.Verifier = nil },
		"no link":      func(c *Config) { c.ConnectLink = nil },
		"no issuer":    func(c *Config) { c.Issuer = "" },
		"bad public":   func(c *Config) { c.PublicURL = "latchkey.example" },
		"public path":  func(c *Config) { c.PublicURL = "https://latchkey.example/x" },
		"bad origin":   func(c *Config) { c.AllowedOrigins = []string{"*"} },
		"bad base":     func(c *Config) { c.BaseURLs = map[string]string{"api.acme.test": "ghe.example"} },
		"a tool twice": func(c *Config) { c.Modules = append(c.Modules, c.Modules...) },
	} {
		cfg := w.face.Config
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
