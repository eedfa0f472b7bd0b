package main

import "testing"

// TestGitHubRevokeSetting has two people connect one GitHub account: what the one's
// disconnect does to the other is the setting's.
func TestGitHubRevokeSetting(t *testing.T) {
	for name, grant := range map[string]bool{"token": false, "grant": true} {
		t.Run(name, func(t *testing.T) {
			d := startDemo(t, "", func(c *config) { c.GitHub.RevokeGrant = grant })
			alice, bob := newPerson("alice", d.URL, plain), newPerson("bob", d.URL, plain)
			query := map[string]any{"query": "is:issue"}
			for _, p := range []*person{alice, bob} {
				check(t, p.signIn())
				check(t, p.call("github_search_issues", query))
				check(t, p.openLink(p.last.Link))
				check(t, p.visitor.press("Continue to"))
				check(t, p.visitor.press("#as-alice"))
				check(t, p.visitor.sees("Connected as"))
			}
			check(t, alice.visitor.open(d.URL+"/connections"))
			check(t, alice.visitor.press("Disconnect"))
			check(t, alice.visitor.press("Disconnect it all the same"))
			check(t, alice.visitor.sees("Connect GitHub"))
			check(t, bob.call("github_search_issues", query))
			if ended := bob.last.Link != ""; ended != grant {
				t.Errorf("the other's token ended: %v, answer %s", ended, bob.last.Body)
			}
		})
	}
}
