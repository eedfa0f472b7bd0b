package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/mcpserver"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// measured is a demo with metrics, and their address.
func measured(t testing.TB) (d *running, metrics string) {
	t.Helper()
	l, err := listen(t.Context(), "127.0.0.1:0")
	check(t, err)
	d = startDemo(t, "", func(c *config) { c.Metrics = l })
	return d, "http://" + l.Addr().String()
}

// scrape is what /metrics says, without comments.
func scrape(t testing.TB, metrics string) (lines []string) {
	t.Helper()
	res, err := http.Get(metrics + "/metrics")
	check(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(t, err)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// has checks that one of lines is that series with that value.
func has(t *testing.T, lines []string, want ...string) {
	t.Helper()
	all := "\n" + strings.Join(lines, "\n") + "\n"
	for _, w := range want {
		if !strings.Contains(all, "\n"+w+"\n") {
			t.Errorf("there is no %q in%s", w, all)
		}
	}
}

// ours are the names and labels of our own series.
func ours(lines []string) (series []string) {
	for _, line := range lines {
		if name, _, _ := strings.Cut(line, " "); strings.HasPrefix(name, "latchkey_") {
			series = append(series, name)
		}
	}
	return series
}

// roam sends what may hold a canary, wherever it can stand.
func roam(t *testing.T, base, canary string, p *person) {
	t.Helper()
	check(t, p.call("github_search_issues", map[string]any{"query": "is:issue " + canary}))
	check(t, p.call("github_search_issues", map[string]any{canary: canary}))
	check(t, p.call("calendar_list_events", map[string]any{"calendar_id": canary + "@example.com"}))
	check(t, p.call(canary, map[string]any{}))
	for _, path := range []string{
		"/" + canary, "/mcp/" + canary, "/connect/" + canary, "/callback/" + canary + "?code=" + canary + "&state=" + canary,
		"/.well-known/o" + canary, "/.well-known/oauth-protected-resource/" + canary, "/authorize?client_id=" + canary,
		"/mcp?access_token=" + canary, "/healthz",
	} {
		res, err := http.Get(base + path)
		check(t, err)
		res.Body.Close()
	}
	for _, method := range []string{"POST", "PURGE", strings.ToUpper(canary)} {
		req, err := http.NewRequest(method, base+"/mcp", strings.NewReader("{}"))
		check(t, err)
		req.Header.Set("Authorization", "Bearer "+canary)
		req.Header.Set("User-Agent", canary)
		res, err := http.DefaultClient.Do(req)
		check(t, err)
		res.Body.Close()
	}
}

// TestMetricsSayNothingOfPeople drives journeys with canaries through the whole
// server: none is in the metrics, and nothing that anybody sends makes a new series.
func TestMetricsSayNothingOfPeople(t *testing.T) {
	d, metrics := measured(t)
	people := twoPeople(t, d.URL)
	canary := func() string { return "c4n4ry" + strings.ToLower(rand.Text()[:8]) }
	roam(t, d.URL, canary(), people[0])
	first := scrape(t, metrics)
	for range 5 {
		roam(t, d.URL, canary(), people[0])
		roam(t, d.URL, canary(), people[1])
	}
	lines := scrape(t, metrics)
	text := strings.ToLower(strings.Join(lines, "\n"))
	secrets := []string{"c4n4ry", "@", "latchkey-demo", "127.0.0.1", d.URL, "/connect/c", "bearer"}
	for _, p := range people {
		secrets = append(secrets, p.name, p.client.clientID, p.client.token, p.client.refresh, p.client.session,
			identity.OwnerOf(d.URL, p.name).String(), identity.OwnerOf(d.URL, p.name).String()[:8])
	}
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, strings.ToLower(secret)) {
			t.Errorf("the metrics hold %q:\n%s", secret, text)
		}
	}
	if before, after := len(ours(first)), len(ours(lines)); before != after || len(lines) > 900 {
		t.Errorf("%d series of ours became %d, of %d in all:\n%s", before, after, len(lines), text)
	}
	t.Logf("%d series, %d of ours", len(lines), len(ours(lines)))
}

func TestMetricsCount(t *testing.T) {
	d, metrics := measured(t)
	people := twoPeople(t, d.URL)
	alice := people[0]
	check(t, alice.call("github_search_issues", map[string]any{"query": "is:issue"}))
	check(t, alice.call("github_search_issues", map[string]any{}))
	for _, token := range []string{"", "Bearer x.y.z", "Bearer"} {
		req, err := http.NewRequest("POST", d.URL+"/mcp", strings.NewReader("{}"))
		check(t, err)
		if token != "" {
			req.Header.Set("Authorization", token)
		}
		res, err := http.DefaultClient.Do(req)
		check(t, err)
		res.Body.Close()
	}
	has(t, scrape(t, metrics),
		`latchkey_tool_calls_total{outcome="ok",tool="github_search_issues"} 1`,
		`latchkey_tool_calls_total{outcome="error",tool="github_search_issues"} 1`,
		`latchkey_tool_calls_total{outcome="connect",tool="github_search_issues"} 2`,
		`latchkey_tool_calls_total{outcome="connect",tool="calendar_list_events"} 2`,
		`latchkey_tool_call_duration_seconds_count{tool="github_search_issues"} 4`,
		`latchkey_credentials_released_total{provider="github"} 1`,
		`latchkey_credentials_released_total{provider="google"} 0`,
		`latchkey_refreshes_total{outcome="ok",provider="google"} 0`,
		`latchkey_token_rejections_total{reason="invalid"} 1`,
		`latchkey_token_rejections_total{reason="malformed"} 1`,
		`latchkey_token_rejections_total{reason="missing"} 3`, // each client began so
		`latchkey_http_requests_total{route="GET /connect/{ticket}",status="2xx"} 4`,
		`latchkey_pending_revocations 0`, `latchkey_audit_broken 0`, `latchkey_audit_failures_total 0`,
	)
}

// The vault's own events, each under its name.
func TestMetricsOfTheVault(t *testing.T) {
	clock := storetest.NewClock()
	iss, ex := storetest.NewIssuer(t, clock.Now), &troubled{}
	m := newMetrics([]string{"tool"}, []string{"github"})
	keys, err := store.KeysFromFile(t.TempDir() + "/key")
	check(t, err)
	db, err := sqlite.Open(t.Context(), t.TempDir(), clock.Now)
	check(t, err)
	v, err := store.Open(t.Context(), store.Config{
		Backend: db, Keys: keys, Exchange: ex, Issuer: iss.URL, Now: clock.Now, Observe: m.hooks().Event, Log: testLog(t),
	})
	check(t, err)
	defer v.Close()
	m.watch(v)
	k, err := v.Keyring(iss.Caller("alice"))
	check(t, err)
	connect := func() {
		t.Helper()
		check(t, ignore(k.Delete(t.Context(), "github", "1"), store.ErrNotFound))
		_, err := k.Put(t.Context(), store.Connection{
			Provider: "github", Account: store.Account{ID: "1"},
			Token: store.Token{Access: store.NewSecret("a"), Refresh: store.NewSecret("r"), Expiry: clock.Now().Add(time.Hour)},
		})
		check(t, err)
	}
	grant := func() { _, _ = k.Grant(t.Context(), store.Call{Need: store.Need{Provider: "github"}}) }
	grant() // nothing there
	connect()
	grant()
	clock.Advance(2 * time.Hour)
	ex.err = errors.New("down")
	grant()
	clock.Advance(time.Hour)
	ex.err = &store.Refused{Reason: "no"}
	grant()
	ex.err = nil
	connect()
	clock.Advance(2 * time.Hour)
	grant()
	ex.revoke = errors.New("down")
	check(t, ignore(k.Delete(t.Context(), "github", "1"), new(store.RevokeError)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	stop := serveMetrics(t.Context(), l, m, config{Log: testLog(t)})
	defer stop()
	address := "http://" + l.Addr().String()
	has(t, scrape(t, address),
		`latchkey_credentials_released_total{provider="github"} 2`,
		`latchkey_credentials_withheld_total{provider="github"} 2`,
		`latchkey_refreshes_total{outcome="ok",provider="github"} 1`,
		`latchkey_refreshes_total{outcome="outage",provider="github"} 1`,
		`latchkey_refreshes_total{outcome="revoked",provider="github"} 1`,
		`latchkey_pending_revocations 1`,
	)
}

func ignore(err, expected error) error {
	var unconfirmed *store.RevokeError
	if errors.Is(err, expected) || errors.As(err, &unconfirmed) {
		return nil
	}
	return err
}

// troubled is a provider that fails as it is told.
type troubled struct{ err, revoke error }

func (p *troubled) Refresh(context.Context, string, store.Token) (store.Token, error) {
	return store.Token{Access: store.NewSecret("b")}, p.err
}
func (p *troubled) Revoke(context.Context, string, store.Token) error  { return p.revoke }
func (p *troubled) Missing(string, []string, []string) (none []string) { return none }

// Metrics are on an address of their own, which serves nothing else, and the public
// one serves none.
func TestMetricsAreApart(t *testing.T) {
	d, metrics := measured(t)
	status := func(method, url, host string) int {
		t.Helper()
		req, err := http.NewRequest(method, url, nil)
		check(t, err)
		if host != "" {
			req.Host = host
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		check(t, err)
		res.Body.Close()
		return res.StatusCode
	}
	for _, c := range []struct {
		method, url, host string
		want              int
	}{
		{"GET", metrics + "/metrics", "", 200},
		{"GET", metrics + "/metrics", "localhost:1", 200},
		{"GET", metrics + "/metrics", "rebound.example", 421},
		{"POST", metrics + "/metrics", "", 405},
		{"GET", metrics + "/", "", 404},
		{"GET", metrics + "/mcp", "", 404},
		{"GET", metrics + "/debug/pprof/", "", 404},
		{"GET", d.URL + "/metrics", "", 404},
	} {
		if got := status(c.method, c.url, c.host); got != c.want {
			t.Errorf("%s %s as %q: %d, want %d", c.method, c.url, c.host, got, c.want)
		}
	}
	plain := startDemo(t, "")
	if plain.Metrics != nil || plain.Hooks.Call != nil {
		t.Error("metrics are on without being asked for")
	}
}

// What the parts can say is what there are counters for.
func TestMetricsHaveEveryName(t *testing.T) {
	m := newMetrics([]string{"tool"}, []string{"github"})
	for e := store.Released; e < store.AuditFailed; e++ {
		m.event(e, "github")
		m.event(e, "nowhere")
	}
	m.event(store.AuditFailed, "")
	for _, outcome := range mcpserver.Outcomes() {
		m.call("tool", outcome, time.Second)
	}
	m.call("unknown", "ok", 0)
	m.call("tool", "unknown", 0)
	for _, reason := range append(mcpserver.Rejections(), "unknown") {
		m.rejection(reason)
	}
	for i := range 2 * mostRoutes {
		m.request("GET /"+strings.Repeat("x", i), 200)
	}
	m.request("", 0)
	m.request("GET /", 999)
	families, err := m.registry.Gather()
	check(t, err)
	for _, f := range families {
		if f.GetName() == "latchkey_http_requests_total" && len(f.Metric) > mostRoutes+3 {
			t.Errorf("%d series of requests", len(f.Metric))
		}
		if f.GetName() == "latchkey_tool_calls_total" && len(f.Metric) != len(mcpserver.Outcomes()) {
			t.Errorf("%d series of calls", len(f.Metric))
		}
	}
}

// BenchmarkMetrics is what one tool call costs more with metrics on: the call and its
// duration, a release, a request.
func BenchmarkMetrics(b *testing.B) {
	h := newMetrics([]string{"github_search_issues"}, []string{"github"}).hooks()
	b.ReportAllocs()
	for b.Loop() {
		h.Call("github_search_issues", "ok", 30*time.Millisecond)
		h.Event(store.Released, "github")
		h.Request("/mcp", 200)
	}
}
