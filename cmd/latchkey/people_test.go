package main

import (
	"fmt"
	"testing"
)

// A person is somebody of the demo with a browser and an MCP client.
type person struct {
	name    string
	visitor *visitor
	client  *mcpClient
	last    answer
}

// newPerson is somebody who hasn't signed in anywhere yet.
func newPerson(name, base string, d dialect) *person {
	return &person{name: name, visitor: newVisitor(), client: newMCPClient(base, d)}
}

// signIn signs the person's client in: through their browser, as themselves.
func (p *person) signIn() error {
	return p.client.signIn(p.visitor, func(v *visitor) error {
		if err := p.beMyself(); err != nil {
			return err
		}
		return v.press("Allow")
	})
}

// beMyself answers the built-in server's question who is there, if it is asked.
func (p *person) beMyself() error {
	if p.visitor.sees("I am "+p.name) != nil {
		return nil
	}
	return p.visitor.press("I am " + p.name)
}

// connect opens a connect link and goes all the way to the connected account.
func (p *person) connect(link string) error {
	if err := p.openLink(link); err != nil {
		return err
	}
	if err := p.visitor.press("Continue to"); err != nil {
		return err
	}
	if err := p.visitor.press("#as-" + p.name); err != nil {
		return err
	}
	return p.visitor.sees("Connected as")
}

// openLink opens a link to one of our pages, signing in on the way.
func (p *person) openLink(link string) error {
	p.visitor.stopAt = p.client.redirect
	if err := p.visitor.open(link); err != nil {
		return err
	}
	return p.beMyself()
}

// call calls a tool and keeps the answer.
func (p *person) call(tool string, arguments any) (err error) {
	p.last, err = p.client.call(tool, arguments)
	return err
}

// allowWrites has the person's client never ask before it writes.
func (p *person) allowWrites() error {
	if err := p.openLink(p.client.base + "/connections"); err != nil {
		return err
	}
	return p.visitor.pick("Never ask", "Set for")
}

// connected is a person who is signed in and has connected a provider by using a
// tool of it.
func (p *person) connectFor(tool string, arguments any) error {
	if err := p.call(tool, arguments); err != nil {
		return err
	}
	if p.last.Link == "" {
		return fmt.Errorf("%s: no connect link: %s", tool, p.last.Body)
	}
	return p.connect(p.last.Link)
}

// twoPeople are alice and bob, signed in and connected to both providers.
func twoPeople(t *testing.T, base string) [2]*person {
	t.Helper()
	people := [2]*person{newPerson("alice", base, plain), newPerson("bob", base, plain)}
	for _, p := range people {
		check(t, p.signIn())
		check(t, p.connectFor("github_search_issues", map[string]any{"query": "is:issue"}))
		check(t, p.connectFor("calendar_list_events", map[string]any{}))
	}
	return people
}
