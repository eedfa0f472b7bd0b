package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
)

type item struct {
	Label string `json:"label" jsonschema:"its label" maxLength:"8"`
	Count int    `json:"count,omitempty" jsonschema:"how many" minimum:"1" maximum:"9"`
}

type input struct {
	Query  string   `json:"query" jsonschema:"what to look for" minLength:"1" maxLength:"10"`
	State  string   `json:"state,omitempty" jsonschema:"which" enum:"open,closed"`
	Limit  int      `json:"limit,omitempty" jsonschema:"at most so many" minimum:"1" maximum:"50"`
	Labels []string `json:"labels,omitempty" jsonschema:"all of these" maxItems:"2" maxLength:"5" pattern:"^[a-z]*$"`
	Item   *item    `json:"item,omitempty" jsonschema:"an item"`
	Items  []item   `json:"items,omitempty" jsonschema:"more items"`
	Exact  bool     `json:"exact,omitempty" jsonschema:"word for word"`
}

type output struct {
	Got  input    `json:"got"`
	Tags []string `json:"tags"`
}

func spec() tools.Spec {
	return tools.Spec{
		Name: "github_try_things", Title: "Try things", Description: "Tries things.",
		Can: "Try things", Provider: "github", Scopes: []string{"repo"}, ReadOnly: true,
		Egress: []tools.Rule{{Method: "GET", Host: "api.github.com", Path: "/things/{name}", Query: []string{"q"}}},
	}
}

func echo(_ context.Context, _ *http.Client, in input) (output, error) {
	return output{Got: in, Tags: []string{}}, nil
}

func TestDefineRefusesWrongDeclarations(t *testing.T) {
	rule := func(change func(*tools.Rule)) func(*tools.Spec) {
		return func(s *tools.Spec) { change(&s.Egress[0]) }
	}
	redirects := func(hosts ...string) func(*tools.Spec) {
		return rule(func(r *tools.Rule) { r.Redirects = hosts })
	}
	for name, change := range map[string]func(*tools.Spec){
		"no name":               func(s *tools.Spec) { s.Name = "" },
		"one word":              func(s *tools.Spec) { s.Name = "github" },
		"capitals":              func(s *tools.Spec) { s.Name = "github_Try" },
		"digits":                func(s *tools.Spec) { s.Name = "github_try2" },
		"a trailing underscore": func(s *tools.Spec) { s.Name = "github_try_" },
		"no title":              func(s *tools.Spec) { s.Title = " " },
		"no description":        func(s *tools.Spec) { s.Description = "" },
		"no Can":                func(s *tools.Spec) { s.Can = "" },
		"no provider":           func(s *tools.Spec) { s.Provider = "" },
		"an empty scope":        func(s *tools.Spec) { s.Scopes = []string{""} },
		"no egress":             func(s *tools.Spec) { s.Egress = nil },
		"read-only with POST":   rule(func(r *tools.Rule) { r.Method = "POST" }),
		"writes with only GET":  func(s *tools.Spec) { s.ReadOnly = false },
		"destructive reading":   func(s *tools.Spec) { s.Destructive = true },
		"a safe DELETE":         rule(func(r *tools.Rule) { r.Method, r.Safe = "DELETE", true }),
		"a safe GET":            rule(func(r *tools.Rule) { r.Safe = true }),
		"lower-case method":     rule(func(r *tools.Rule) { r.Method = "get" }),
		"odd method":            rule(func(r *tools.Rule) { r.Method = "CONNECT" }),
		"no host":               rule(func(r *tools.Rule) { r.Host = "" }),
		"host with a port":      rule(func(r *tools.Rule) { r.Host = "api.github.com:443" }),
		"host with a path":      rule(func(r *tools.Rule) { r.Host = "api.github.com/x" }),
		"host with a scheme":    rule(func(r *tools.Rule) { r.Host = "https://api.github.com" }),
		"host in capitals":      rule(func(r *tools.Rule) { r.Host = "API.github.com" }),
		"host pattern":          rule(func(r *tools.Rule) { r.Host = "*.github.com" }),
		"host address":          rule(func(r *tools.Rule) { r.Host = "127.0.0.1" }),
		"one-label host":        rule(func(r *tools.Rule) { r.Host = "localhost" }),
		"no path":               rule(func(r *tools.Rule) { r.Path = "" }),
		"relative path":         rule(func(r *tools.Rule) { r.Path = "things" }),
		"bare root":             rule(func(r *tools.Rule) { r.Path = "/" }),
		"trailing slash":        rule(func(r *tools.Rule) { r.Path = "/things/" }),
		"double slash":          rule(func(r *tools.Rule) { r.Path = "/things//x" }),
		"dot segment":           rule(func(r *tools.Rule) { r.Path = "/things/../x" }),
		"escape":                rule(func(r *tools.Rule) { r.Path = "/things/a%2Fb" }),
		"rest in the middle":    rule(func(r *tools.Rule) { r.Path = "/things/{path...}/x" }),
		"rest of everything":    rule(func(r *tools.Rule) { r.Path = "/{path...}" }),
		"rest twice":            rule(func(r *tools.Rule) { r.Path = "/things/{a...}/{b...}" }),
		"rest without a name":   rule(func(r *tools.Rule) { r.Path = "/things/{...}" }),
		"half a rest":           rule(func(r *tools.Rule) { r.Path = "/things/{path..}" }),
		"partial variable":      rule(func(r *tools.Rule) { r.Path = "/things/x{name}" }),
		"open brace":            rule(func(r *tools.Rule) { r.Path = "/things/{name" }),
		"star":                  rule(func(r *tools.Rule) { r.Path = "/things/*" }),
		"query in the path":     rule(func(r *tools.Rule) { r.Path = "/things?q=1" }),
		"variable first":        rule(func(r *tools.Rule) { r.Path = "/{any}/x" }),
		"empty query name":      rule(func(r *tools.Rule) { r.Query = []string{""} }),
		"escaped query name":    rule(func(r *tools.Rule) { r.Query = []string{"a%20b"} }),
		"doubled query name":    rule(func(r *tools.Rule) { r.Query = []string{"q", "q"} }),
		"token in the query":    rule(func(r *tools.Rule) { r.Query = []string{"access_token"} }),
		"GitLab's token":        rule(func(r *tools.Rule) { r.Query = []string{"private_token"} }),
		"GitLab's sudo":         rule(func(r *tools.Rule) { r.Query = []string{"sudo"} }),
		"method in the query":   rule(func(r *tools.Rule) { r.Query = []string{"_method"} }),
		"API key in the query":  rule(func(r *tools.Rule) { r.Query = []string{"key"} }),
		"redirect of a POST": func(s *tools.Spec) {
			s.ReadOnly, s.Egress[0].Method, s.Egress[0].Redirects = false, "POST", []string{"a.example"}
		},
		"redirect anywhere":      redirects("*"),
		"redirect to a domain":   redirects("*.com"),
		"redirect in the midst":  redirects("a*b.files.example.com"),
		"redirect below a star":  redirects("a.*.example.com"),
		"redirect to a port":     redirects("files.example.com:8443"),
		"redirect to a URL":      redirects("https://files.example.com"),
		"redirect to an address": redirects("127.0.0.1"),
		"redirect to itself":     redirects("api.github.com"),
		"redirect beside itself": redirects("a.example", "*.github.com"),
		"doubled redirect":       redirects("a.example", "a.example"),
	} {
		t.Run(name, func(t *testing.T) {
			s := spec()
			change(&s)
			mustPanic(t, func() { tools.Define(s, echo) })
		})
	}
	question := spec() // a safe POST reads
	question.Egress[0].Method, question.Egress[0].Safe = "POST", true
	tools.Define(question, echo)
	tools.Define(spec(), echo) // and nothing is wrong with spec itself
}

func TestDefineRefusesWrongTypes(t *testing.T) {
	mustPanic(t, func() { define[string, output]() })
	mustPanic(t, func() { define[struct{}, []string]() })
	mustPanic(t, func() {
		define[struct {
			A map[string]string `json:"a" jsonschema:"open object"`
		}, output]()
	})
	mustPanic(t, func() {
		define[struct {
			A any `json:"a" jsonschema:"anything"`
		}, output]()
	})
	mustPanic(t, func() {
		define[struct {
			A string `json:"a"`
		}, output]()
	})
	mustPanic(t, func() {
		define[struct {
			Inner struct {
				UserID string `json:"user_id" jsonschema:"who"`
			} `json:"inner" jsonschema:"nested"`
		}, output]()
	})
	mustPanic(t, func() { define[struct{}, map[string]any]() })
	mustPanic(t, func() {
		define[struct {
			A string `json:"a" jsonschema:"limits" maxLength:"many"`
		}, output]()
	})
	mustPanic(t, func() {
		define[struct {
			A string `jsonschema:"no name"`
		}, output]()
	})
}

func define[In, Out any]() {
	tools.Define(spec(), func(context.Context, *http.Client, In) (out Out, err error) { return })
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		switch got := recover().(type) {
		case nil:
			t.Error("no panic")
		case string:
			if !strings.HasPrefix(got, "tools: ") {
				t.Errorf("an accidental panic: %v", got)
			}
		default:
			t.Errorf("an accidental panic: %v", got)
		}
	}()
	f()
}

func TestSpecCannotBeChangedFromOutside(t *testing.T) {
	redirected := func() tools.Spec {
		s := spec()
		s.Egress[0].Redirects = []string{"files.example.com"}
		return s
	}
	s := redirected()
	tool := tools.Define(s, echo)
	s.Egress[0].Host, s.Egress[0].Query[0], s.Egress[0].Redirects[0], s.Scopes[0] = "evil.example", "x", "evil.example", "admin"
	got := tool.Spec()
	got.Egress[0].Path, got.Egress[0].Query[0], got.Egress[0].Redirects[0] = "/anything", "y", "evil.example"
	if diff := cmp.Diff(redirected(), tool.Spec()); diff != "" {
		t.Error(diff)
	}
}

func TestCallChecksArguments(t *testing.T) {
	tool := tools.Define(spec(), echo)
	for arguments, want := range map[string]string{
		``:                                     `query is missing`,
		`null`:                                 `query is missing`,
		`{}`:                                   `query is missing: it must be text of 1 to 10 characters`,
		`[]`:                                   `must be an object`,
		`"query"`:                              `must be an object`,
		`{"query":""}`:                         `query must be text of 1 to 10 characters`,
		`{"query":"elevenchars"}`:              `query must be text of 1 to 10 characters`,
		`{"query":7}`:                          `query must be text`,
		`{"query":null}`:                       `query must be text`,
		`{"query":"a","Query":"b"}`:            `Query is not an argument: there is only query, state`,
		`{"Query":"a"}`:                        `query is missing`,
		`{"query":"a","query":"b"}`:            `"query" is there twice`,
		`{"query":"a","user_id":"bob"}`:        `user_id is not an argument`,
		`{"query":"a","state":"merged"}`:       `state must be one of open, closed`,
		`{"query":"a","limit":0}`:              `limit must be a whole number of 1 to 50`,
		`{"query":"a","limit":51}`:             `limit must be a whole number`,
		`{"query":"a","limit":1.5}`:            `limit must be a whole number`,
		`{"query":"a","limit":1.0}`:            `"limit" must be a plain whole number`,
		`{"query":"a","limit":"3"}`:            `limit must be a whole number`,
		`{"query":"a","limit":1e999}`:          `not valid JSON`,
		`{"query":"a","labels":["a","b","c"]}`: `labels must be a list of at most 2 items`,
		`{"query":"a","labels":["toolong"]}`:   `labels[0] must be text of at most 5 characters`,
		`{"query":"a","labels":["a","B"]}`:     `labels[1] must be text`,
		`{"query":"a","labels":"a"}`:           `labels must be a list`,
		`{"query":"a","labels":null}`:          `labels must be a list`,
		`{"query":"a","item":{"label":"x","Label":"y"}}`:      `item.Label is not an argument`,
		`{"query":"a","item":{"label":"x","label":"y"}}`:      `"label" is there twice`,
		`{"query":"a","item":{}}`:                             `item.label is missing`,
		`{"query":"a","item":{"label":"x","count":10}}`:       `item.count must be a whole number of 1 to 9`,
		`{"query":"a","items":[{"label":"x","as":"b"}]}`:      `items[0].as is not an argument`,
		`{"query":"a","exact":"yes"}`:                         `exact must be true or false`,
		`{"query":"a"} {"query":"b"}`:                         `text after`,
		`{"query":"a"`:                                        `not valid JSON`,
		`{"query":"a",}`:                                      `not valid JSON`,
		`{query:"a"}`:                                         `not valid JSON`,
		"{\"query\":\"\xff\"}":                                `UTF-8`,
		strings.Repeat("[", 5000):                             `nested too deeply`,
		`{"` + strings.Repeat("x", 5000) + `":1,"query":"a"}`: `…`,
	} {
		result, err := tool.Call(t.Context(), nil, json.RawMessage(arguments))
		var told *tools.Error
		if !errors.As(err, &told) || !strings.Contains(told.Message, want) || result != nil {
			t.Errorf("%.60s: got %s, %v; want an error with %q", arguments, result, err, want)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%.60s: the error has %d bytes", arguments, len(err.Error()))
		}
	}
}

func TestCall(t *testing.T) {
	tool := tools.Define(spec(), echo)
	arguments := `{"query":"a","state":"open","limit":50,"labels":["x"],"item":{"label":"l","count":9},"items":[{"label":"m"}],"exact":true}`
	got, err := tool.Call(t.Context(), nil, json.RawMessage(" "+arguments+"\n"))
	if want := `{"got":` + arguments + `,"tags":[]}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestCallWithoutArguments(t *testing.T) {
	type none struct{}
	type result struct {
		OK bool `json:"ok"`
	}
	tool := tools.Define(spec(), func(context.Context, *http.Client, none) (result, error) { return result{true}, nil })
	for _, arguments := range []string{"", "null", "{}", " { } "} {
		if got, err := tool.Call(t.Context(), nil, json.RawMessage(arguments)); err != nil || string(got) != `{"ok":true}` {
			t.Errorf("%q: got %s, %v", arguments, got, err)
		}
	}
	if _, err := tool.Call(t.Context(), nil, json.RawMessage(`{"x":1}`)); err == nil || !strings.Contains(err.Error(), "there are none") {
		t.Errorf("got %v", err)
	}
}

func TestCallChecksTheResult(t *testing.T) {
	tool := tools.Define(spec(), func(context.Context, *http.Client, input) (output, error) {
		return output{Got: input{Query: "a", Limit: 51}, Tags: []string{}}, nil
	})
	_, err := tool.Call(t.Context(), nil, json.RawMessage(`{"query":"a"}`))
	var told *tools.Error
	if err == nil || errors.As(err, &told) || !strings.Contains(err.Error(), "got.limit") {
		t.Errorf("got %v, want an internal error", err)
	}
	tool = tools.Define(spec(), func(context.Context, *http.Client, input) (output, error) {
		return output{Got: input{Query: "a"}}, nil // Tags is null
	})
	if _, err := tool.Call(t.Context(), nil, json.RawMessage(`{"query":"a"}`)); err == nil || !strings.Contains(err.Error(), "tags") {
		t.Errorf("got %v, want an internal error", err)
	}
}

func TestCallPassesErrors(t *testing.T) {
	want := errors.New("inside")
	tool := tools.Define(spec(), func(context.Context, *http.Client, input) (output, error) { return output{}, want })
	if _, err := tool.Call(t.Context(), nil, json.RawMessage(`{"query":"a"}`)); err != want {
		t.Errorf("got %v", err)
	}
}

func TestSchemas(t *testing.T) {
	tool := tools.Define(spec(), echo)
	const want = `{"type":"object","properties":{"query":{"type":"string","description":"what to look for","minLength":1,"maxLength":10},` +
		`"state":{"type":"string","description":"which","enum":["open","closed"]},` +
		`"limit":{"type":"integer","description":"at most so many","minimum":1,"maximum":50},` +
		`"labels":{"type":"array","items":{"type":"string","maxLength":5,"pattern":"^[a-z]*$"},"description":"all of these","maxItems":2},` +
		`"item":{"type":"object","properties":{"label":{"type":"string","description":"its label","maxLength":8},` +
		`"count":{"type":"integer","description":"how many","minimum":1,"maximum":9}},"description":"an item","required":["label"],"additionalProperties":false},`
	if got := string(tool.InputSchema()); !strings.HasPrefix(got, want) {
		t.Errorf("got %s\nwant it to begin with %s", got, want)
	}
	if got := strings.Count(string(tool.OutputSchema()), `"additionalProperties":false`); got != 4 {
		t.Errorf("%d closed objects in the output schema: %s", got, tool.OutputSchema())
	}
}

func TestModuleCheck(t *testing.T) {
	tool := tools.Define(spec(), echo)
	good := tools.Module{Name: "github", Title: "GitHub", Provider: "github", Tools: []tools.Tool{tool}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]tools.Module{
		"prefix":   {Name: "git", Title: "Git", Provider: "github", Tools: []tools.Tool{tool}},
		"provider": {Name: "github", Title: "GitHub", Provider: "google", Tools: []tools.Tool{tool}},
		"twice":    {Name: "github", Title: "GitHub", Provider: "github", Tools: []tools.Tool{tool, tool}},
		"empty":    {Name: "github", Title: "GitHub", Provider: "github"},
	} {
		if bad.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func ExampleDefine() {
	type in struct {
		Name string `json:"name" jsonschema:"whom to greet" maxLength:"20"`
	}
	type out struct {
		Greeting string `json:"greeting"`
	}
	greet := tools.Define(tools.Spec{
		Name: "github_greet", Title: "Greet", Description: "Greets.", Can: "Greet", Provider: "github", ReadOnly: true,
		Egress: []tools.Rule{{Method: "GET", Host: "api.github.com", Path: "/zen"}},
	}, func(_ context.Context, _ *http.Client, in in) (out, error) {
		return out{"Hello, " + in.Name}, nil
	})
	result, err := greet.Call(context.Background(), http.DefaultClient, json.RawMessage(`{"name":"you"}`))
	fmt.Println(string(result), err)
	// Output: {"greeting":"Hello, you"} <nil>
}
