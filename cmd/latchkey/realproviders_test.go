package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/oauthflow"
)

// npm emulate is GitHub and Google. It takes any unknown token for its first
// user's, a decoy whose name must not turn up anywhere.
func TestRealProviders(t *testing.T) {
	d := startServe(t, func(public string) config {
		line := startNode(t, "providers.mjs", public).line()
		github, google := line["github"].(string), line["google"].(string)
		return config{
			People: demoPeople,
			GitHub: &oauthflow.Settings{ClientID: "gh-client", ClientSecret: "gh-secret", OAuthURL: github, APIURL: github},
			Google: &oauthflow.Settings{ClientID: "go-client", ClientSecret: "go-secret", OAuthURL: google, APIURL: google},
		}
	})
	for _, person := range demoPeople {
		t.Run(person, func(t *testing.T) {
			browser := newChromium(t)
			for _, step := range emulatedCalls(person) {
				text := callThroughEmulator(t, browser, d, person, step)
				for _, want := range step.want {
					if !strings.Contains(text, want) {
						t.Errorf("%s: no %q in %s", step.tool, want, text)
					}
				}
				for _, no := range append(step.never, "zz-unknown-token") {
					if strings.Contains(text, no) {
						t.Errorf("%s: %q in %s", step.tool, no, text)
					}
				}
			}
		})
	}
}

// An emulatedCall is one tool call, by a client of its own.
type emulatedCall struct {
	provider, tool, arguments string
	want, never               []string
}

func emulatedCalls(person string) []emulatedCall {
	other := map[string]string{"alice": "bob", "bob": "alice"}[person]
	week := `"start":"2030-05-01T00:00:00Z","end":"2030-05-30T00:00:00Z"`
	return []emulatedCall{
		{"GitHub", "github_write_issue", fmt.Sprintf(`{"repo":"%s/%s-repo","title":"Written by %s"}`, person, person, person), []string{person + "-repo/issues/"}, nil},
		{"GitHub", "github_search_issues", fmt.Sprintf(`{"query":"repo:%s/%s-repo is:issue"}`, person, person), []string{"Written by " + person}, []string{"Written by " + other}},
		{"Google", "calendar_list_events", "{" + week + "}", []string{"Only for " + person}, []string{"Only for " + other}},
		{"Google", "calendar_create_event", fmt.Sprintf(`{"summary":"Made by %s","start":"2030-05-07T09:00:00Z","end":"2030-05-07T10:00:00Z"}`, person), []string{"2030-05-07T"}, nil},
		{"Google", "calendar_list_events", "{" + week + "}", []string{"Only for " + person, "Made by " + person}, []string{"for " + other, "by " + other}},
	}
}

// callThroughEmulator makes a call as person, who signs in and connects where it
// is asked for, and returns the result's text.
func callThroughEmulator(t *testing.T, browser *chromium, d *running, person string, c emulatedCall) string {
	t.Helper()
	client := startNode(t, "client.mjs", d.URL+"/mcp", "auto", "url", "accept", c.tool, c.arguments)
	browser.open(client.next("open").(string))
	browser.pressIfThere("I am " + person)
	browser.press("Allow")
	browser.sees("You can go back to the client now.")
	client.next("tools")
	line := client.line()
	if link, asked := line["open"].(string); asked && strings.Contains(link, "/connect/") {
		browser.open(link)
		browser.press("Continue to " + c.provider)
		browser.click(fmt.Sprintf(`//button[.//*[@class="user-login" and starts-with(., %q)]]`, person))
		browser.sees("Connected as")
		line = client.line()
	}
	if link, asked := line["open"]; asked { // before a destructive tool
		browser.open(link.(string))
		browser.press("Approve")
		browser.sees("can do it once")
		line = client.line()
	}
	text := asJSON(t, line)
	if line["result"] == nil || strings.Contains(text, `"isError":true`) {
		t.Fatalf("%s: %s", c.tool, text)
	}
	return text
}
