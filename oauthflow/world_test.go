package oauthflow

import (
	"bytes"
	"context"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
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

// A world is a Flow with everything around it: an issuer, both providers, a vault
// on SQLite, a clock and the log.
type world struct {
	t              testing.TB
	iss            *anIssuer
	github, google *standIn
	providers      *Providers
	vault          *store.Vault
	db             *sqlite.DB
	flow           *Flow
	url            string
	log            *lockedBuffer
	mu             sync.Mutex
	at             time.Time
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

const (
	readEvents  = googleCalendar + ".events.readonly"
	writeEvents = googleCalendar + ".events"
)

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, at: time.Now().Truncate(time.Second), log: &lockedBuffer{}}
	w.iss, w.github, w.google = newIssuer(t, w.now), newStandIn(t, "github"), newStandIn(t, "google")
	var served http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { served.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.iss.redirect = w.url + "/signin/callback"
	w.github.redirect, w.google.redirect = w.url+"/callback/github", w.url+"/callback/google"

	w.providers = NewProviders(nil, must(GitHub(w.github.settings()))(t), must(Google(w.google.settings()))(t))
	w.providers.Now = w.now
	w.vault, w.db = storetest.OpenBackend(t, w.iss.Issuer, w.providers)
	cfg := Config{
		PublicURL: w.url, Vault: w.vault, ClientID: pagesID, ClientSecret: pagesSecret,
		Browser: must(identity.NewBrowser(identity.BrowserConfig{
			Issuer: w.iss.URL, ClientID: pagesID, Seal: w.vault.AEAD("browser session"), Now: w.now,
		}))(t),
		Providers: w.providers, Modules: append(modules(), tools.Module{Tools: []tools.Tool{replaceTool()}}), Now: w.now,
		Log:        slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		ClientName: func(_ context.Context, id string) string { return "Client <" + id + ">" },
	}
	for _, c := range change {
		c(&cfg)
	}
	w.flow = must(New(cfg))(t)
	served = w.flow.Handler()
	return w
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

type nothing struct{}

func modules() []tools.Module {
	tool := func(provider, name, can, method, host string, readOnly bool, scope string) tools.Tool {
		rule := tools.Rule{Method: method, Host: host, Path: "/x"}
		if readOnly {
			rule.Redirects = []string{"files*.example.com"}
		}
		return tools.Define(tools.Spec{
			Name: name, Title: name, Description: "For tests.", Can: can, Provider: provider,
			Scopes: []string{scope}, ReadOnly: readOnly, Egress: []tools.Rule{rule},
		}, func(context.Context, *http.Client, nothing) (nothing, error) { return nothing{}, nil })
	}
	return []tools.Module{
		{Name: "github", Title: "GitHub", Provider: "github", Tools: []tools.Tool{
			tool("github", "github_write", "Write issues in your repositories", "POST", "api.github.com", false, "repo"),
			tool("github", "github_read", "Read your profile aloud", "GET", "api.github.com", true, "read:user"),
		}},
		{Name: "calendar", Title: "Google Calendar", Provider: "google", Tools: []tools.Tool{
			tool("google", "calendar_write", "Create events in your calendar", "POST", "www.googleapis.com", false, writeEvents),
			tool("google", "calendar_read", "List events in your calendar", "GET", "www.googleapis.com", true, readEvents),
		}},
	}
}

// link is a new connect link of person's for those scopes, as a path.
func (w *world) link(person, provider string, scopes ...string) string {
	w.t.Helper()
	raw, err := w.flow.ConnectLink(w.t.Context(), w.iss.Caller(person), store.Need{Provider: provider, Scopes: scopes})
	if err != nil {
		w.t.Fatal(err)
	}
	path, ok := strings.CutPrefix(raw, w.url)
	if !ok {
		w.t.Fatalf("the link %q is not on our origin", raw)
	}
	return path
}

func (w *world) keyring(person string) store.Keyring {
	w.t.Helper()
	return must(w.vault.Keyring(w.iss.Caller(person)))(w.t)
}

// account is what serves person's client at provider, or "".
func (w *world) account(person, provider string) string {
	w.t.Helper()
	info, err := w.keyring(person).Info(w.t.Context(), provider)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		w.t.Fatal(err)
	}
	return info.Account.Label
}

// disconnect is the form of b's connections page for that account.
func (b *browser) disconnect(provider, account string) answer {
	b.w.t.Helper()
	return b.post("/disconnect/"+provider, url.Values{"account": {account}})
}

// refusals are the reasons that the audit record has of person.
func (w *world) refusals(person string) []string {
	w.t.Helper()
	entries := must(w.db.AuditEntries(w.t.Context(), w.iss.Caller(person).Principal().Digest()))(w.t)
	var reasons []string
	for _, e := range entries {
		if e.Event == audit.Refuse {
			reasons = append(reasons, e.Reason)
		}
	}
	return reasons
}

// A browser keeps cookies and follows redirects one at a time.
type browser struct {
	w   *world
	c   *http.Client
	jar http.CookieJar
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, jar}
}

// as is a browser in which person is signed in.
func (w *world) as(person string) *browser {
	w.t.Helper()
	b := w.browser()
	b.signIn(person)
	return b
}

// signIn goes through the issuer as person.
func (b *browser) signIn(person string) {
	b.w.t.Helper()
	b.w.iss.with(func() { b.w.iss.person = person })
	got := b.get("/signin")
	for range 3 {
		if got.status != http.StatusSeeOther && got.status != http.StatusFound {
			break
		}
		got = b.get(got.location)
	}
	if got.status != http.StatusOK || !strings.Contains(got.body, "Name of "+person) {
		b.w.t.Fatalf("signing in as %s: %d %s", person, got.status, got.body)
	}
}

// An answer is a response that was read; its body is unescaped.
type answer struct {
	status         int
	location, body string
	header         http.Header
	cookies        []*http.Cookie
}

func (b *browser) get(path string) answer {
	b.w.t.Helper()
	return b.do(http.MethodGet, path, nil, nil)
}
func (b *browser) post(path string, form url.Values) answer {
	b.w.t.Helper()
	return b.do(http.MethodPost, path, form, http.Header{"Sec-Fetch-Site": {"same-origin"}})
}

func (b *browser) do(method, path string, form url.Values, header http.Header) answer {
	b.w.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.w.url + path
	}
	req, err := http.NewRequestWithContext(b.w.t.Context(), method, path, strings.NewReader(form.Encode()))
	if err != nil {
		b.w.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.c.Do(req)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("Location"), string(body), resp.Header, resp.Cookies()}
}

// callbackURL consents at path, goes to the provider and stops before our
// callback: the URL that the provider redirects to.
func (b *browser) callbackURL(path string) string {
	b.w.t.Helper()
	sent := b.post(path, url.Values{})
	if sent.status != http.StatusSeeOther {
		b.w.t.Fatalf("consent at %s: %d %s", path, sent.status, sent.body)
	}
	back := b.get(sent.location)
	if back.status != http.StatusFound {
		b.w.t.Fatalf("the provider: %d %s", back.status, back.body)
	}
	return back.location
}

// connect goes all the way.
func (b *browser) connect(path string) answer {
	b.w.t.Helper()
	return b.get(b.callbackURL(path))
}

// text is a page's text without tags and escapes.
func (a answer) text() string {
	body := regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`).ReplaceAllString(a.body, "")
	return strings.Join(strings.Fields(html.UnescapeString(body)), " ")
}

// wants checks status and that the text holds each part.
func (a answer) wants(t testing.TB, status int, parts ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d: %s", a.status, status, a.text())
	}
	for _, part := range parts {
		if !strings.Contains(a.text(), part) {
			t.Errorf("the page doesn't say %q: %s", part, a.text())
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *lockedBuffer) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}
