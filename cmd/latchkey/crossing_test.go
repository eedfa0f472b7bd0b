package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// TestProofCrossing holds that among many people who call every tool at once, over
// shared connections, in all dialects, while they connect and disconnect and their
// tokens are renewed, no call ever reaches a provider with another's credential, and
// no answer ever shows what is another's.
func TestProofCrossing(t *testing.T) {
	calls := storetest.Size(400, 50_000, 1_000_000)
	c := newCrowd(t, storetest.Size(6, 100, 200), nil)
	c.run(t, storetest.Seed(t), calls)
	reached, faults := c.outside.seen()
	for _, fault := range append(faults, c.faults...)[:min(10, len(faults)+len(c.faults))] {
		t.Error(fault)
	}
	t.Logf("%d calls of %d people, %d reached a provider, %d answers showed the caller's own, %d asked to connect, %d times somebody connected anew; %d crossings",
		calls, len(c.people), reached, c.own.Load(), c.asked.Load(), c.moves.Load(), len(faults)+len(c.faults))
	if int(c.own.Load()) < calls/4 || c.moves.Load() == 0 {
		t.Error("too few calls came to anything: that proves little")
	}
}

// TestProofCrossingCanFail is a server that mixes people up.
func TestProofCrossingCanFail(t *testing.T) {
	c := newCrowd(t, 3, func(cfg *config) { cfg.Modules = append(cfg.Modules, rememberingModule()) })
	c.run(t, 1, 200)
	if _, faults := c.outside.seen(); len(faults)+len(c.faults) == 0 {
		t.Error("a tool that remembers an answer went unnoticed")
	}
}

// A crowd is many people of one server.
type crowd struct {
	*running
	outside *outside
	people  []*person
	tools   []toolListing

	own, asked, moves atomic.Int64
	mu                sync.Mutex
	faults            []string
}

func newCrowd(t *testing.T, n int, adjust func(*config)) *crowd {
	t.Helper()
	c := &crowd{outside: newOutside(t)}
	c.outside.life = storetest.Size(2, 60, 60)
	var names []string
	for i := range n {
		name := fmt.Sprintf("p%03d", i)
		names = append(names, name)
		accounts[name] = []string{name + "-dev", name + "@outside.example"}
		t.Cleanup(func() { delete(accounts, name) })
	}
	c.running = startDemo(t, "", func(cfg *config) {
		cfg.People, cfg.GitHub, cfg.Google = names, c.outside.github(), c.outside.google()
		if adjust != nil {
			adjust(cfg)
		}
	})
	for _, name := range names {
		c.people = append(c.people, c.arrive(t, name))
	}
	var err error
	c.tools, err = c.people[0].client.tools()
	check(t, err)
	return c
}

// arrive signs a person in and connects both accounts. All use one client, since
// there is a limit on how many register at once.
func (c *crowd) arrive(t *testing.T, name string) *person {
	t.Helper()
	p := newPerson(name, c.URL, plain)
	if len(c.people) > 0 {
		p.client.clientID = c.people[0].client.clientID
	}
	check(t, p.signIn())
	c.outside.welcome(p.visitor, name)
	for _, tool := range []string{"github_search_issues", "calendar_create_event"} {
		check(t, c.connect(p, tool))
	}
	check(t, p.allowWrites())
	return p
}

// connect follows the link that a tool answers with.
func (c *crowd) connect(p *person, tool string) error {
	arguments := map[string]any{"query": "x"}
	if tool == "calendar_create_event" {
		arguments = map[string]any{"summary": "x", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z"}
	}
	if err := p.call(tool, arguments); err != nil {
		return err
	}
	if p.last.Link == "" {
		return nil // somebody was faster
	}
	if err := p.openLink(p.last.Link); err != nil {
		return err
	}
	if err := p.visitor.press("Continue to"); err != nil {
		return err
	}
	return p.visitor.sees("Connected as")
}

// run makes calls from several connections, each of which carries everybody's in
// turns, while some people disconnect and connect again.
func (c *crowd) run(t *testing.T, seed uint64, calls int) {
	const connections = 6
	progress := storetest.Progress(t, calls)
	turns := make(chan int)
	var movers, callers sync.WaitGroup
	movers.Go(func() { c.move(turns) })
	for n := range connections {
		callers.Go(func() {
			line := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxConnsPerHost: 1}}
			clients := map[string]*mcpClient{}
			for i := n; i < calls; i += connections {
				c.one(line, clients, rand.New(rand.NewPCG(seed, uint64(i))), i)
				progress(1)
				if i%250 == 0 {
					select {
					case turns <- i / 250:
					default: // the one before is still at it
					}
				}
			}
		})
	}
	callers.Wait()
	close(turns)
	movers.Wait()
}

// one is one call of anybody's, which tries to be somebody else's.
func (c *crowd) one(line *http.Client, clients map[string]*mcpClient, r *rand.Rand, n int) {
	p, other, tool := pick(r, c.people), pick(r, c.people), c.tool(r)
	client := c.client(clients, line, p, pick(r, []dialect{modern, eliciting, plain}))
	a, err := client.call(tool.Name, c.arguments(r, p, other, tool, n))
	if err != nil {
		c.fault("%s: %v", p.name, err)
		return
	}
	switch {
	case a.Link != "":
		c.asked.Add(1)
	case a.Status != http.StatusOK:
		c.fault("%s's call of %s: %d %s", p.name, tool.Name, a.Status, a.Body)
	}
	for _, found := range canaries.FindAllString(a.Body, -1) {
		if found != canary(p.name) {
			c.fault("%s's answer shows %s: %s", p.name, found, a.Body)
		}
	}
	for _, found := range marks.FindAllStringSubmatch(a.Body, -1) {
		if found[1] != p.name {
			c.fault("%s's answer speaks of a call of %s: %s", p.name, found[1], a.Body)
		}
	}
	for _, secret := range []string{"access-", "refresh-", client.token} {
		if strings.Contains(a.Body, secret) {
			c.fault("%s's answer holds a token: %s", p.name, a.Body)
		}
	}
	if strings.Contains(a.Body, canary(p.name)) {
		c.own.Add(1)
	}
}

// client is p's in that dialect, on that line. Each has a session of its own.
func (c *crowd) client(clients map[string]*mcpClient, line *http.Client, p *person, d dialect) *mcpClient {
	key := p.name + string(d)
	if clients[key] == nil {
		own := newMCPClient(c.URL, d)
		own.http = *line
		clients[key] = own
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	clients[key].token = p.client.token
	return clients[key]
}

// arguments are what the tool takes, with p's mark, and often other's names in them.
func (c *crowd) arguments(r *rand.Rand, p, other *person, tool toolListing, n int) map[string]any {
	if other == p {
		other = c.people[0]
	}
	text := mark(p.name, n)
	if meant := meant(other.name, text)[tool.Name]; r.IntN(3) > 0 && meant != nil {
		return meant
	}
	return c.invented(r, other, tool, text)
}

// meant are arguments that somebody could mean, for the tools that the outside
// knows the answers of.
func meant(other, text string) map[string]map[string]any {
	return map[string]map[string]any{
		"github_search_issues":       {"query": text + " author:" + other},
		"github_search_code":         {"query": text + " user:" + other},
		"github_search_repositories": {"query": text + " user:" + other},
		"github_get_file":            {"repo": other + "/x", "path": "a/" + text},
		"github_list_commits":        {"repo": other + "/x", "ref": text, "author": other},
		"github_get_commit":          {"repo": other + "/x", "ref": text},
		"github_list_branches":       {"repo": other + "/x"},
		"github_read_issue":          {"repo": other + "/x", "number": 7},
		"github_list_pull_requests":  {"repo": other + "/x", "head": text},
		"github_read_pull_request":   {"repo": other + "/x", "number": 7},
		"github_read_actions":        {"repo": other + "/x", "branch": text},
		"github_list_notifications":  {"since": "2026-01-01"},
		"github_write_issue":         {"repo": other + "/x", "title": text, "body": other},
		"github_comment":             {"repo": other + "/x", "number": 7, "body": text},
		"github_write_pull_request":  {"repo": other + "/x", "title": text, "head": other + ":x", "base": "main"},
		"mutant_remember":            {"query": text},
		"calendar_get_event":         {"event": text},
		"calendar_list_instances":    {"event": text},
		"calendar_list_calendars":    {},
		"calendar_quick_add":         {"text": text + " with " + other},
		"calendar_update_event":      {"event": text, "summary": text, "add_attendees": []string{other + "@outside.example"}},
		"calendar_delete_event":      {"event": text, "summary": text},
		"calendar_respond":           {"event": text, "response": "accepted", "comment": text + other},
		"calendar_free_busy":         {"calendars": []string{text, other + "@outside.example"}},
		"calendar_find_time":         {"minutes": 30, "attendees": []string{text, other + "@outside.example"}},
		"calendar_list_events":       {"query": text},
		"calendar_create_event":      {"summary": text, "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z", "attendees": []string{other + "@outside.example"}},
	}
}

// tool is any, but more often one that the outside knows the answers of.
func (c *crowd) tool(r *rand.Rand) toolListing {
	tool := pick(r, c.tools)
	for range 4 {
		if meant("", "")[tool.Name] == nil {
			tool = pick(r, c.tools)
		}
	}
	return tool
}

// invented are TestNonInterference's arguments, with the mark in one of them.
func (c *crowd) invented(r *rand.Rand, other *person, tool toolListing, text string) map[string]any {
	arguments := invent(tool, other.name, r)
	for _, name := range []string{"query", "title", "summary", "text", "comment", "body", "description"} {
		if old, ok := arguments[name].(string); ok && len(old) < 200 {
			arguments[name] = text + old
			break
		}
	}
	return arguments
}

// move has people disconnect and connect again, one after the other.
func (c *crowd) move(turns <-chan int) {
	for i := range turns {
		p := c.people[i%len(c.people)]
		if err := c.reconnect(p); err != nil {
			c.fault("%s connecting anew: %v", p.name, err)
		}
		c.moves.Add(1)
	}
}

func (c *crowd) reconnect(p *person) error {
	c.mu.Lock()
	err := p.client.renew()
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if err := p.openLink(c.URL + "/connections"); err != nil {
		return err
	}
	if err := p.visitor.press("Disconnect"); err != nil {
		return err
	}
	for _, tool := range []string{"github_search_issues", "calendar_create_event"} {
		if err := c.connect(p, tool); err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}
