package mcpserver

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"
)

// direct hands tools/call to mcp-go past its HTTP layer, next, which makes each request
// a session with channels for notifications (8 KiB), a goroutine that watches them, and
// more readings of the body: a tenth of what a call costs. It lets through only what
// that layer would pass on as well, by the same checks, and what asks for no progress;
// the unusual, and with it nearly every error, is left to next.
func (s *server) direct(srv *mcpgo.MCPServer, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := requestOf(r.Context())
		modern, ok := plainCall(r.Header, req.body)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		ctx := srv.WithContext(r.Context(), ownSession(r.Context(), noSession{}))
		ctx = mcpgo.WithSupportedProtocolVersions(ctx, versions)
		response := srv.HandleMessage(ctx, req.body)
		if ctx.Err() == nil {
			s.respond(w, response, modern)
		}
	})
}

// plainCall reports whether body is a tools/call that mcp-go's HTTP layer would pass
// on, and of which era; refuseVersion has seen it already. What it reads has the shape that mcp-go reads, so that one text
// means the same to both.
func plainCall(h http.Header, body []byte) (modern, ok bool) {
	var message struct {
		ID     json.RawMessage `json:"id"`
		Method mcp.MCPMethod   `json:"method"`
		Result json.RawMessage `json:"result"`
		Params struct {
			Meta *mcp.Meta `json:"_meta"`
		} `json:"params"`
	}
	if h.Get("Content-Type") != "application/json" || json.Unmarshal(body, &message) != nil {
		return false, false
	}
	if message.Method != mcp.MethodToolsCall || !isID(message.ID) || message.Result != nil {
		return false, false
	}
	meta := message.Params.Meta
	if meta != nil && meta.ProgressToken != nil {
		return false, false // progress needs that layer's event stream
	}
	said, meant := h.Get(mcp.HeaderProtocolVersion), meta.ProtocolVersion()
	if mcp.IsModernProtocol(said) {
		return true, said == meant && plainHeaders(h, said, body)
	}
	return false, !mcp.IsModernProtocol(meant)
}

// isID reports whether raw is a string or a number.
func isID(raw json.RawMessage) bool {
	return len(raw) > 0 && (raw[0] == '"' || raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// plainHeaders reports whether a request of 2026-07-28 says in its headers what it says
// in its body, of a version that we speak.
func plainHeaders(h http.Header, version string, body []byte) bool {
	var message struct {
		Params json.RawMessage `json:"params"`
	}
	return version == mcp.ProtocolVersion20260728 && h.Get(mcp.HeaderLastEventID) == "" &&
		json.Unmarshal(body, &message) == nil &&
		mcp.ValidateStandardHeaders(h.Get, version, mcp.MethodToolsCall, message.Params) == nil
}

// respond writes mcp-go's response as its HTTP layer does.
func (s *server) respond(w http.ResponseWriter, response mcp.JSONRPCMessage, modern bool) {
	status := http.StatusOK
	switch answer := response.(type) {
	case mcp.JSONRPCError:
		status = statusOf(answer.Error.Code, modern)
	case mcp.JSONRPCResponse:
		if r, ok := answer.Result.(*mcp.CallToolResult); ok && len(r.RawStructuredContent) == 0 {
			answer.Result = fast(r)
			response = answer
		}
	}
	text, err := json.Marshal(response)
	if err != nil {
		id := s.report("an answer could not be encoded", err)
		writeError(w, http.StatusInternalServerError, "server_error", "Something went wrong here. Its id in the log is "+id+".")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// statusOf is the HTTP status that 2026-07-28 gives an error; before it, all are 200.
func statusOf(code int, modern bool) int {
	if !modern {
		return http.StatusOK
	}
	switch code {
	case mcp.METHOD_NOT_FOUND:
		return http.StatusNotFound
	case mcp.PARSE_ERROR, mcp.INVALID_REQUEST, mcp.INVALID_PARAMS, mcp.HEADER_MISMATCH,
		mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, mcp.UNSUPPORTED_PROTOCOL_VERSION:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// A result is mcp.CallToolResult with the same JSON. That type goes three times over a
// tool's answer to encode it.
type result struct {
	Meta              *mcp.Meta         `json:"_meta,omitempty"`
	Content           []mcp.Content     `json:"content"`
	InputRequests     mcp.InputRequests `json:"inputRequests,omitempty"`
	IsError           bool              `json:"isError,omitempty"`
	RequestState      string            `json:"requestState,omitempty"`
	ResultType        mcp.ResultType    `json:"resultType,omitempty"`
	StructuredContent any               `json:"structuredContent,omitempty"`
}

func fast(r *mcp.CallToolResult) result {
	content := r.Content
	if content == nil {
		content = []mcp.Content{}
	}
	return result{
		Meta: r.Meta, Content: content, InputRequests: r.InputRequests, IsError: r.IsError,
		RequestState: r.RequestState, ResultType: r.ResultType, StructuredContent: r.StructuredContent,
	}
}

// A noSession is that of a request that nothing is sent to but its answer.
type noSession struct{}

func (noSession) Initialize()                                         {}
func (noSession) Initialized() bool                                   { return true }
func (noSession) NotificationChannel() chan<- mcp.JSONRPCNotification { return nil }
func (noSession) SessionID() string                                   { return "" }
