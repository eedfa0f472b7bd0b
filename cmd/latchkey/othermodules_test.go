package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey-mcp/latchkey/oauthflow"
	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

// TestOtherModules is TestNonInterference for the modules of providers that the demo
// doesn't have, each through the whole server, and for one that is made up: an
// operator's description is all that there is of its provider.
func TestOtherModules(t *testing.T) {
	for _, module := range append(allModules(), acmeModule()) {
		if module.Provider == "github" || module.Provider == "google" {
			continue
		}
		t.Run(module.Name, func(t *testing.T) {
			s := newElsewhere(t)
			d := startDemo(t, "", func(c *config) {
				c.Custom, c.Modules = append(c.Custom, s.provider(t, module)), []tools.Module{module}
			})
			people := [2]*person{newPerson("alice", d.URL, plain), newPerson("bob", d.URL, plain)}
			for _, p := range people {
				check(t, p.signIn())
			}
			list, err := people[0].client.tools()
			check(t, err)
			if len(list) != len(module.Tools) {
				t.Fatalf("%d of %d tools are listed", len(list), len(module.Tools))
			}
			for _, tool := range list {
				connectBoth(t, people, tool)
				got := alternate(people, tool, callsPerTool, s.requests)
				for _, fault := range got.faults {
					t.Error(fault)
				}
				if got.reached < callsPerTool/10 {
					t.Errorf("%s: only %d of %d calls reached the provider: that proves little", tool.Name, got.reached, callsPerTool)
				}
			}
		})
	}
}

// A person sees what is theirs at a provider that only a description tells of.
func TestACustomProvidersModule(t *testing.T) {
	s := newElsewhere(t)
	d := startDemo(t, "", func(c *config) {
		c.Custom, c.Modules = append(c.Custom, s.provider(t, acmeModule())), append(c.Modules, acmeModule())
	})
	for _, name := range []string{"alice", "bob"} {
		p := newPerson(name, d.URL, plain)
		check(t, p.signIn())
		check(t, p.connectFor("acme_list_notes", map[string]any{}))
		check(t, p.call("acme_list_notes", map[string]any{"query": "x"}))
		if !strings.Contains(p.last.Body, private[name][0]) {
			t.Errorf("%s got %s", name, p.last.Body)
		}
		note := map[string]any{"text": "x", "idempotency_key": "k1"}
		check(t, p.connectFor("acme_write_note", note))
		check(t, p.call("acme_write_note", note))
		before := len(s.requests())
		check(t, p.call("acme_write_note", note))
		if p.last.IsError || len(s.requests()) != before {
			t.Errorf("a repeated write was sent twice, or failed: %s", p.last.Body)
		}
	}
}

// elsewhere stands in for any OAuth 2.0 provider of alice and bob. Whatever its API is
// asked, it answers with what belongs to whose token that is.
type elsewhere struct {
	url string
	mu  sync.Mutex
	log []sandbox.Request
	// tokens are codes and access tokens, by the name of whose they are.
	tokens map[string]string
}

func newElsewhere(t *testing.T) *elsewhere {
	s := &elsewhere{tokens: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/authorize", s.authorize)
	mux.HandleFunc("POST /oauth/token", s.token)
	mux.HandleFunc("GET /oauth/account", s.account)
	mux.HandleFunc("/api/", s.api)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// provider describes it as module's.
func (s *elsewhere) provider(t *testing.T, module tools.Module) oauthflow.Provider {
	t.Helper()
	p, err := oauthflow.Custom{
		Name: module.Provider, Title: module.Title, ClientID: "us", ClientSecret: "secret",
		AuthorizeURL: s.url + "/oauth/authorize", TokenURL: s.url + "/oauth/token", AccountURL: s.url + "/oauth/account",
		AccountID: "id", AccountLabel: "name", APIURL: s.url + "/api", APIHost: module.Tools[0].Spec().Egress[0].Host,
	}.Provider()
	check(t, err)
	return p
}

func (s *elsewhere) requests() []sandbox.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log
}

// issue is a new token of name's.
func (s *elsewhere) issue(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := rand.Text()
	s.tokens[token] = name
	return token
}

func (s *elsewhere) owner(token string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[token]
}

func (s *elsewhere) bearer(r *http.Request) string {
	return s.owner(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
}

// authorize asks who is there.
func (s *elsewhere) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for name := range accounts {
		back := url.Values{"code": {s.issue(name)}, "state": {q.Get("state")}}
		fmt.Fprintf(w, "<a id=\"as-%s\" href=\"%s?%s\">%s</a>\n", name, q.Get("redirect_uri"), strings.ReplaceAll(back.Encode(), "&", "&amp;"), name)
	}
}

func (s *elsewhere) token(w http.ResponseWriter, r *http.Request) {
	answerJSON(w, http.StatusOK, map[string]any{
		"access_token": s.issue(s.owner(r.PostFormValue("code"))), "token_type": "bearer", "expires_in": 3600,
	})
}

func (s *elsewhere) account(w http.ResponseWriter, r *http.Request) {
	name := s.bearer(r)
	answerJSON(w, http.StatusOK, map[string]any{"id": name, "name": accounts[name][1]})
}

func (s *elsewhere) api(w http.ResponseWriter, r *http.Request) {
	name, account := s.bearer(r), ""
	if name != "" {
		account = accounts[name][1]
	}
	s.mu.Lock()
	s.log = append(s.log, sandbox.Request{Provider: "elsewhere", Method: r.Method, Path: r.URL.Path, Account: account})
	s.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/api/notes") {
		answerJSON(w, http.StatusOK, map[string]any{"text": private[name][0]})
		return
	}
	answerJSON(w, http.StatusNotFound, map[string]any{"message": private[name][0], "error": private[name][0]})
}

// acmeModule is a module of a provider that nobody knows.
func acmeModule() tools.Module {
	type query struct {
		Query string `json:"query,omitempty" jsonschema:"words to look for"`
	}
	type note struct {
		Text string `json:"text" jsonschema:"what it says"`
		Key  string `json:"idempotency_key,omitempty" jsonschema:"the same for every try of one call" maxLength:"64"`
	}
	type answer struct {
		Text string `json:"text"`
	}
	define := func(method string) tools.Spec {
		return tools.Spec{
			Name: "acme_list_notes", Title: "List notes", Description: "List notes.", Can: "Read your notes", Provider: "acme",
			Scopes: []string{"read"}, ReadOnly: method == http.MethodGet,
			Egress: []tools.Rule{{Method: method, Host: "api.acme.example", Path: "/notes", Query: []string{"q"}}},
		}
	}
	ask := func(ctx context.Context, api *http.Client, method, query, body string) (out answer, err error) {
		req, err := http.NewRequestWithContext(ctx, method, "https://api.acme.example/notes?q="+url.QueryEscape(query), strings.NewReader(body))
		if err != nil {
			return out, err
		}
		if body == "" {
			req.Body = nil
		} else {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := api.Do(req)
		if err != nil {
			return out, err
		}
		defer resp.Body.Close()
		return out, json.NewDecoder(resp.Body).Decode(&out)
	}
	read, write := define(http.MethodGet), define(http.MethodPost)
	write.Name, write.Scopes, write.Can = "acme_write_note", []string{"read", "write"}, "Write notes"
	return tools.Module{Name: "acme", Title: "Acme", Provider: "acme", Tools: []tools.Tool{
		tools.Define(read, func(ctx context.Context, api *http.Client, in query) (answer, error) {
			return ask(ctx, api, http.MethodGet, in.Query, "")
		}),
		tools.Define(write, func(ctx context.Context, api *http.Client, in note) (answer, error) {
			return ask(ctx, api, http.MethodPost, "", string(mustJSON(in)))
		}),
	}}
}
