// Package tooltest is what the tests of every tool module share: a bench that runs
// a module's tools as the server does, against a stand-in of their provider.
//
// It guarantees that a tool which works on the bench keeps to its declaration: each
// request is held against the tool's contract, the credential is attached on the way
// and out of the handler's sight, nothing is sent once the handler returned, and a
// cursor opens for the same tool and the same other arguments alone.
package tooltest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/tools"
)

// Now is when a bench's calls happen unless it says otherwise: 2027-01-15 08:00 UTC.
func Now() time.Time { return time.Unix(1_800_000_000, 0) }

// A Bench runs the tools of a module. It is safe for concurrent use.
type Bench struct {
	Module tools.Module
	// Bases are the URLs at which the stand-in answers for the provider's hosts, by
	// host; that of "" is for every other one.
	Bases map[string]string
	// Token is the credential that a tool's requests carry; nil where they carry none.
	Token func(t testing.TB, spec tools.Spec) string
	// Facts are what a handler may know. Where Now or Connection is nil, it is the
	// package's Now, or an account "alice" with the tool's own scopes. Seal and Open
	// are the bench's own.
	Facts tools.Facts
	// Description holds what is sent against the provider's own description; nil where
	// there is none. Answers says that the stand-in's answers are held against it too.
	Description *Description
	Answers     bool
}

// At is a bench for module without a credential, at a server of its own that handler
// answers as, for every host. It ends with the test.
func At(t testing.TB, module tools.Module, handler http.Handler) *Bench {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return &Bench{Module: module, Bases: map[string]string{"": s.URL}}
}

// Call calls the tool of that name.
func (b *Bench) Call(t testing.TB, name, arguments string) (json.RawMessage, error) {
	t.Helper()
	return b.CallContext(t.Context(), t, name, arguments)
}

// CallContext is Call for a caller that may give up.
func (b *Bench) CallContext(ctx context.Context, t testing.TB, name, arguments string) (json.RawMessage, error) {
	t.Helper()
	tool := b.tool(t, name)
	ctx, end := context.WithCancel(ctx)
	defer end()
	client := &bound{ctx: ctx, spec: tool.Spec(), bases: b.Bases, next: b.next(t)}
	if b.Token != nil {
		client.token = b.Token(t, client.spec)
	}
	ctx = tools.WithFacts(ctx, b.facts(client.spec, json.RawMessage(arguments)))
	return tool.Call(ctx, &http.Client{Transport: client}, json.RawMessage(arguments))
}

// Cursor is one that the tool of that name could have given for arguments, with state
// as its JSON.
func (b *Bench) Cursor(t testing.TB, name, arguments, state string) string {
	t.Helper()
	sealed, err := b.facts(b.tool(t, name).Spec(), json.RawMessage(arguments)).Seal([]byte(state))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// next is what a request passes on its way: public is as the contract has it.
func (b *Bench) next(t testing.TB) func(public *http.Request) http.RoundTripper {
	return func(public *http.Request) http.RoundTripper {
		if b.Description == nil || public.URL.Host != b.Description.host {
			return http.DefaultTransport
		}
		return &Checker{
			T: t, Next: http.DefaultTransport, Answers: b.Answers,
			Of: func(*http.Request) (*Description, *http.Request) { return b.Description, public },
		}
	}
}

func (b *Bench) tool(t testing.TB, name string) tools.Tool {
	t.Helper()
	for _, tool := range b.Module.Tools {
		if tool.Spec().Name == name {
			return tool
		}
	}
	t.Fatalf("no tool %s in module %s", name, b.Module.Name)
	return tools.Tool{}
}

func (b *Bench) facts(spec tools.Spec, arguments json.RawMessage) tools.Facts {
	f := b.Facts
	if f.Now == nil {
		f.Now = Now
	}
	if f.Connection == nil {
		f.Connection = func() (tools.Connection, error) {
			return tools.Connection{Account: "alice", Scopes: spec.Scopes}, nil
		}
	}
	owner := spec.Name + " " + string(tools.Canonical(arguments, "cursor"))
	f.Seal = func(plain []byte) (string, error) {
		return base64.RawURLEncoding.EncodeToString([]byte(owner + "\x00" + string(plain))), nil
	}
	f.Open = func(sealed string) ([]byte, error) {
		text, err := base64.RawURLEncoding.DecodeString(sealed)
		plain, ours := strings.CutPrefix(string(text), owner+"\x00")
		if err != nil || !ours {
			return nil, errors.New("tooltest: a cursor of another call")
		}
		return []byte(plain), nil
	}
	return f
}

// A bound is the server's bound client in small.
type bound struct {
	ctx   context.Context // ends with the handler
	spec  tools.Spec
	bases map[string]string
	token string
	next  func(public *http.Request) http.RoundTripper

	mu     sync.Mutex
	offers map[string]tools.Rule // where answers redirect to, with the rule that lists it
}

// RoundTrip sends what the contract lists to the host's stand-in, with the
// credential unless the provider redirects to another host.
func (b *bound) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.ctx.Err() != nil {
		return nil, b.ctx.Err()
	}
	if rule, ok := b.offered(req); ok {
		out := &http.Request{Method: http.MethodGet, URL: req.URL, Header: http.Header{}}
		return b.send(out.Clone(req.Context()), req, rule)
	}
	out := req.Clone(req.Context())
	if req.Response != nil {
		out.Header.Del("Referer")
	}
	rule, err := tools.Match(b.spec.Egress, out)
	if err != nil {
		return nil, err
	}
	if from := req.Response; b.token != "" && (from == nil || from.Request.URL.Host == req.URL.Host) {
		out.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.send(out, req, rule)
}

// send sends out, which stands for req, and remembers where the answer redirects.
func (b *bound) send(out, req *http.Request, rule tools.Rule) (*http.Response, error) {
	base, err := b.base(req.URL.Host)
	if err != nil {
		return nil, err
	}
	rebase(out, base)
	resp, err := b.next(req).RoundTrip(out)
	if err != nil {
		return nil, err
	}
	publish(resp, base, req.URL.Host)
	b.offer(resp, rule)
	resp.Request = req
	return resp, nil
}

func (b *bound) offer(resp *http.Response, rule tools.Rule) {
	to, err := resp.Location()
	if err != nil || resp.StatusCode/100 != 3 || rule.CheckRedirect(to) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.offers == nil {
		b.offers = map[string]tools.Rule{}
	}
	b.offers[to.String()] = rule
}

// offered reports whether an answer redirected to req's URL, under a rule that lists
// the host, and takes that.
func (b *bound) offered(req *http.Request) (tools.Rule, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rule, ok := b.offers[req.URL.String()]
	delete(b.offers, req.URL.String())
	return rule, ok && req.Method == http.MethodGet
}

func (b *bound) base(host string) (*url.URL, error) {
	base, ok := b.bases[host]
	if !ok {
		base, ok = b.bases[""]
	}
	if !ok {
		return nil, fmt.Errorf("tooltest: nothing stands in for %s", host)
	}
	return url.Parse(base)
}

func rebase(out *http.Request, base *url.URL) {
	path := strings.TrimSuffix(base.EscapedPath(), "/") + out.URL.EscapedPath()
	out.URL.Scheme, out.URL.Host, out.Host = base.Scheme, base.Host, ""
	out.URL.Path, _ = url.PathUnescape(path)
	out.URL.RawPath = path
}

// publish turns a redirect within the stand-in into one at the public host.
func publish(resp *http.Response, base *url.URL, host string) {
	to, err := resp.Location()
	if err != nil {
		return
	}
	prefix := strings.TrimSuffix(base.EscapedPath(), "/")
	if rest, ok := strings.CutPrefix(to.EscapedPath(), prefix+"/"); ok && to.Host == base.Host {
		to.Scheme, to.Host = "https", host
		to.Path, _ = url.PathUnescape("/" + rest)
		to.RawPath = "/" + rest
	}
	resp.Header.Set("Location", to.String())
}

// Message is the sentence that a failed call has for the model. The test ends where
// the call succeeded, or failed for a reason that no model gets to see.
func Message(t testing.TB, result json.RawMessage, err error) string {
	t.Helper()
	told, ok := errors.AsType[*tools.Error](err)
	if !ok || result != nil {
		t.Fatalf("got %s, %v; want an error for the model", result, err)
	}
	return told.Message
}
