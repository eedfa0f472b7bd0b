package mcpserver

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	progressEvery = 500 * time.Millisecond // no client needs more
	progressText  = 200                    // bytes of a message
)

// A progress tells the client how far its call is, where it gave a token for that
// and takes an event stream: the first notification makes the answer one. One may get
// lost, if the answer is ready at the same time. The zero value tells nobody.
type progress struct {
	token any // a text or a number, as the client gave it
	tell  func(params map[string]any)

	mu   sync.Mutex
	last time.Time
	done float64
}

func newProgress(ctx context.Context, in mcp.CallToolRequest) *progress {
	srv := mcpgo.ServerFromContext(ctx)
	if srv == nil || in.Params.Meta == nil || !strings.Contains(in.Header.Get("Accept"), "text/event-stream") {
		return &progress{}
	}
	switch in.Params.Meta.ProgressToken.(type) {
	case string, float64:
	default: // there is none, or none that the protocol knows
		return &progress{}
	}
	return &progress{token: in.Params.Meta.ProgressToken, tell: func(params map[string]any) {
		_ = srv.SendNotificationToClient(ctx, string(mcp.MethodNotificationProgress), params)
	}}
}

// progressed tells the client, unless the handler has returned. What doesn't go
// forward, and what comes too soon after the one before, is left out.
func (b *bound) progressed(done, total float64, message string) {
	p := b.progress
	if p == nil || p.tell == nil || b.ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := b.Now()
	if !p.last.IsZero() && (done <= p.done || now.Sub(p.last) < progressEvery) {
		return
	}
	p.last, p.done = now, done
	params := map[string]any{"progressToken": p.token, "progress": done}
	if total > 0 {
		params["total"] = total
	}
	if text, _ := tools.Clip(b.redact(message), progressText); text != "" {
		params["message"] = text
	}
	p.tell(params)
}
