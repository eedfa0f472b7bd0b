package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/tools"
)

// Why a bound client sends nothing.
var (
	errReturned  = errors.New("the tool has returned: its client sends nothing any more")
	errElsewhere = errors.New("the provider redirects to another host, where the credential must not go")
)

// errUnreached is in the error of a request that the provider didn't answer.
var errUnreached = errors.New("the provider didn't answer")

// A bound is the transport of one call's client. On every hop it holds the request
// against the tool's contract, has the release of the credential recorded, and
// attaches the credential itself, where no handler can see it: not in the request,
// not in the response's request, not in a trace. Safe for concurrent use.
type bound struct {
	*server
	*call
	ctx context.Context // holds no values, and ends with the handler

	first sync.Mutex // held until it is known which account the call acts on
	info  store.Info // of that account's grant; zero before

	mu       sync.Mutex
	wrote    bool  // something may have changed at the provider
	cause    error // the first reason why there was no credential
	fresh    int64 // version of the grant that replaced a rejected one
	released []store.Secret
	offers   map[string]offer // by the URL that the provider redirected to
}

// bare is a context without its values, so that a handler finds neither the
// request nor the server in it, and a trace of the handler's never sees a header.
type bare struct{ context.Context }

// Value is nil.
func (bare) Value(any) any { return nil }

// bound is c's transport, until end is called or the deadline passes.
func (s *server) bound(ctx context.Context, c *call) (b *bound, end context.CancelFunc) {
	ctx, end = context.WithTimeout(bare{ctx}, s.deadline)
	return &bound{server: s, call: c, ctx: ctx}, end
}

// client is what a handler gets. The transport alone keeps the promises, since
// client libraries copy it and drop the rest.
func (b *bound) client() *http.Client { return &http.Client{Transport: b} }

// RoundTrip sends req if the contract lists it. What is checked and sent is a copy,
// which the handler can't change in between.
func (b *bound) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, release := b.within(req.Context())
	resp, err := b.checked(req.Clone(ctx))
	if err != nil {
		closeBody(req)
		release()
		return nil, err
	}
	resp.Request = req // the one that was sent holds the credential
	resp.Body = &body{from: resp.Body, left: maxResponse, release: release}
	return resp, nil
}

func (b *bound) checked(req *http.Request) (*http.Response, error) {
	if b.late() {
		return nil, b.ctx.Err()
	}
	if b.ctx.Err() != nil {
		return nil, errReturned
	}
	if o, ok := b.offered(req); ok {
		return b.download(req.Context(), o)
	}
	rule, err := b.allow(req)
	if err != nil {
		b.refuse(req)
		return nil, err
	}
	resp, err := b.send(req, rule)
	b.offer(resp, rule)
	return resp, err
}

// within ends with either the handler or the request, and has neither's values.
func (b *bound) within(request context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(b.ctx)
	stop := context.AfterFunc(request, cancel)
	return ctx, func() { stop(); cancel() }
}

// allow is the contract's rule for req. It says no to a redirect to another host
// even where the contract lists both: the credential was for the first. The
// Referer that net/http adds on a redirect is not sent.
func (b *bound) allow(req *http.Request) (tools.Rule, error) {
	if req.Response != nil {
		req.Header.Del("Referer")
	}
	rule, err := tools.Match(b.spec.Egress, req)
	if err != nil {
		return tools.Rule{}, err
	}
	if from := req.Response; from != nil && from.Request != nil && from.Request.URL.Host != req.URL.Host {
		return tools.Rule{}, errElsewhere
	}
	return rule, nil
}

// refuse records a request outside of the contract.
func (b *bound) refuse(req *http.Request) {
	spec := b.spec
	err := b.Vault.Refuse(context.WithoutCancel(b.ctx), b.caller, audit.Entry{
		Event: audit.Refuse, Tool: spec.Name, Provider: spec.Provider, Arguments: hexDigest(b.digest),
		Rule: shape(spec.Egress, req), Reason: "outside of the tool's egress contract",
	})
	if err != nil {
		b.report("a refused request could not be recorded", err, "tool", spec.Name)
	}
}

// shape is req for the audit record, which holds no arguments: of the path it
// keeps only the words that the contract itself uses.
func shape(contract []tools.Rule, req *http.Request) string {
	if req.URL == nil {
		return short(req.Method, 16)
	}
	var words []string
	for _, rule := range contract {
		words = append(words, strings.Split(rule.Path, "/")...)
	}
	segments := strings.Split(req.URL.EscapedPath(), "/")
	segments = segments[:min(len(segments), 12)]
	for i, segment := range segments {
		if segment != "" && !slices.Contains(words, segment) {
			segments[i] = "*"
		}
	}
	return short(req.Method, 16) + " " + short(req.URL.Host, 80) + strings.Join(segments, "/")
}

func short(text string, most int) string { return text[:min(len(text), most)] }

// send sends req with the caller's credential. A 401 says that the credential
// died early: it is renewed once, and the request sent once more if that can be.
func (b *bound) send(req *http.Request, rule tools.Rule) (*http.Response, error) {
	grant, err := b.grant(req.Context(), rule, 0)
	if err != nil {
		return nil, err
	}
	resp, err := b.forward(req, grant, rule)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || b.isFresh(grant) {
		return resp, err
	}
	renewed, err := b.grant(req.Context(), rule, grant.Version)
	if err != nil {
		discard(resp)
		return nil, err
	}
	again, ok := replay(req)
	if !ok {
		return resp, nil
	}
	discard(resp)
	return b.forward(again, renewed, rule)
}

// grant has the credential released, after the vault recorded what for.
func (b *bound) grant(ctx context.Context, rule tools.Rule, rejected int64) (store.Grant, error) {
	grant, err := b.release(ctx, store.Call{
		Need: b.need(), Tool: b.name(), Rule: rule.String(), Arguments: b.digest, Rejected: rejected,
	})
	if err != nil {
		return store.Grant{}, b.because(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if rejected != 0 {
		b.fresh = max(b.fresh, grant.Version)
	}
	b.released = append(b.released, grant.Access)
	return grant, nil
}

// release is the vault's answer to call, with the account that the first was
// answered with: a choice that is made meanwhile is for the next call.
func (b *bound) release(ctx context.Context, call store.Call) (store.Grant, error) {
	b.first.Lock()
	if call.Account = b.info.Account.ID; call.Account != "" {
		b.first.Unlock()
		return b.keys.Grant(ctx, call)
	}
	defer b.first.Unlock()
	grant, err := b.keys.Grant(ctx, call)
	b.info = grant.Info
	return grant, err
}

// connection is the account that the call acts on.
func (b *bound) connection() (tools.Connection, error) {
	b.first.Lock()
	defer b.first.Unlock()
	if b.info.Account.ID == "" {
		info, err := b.keys.Usable(b.ctx, b.need())
		if err != nil {
			return tools.Connection{}, b.because(err)
		}
		b.info = info
	}
	return tools.Connection{Account: b.info.Account.Label, Scopes: slices.Clone(b.info.Scopes)}, nil
}

// account is the provider's id of the account that the call acts on; "" where that
// isn't known yet.
func (b *bound) account() string {
	b.first.Lock()
	defer b.first.Unlock()
	return b.info.Account.ID
}

// because remembers err as the reason why there was no credential, if it's the first.
func (b *bound) because(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cause == nil {
		b.cause = err
	}
	return err
}

// unconnected reports whether the call had no credential at all because its person
// must connect first, whatever the handler made of that.
func (b *bound) unconnected() (*store.NeedsConnect, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	needs, ok := errors.AsType[*store.NeedsConnect](b.cause)
	return needs, ok && len(b.released) == 0
}

// isFresh reports whether grant already replaces one that was rejected.
func (b *bound) isFresh(grant store.Grant) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fresh != 0 && grant.Version >= b.fresh
}

// forward is the only place where a credential meets a request.
func (b *bound) forward(req *http.Request, grant store.Grant, rule tools.Rule) (*http.Response, error) {
	out := *req // which is ours already: nobody else sees its headers' values
	out.URL, out.Header, out.Response = new(*req.URL), maps.Clone(req.Header), nil
	if out.Header == nil {
		out.Header = http.Header{}
	}
	base := b.bases[req.URL.Host]
	rebase(&out, base)
	out.Header.Set("Authorization", "Bearer "+grant.Access.Reveal())
	resp, err := b.Transport.RoundTrip(&out)
	b.noteWrite(rule, resp, err)
	b.keys.Outcome(grant, outcome(resp, err))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreached, err)
	}
	if base != nil {
		publish(resp, base, req.URL.Host)
	}
	return resp, nil
}

// outcome is for the audit record.
func outcome(resp *http.Response, err error) string {
	if err != nil {
		return "no answer"
	}
	return "answered " + strconv.Itoa(resp.StatusCode)
}

// noteWrite remembers that a request which may change something wasn't refused.
func (b *bound) noteWrite(rule tools.Rule, resp *http.Response, err error) {
	if rule.Reads() {
		return
	}
	if err == nil && resp.StatusCode >= 400 && resp.StatusCode < 500 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrote = true
}

// outcome is why there was no credential, if so, and whether something may have
// changed at the provider.
func (b *bound) outcome() (cause error, wrote bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause, b.wrote
}

// late reports whether the handler ran out of time.
func (b *bound) late() bool { return errors.Is(b.ctx.Err(), context.DeadlineExceeded) }

// redact is text without the credentials that this call used, should a provider
// have echoed one.
func (b *bound) redact(text string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, secret := range b.released {
		text = strings.ReplaceAll(text, secret.Reveal(), secret.String())
	}
	return text
}

// rebase points out at the configured base URL of its host.
func rebase(out *http.Request, base *url.URL) {
	out.Host = ""
	if base == nil {
		return
	}
	path := strings.TrimSuffix(base.EscapedPath(), "/") + out.URL.EscapedPath()
	out.URL.Scheme, out.URL.Host = base.Scheme, base.Host
	out.URL.Path, _ = url.PathUnescape(path)
	out.URL.RawPath = path
}

// publish turns a redirect below base back into one at the public host, which is
// what contracts speak of; any other is left as it is, absolute.
func publish(resp *http.Response, base *url.URL, host string) {
	to, err := resp.Location()
	if err != nil {
		return
	}
	prefix := strings.TrimSuffix(base.EscapedPath(), "/")
	if rest, ok := strings.CutPrefix(to.EscapedPath(), prefix+"/"); ok && to.Scheme == base.Scheme && to.Host == base.Host {
		to.Scheme, to.Host = "https", host
		to.Path, _ = url.PathUnescape("/" + rest)
		to.RawPath = "/" + rest
	}
	resp.Header.Set("Location", to.String())
}

// replay is req once more, with its body from the start, where that can be had.
func replay(req *http.Request) (*http.Request, bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	fresh, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again := *req
	again.Body = fresh
	return &again, true
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// discard drops a response that nobody reads, keeping its connection if it's short.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

// A body is a response's body up to a limit. Hiding the connection behind it also
// takes away the raw one that a protocol switch would give.
type body struct {
	from    io.ReadCloser
	left    int64
	release context.CancelFunc
}

// Read fails once the limit is passed.
func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, &tools.Error{Message: "The provider's answer is larger than " + size(maxResponse) + ". Ask for less at a time."}
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, nil
	}
	return n, err
}

// Close ends the request.
func (b *body) Close() error {
	defer b.release()
	return b.from.Close()
}

// newTransport reaches providers, through the environment's proxy where operators
// need one, and waits for nothing without a limit.
func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
	}
}
