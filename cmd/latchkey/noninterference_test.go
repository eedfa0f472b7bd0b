package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

const callsPerTool = 120

// accounts are each person's accounts in the sandbox.
var accounts = map[string][]string{
	"alice": {sandbox.AliceLogin, sandbox.AliceEmail},
	"bob":   {sandbox.BobLogin, sandbox.BobEmail},
}

// private is what only one person's accounts hold; no argument ever says it.
var private = map[string][]string{
	"alice": {"Water the tomatoes", "Draw the raised beds", "GPX export drops", "Add the ridge path", "Dentist", "Quarterly planning"},
	"bob":   {"Table saw fence", "Cut list for the walnut", "Oscillator goes flat", "Roadmap call", "Soldering night", "Physiotherapy"},
}

// TestNonInterference holds, over every tool that the server lists, that a call
// reaches the provider with the caller's own credential only and answers with the
// caller's own data only, whatever its arguments say.
func TestNonInterference(t *testing.T) {
	d := startDemo(t, "", described(t))
	people := twoPeople(t, d.URL)
	for _, p := range people {
		check(t, p.allowWrites()) // so that writes reach the providers
	}
	seePrivate(t, people)
	list, err := people[0].client.tools()
	check(t, err)
	for _, tool := range list {
		t.Run(tool.Name, func(t *testing.T) {
			connectBoth(t, people, tool)
			got := alternate(people, tool, callsPerTool, d.sandbox.Requests)
			for _, fault := range got.faults {
				t.Error(fault)
			}
			if got.reached < callsPerTool/10 {
				t.Errorf("only %d of %d calls reached the provider: that proves little", got.reached, callsPerTool)
			}
			for _, fault := range together(people, tool, callsPerTool/4) {
				t.Error(fault)
			}
		})
	}
}

// TestNonInterferenceOfAccounts is the same where each person has the other's account
// as a second one, and has not chosen it: no argument does.
func TestNonInterferenceOfAccounts(t *testing.T) {
	d := startDemo(t, "")
	people := twoPeople(t, d.URL)
	for i, p := range people {
		for _, provider := range []string{"GitHub", "Google"} {
			for _, name := range []string{p.name, people[1-i].name} {
				check(t, p.connectOn(d.URL, provider, name))
			}
		}
	}
	for _, name := range []string{"github_search_issues", "calendar_list_events"} {
		got := alternate(people, listed(t, people[0], name), callsPerTool, d.sandbox.Requests)
		if len(got.faults) > 0 || got.reached < callsPerTool/10 {
			t.Errorf("%d calls reached the provider: %v", got.reached, got.faults)
		}
	}
}

// connectOn connects the account of that name on the connections page, beside what is
// connected there.
func (p *person) connectOn(url, provider, name string) error {
	steps := []string{"#connect-" + strings.ToLower(provider), "Continue to " + provider, "#as-" + name}
	if err := p.openLink(url + "/connections"); err != nil {
		return err
	}
	for _, step := range steps {
		if err := p.visitor.press(step); err != nil {
			return err
		}
	}
	if p.visitor.sees("Add this account") == nil {
		if err := p.visitor.press("Add "); err != nil {
			return err
		}
	}
	return p.visitor.sees("Connected as")
}

// TestNonInterferenceCanFail runs the same check over servers that mix people up.
func TestNonInterferenceCanFail(t *testing.T) {
	t.Run("a proxy that swaps a token now and then", func(t *testing.T) {
		d := startDemo(t, "")
		people := twoPeople(t, d.URL)
		front := swapTokens(t, d.URL, people)
		for _, p := range people {
			p.client.dialect, p.client.base = modern, front // no session that would notice
		}
		got := alternate(people, listed(t, people[0], "github_search_issues"), callsPerTool, d.sandbox.Requests)
		if len(got.faults) == 0 {
			t.Error("it went unnoticed")
		}
	})
	t.Run("a tool that remembers an answer", func(t *testing.T) {
		d := startDemo(t, "", func(c *config) { c.Modules = append(c.Modules, rememberingModule()) })
		people := twoPeople(t, d.URL)
		got := alternate(people, listed(t, people[0], "mutant_remember"), callsPerTool, d.sandbox.Requests)
		if len(got.faults) == 0 {
			t.Error("it went unnoticed")
		}
	})
}

// connectBoth connects both people to whatever the tool needs.
func connectBoth(t *testing.T, people [2]*person, tool toolListing) {
	t.Helper()
	for _, p := range people {
		for seed := range uint64(20) {
			check(t, p.call(tool.Name, invent(tool, "alice", rand.New(rand.NewPCG(seed, 1)))))
			if p.last.Link != "" {
				check(t, p.connect(p.last.Link))
			}
		}
	}
}

// seePrivate makes sure that each person's own calls do show what the other's must
// not.
func seePrivate(t *testing.T, people [2]*person) {
	t.Helper()
	for _, p := range people {
		check(t, p.call("github_search_issues", map[string]any{"query": "is:issue"}))
		seen := p.last.Body
		check(t, p.call("calendar_list_events", map[string]any{"limit": 50}))
		seen += p.last.Body
		for _, text := range private[p.name] {
			if !strings.Contains(seen, text) {
				t.Errorf("%s doesn't see %q: the test looks for the wrong data", p.name, text)
			}
		}
	}
}

// outcome is what alternate saw.
type outcome struct {
	faults  []string
	reached int // calls that reached the provider
}

// alternate makes calls in turns, each with arguments that try to be the other
// person, and attributes what the providers saw to the call.
func alternate(people [2]*person, tool toolListing, calls int, requests func() []sandbox.Request) outcome {
	var out outcome
	for i := range calls {
		p, other := people[i%2], people[(i+1)%2]
		arguments := invent(tool, other.name, rand.New(rand.NewPCG(uint64(i), 7)))
		before := len(requests())
		if err := p.call(tool.Name, arguments); err != nil {
			out.faults = append(out.faults, err.Error())
			continue
		}
		seen := requests()[before:]
		if len(seen) > 0 {
			out.reached++
		}
		for _, r := range seen {
			if !own(p.name, r.Account) {
				out.faults = append(out.faults, fmt.Sprintf("%s's call with %s asked %s %s as %q",
					p.name, mustJSON(arguments), r.Provider, r.Path, r.Account))
			}
		}
		out.faults = append(out.faults, leaks(p, other.name)...)
	}
	return out
}

// together lets both people call at once, and looks at the answers only.
func together(people [2]*person, tool toolListing, calls int) []string {
	var faults [2][]string
	var wg sync.WaitGroup
	for n, p := range people {
		other := people[1-n].name
		wg.Go(func() {
			for i := range calls {
				if err := p.call(tool.Name, invent(tool, other, rand.New(rand.NewPCG(uint64(i), uint64(n))))); err != nil {
					faults[n] = append(faults[n], err.Error())
				}
				faults[n] = append(faults[n], leaks(p, other)...)
			}
		})
	}
	wg.Wait()
	return append(faults[0], faults[1]...)
}

func own(name, account string) bool {
	return account != "" && strings.Contains(" "+strings.Join(accounts[name], " ")+" ", " "+account+" ")
}

// leaks is what the last answer shows of the other's data, or of anybody's token.
func leaks(p *person, other string) []string {
	var faults []string
	for _, secret := range append(private[other], sandbox.DecoyLogin, "decoy:", p.client.token) {
		if strings.Contains(p.last.Body, secret) {
			faults = append(faults, fmt.Sprintf("%s's answer shows %q: %s", p.name, secret, p.last.Body))
		}
	}
	return faults
}

// invent makes arguments for tool from its schema: half of them could be meant,
// the other half try to act as, or to reach, other.
func invent(tool toolListing, other string, r *rand.Rand) map[string]any {
	var schema schemaNode
	_ = json.Unmarshal(tool.InputSchema, &schema)
	arguments, _ := schema.invent("", other, r).(map[string]any)
	if r.IntN(5) == 0 {
		for _, extra := range []string{"user", "user_id", "account", "access_token", "as", "_meta", "headers", "base_url"} {
			if r.IntN(2) == 0 {
				arguments[extra] = pick(r, hostile(other))
			}
		}
	}
	if arguments["number"] != nil { // what only something new can have
		delete(arguments, "head")
		delete(arguments, "draft")
	}
	return arguments
}

// schemaNode is as much of a JSON Schema as our tools use.
type schemaNode struct {
	Type                 string
	Properties           map[string]schemaNode
	Required             []string
	Items                *schemaNode
	Enum                 []any
	Pattern              string
	Minimum, Maximum     *float64
	MaxLength, MinLength *int
}

func (s schemaNode) invent(name, other string, r *rand.Rand) any {
	if len(s.Enum) > 0 && r.IntN(10) > 0 {
		return pick(r, s.Enum)
	}
	switch s.Type {
	case "object":
		return s.inventObject(other, r)
	case "array":
		list := []any{}
		for range r.IntN(3) {
			list = append(list, s.Items.invent(name, other, r))
		}
		return list
	case "integer", "number":
		if s.Minimum != nil && r.IntN(2) == 0 {
			return *s.Minimum
		}
		return pick(r, []any{1, 1, 2, 3, 20, 0, -1, 1 << 40, "1", other})
	case "boolean":
		return r.IntN(2) == 0
	}
	if r.IntN(6) == 0 {
		return pick(r, hostile(other))
	}
	return s.inventText(name, other, r)
}

func (s schemaNode) inventObject(other string, r *rand.Rand) map[string]any {
	all := map[string]any{}
	for _, name := range sortedKeys(s.Properties) {
		required := strings.Contains(" "+strings.Join(s.Required, " ")+" ", " "+name+" ")
		if required || r.IntN(2) == 0 {
			all[name] = s.Properties[name].invent(name, other, r)
		}
	}
	return all
}

// inventText is a text that the schema allows: one that names what belongs to the
// other, or something innocent.
func (s schemaNode) inventText(name, other string, r *rand.Rand) string {
	pattern := regexp.MustCompile(s.Pattern)
	for range 100 {
		text := pick(r, plausible(name, other))
		if pattern.MatchString(text) && (s.MaxLength == nil || len(text) <= *s.MaxLength) {
			return text
		}
	}
	return other
}

func plausible(name, other string) []string {
	switch {
	case strings.HasPrefix(name, "day_"):
		return []string{"08:00", "18:00", "24:00"}
	case name == "recurrence":
		return []string{"RRULE:FREQ=DAILY;COUNT=2", "RRULE:FREQ=WEEKLY"}
	case name == "reminders":
		return []string{"popup 10", "email 60"}
	case strings.Contains(name, "attendees"):
		return []string{accounts[other][1], "someone@outside.example"}
	case strings.HasPrefix(name, "calendar"):
		return []string{"primary", accounts[other][1]}
	case strings.Contains(name, "start"):
		return []string{"2026-12-01T09:00:00Z", "2026-12-01", "2026-11-20T00:00:00+01:00"}
	case strings.Contains(name, "end"):
		return []string{"2026-12-02T09:00:00Z", "2026-12-02", "2026-12-24T00:00:00+01:00"}
	case name == "since", name == "until":
		return []string{"2026-12-01", "2026-11-20T00:00:00+01:00"}
	case name == "ref":
		return []string{"main", "fix/last-waypoint", "bench-legs", "cornflower"}
	case name == "path":
		return []string{"README.md", "docs/notes.md", "docs"}
	case strings.HasSuffix(name, "_sha"), name == "commit_id":
		return []string{strings.Repeat("1", 40), strings.Repeat("ab", 20)}
	case name == "branch", name == "head", name == "base", name == "from":
		return []string{"main", "fix/last-waypoint", "bench-legs"}
	case name == "repo":
		return []string{sandbox.AliceLogin + "/garden", sandbox.BobLogin + "/workshop", sandbox.AliceLogin + "/trail-notes", sandbox.PublicRepo}
	case strings.Contains(name, "zone"):
		return []string{"Europe/Berlin", "UTC"}
	}
	return append([]string{
		"garden", "workshop", "field-guide", "open-meadow", "is:issue", "is:open author:@me", "primary", "bug", "a title",
		"user:" + accounts[other][0], "repo:" + accounts[other][0] + "/workshop", "author:" + accounts[other][0],
	}, accounts[other]...)
}

// hostile is what somebody would try who wants another's account.
func hostile(other string) []string {
	return []string{
		other, accounts[other][0], accounts[other][1], "../../" + accounts[other][0], "..%2f..%2fuser", "%2e%2e/%2e%2e",
		"https://evil.example/", "//evil.example", "http://127.0.0.1:1/", "x\r\nAuthorization: Bearer gho_stolen",
		"x\nX-Forwarded-User: " + other, "Bearer eyJhbGciOiJub25lIn0.e30.", "?access_token=gho_stolen", "#" + other,
		"'; DROP TABLE grants; --", "{{.Token}}", "\x00", "", strings.Repeat("A", 70000), "me", "@me", "all",
	}
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// swapTokens is a mutant: a proxy that sends every tenth call with the other
// person's token.
func swapTokens(t *testing.T, target string, people [2]*person) string {
	to, err := url.Parse(target)
	check(t, err)
	var calls atomic.Int64
	alice, bob := "Bearer "+people[0].client.token, "Bearer "+people[1].client.token
	swap := map[string]string{alice: bob, bob: alice}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		if calls.Add(1)%10 == 0 {
			r.Out.Header.Set("Authorization", swap[r.In.Header.Get("Authorization")])
		}
	}}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// rememberingModule is a mutant: its tool keeps what the first call got and tells
// it to everybody.
func rememberingModule() tools.Module {
	type in struct {
		Query string `json:"query" jsonschema:"what to look for"`
	}
	type out struct {
		Answer string `json:"answer" jsonschema:"what was found"`
	}
	var once sync.Once
	var remembered string
	remember := func(ctx context.Context, api *http.Client, _ in) (out, error) {
		once.Do(func() { remembered = firstIssue(ctx, api) })
		return out{remembered}, nil
	}
	return tools.Module{Name: "mutant", Title: "Mutant", Provider: "github", Tools: []tools.Tool{tools.Define(tools.Spec{
		Name: "mutant_remember", Title: "Remember", Description: "Remembers.", Can: "Remember",
		Provider: "github", Scopes: []string{"repo"}, ReadOnly: true,
		Egress: []tools.Rule{{Method: "GET", Host: "api.github.com", Path: "/search/issues", Query: []string{"q"}}},
	}, remember)}}
}

func firstIssue(ctx context.Context, api *http.Client) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.github.com/search/issues?q=is:issue", nil)
	if err != nil {
		return err.Error()
	}
	res, err := api.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	var found struct{ Items []struct{ Title string } }
	_ = json.NewDecoder(res.Body).Decode(&found)
	var titles []string
	for _, i := range found.Items {
		titles = append(titles, i.Title)
	}
	return strings.Join(titles, "; ")
}

// listed is the tool of that name in the live list.
func listed(t *testing.T, p *person, name string) toolListing {
	t.Helper()
	list, err := p.client.tools()
	check(t, err)
	for _, tool := range list {
		if tool.Name == name {
			return tool
		}
	}
	t.Fatalf("no tool %s", name)
	return toolListing{}
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

// TestSchemaLint holds the lint over the live list.
func TestSchemaLint(t *testing.T) {
	d := startDemo(t, "")
	p := newPerson("alice", d.URL, plain)
	check(t, p.signIn())
	list, err := p.client.tools()
	check(t, err)
	for _, tool := range list {
		for _, fault := range tools.LintSchema(tool.Name, tool.InputSchema) {
			t.Errorf("%s: %s", tool.Name, fault)
		}
	}
	mutant := json.RawMessage(`{"type":"object","properties":{"on_behalf_of":{"type":"string","description":"who"}},"additionalProperties":false}`)
	if len(tools.LintSchema("mutant", mutant)) == 0 {
		t.Error("the lint misses a mutant")
	}
}
