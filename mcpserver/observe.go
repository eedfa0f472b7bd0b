package mcpserver

import (
	"context"
	"errors"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/tools"
)

// What a call can come to.
const (
	outcomeOK          = "ok"
	outcomeConnect     = "connect"     // the person was asked to connect
	outcomeApprove     = "approve"     // the person was asked to approve the call
	outcomeRefused     = "refused"     // by us: a scope, a rate limit, a state, or the person declined
	outcomeError       = "error"       // the tool said what is wrong
	outcomeUnavailable = "unavailable" // the provider didn't answer, or not in time
	outcomeCancelled   = "cancelled"   // by the client
	outcomeFailed      = "failed"      // for a reason in our log
)

// Outcomes are all that ObserveCall is told.
func Outcomes() []string {
	return []string{outcomeOK, outcomeConnect, outcomeApprove, outcomeRefused, outcomeError, outcomeUnavailable, outcomeCancelled, outcomeFailed}
}

// Rejections are all that ObserveRejection is told: no token was sent, it was sent
// wrongly, it isn't valid, it has no scope of ours, or it could not be checked.
func Rejections() []string { return []string{"missing", "malformed", "invalid", "scope", "unchecked"} }

// observed tells ObserveCall of each call of h.
func (s *server) observed(tool string, h mcpgo.ToolHandlerFunc) mcpgo.ToolHandlerFunc {
	if s.ObserveCall == nil {
		return h
	}
	return func(ctx context.Context, in mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		r, began := requestOf(ctx), s.Now()
		r.outcome = outcomeFailed
		result, err := h(ctx, in)
		s.ObserveCall(tool, r.outcome, s.Now().Sub(began))
		return result, err
	}
}

// outcomeOf is what a handler's error comes to, as failure answers it.
func outcomeOf(ctx context.Context, b *bound, cause, err error) string {
	_, told := errors.AsType[*tools.Error](err)
	switch {
	case errors.Is(cause, store.ErrUnavailable):
		return outcomeUnavailable
	case told:
		return outcomeError
	case ctx.Err() != nil:
		return outcomeCancelled
	case b.late(), errors.Is(err, errUnreached):
		return outcomeUnavailable
	}
	return outcomeFailed
}

func (s *server) rejected(err error) {
	if s.ObserveRejection == nil {
		return
	}
	switch {
	case errors.Is(err, errNoToken):
		s.ObserveRejection("missing")
	case errors.Is(err, errMalformed):
		s.ObserveRejection("malformed")
	case errors.Is(err, identity.ErrInvalidToken):
		s.ObserveRejection("invalid")
	case errors.Is(err, errScope):
		s.ObserveRejection("scope")
	default:
		s.ObserveRejection("unchecked")
	}
}
