package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// A request is what the edge knows of one HTTP request. The first three fields are
// set before mcp-go runs, the others by hooks and tools for the answer's writer.
type request struct {
	caller  identity.Caller
	session session // the zero session where there is none
	body    []byte

	begun   *session // to be sealed into the answer of initialize
	lacks   string   // OAuth scopes that the called tool needs and the token lacks
	outcome string   // of the called tool, one of Outcomes
}

type requestKey struct{}

func withRequest(ctx context.Context, r *request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// requestOf is the request that ctx belongs to; outside of one it is nobody's.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

// limited reads the body, at most maxBody bytes of it, so that nothing behind it
// reads without a limit.
func (s *server) limited(next http.Handler) http.Handler {
	return http.MaxBytesHandler(next, maxBody)
}

// buffer has r's body in memory; false where an error was answered.
func buffer(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(r.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		w.Header().Set("Connection", "close")
		writeError(w, http.StatusRequestEntityTooLarge, "request_too_large",
			"The request is larger than "+size(tooLarge.Limit)+". Send less in one call.")
		return nil, false
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, "invalid_request", "The request's body could not be read.")
		return nil, false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, true
}

// refuseVersion answers requests of a revision that never was with the revisions
// that we speak, as 2026-07-28 has it; true where it did. mcp-go does so for those
// after its own, and tells the others in plain text, from which no client learns.
// initialize negotiates, so there the header says nothing.
func refuseVersion(w http.ResponseWriter, r *http.Request, body []byte) bool {
	version := r.Header.Get(mcp.HeaderProtocolVersion)
	if version == "" || mcp.IsModernProtocol(version) || mcp.IsValidProtocolVersion(version) {
		return false
	}
	var message struct {
		ID     any           `json:"id"`
		Method mcp.MCPMethod `json:"method"`
	}
	if json.Unmarshal(body, &message) != nil || message.Method == mcp.MethodInitialize {
		return false
	}
	refusal := mcp.UnsupportedProtocolVersionError{Version: version, Supported: versions}.JSONRPCError()
	refusal.ID = mcp.NewRequestId(message.ID)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(refusal)
	return true
}

// dropNotification accepts the notifications of a 2026-07-28 client and passes none
// on; true where it did. All that such a client can notify of over HTTP is that it
// cancelled a request, which the closed connection has said already. Some send it
// without _meta, and mcp-go's error for that would end their session.
func dropNotification(w http.ResponseWriter, r *http.Request, body []byte) bool {
	if !mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion)) || !bytes.Contains(body, []byte("notifications/")) {
		return false
	}
	var message struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if json.Unmarshal(body, &message) != nil || message.ID != nil || !strings.HasPrefix(message.Method, "notifications/") {
		return false
	}
	w.WriteHeader(http.StatusAccepted)
	return true
}

// recovered turns a panic outside of a tool into an answer without its text.
func (s *server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				id := s.report("panic in a request", errors.New(string(debug.Stack())))
				writeError(w, http.StatusInternalServerError, "server_error", "Something went wrong here. Its id in the log is "+id+".")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// An answer is mcp-go's response, held back until its first byte: what a hook or a
// tool marked in the meantime can then still change it into a 403, or add the
// session id of initialize.
type answer struct {
	http.ResponseWriter
	server  *server
	request *request
	begun   bool
	refused bool
}

// WriteHeader sends the status, once.
func (a *answer) WriteHeader(status int) {
	if a.begun {
		return
	}
	a.begun = true
	if a.request.lacks != "" {
		a.refused = true
		a.server.insufficient(a.ResponseWriter, a.request.lacks)
		return
	}
	if a.request.begun != nil {
		a.server.issueSession(a.Header(), a.request)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write sends p, unless the answer was refused.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.refused {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// Flush lets mcp-go answer subscriptions/listen, and calls that report progress, with
// an event stream.
func (a *answer) Flush() {
	if !a.refused {
		_ = http.NewResponseController(a.ResponseWriter).Flush() // which some writer around may not know
	}
}
