package mcpserver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// sessionLife is how long a session id is good for; after it the client gets 404
// and initializes anew.
const sessionLife = 24 * time.Hour

var errNoSession = errors.New("no such session")

// A session is what a client of the handshake era said in initialize. It lives in
// the session id itself, sealed for its principal: no server keeps it, and it
// carries no authority, only how to ask this client for a connect.
type session struct {
	ID      string `json:"i"` // random; tells a person's clients apart
	Version string `json:"v"` // negotiated protocol version
	URL     bool   `json:"u"` // the client declared elicitation.url
	Issued  int64  `json:"t"` // Unix seconds
}

// urlElicitation reports whether the client understands URL elicitation, which
// came with 2025-11-25.
func (s session) urlElicitation() bool {
	return s.URL && s.Version >= mcp.ProtocolVersion20251125
}

// began is mcp-go's hook after initialize, and the only reader of its parameters.
func (s *server) began(ctx context.Context, _ any, in *mcp.InitializeRequest, out *mcp.InitializeResult) {
	requestOf(ctx).begun = &session{
		ID: rand.Text(), Version: out.ProtocolVersion,
		URL: elicitsURL(&in.Params.Capabilities), Issued: s.Now().Unix(),
	}
}

// elicitsURL reports whether a client declared elicitation.url. An empty
// elicitation object means forms only.
func elicitsURL(c *mcp.ClientCapabilities) bool {
	return c != nil && c.Elicitation != nil && c.Elicitation.URL != nil
}

// elicitsForm reports whether a client declared elicitation.form, or elicitation and
// nothing more, which means that.
func elicitsForm(c *mcp.ClientCapabilities) bool {
	return c != nil && c.Elicitation != nil && (c.Elicitation.Form != nil || c.Elicitation.URL == nil)
}

// sessioned checks the session id, on every method, and takes it away before
// mcp-go sees it. 2026-07-28 has no sessions, so there the header is ignored:
// mcp-go refuses requests whose body disagrees with the version header.
func (s *server) sessioned(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := requestOf(r.Context())
		if !mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion)) {
			found, err := s.openSession(req.caller, r.Header.Values(mcp.HeaderSessionID))
			if err != nil {
				writeError(w, http.StatusNotFound, "session_not_found", "There is no such session. Initialize a new one.")
				return
			}
			req.session = found
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			writeError(w, http.StatusMethodNotAllowed, "method_not_allowed", "This endpoint answers POST only: it has no stream to listen to and no session to end.")
			return
		}
		r.Header.Del(mcp.HeaderSessionID)
		body, ok := buffer(w, r)
		req.body = body
		if ok && !refuseVersion(w, r, body) && !dropNotification(w, r, body) {
			next.ServeHTTP(&answer{ResponseWriter: w, server: s, request: req}, r)
		}
	})
}

// issueSession seals the session that initialize began into the answer's header.
func (s *server) issueSession(h http.Header, r *request) {
	plain, err := json.Marshal(r.begun)
	if err == nil {
		var sealed []byte
		if sealed, err = s.sessions.Encrypt(plain, sessionOwner(r.caller)); err == nil {
			h.Set(mcp.HeaderSessionID, base64.RawURLEncoding.EncodeToString(sealed))
			return
		}
	}
	s.report("a session id could not be sealed", err) // the client is served without one
}

// openSession is the session in ids, or the zero session where there is no id.
// Forged, old and other people's ids are errNoSession alike.
func (s *server) openSession(c identity.Caller, ids []string) (session, error) {
	if len(ids) == 0 {
		return session{}, nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(ids[0])
	if err != nil || len(ids) > 1 {
		return session{}, errNoSession
	}
	plain, err := s.sessions.Decrypt(sealed, sessionOwner(c))
	if err != nil {
		return session{}, errNoSession
	}
	var found session
	if json.Unmarshal(plain, &found) != nil || s.Now().Sub(time.Unix(found.Issued, 0)) > sessionLife {
		return session{}, errNoSession
	}
	return found, nil
}

// sessionOwner is the associated data that makes an id worthless to anyone else.
func sessionOwner(c identity.Caller) []byte {
	digest := c.Principal().Digest()
	return append([]byte("session v1 "), digest[:]...)
}

// A scopedSession gives mcp-go's ephemeral session a name of its own. mcp-go
// matches notifications/cancelled by session and request id, and without this
// everybody would share the session "". What has no session can't be cancelled by
// a notification, only by closing its connection, as 2026-07-28 has it.
type scopedSession struct {
	mcpgo.ClientSession
	id string
}

// SessionID is the person's and the client's, or random.
func (s scopedSession) SessionID() string { return s.id }

func ownSession(ctx context.Context, ephemeral mcpgo.ClientSession) mcpgo.ClientSession {
	r := requestOf(ctx)
	id := r.session.ID
	if id == "" {
		id = rand.Text()
	}
	return scopedSession{ephemeral, r.caller.Principal().Digest().String() + " " + id}
}
