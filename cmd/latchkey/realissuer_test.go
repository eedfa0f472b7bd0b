package main

import (
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/latchkey-mcp/latchkey/oauthflow"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

// npm oidc-provider is the issuer, in both roles: an MCP client registers and signs
// in there, and our own pages sign a person in there. We only read what it
// publishes.
func TestRealIssuer(t *testing.T) {
	browser := newChromium(t)
	var world *sandbox.Sandbox
	d := startServe(t, func(public string) config {
		issuer := startNode(t, "issuer.mjs", public+"/mcp", public+"/signin/callback")
		cfg := config{External: &externalIssuer{issuer.next("issuer").(string), "pages", "pages-secret-of-the-test"}}
		world, cfg.GitHub = startSandboxGitHub(t, public)
		return cfg
	})

	client := startClient(t, d, "auto", "url", "accept")
	browser.signInAtIssuer(client.next("open").(string), "carol")
	browser.sees("You can go back to the client now.")
	client.next("tools")
	link := client.next("open").(string)
	browser.open(link) // signs in at the issuer too, where carol's session still lives
	browser.press("Continue")
	browser.press("Continue to GitHub")
	browser.clickID("as-alice")
	browser.sees("Connected as")
	wantAliceOnly(t, world, client.next("result"))
}

// startSandboxGitHub is a sandbox whose GitHub knows the server at public, and what
// that server is told of it.
func startSandboxGitHub(t *testing.T, public string) (*sandbox.Sandbox, *oauthflow.Settings) {
	t.Helper()
	client := sandbox.Client{ID: "id", Secret: "secret-of-the-test", RedirectURIs: []string{public + "/callback/github"}}
	world, err := sandbox.New(sandbox.Config{GitHub: client, Google: client})
	check(t, err)
	server := httptest.NewServer(world.GitHub())
	t.Cleanup(server.Close)
	return world, &oauthflow.Settings{
		ClientID: client.ID, ClientSecret: client.Secret,
		OAuthURL: server.URL, APIURL: server.URL + "/api/v3",
	}
}

// signInAtIssuer fills in oidc-provider's development pages.
func (c *chromium) signInAtIssuer(link, person string) {
	c.t.Helper()
	c.open(link)
	c.run(
		chromedp.SendKeys(chromedp.CSS(`input[name="login"]`), person),
		chromedp.SendKeys(chromedp.CSS(`input[name="password"]`), "any"),
	)
	c.press("Sign-in")
	c.press("Continue")
}
