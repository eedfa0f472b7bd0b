package mcpserver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/latchkey-mcp/latchkey/store"
)

const (
	inputID   = "connect"        // of the input request that asks for it
	stateLife = 10 * time.Minute // as long as the link in it
	maxWaits  = 2                // answers that only say "not yet"
)

// Why a requestState is of no use.
var (
	errForeignState = errors.New("this requestState is not of this call")
	errOldState     = errors.New("this requestState is too old")
)

// A state is what a client of 2026-07-28 carries from one try of a call to the
// next, sealed for this person, client, tool and arguments.
type state struct {
	ID      string `json:"i"` // of the elicitation
	Link    string `json:"l"`
	Waits   int    `json:"w"` // how often it heard "not yet"
	Expires int64  `json:"e"` // Unix seconds
}

// connect answers a call whose grant is missing, on the best channel that the
// client declared. It is never 401 or 403: the bearer is fine. st is of an earlier
// try, or zero.
func (s *server) connect(ctx context.Context, c *call, needs *store.NeedsConnect, st state) (*mcp.CallToolResult, error) {
	if c.modern.asks && st.Link != "" {
		return s.resume(ctx, c, needs, st)
	}
	link, err := s.ConnectLink(ctx, c.caller, c.need())
	if err != nil {
		return s.broken(c.name(), err), nil
	}
	c.request.outcome = outcomeConnect
	st = state{ID: rand.Text(), Link: link, Expires: s.Now().Add(stateLife).Unix()}
	switch {
	case c.modern.asks:
		return s.ask(c, needs, st)
	case c.session.urlElicitation():
		return nil, elicitationRequired(c, needs, st)
	default:
		return failed(connectText(c, needs, link)), nil
	}
}

// connectAfterWrite is connect where the call may have changed something before
// its grant ended: no client may then repeat it without being asked.
func (s *server) connectAfterWrite(ctx context.Context, c *call, needs *store.NeedsConnect) (*mcp.CallToolResult, error) {
	link, err := s.ConnectLink(ctx, c.caller, c.need())
	if err != nil {
		return s.broken(c.name(), err), nil
	}
	c.request.outcome = outcomeConnect
	return failed(connectText(c, needs, link) + doubt(true)), nil
}

// ask is input_required with a URL elicitation (2026-07-28).
func (s *server) ask(c *call, needs *store.NeedsConnect, st state) (*mcp.CallToolResult, error) {
	sealed, err := s.sealState(s.states, c, st)
	if err != nil {
		return s.broken(c.name(), err), nil
	}
	return mcpgo.NewInputRequestBuilder(sealed).Elicit(inputID, elicitation(c, needs, st)).ToolResult(), nil
}

// earlier is the state of the try before this one: zero where there is none or it
// is too old to be of use, errForeignState where it isn't this call's.
func (s *server) earlier(c *call) (state, error) {
	if c.modern.input.RequestState == "" {
		return state{}, nil
	}
	raw := c.modern.input.RequestState
	var st state
	err := s.openState(s.states, c, raw, &st, &st)
	if errors.Is(err, errForeignState) {
		err = s.openState(s.approvals, c, raw, &c.approval, &c.approval.state)
	}
	if errors.Is(err, errOldState) {
		st, c.approval, err = state{}, approval{}, nil
	}
	return st, err
}

// answer is the client's answer to our elicitation, or nil.
func (c *call) answer() *mcp.ElicitationResult { return c.answerTo(inputID) }

func (c *call) answerTo(id string) *mcp.ElicitationResult {
	return mcpgo.ElicitationResponse(c.modern.input.InputResponses, id)
}

// declined reports whether the user was asked and didn't accept.
func (c *call) declined() bool {
	answer := c.answer()
	return answer != nil && answer.Action != mcp.ElicitationResponseActionAccept
}

// resume is a later try: the user accepted the elicitation, or the client comes
// back after "not yet". A try without either is asked the same thing again.
func (s *server) resume(ctx context.Context, c *call, needs *store.NeedsConnect, st state) (*mcp.CallToolResult, error) {
	if c.answer() == nil && st.Waits == 0 {
		c.request.outcome = outcomeConnect
		return s.ask(c, needs, st)
	}
	return s.await(ctx, c, st)
}

// await gives the user time to finish in the browser. Clients come back at once
// after an accepted elicitation, so this is also what slows them down.
func (s *server) await(ctx context.Context, c *call, st state) (*mcp.CallToolResult, error) {
	waiting, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	err := c.keys.Wait(waiting, c.need())
	if err == nil {
		return s.run(ctx, c, state{}) // what was asked for has been done
	}
	needs, ok := errors.AsType[*store.NeedsConnect](err)
	if !ok {
		return s.broken(c.name(), err), nil
	}
	c.request.outcome = outcomeConnect
	if st.Waits >= maxWaits {
		return failed(connectText(c, needs, st.Link)), nil
	}
	st.Waits++
	sealed, err := s.sealState(s.states, c, st)
	if err != nil {
		return s.broken(c.name(), err), nil
	}
	return mcpgo.NewInputRequestBuilder(sealed).ToolResult(), nil
}

// A linkRequired is JSON-RPC error -32042 (2025-11-25). Some clients show its message
// and not its data, so the message has the link too.
type linkRequired struct {
	text string
	data mcp.URLElicitationRequiredError
}

func (e *linkRequired) Error() string { return e.text }
func (e *linkRequired) Unwrap() error { return e.data }

func elicitationRequired(c *call, needs *store.NeedsConnect, st state) error {
	return &linkRequired{connectText(c, needs, st.Link),
		mcp.URLElicitationRequiredError{Elicitations: []mcp.ElicitationParams{elicitation(c, needs, st)}}}
}

func elicitation(c *call, needs *store.NeedsConnect, st state) mcp.ElicitationParams {
	return mcp.ElicitationParams{
		Mode: mcp.ElicitationModeURL, ElicitationID: st.ID, URL: st.Link,
		Message: fmt.Sprintf("Latchkey needs access to your %s account (%s). Open the link to see what for, and to connect it.", c.title, needs.Reason),
	}
}

// connectText asks through the model: for clients that know no elicitation, and
// where one has run its course.
func connectText(c *call, needs *store.NeedsConnect, link string) string {
	return fmt.Sprintf("The user has to connect %s first (%s). Ask them to open this link in a browser and to connect their account there: %s "+
		"Show it exactly as it is. It works once, within ten minutes, for this user only. "+
		"Once they say that they have connected, call %s again with the same arguments.", c.title, needs.Reason, link, c.name())
}

// declinedText says what a model may do next. link is "" where it has expired.
func declinedText(c *call, link string) string {
	text := fmt.Sprintf("The user did not want to connect %s now, so %s did nothing. Don't ask again by yourself. "+
		"Should they change their mind, ", c.title, c.name())
	if link == "" {
		return text + "call it again."
	}
	return text + "they can open this link in a browser within ten minutes: " + link
}

// sealState seals st, of the kind that with is for, for c alone.
func (s *server) sealState(with tink.AEAD, c *call, st any) (string, error) {
	plain, err := json.Marshal(st)
	if err != nil {
		return "", err
	}
	sealed, err := with.Encrypt(plain, stateOwner(c))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// openState fills st, of which common is a part, from what sealState sealed for c:
// errForeignState where it was sealed for another person, client, tool or arguments,
// as another kind, or by nobody.
func (s *server) openState(with tink.AEAD, c *call, raw string, st any, common *state) error {
	sealed, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil {
		return errForeignState
	}
	plain, err := with.Decrypt(sealed, stateOwner(c))
	if err != nil || json.Unmarshal(plain, st) != nil {
		return errForeignState
	}
	if s.Now().Unix() >= common.Expires {
		return errOldState
	}
	return nil
}

// stateOwner is the associated data of a state.
func stateOwner(c *call) []byte { return c.owns("state v1", string(c.digest[:])) }

func hexDigest(digest [32]byte) string { return hex.EncodeToString(digest[:]) }
