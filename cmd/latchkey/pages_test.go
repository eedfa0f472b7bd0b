package main

import (
	"testing"
	"time"
)

// The pages in a real browser, in the order in which a newcomer sees them. With
// SCREENSHOTS=DIR it keeps pictures; the README's are connect.png,
// connections.png and approve.png.
func TestPages(t *testing.T) {
	d := startDemo(t, "")
	alice := newPerson("alice", d.URL, plain)
	check(t, alice.signIn())
	check(t, alice.call("calendar_list_events", map[string]any{}))

	browser := newChromium(t)
	browser.open(alice.last.Link)
	browser.sees("Sign in to see your connections")
	browser.shots("signin")
	browser.press("I am alice")
	browser.sees("asks to use your Google account")
	browser.shots("connect")
	browser.press("Continue to Google")
	browser.clickID("as-alice")
	browser.sees("Connected as alice@sandbox.example")
	browser.shots("connected")
	browser.open(alice.last.Link)
	browser.sees("A link works once")
	browser.shots("used-link")

	browser.open(d.URL + "/connections")
	browser.press("Connect GitHub")
	browser.press("Continue to GitHub")
	browser.clickID("cancel")
	browser.sees("You said no at GitHub")
	browser.shots("denied")
	browser.open(d.URL + "/connections")
	browser.press("Connect GitHub")
	browser.press("Continue to GitHub")
	browser.clickID("as-alice")
	browser.sees("Connected as @alice-dev")
	browser.press("Your connections")
	browser.sees("Connected as @alice-dev")
	browser.shots("connections")

	check(t, alice.call("github_write_issue", map[string]any{
		"repo": "alice-dev/garden", "title": "Order seeds for spring", "labels": []string{"shopping", "spring"},
		"body": "Tomatoes, beans and peas.\n\nFrom the shop in town:\n- two bags of soil\n- one bag of compost",
	}))
	browser.open(alice.last.Link)
	browser.sees("Order seeds for spring")
	browser.shots("approve")
	browser.press("Approve")
	browser.sees("can do it once")
	browser.shots("approved")
	browser.press("Your connections")
	browser.sees("Before your clients write")

	browser.clickID("connect-github")
	browser.press("Continue to GitHub")
	browser.clickID("as-bob")
	browser.sees("You have just signed in to GitHub as @bob-builds")
	browser.shots("replace")
	browser.press("Add @")
	browser.sees("Clients without an account of their own use @alice-dev")
	browser.shots("added")
	browser.press("Your connections")
	browser.sees("Which account is used")
	browser.shots("accounts")
	browser.clickRadio("@bob-builds")
	browser.press("Use by default")
	browser.sees("@bob-builds since " + time.Now().Format("2 January 2006") + ". The default.")
	browser.press("Disconnect @bob-builds")
	browser.sees("Connected as @alice-dev")
	browser.press("Disconnect")
	browser.sees("Not connected")

	check(t, alice.call("calendar_create_event", map[string]any{
		"summary": "Step up", "start": "2030-01-01", "end": "2030-01-02",
	}))
	browser.open(alice.last.Link)
	browser.sees("Continue to Google")
	browser.shots("step-up")

	browser.open(d.URL + "/connections")
	browser.press("Forget me…")
	browser.sees("What goes, at once")
	browser.shots("forget")
	browser.press("Forget me")
	browser.sees("Your connections, sign-ins and links here are gone")
	browser.shots("forgotten")
	browser.open(d.URL + "/connections")
	browser.sees("Sign in to see your connections")

	check(t, alice.signIn()) // the client's tokens went too
	check(t, alice.call("calendar_list_events", map[string]any{}))

	bob := newChromium(t)
	bob.open(alice.last.Link)
	bob.press("I am bob")
	bob.sees("made for another person")
	bob.shots("wrong-person")
	bob.open(d.URL + "/nowhere")
	bob.sees("There is nothing at this address")
	bob.shots("not-found")
}

// shots takes the page in both colour schemes and on a small screen.
func (c *chromium) shots(name string) {
	c.t.Helper()
	c.screenshot(name+".png", 760, false)
	c.screenshot(name+"-dark.png", 760, true)
	c.screenshot(name+"-320.png", 320, false)
}
