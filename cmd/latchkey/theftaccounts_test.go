//go:build unix

package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// accounts has p connect a second account, which somebody else has connected too,
// choose it, use it and disconnect it; then that other is forgotten. Every revocation
// fails, and the answer to it repeats what was sent.
func (v *theft) accounts(p *person) {
	work := p.name + "work"
	other := v.person(p.name+"other", plain)
	v.outside.fail("revoke", failures[1])
	v.another(other, work)
	check(v.t, other.visitor.sees("Connected as"))
	v.another(p, work)
	check(v.t, p.visitor.press("Keep"))
	v.another(p, work)
	check(v.t, p.visitor.press("Add "))
	check(v.t, p.visitor.sees("Connected as"))
	v.choose(p, work)
	check(v.t, p.visitor.press("Disconnect @"+work))
	check(v.t, p.visitor.sees("Somebody else has connected"))
	check(v.t, p.visitor.press("Disconnect it all the same"))
	check(v.t, p.visitor.sees("did not confirm"))
	v.forget(other)
	v.outside.fail("revoke", nil)
	v.outside.welcome(p.visitor, p.name)
	v.cookies(p)
}

// another connects p's account of that name at GitHub, up to the question whether to
// add it, where there is one before.
func (v *theft) another(p *person, account string) {
	check(v.t, p.openLink(v.base+"/connections"))
	v.outside.welcome(p.visitor, account)
	v.add("content", canary(account))
	check(v.t, p.visitor.press("#connect-github"))
	v.add("ticket", p.visitor.at.Path[strings.LastIndexByte(p.visitor.at.Path, '/')+1:])
	check(v.t, p.visitor.press("Continue to"))
	v.formKey(p)
	v.cookies(p)
}

// choose has p's tools use that account at GitHub, and calls one. It ends at the
// connections.
func (v *theft) choose(p *person, account string) {
	check(v.t, p.openLink(v.base+"/connections"))
	check(v.t, v.pressWith(p, "Use by default", url.Values{"account": {p.client.token}, "client": {p.client.refresh}}))
	check(v.t, p.openLink(v.base+"/connections"))
	check(v.t, p.visitor.pick(account, "Use by default"))
	check(v.t, p.visitor.pick(account, "Use for"))
	check(v.t, p.call("github_search_issues", arguments("github_search_issues")))
	if !strings.Contains(p.last.Body, canary(account)) {
		v.t.Fatalf("a call with the chosen account: %s", p.last.Body)
	}
}

// forget has p forgotten, after confirmations that are not p's.
func (v *theft) forget(p *person) {
	ask := func() (key string) {
		check(v.t, p.openLink(v.base+"/connections"))
		check(v.t, p.visitor.press("Forget me"))
		check(v.t, p.visitor.sees("What stays"))
		return v.formKey(p)
	}
	good := ask()
	for _, bad := range []string{v.secretOf("our access token"), "x" + good, ""} {
		check(v.t, v.pressWith(p, "Forget me", url.Values{"key": {bad}}))
		ask()
	}
	check(v.t, p.visitor.press("Forget me"))
	check(v.t, p.visitor.sees("You are forgotten here"))
	check(v.t, p.visitor.sees("did not confirm"))
	v.outside.welcome(p.visitor, p.name)
	ask()
	check(v.t, v.pressWith(p, "Forget me", url.Values{"key": {good}})) // the session before's
	v.cookies(p)
}

// formKey is what the form that p sees confirms with.
func (v *theft) formKey(p *person) (key string) {
	controls, err := parsePage(p.visitor.body)
	check(v.t, err)
	for _, c := range controls {
		if c.form != nil && c.form.values.Get("key") != "" {
			key = c.form.values.Get("key")
		}
	}
	v.add("form key", key)
	return key
}

// pressWith presses a button with other values in its form.
func (v *theft) pressWith(p *person, text string, values url.Values) error {
	controls, err := parsePage(p.visitor.body)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(controls, func(c control) bool { return c.form != nil && c.is(text) })
	if i < 0 {
		return fmt.Errorf("there is no button %q on this page\n%s", text, p.visitor)
	}
	for name, list := range values {
		controls[i].form.values[name] = list
	}
	p.visitor.trail = nil
	return p.visitor.submit(controls[i])
}
