package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
	"github.com/latchkey-mcp/latchkey/tools"
)

// A world is a whole face on loopback: a real issuer, a real vault on SQLite, and
// a strict provider.
type world struct {
	t        testing.TB
	clock    *clock
	issuer   *storetest.Issuer
	vault    *store.Vault
	db       *sqlite.DB
	provider *provider
	face     *server
	url      string // our origin
	log      *syncBuffer

	mu    sync.Mutex
	links []store.Need // asked for so far
	probe func(ctx context.Context, api *http.Client) (string, error)
}

type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newWorld starts everything; change adjusts the configuration, or is nil.
func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{}, log: &syncBuffer{}, provider: newProvider(t)}
	web := httptest.NewUnstartedServer(nil)
	w.url = "http://" + web.Listener.Addr().String()
	w.issuer = storetest.NewIssuer(t, w.clock.now)
	w.issuer.Resource = w.url + "/mcp"
	w.vault, w.db = storetest.OpenBackend(t, w.issuer, w.provider)
	cfg := Config{
		Version: "test", PublicURL: w.url, Issuer: w.issuer.URL, Verifier: w.issuer.Verifier(),
		Vault: w.vault, Modules: []tools.Module{w.module()}, ConnectLink: w.link, ApproveLink: w.approveLink,
		BaseURLs: map[string]string{
			"api.acme.test": w.provider.url + "/api", "files.acme.test": w.provider.url + "/files",
			"store1.acme.test": w.provider.url + "/store",
		},
		Log: slog.New(slog.NewTextHandler(w.log, nil)), Now: w.clock.now,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if w.face, err = newServer(cfg); err != nil {
		t.Fatal(err)
	}
	web.Config.Handler = w.face.handler()
	web.Start()
	t.Cleanup(web.Close)
	return w
}

func (w *world) link(_ context.Context, c identity.Caller, need store.Need) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.links = append(w.links, need)
	return fmt.Sprintf("%s/connect/%s-%d", w.url, c.Principal().Subject(), len(w.links)), nil
}

func (w *world) approveLink(ctx context.Context, c identity.Caller, d store.Deed) (string, error) {
	keys, err := w.vault.Keyring(c)
	if err != nil {
		return "", err
	}
	ticket, err := keys.Submit(ctx, d)
	return w.url + "/approve/" + ticket, err
}

func (w *world) linkCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.links)
}

type (
	searchIn struct {
		Query string `json:"query,omitempty" jsonschema:"what to look for"`
	}
	whoOut struct {
		Who     string `json:"who" jsonschema:"whose account it was"`
		Account string `json:"account" jsonschema:"the label of the account"`
	}
	emptyIn  struct{}
	probeOut struct {
		Text string `json:"text" jsonschema:"what the probe found"`
	}
)

func (w *world) module() tools.Module {
	contract := []tools.Rule{
		{Method: "GET", Host: "api.acme.test", Path: "/items", Query: []string{"q"}},
		{Method: "GET", Host: "api.acme.test", Path: "/items/{id}"},
		{Method: "GET", Host: "api.acme.test", Path: "/redirect/{where}"},
		{Method: "POST", Host: "api.acme.test", Path: "/items"},
		{Method: "GET", Host: "files.acme.test", Path: "/file"},
		{Method: "POST", Host: "api.acme.test", Path: "/question", Safe: true},
		{Method: "GET", Host: "api.acme.test", Path: "/log/{id}", Redirects: []string{"store*.acme.test"}},
	}
	spec := func(name string, scope string, egress ...tools.Rule) tools.Spec {
		return tools.Spec{
			Name: name, Title: "Test " + name, Description: "Tests.", Can: "Be tested",
			Provider: "acme", Scopes: []string{scope}, Egress: egress,
		}
	}
	read := spec("acme_read", "read", contract[0])
	read.ReadOnly, read.Idempotent = true, true
	return tools.Module{Name: "acme", Title: "Acme", Provider: "acme", Tools: []tools.Tool{
		tools.Define(read, readItems),
		tools.Define(spec("acme_write", "read", contract[3]), writeItem),
		tools.Define(spec("acme_probe", "read", contract...), func(ctx context.Context, api *http.Client, _ emptyIn) (probeOut, error) {
			text, err := w.probe(ctx, api)
			return probeOut{text}, err
		}),
	}}
}

func readItems(ctx context.Context, api *http.Client, in searchIn) (whoOut, error) {
	return fetch(ctx, api, http.MethodGet, "https://api.acme.test/items?q="+in.Query, "")
}

func writeItem(ctx context.Context, api *http.Client, in searchIn) (whoOut, error) {
	return fetch(ctx, api, http.MethodPost, "https://api.acme.test/items", `{"title":"x"}`)
}

func fetch(ctx context.Context, api *http.Client, method, url, body string) (whoOut, error) {
	text, err := send(ctx, api, method, url, body)
	if err != nil {
		return whoOut{}, err
	}
	out := whoOut{Account: accountOf(ctx)}
	return out, json.Unmarshal([]byte(text), &out)
}

func accountOf(ctx context.Context) string {
	connection, err := tools.Info(ctx).Connection()
	if err != nil {
		panic(err)
	}
	return connection.Account
}

// send is one request of a handler's; what isn't 2xx is an error.
func send(ctx context.Context, api *http.Client, method, url, body string) (string, error) {
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, from)
	if err != nil {
		return "", err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return do(api, req)
}

func do(api *http.Client, req *http.Request) (string, error) {
	resp, err := api.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(text), err
}

// connect files a living grant for person, with the scope "read".
func (w *world) connect(person string) store.Info {
	w.t.Helper()
	info, err := w.file(w.issuer.Caller(person), person)
	if err != nil {
		w.t.Fatal(err)
	}
	return info
}

// connectLater is connect for a goroutine of its own, which can't end the test.
func (w *world) connectLater(caller identity.Caller, person string) {
	if _, err := w.file(caller, person); err != nil {
		w.t.Error(err)
	}
}

func (w *world) file(caller identity.Caller, person string) (store.Info, error) {
	keys, err := w.vault.Keyring(caller)
	if err != nil {
		return store.Info{}, err
	}
	return keys.Put(w.t.Context(), connectionOf(person, w.provider.issue(person)))
}

func connectionOf(person string, token store.Token) store.Connection {
	return store.Connection{
		Provider: "acme", Account: store.Account{ID: "id-" + person, Label: "@" + person}, Token: token,
	}
}

// audited are person's entries of that event.
func (w *world) audited(person string, event audit.Event) []audit.Entry {
	w.t.Helper()
	all, err := w.db.AuditEntries(w.t.Context(), w.issuer.Caller(person).Principal().Digest())
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e audit.Entry) bool { return e.Event != event })
}

// token is an access token of person with exactly these OAuth scopes.
func (w *world) token(person string, scopes ...string) string {
	claims := w.issuer.Claims(person)
	claims["scope"] = strings.Join(scopes, " ")
	return w.issuer.Sign(nil, claims)
}

// A provider refuses every token but those it issued, and remembers what it saw.
type provider struct {
	url string

	mu      sync.Mutex
	n       int
	access  map[string]string // token → person
	refresh map[string]string
	seen    []*http.Request
	down    bool                                              // no refresh is answered
	before  func(w http.ResponseWriter, r *http.Request) bool // answers itself if true
}

func newProvider(t testing.TB) *provider {
	p := &provider{access: map[string]string{}, refresh: map[string]string{}}
	web := httptest.NewServer(p)
	t.Cleanup(web.Close)
	p.url = web.URL
	return p
}

func (p *provider) issue(person string) store.Token {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	access, refresh := fmt.Sprintf("access-%s-%d", person, p.n), fmt.Sprintf("refresh-%s-%d", person, p.n)
	p.access[access], p.refresh[refresh] = person, person
	return store.Token{Access: store.NewSecret(access), Refresh: store.NewSecret(refresh), Scopes: []string{"read"}}
}

// expire makes all access tokens useless; revoke the refresh tokens too.
func (p *provider) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.access)
}

func (p *provider) revoke() {
	p.expire()
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.refresh)
}

func (p *provider) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// answer has the next requests answered by f as long as it returns true.
func (p *provider) answer(f func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = f
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	body, _ := io.ReadAll(r.Body)
	kept := r.Clone(context.Background())
	kept.Body = io.NopCloser(bytes.NewReader(body))
	p.seen = append(p.seen, kept)
	person, known := p.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	before := p.before
	p.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	if !known {
		http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
		return
	}
	switch r.URL.Path {
	case "/api/items", "/api/items/1", "/files/file":
		fmt.Fprintf(w, `{"who":%q}`, person)
	default:
		http.NotFound(w, r)
	}
}

// Refresh rotates, as real providers do.
func (p *provider) Refresh(_ context.Context, _ string, t store.Token) (store.Token, error) {
	p.mu.Lock()
	person, known := p.refresh[t.Refresh.Reveal()]
	down := p.down
	if !down {
		delete(p.refresh, t.Refresh.Reveal())
	}
	p.mu.Unlock()
	if down {
		return store.Token{}, errors.New("connection refused")
	}
	if !known {
		return store.Token{}, &store.Refused{Reason: "the provider revoked it"}
	}
	return p.issue(person), nil
}

func (p *provider) Revoke(context.Context, string, store.Token) error {
	return errors.New("nothing here is revoked")
}

func (p *provider) Missing(_ string, granted, needed []string) []string {
	return slices.DeleteFunc(slices.Clone(needed), func(s string) bool { return slices.Contains(granted, s) })
}
