package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

// These journeys are driven by an MCP client and a browser that nobody here wrote,
// from the first request without a token to a tool's result.

const searchIssues = `{"query":"is:issue"}`

// signIn does, in the browser, what the client's authorization link asks of alice.
func (c *chromium) signIn(link, person string) {
	c.t.Helper()
	c.open(link)
	c.press("I am " + person)
	c.sees("It could")
	c.shots("allow")
	c.press("Allow")
	c.sees("You can go back to the client now.")
}

// connect follows a connect link to the end and says which sandbox account it was.
func (c *chromium) connect(link, provider, account string) {
	c.t.Helper()
	c.open(link)
	c.press("Continue to " + provider)
	c.clickID("as-" + account)
	c.sees("Connected as")
}

// asJSON is v as one line, to look for what must or mustn't be in it.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	check(t, err)
	return string(b)
}

// wantAliceOnly holds that the tool answered, with alice's own issues, and that the
// provider was never asked as anybody else.
func wantAliceOnly(t *testing.T, world *sandbox.Sandbox, result any) {
	t.Helper()
	text := asJSON(t, result)
	if strings.Contains(text, `"isError":true`) {
		t.Fatalf("the tool answered an error: %s", text)
	}
	if !strings.Contains(text, sandbox.AliceLogin+"/") {
		t.Errorf("no issue of alice's in the result: %s", text)
	}
	requests := world.Requests()
	if len(requests) == 0 {
		t.Error("the provider was never asked")
	}
	for _, r := range requests {
		if r.Account != sandbox.AliceLogin {
			t.Errorf("the provider was asked %s %s as %q", r.Method, r.Path, r.Account)
		}
	}
}

func startClient(t *testing.T, d *running, era, elicitation, answer string) *nodeProcess {
	t.Helper()
	return startNode(t, "client.mjs", d.URL+"/mcp", era, elicitation, answer, "github_search_issues", searchIssues)
}

// A client of 2026-07-28 is asked for input, shows the link, and its one call goes
// on to the result once the account is connected.
func TestRealClientInputRequired(t *testing.T) {
	browser, d := newChromium(t), startDemo(t, "")
	client := startClient(t, d, "auto", "url", "accept")
	browser.signIn(client.next("open").(string), "alice")
	client.next("tools")
	browser.connect(client.next("open").(string), "GitHub", "alice")
	wantAliceOnly(t, d.sandbox, client.next("result"))
}

// A client of 2025-11-25 gets error -32042 with the link, and calls again.
func TestRealClientURLElicitationRequired(t *testing.T) {
	browser, d := newChromium(t), startDemo(t, "")
	client := startClient(t, d, "legacy", "url", "accept")
	browser.signIn(client.next("open").(string), "alice")
	client.next("tools")
	elicitations := client.next("elicitations").([]any)
	browser.connect(elicitations[0].(map[string]any)["url"].(string), "GitHub", "alice")
	client.say("again")
	wantAliceOnly(t, d.sandbox, client.next("result"))
}

// Any other client gets a sentence with the link, and calls again.
func TestRealClientText(t *testing.T) {
	for _, era := range []string{"auto", "legacy"} {
		t.Run(era, func(t *testing.T) {
			browser, d := newChromium(t), startDemo(t, "")
			client := startClient(t, d, era, "plain", "accept")
			browser.signIn(client.next("open").(string), "alice")
			client.next("tools")
			link := linkIn(t, client.next("result"), d.URL)
			browser.connect(link, "GitHub", "alice")
			client.say("again")
			wantAliceOnly(t, d.sandbox, client.next("result"))
		})
	}
}

// linkIn is the connect link in a tool's error result.
func linkIn(t *testing.T, result any, origin string) string {
	t.Helper()
	text := asJSON(t, result)
	i := strings.Index(text, origin+"/connect/")
	if i < 0 || !strings.Contains(text, `"isError":true`) {
		t.Fatalf("no connect link in an error result: %s", text)
	}
	return strings.FieldsFunc(text[i:], func(r rune) bool { return strings.ContainsRune(" \"\\)<>,", r) })[0]
}

// A person who declines is not asked again; the model is told.
func TestRealClientDecline(t *testing.T) {
	browser, d := newChromium(t), startDemo(t, "")
	client := startClient(t, d, "auto", "url", "decline")
	browser.signIn(client.next("open").(string), "alice")
	client.next("tools")
	client.next("open")
	text := asJSON(t, client.next("result"))
	if !strings.Contains(text, `"isError":true`) {
		t.Fatalf("a declined link must end in an error result: %s", text)
	}
}

// A client that has forms shows what will be done in one, and what its person approves
// is done.
func TestRealClientApprovesInAForm(t *testing.T) {
	browser, d := newChromium(t), startDemo(t, "")
	client := startNode(t, "client.mjs", d.URL+"/mcp", "auto", "form", "accept",
		"github_write_issue", `{"repo":"alice-dev/garden","title":"Buy a rake"}`)
	browser.signIn(client.next("open").(string), "alice")
	client.next("tools")
	browser.connect(linkIn(t, client.next("result"), d.URL), "GitHub", "alice")
	client.say("again")
	if form := client.next("form").(string); !strings.Contains(form, "│ Buy a rake") || !strings.Contains(form, "as @alice-dev") {
		t.Errorf("the form says %s", form)
	}
	if text := asJSON(t, client.next("result")); !strings.Contains(text, "alice-dev/garden/issues/") || strings.Contains(text, `"isError":true`) {
		t.Errorf("approved, and answered %s", text)
	}
}
