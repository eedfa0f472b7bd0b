package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/tools"
)

// TestNoToolStrays puts a mutant in the place of every registered tool's handler, which
// tries every rule of the tool's contract with another endpoint, host, method or one
// more query name. None of that leaves, and each try is in the audit record.
func TestNoToolStrays(t *testing.T) {
	out := &outgoing{}
	m := &mutants{refused: map[string]int{}}
	d := startDemo(t, "", func(c *config) { c.Transport, c.Modules = out, m.of(c.Modules) })
	p := newPerson("alice", d.URL, plain)
	check(t, p.signIn())
	check(t, p.connectFor("github_context", map[string]any{}))
	check(t, p.connectFor("calendar_context", map[string]any{}))
	check(t, p.allowWrites())
	out.sent, m.kept, m.faults = nil, 0, nil // before, there was no credential for what is in the contract
	list, err := p.client.tools()
	check(t, err)
	for _, tool := range list {
		strays, kept := m.refused[tool.Name], m.kept
		check(t, p.call(tool.Name, map[string]any{}))
		if m.refused[tool.Name]-strays < 10 || m.kept == kept {
			t.Errorf("%s: %d strays, %d others: %s", tool.Name, m.refused[tool.Name]-strays, m.kept-kept, p.last.Body)
		}
	}
	for _, fault := range m.faults {
		t.Error(fault)
	}
	if len(list) != len(toolNames(allModules(), every)) || len(out.sent) != m.kept {
		t.Errorf("%d tools; %d requests left, and %d are in a contract", len(list), len(out.sent), m.kept)
	}
	recorded := refusals(t, d.Data)
	for _, tool := range list {
		if recorded[tool.Name] != m.refused[tool.Name] {
			t.Errorf("%s: %d of %d strays are recorded", tool.Name, recorded[tool.Name], m.refused[tool.Name])
		}
	}
}

// refusals counts what the audit record has of requests outside of contracts, by tool.
func refusals(t *testing.T, data string) map[string]int {
	t.Helper()
	text, stderr, code := latchkey("audit", "tail", "--data", data, "--lines", "1000000")
	if code != 0 {
		t.Fatal(stderr)
	}
	found := map[string]int{}
	for lines := json.NewDecoder(strings.NewReader(text)); lines.More(); {
		var e auditLine
		check(t, lines.Decode(&e))
		if e.Event == audit.Refuse && e.Owner != "" && e.Rule != "" && e.Reason == "outside of the tool's egress contract" {
			found[e.Tool]++
		}
	}
	return found
}

// An outgoing stands in for all providers, and keeps what reaches them.
type outgoing struct {
	mu   sync.Mutex
	sent []string
}

func (o *outgoing) RoundTrip(req *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, req.Method+" "+req.URL.String())
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: req}, nil
}

// mutants are handlers in the place of tools' own, and what came of them.
type mutants struct {
	refused map[string]int // requests that nothing may let out, by tool
	kept    int            // requests that are in a contract
	faults  []string
}

func (m *mutants) of(modules []tools.Module) []tools.Module {
	modules = slices.Clone(modules)
	for i := range modules {
		modules[i].Tools = slices.Clone(modules[i].Tools)
		for j, tool := range modules[i].Tools {
			spec := tool.Spec()
			spec.KeyedByProvider, spec.Scopes = false, nil
			modules[i].Tools[j] = tools.Define(spec, func(ctx context.Context, api *http.Client, _ struct{}) (struct{}, error) {
				return struct{}{}, m.try(ctx, api, spec)
			})
		}
	}
	return modules
}

// try sends what the contract lists, and after each its strays. The error is of the
// former.
func (m *mutants) try(ctx context.Context, api *http.Client, spec tools.Spec) error {
	for _, rule := range spec.Egress {
		path, query := example(rule)
		m.kept++
		if err := sendOne(ctx, api, rule.Method, "https://"+rule.Host+path+query); err != nil {
			return err
		}
		for _, stray := range strays(spec.Egress, rule, path, query) {
			m.refused[spec.Name]++
			if err := sendOne(ctx, api, stray.method, stray.url); err == nil {
				m.faults = append(m.faults, fmt.Sprintf("%s sent %s %s", spec.Name, stray.method, stray.url))
			}
		}
	}
	return nil
}

func sendOne(ctx context.Context, api *http.Client, method, url string) error {
	var body io.Reader
	if method != http.MethodGet && method != http.MethodHead {
		body = bytes.NewReader([]byte("{}"))
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := api.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

var (
	oneSegment = regexp.MustCompile(`\{[a-zA-Z_]+\}`)
	manyOfThem = regexp.MustCompile(`\{[a-zA-Z_]+\.\.\.\}`)
)

// example is a path and a query that rule lists.
func example(rule tools.Rule) (path, query string) {
	path = manyOfThem.ReplaceAllString(oneSegment.ReplaceAllString(rule.Path, "x"), "x/y")
	for i, name := range rule.Query {
		query += map[bool]string{true: "?", false: "&"}[i == 0] + name + "=1"
	}
	return path, query
}

type stray struct{ method, url string }

// strays are requests beside rule's, one thing of each different, that contract doesn't
// list either.
func strays(contract []tools.Rule, rule tools.Rule, path, query string) (list []stray) {
	add := func(method, host, path, query string) {
		if !slices.ContainsFunc(contract, func(r tools.Rule) bool { return reaches(r, method, host, path) }) {
			list = append(list, stray{method, "https://" + host + path + query})
		}
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		add(method, rule.Host, path, query)
	}
	for _, host := range []string{"evil.example", "api.github.com", "www.googleapis.com", "127.0.0.1", rule.Host + ":8443", "x." + rule.Host} {
		add(rule.Method, host, path, query)
	}
	for _, path := range []string{path + "/stray", path + "/", path[:strings.LastIndex(path, "/")] + "/stray/..", "/user/keys", "/repos/x/x/actions/secrets", "/calendar/v3/calendars/x/acl"} {
		add(rule.Method, rule.Host, path, query)
	}
	for _, name := range []string{"stray", "access_token", "_method"} {
		more := "?"
		if query != "" {
			more = query + "&"
		}
		list = append(list, stray{rule.Method, "https://" + rule.Host + path + more + name + "=1"})
	}
	return list
}

// reaches reports whether rule is about such a request, whatever its query.
func reaches(rule tools.Rule, method, host, path string) bool {
	pattern := manyOfThem.ReplaceAllString(oneSegment.ReplaceAllString(rule.Path, `[^/]+`), `[^/]+(/[^/]+)*`)
	return rule.Method == method && rule.Host == host && !strings.Contains(path, "..") && regexp.MustCompile("^"+pattern+"$").MatchString(path)
}
