package mcpserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/tools"
)

// A call is one tool call of one caller, with that caller's own keyring.
type call struct {
	request   *request
	caller    identity.Caller
	session   session
	keys      store.Keyring
	tool      tools.Tool
	spec      tools.Spec // the tool's; read only
	title     string     // what people call the provider's service
	arguments json.RawMessage
	digest    [sha256.Size]byte // of the arguments, white space aside
	modern    modern
	progress  *progress
	approval  approval // what an earlier try was told; zero where it wasn't asked
}

// A modern is what a call of 2026-07-28 says beside its arguments; the zero value
// belongs to any earlier one.
type modern struct {
	asks  bool // the client declared elicitation.url
	forms bool // and elicitation.form
	input mcp.MultiRoundTripParams
}

func modernOf(ctx context.Context, in mcp.CallToolParams) modern {
	info := mcpgo.RequestProtocolInfoFromContext(ctx)
	if info == nil || !info.Modern {
		return modern{}
	}
	declared := info.ClientCapabilities
	return modern{asks: elicitsURL(declared), forms: elicitsForm(declared), input: in.MultiRoundTripParams}
}

func (c *call) name() string { return c.spec.Name }

func (c *call) need() store.Need {
	return store.Need{Provider: c.spec.Provider, Scopes: c.spec.Scopes}
}

// handle is tool as mcp-go calls it. The tool is fixed here, by what mcp-go parsed
// and looked up, so that no second reading of the request can differ from it.
func (s *server) handle(tool tools.Tool, title string) mcpgo.ToolHandlerFunc {
	spec := tool.Spec()
	need := scopeOf(spec)
	return func(ctx context.Context, in mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		r := requestOf(ctx)
		if !hasScope(r.caller, need) {
			r.outcome = outcomeRefused
			r.lacks = allNeeded(need)
			return failed("The access token lacks the scope " + need + "."), nil
		}
		if !s.calls.allow(r.caller.Principal().Digest(), spec.Name, s.Now()) {
			r.outcome = outcomeRefused
			return failed(spec.Name + " was called too often. Wait ten seconds, then call it less often."), nil
		}
		c, err := s.bind(r, tool, title, in.Params)
		if err != nil {
			return s.broken(spec.Name, err), nil
		}
		c.modern, c.progress = modernOf(ctx, in.Params), newProgress(ctx, in)
		return s.serve(ctx, c)
	}
}

// allNeeded is every scope that a step-up to need should ask for, so that a client
// which replaces its token doesn't lose reading for writing.
func allNeeded(need string) string {
	if need == ScopeWrite {
		return allScopes
	}
	return need
}

// bind is where a caller meets their keyring, and the only place.
func (s *server) bind(r *request, tool tools.Tool, title string, in mcp.CallToolParams) (*call, error) {
	keys, err := s.Vault.Keyring(r.caller)
	if err != nil {
		return nil, err
	}
	arguments := in.RawArguments
	if len(arguments) == 0 || string(arguments) == "null" {
		arguments = json.RawMessage("{}")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, arguments); err != nil {
		return nil, err
	}
	return &call{
		request: r, caller: r.caller, session: r.session, keys: keys, tool: tool, spec: tool.Spec(), title: title,
		arguments: arguments, digest: sha256.Sum256(compact.Bytes()),
	}, nil
}

// serve runs c, or asks for the grant that it needs. What the client brings from
// an earlier try is judged first, so that a grant which is there by now runs
// neither a call with somebody else's state nor one that the user declined.
func (s *server) serve(ctx context.Context, c *call) (*mcp.CallToolResult, error) {
	st, err := s.earlier(c)
	if err != nil {
		c.request.outcome = outcomeRefused
		return failed("The requestState doesn't belong to this call. Call " + c.name() + " again without it."), nil
	}
	if c.declined() {
		c.request.outcome = outcomeRefused
		return failed(declinedText(c, st.Link)), nil
	}
	return s.run(ctx, c, st)
}

// run is the only way to the handler: past its person's consent.
func (s *server) run(ctx context.Context, c *call, st state) (*mcp.CallToolResult, error) {
	account, answer, err := s.consent(ctx, c, st)
	if answer != nil || err != nil {
		return answer, err
	}
	return s.perform(ctx, c, account, st)
}

// perform lets the handler work with a client that is bound to c, and to account where
// that is set, and dies with it. The handler finds out at its first request whether
// there is a grant: to look before would cost each call another read of the vault, and
// could be outrun.
func (s *server) perform(ctx context.Context, c *call, account store.Info, st state) (*mcp.CallToolResult, error) {
	b, end := s.bound(ctx, c)
	defer end()
	b.info = account
	out, err := s.once(tools.WithFacts(b.ctx, b.facts()), b, c)
	end()
	if needs, unconnected := b.unconnected(); unconnected {
		return s.connect(ctx, c, needs, st)
	}
	if err == nil {
		c.request.outcome = outcomeOK
		return succeeded(b.redact(string(out))), nil
	}
	return s.failure(ctx, c, b, err)
}

// facts are what the handler may know of the call.
func (b *bound) facts() tools.Facts {
	return tools.Facts{
		Connection: b.connection, Now: b.Now, Seal: b.sealCursor, Open: b.openCursor, Progress: b.progressed,
	}
}

// invoke calls the tool and turns its panic into an error.
func invoke(ctx context.Context, b *bound, c *call) (out json.RawMessage, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return c.tool.Call(ctx, b.client(), c.arguments)
}

// failure is the answer to a handler's error: what the bound client met first
// counts more than what the handler made of it.
func (s *server) failure(ctx context.Context, c *call, b *bound, err error) (*mcp.CallToolResult, error) {
	cause, wrote := b.outcome()
	if needs, ok := errors.AsType[*store.NeedsConnect](cause); ok {
		if wrote {
			return s.connectAfterWrite(ctx, c, needs)
		}
		return s.connect(ctx, c, needs, state{}) // an earlier link led to the grant that died
	}
	told, ok := errors.AsType[*tools.Error](err)
	c.request.outcome = outcomeOf(ctx, b, cause, err)
	switch {
	case errors.Is(cause, store.ErrUnavailable):
		return failed(c.title + " can't be reached at the moment to renew the credential. Try again in a minute." + doubt(wrote)), nil
	case ok:
		if told.Fault != nil {
			s.report("tool failed", errors.New(b.redact(told.Fault.Error())), "tool", c.name())
		}
		return failed(b.redact(told.Message)), nil
	case ctx.Err() != nil:
		return failed("The call was cancelled." + doubt(wrote)), nil
	case b.late():
		return failed(fmt.Sprintf("%s took longer than %s. Ask for less, or try again later.", c.name(), s.deadline) + doubt(wrote)), nil
	}
	id := s.report("tool failed", errors.New(b.redact(err.Error())), "tool", c.name())
	if errors.Is(err, errUnreached) {
		return failed(c.title + " doesn't answer at the moment. Try again in a minute; the failure's id in the server's log is " + id + "." + doubt(wrote)), nil
	}
	return failed("Something went wrong in " + c.name() + ". Its id in the server's log is " + id + "." + doubt(wrote)), nil
}
