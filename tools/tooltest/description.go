package tooltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/latchkey-mcp/latchkey/tools"
)

// A Description is a provider's own description of its API. It is safe for concurrent
// use.
type Description struct {
	host   string
	prefix string // of every path, as contracts have it: "/calendar/v3"
	doc    *openapi3.T
}

// CheckRule says what of the contract's rule the provider doesn't know: the path, the
// method, a query name. {names} may differ.
func (d *Description) CheckRule(r tools.Rule) error {
	if r.Host != d.host {
		return fmt.Errorf("%s: another host", r)
	}
	route, _, err := d.find(r.Method, r.Path)
	if err != nil {
		return err
	}
	return route.checkQuery(r.Query)
}

// Check holds a request, addressed to the provider's public host, with its body
// against the description: path, method, parameters, body; and nothing else may be in
// it.
func (d *Description) Check(req *http.Request, body []byte) error {
	input, err := d.input(req, body)
	if err != nil {
		return err
	}
	if err := openapi3filter.ValidateRequest(req.Context(), input); err != nil {
		return fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, brief(err))
	}
	return nil
}

// brief is a fault without the schema and the value, which can be long.
func brief(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\nSchema:")
	return text
}

// CheckAnswer holds an answer to req. Not every error is described: one that isn't is
// any provider's (400, 401, 403, 404, 405, 409, 410, 412, 422, 429 and 5xx).
func (d *Description) CheckAnswer(req *http.Request, resp *http.Response, body []byte) error {
	input, err := d.input(req, nil)
	if err != nil {
		return err
	}
	described := input.Route.Operation.Responses.Status(resp.StatusCode)
	if described == nil {
		if slices.Contains([]int{400, 401, 403, 404, 405, 409, 410, 412, 422, 429}, resp.StatusCode) || resp.StatusCode >= 500 {
			return nil
		}
		return fmt.Errorf("%s %s: status %d is not described", req.Method, input.Route.Path, resp.StatusCode)
	}
	if diff(req) {
		return nil
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header, Options: input.Options,
	}
	if err := openapi3filter.ValidateResponse(req.Context(), answer.SetBodyBytes(body)); err != nil {
		return fmt.Errorf("the answer to %s %s: %s", req.Method, input.Route.Path, brief(err))
	}
	return nil
}

// diff reports whether req asks for one of GitHub's media types that are text and that
// its description mentions in prose alone.
func diff(req *http.Request) bool {
	accept := req.Header.Get("Accept")
	return strings.Contains(accept, ".diff") || strings.Contains(accept, ".patch") || strings.Contains(accept, ".raw")
}

func (d *Description) input(req *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	if req.URL.Host != d.host {
		return nil, fmt.Errorf("%s is not %s", req.URL.Host, d.host)
	}
	route, params, err := d.find(req.Method, req.URL.EscapedPath())
	if err != nil {
		return nil, err
	}
	query := req.URL.Query()
	var names []string
	for name := range query {
		names = append(names, name)
	}
	if err := route.checkQuery(names); err != nil {
		return nil, err
	}
	in := req.Clone(context.WithoutCancel(req.Context()))
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return &openapi3filter.RequestValidationInput{
		Request: in, PathParams: params, QueryParams: query, Route: &route.Route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true,
			RejectWhenRequestBodyNotSpecified: len(body) > 0, ExcludeRequestBody: len(body) == 0 && route.bodyIsOptional(),
			ExcludeReadOnlyValidations: true, IncludeResponseStatus: true,
		},
	}, nil
}

// A route is what a request is, by the description.
type route struct{ routers.Route }

func (r route) bodyIsOptional() bool {
	return r.Operation.RequestBody == nil || !r.Operation.RequestBody.Value.Required
}

func (r route) checkQuery(names []string) error {
	for _, name := range names {
		known := func(list openapi3.Parameters) bool {
			return list.GetByInAndName("query", strings.TrimSuffix(name, "[]")) != nil
		}
		if !known(r.Operation.Parameters) && !known(r.PathItem.Parameters) {
			return fmt.Errorf("%s %s has no query parameter %q", r.Method, r.Path, name)
		}
	}
	return nil
}

// find is the described path with most literal segments that path fits; path may be a
// contract's template.
func (d *Description) find(method, path string) (route, map[string]string, error) {
	rest, ok := strings.CutPrefix(path, d.prefix)
	if !ok {
		return route{}, nil, fmt.Errorf("no path %s", path)
	}
	var best route
	var params map[string]string
	most := -1
	for template, item := range d.doc.Paths.Map() {
		found, literals, fits := fit(template, rest)
		operation := item.GetOperation(method)
		if fits && operation != nil && literals > most {
			best = route{routers.Route{Spec: d.doc, Path: template, PathItem: item, Method: method, Operation: operation}}
			params, most = found, literals
		}
	}
	if most < 0 {
		return route{}, nil, fmt.Errorf("no %s %s", method, path)
	}
	return best, params, nil
}

// fit takes path apart by a described template, whose last parameter may hold slashes
// where the provider says so.
func fit(template, path string) (params map[string]string, literals int, ok bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	switch last := want[len(want)-1]; {
	case len(got) > len(want) && (last == "{path}" || last == "{ref}"):
		got = append(got[:len(want)-1:len(want)-1], strings.Join(got[len(want)-1:], "/"))
	case len(got) == len(want)-1 && last == "{path}": // the root, whose path is left out
		got = append(got[:len(got):len(got)], "%2F")
	}
	if len(got) != len(want) {
		return nil, 0, false
	}
	params = map[string]string{}
	for i, segment := range want {
		name, isParam := strings.CutPrefix(segment, "{")
		plain, err := url.PathUnescape(got[i])
		switch {
		case err != nil:
			return nil, 0, false
		case isParam:
			params[strings.TrimSuffix(name, "}")] = plain
		case segment != got[i]:
			return nil, 0, false
		default:
			literals++
		}
	}
	return params, literals, true
}

// load reads an OpenAPI document of which only paths are kept, and what they refer to:
// a provider describes hundreds, and few are of use to a module.
func load(raw []byte, keep func(path string) bool) (*openapi3.T, error) {
	var all struct {
		OpenAPI    string                                `json:"openapi"`
		Info       json.RawMessage                       `json:"info"`
		Paths      map[string]json.RawMessage            `json:"paths"`
		Components map[string]map[string]json.RawMessage `json:"components"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	paths, components := map[string]json.RawMessage{}, map[string]map[string]json.RawMessage{}
	var todo []json.RawMessage
	for path, item := range all.Paths {
		if keep(path) {
			paths[path] = item
			todo = append(todo, item)
		}
	}
	if len(paths) == 0 {
		return nil, errors.New("none of the paths is in the description")
	}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, ref := range references(next) {
			kind, name, _ := strings.Cut(ref, "/")
			if components[kind] == nil {
				components[kind] = map[string]json.RawMessage{}
			}
			if _, there := components[kind][name]; !there {
				components[kind][name] = all.Components[kind][name]
				todo = append(todo, all.Components[kind][name])
			}
		}
	}
	small, err := json.Marshal(map[string]any{"openapi": all.OpenAPI, "info": all.Info, "paths": paths, "components": components})
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(small)
}

// references are the "kind/name" of the components that text refers to.
func references(text []byte) (list []string) {
	const mark = `"#/components/`
	for {
		_, rest, found := bytes.Cut(text, []byte(mark))
		if !found {
			return list
		}
		ref, _, _ := bytes.Cut(rest, []byte(`"`))
		list, text = append(list, string(ref)), rest
	}
}

// contracted reports whether a description's path is one that module's contract lists.
func contracted(module tools.Module, prefix string) func(string) bool {
	var listed []string
	for _, tool := range module.Tools {
		for _, rule := range tool.Spec().Egress {
			listed = append(listed, strings.TrimPrefix(rule.Path, prefix))
		}
	}
	return func(path string) bool {
		return slices.ContainsFunc(listed, func(rule string) bool { _, _, ok := fit(path, rule); return ok })
	}
}

// A Checker is a transport that holds what passes it against a description, and fails
// the test where they differ.
type Checker struct {
	T    testing.TB
	Next http.RoundTripper
	// Of is the description that a request goes by, nil where there is none, and the
	// request as contracts have it, with the provider's public host.
	Of func(*http.Request) (*Description, *http.Request)
	// Answers says that answers are checked too: those of a stand-in that claims to
	// be like the provider.
	Answers bool
}

// RoundTrip implements http.RoundTripper.
func (c *Checker) RoundTrip(req *http.Request) (*http.Response, error) {
	d, public := c.Of(req)
	if d == nil {
		return c.Next.RoundTrip(req)
	}
	var body []byte
	if req.Body != nil && req.Body != http.NoBody {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	if err := d.Check(public, body); err != nil {
		c.T.Errorf("not as the provider describes it: %v", err)
	}
	resp, err := c.Next.RoundTrip(req)
	if err != nil || !c.Answers {
		return resp, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	if err := d.CheckAnswer(public, resp, answer); err != nil {
		c.T.Errorf("not as the provider describes it: %v", err)
	}
	return resp, nil
}
