package tools

import "net/http"

// String is the rule as people and the audit record see it: "GET /user/repos".
func (r Rule) String() string { return r.Method + " " + r.Path }

// Match is the rule of the contract that allows req, or an error that says what
// about req is outside of it. It reads method, scheme (https only), host, Host,
// escaped path, query names and headers (an allow-list without
// X-HTTP-Method-Override, Authorization or Cookie), and never the body.
func Match(contract []Rule, req *http.Request) (Rule, error) { panic("not written yet") }
