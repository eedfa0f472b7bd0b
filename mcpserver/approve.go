package mcpserver

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	approveID = "approve" // of the input request that asks for it, and of a form's only field
	// longestForm is how many characters a form's message may have. What doesn't fit
	// isn't cut, since what isn't shown can't be approved: the page shows all of it.
	longestForm = 4000
	// largestAsked is how many bytes of arguments a person is asked about. They are kept
	// until there is an answer.
	largestAsked = 256 << 10
)

var errAnswered = errors.New("the question was answered before")

// An approval is what a client of 2026-07-28 carries from the question whether a call
// is to be made to its answer. Of a link it has the state's members, of a form Nonce:
// the right to one answer.
type approval struct {
	state
	Nonce   string `json:"n,omitempty"`
	Account string `json:"a"` // the id of the one that was shown
}

// A proposal is a call that its person is asked about, and what they are shown.
type proposal struct {
	store.Deed
	account   store.Info
	arguments []tools.Argument
}

// consent says whether c may run: with neither answer nor error it may, on that account
// alone where it is set. Only tools that write cost anything here.
func (s *server) consent(ctx context.Context, c *call, st state) (store.Info, *mcp.CallToolResult, error) {
	if c.spec.ReadOnly {
		return store.Info{}, nil, nil
	}
	permission, err := c.keys.Permission(ctx)
	if err != nil {
		return store.Info{}, s.broken(c.name(), err), nil
	}
	if !permission.Asks(c.spec.Destructive) {
		return store.Info{}, nil, nil
	}
	p, err := c.propose(ctx)
	if err != nil {
		answer, err := s.notProposed(ctx, c, st, err)
		return store.Info{}, answer, err
	}
	if out, err := s.repeated(ctx, c, p.Account); !errors.Is(err, store.ErrNotFound) {
		answer, err := s.again(ctx, c, st, out, err)
		return store.Info{}, answer, err
	}
	approved, err := s.approved(ctx, c, p)
	if approved && err == nil {
		return p.account, nil, nil
	}
	answer, err := s.unapproved(ctx, c, p, err)
	return store.Info{}, answer, err
}

// again answers a call that does nothing any more, since an earlier one had its
// idempotency_key: nobody is asked about that.
func (s *server) again(ctx context.Context, c *call, st state, out json.RawMessage, err error) (*mcp.CallToolResult, error) {
	if err != nil {
		return s.notProposed(ctx, c, st, err)
	}
	c.request.outcome = outcomeOK
	return succeeded(string(out)), nil
}

// propose is c for its person. Nobody is asked about a call that can't be made: the
// error is the arguments', or *store.NeedsConnect.
func (c *call) propose(ctx context.Context) (proposal, error) {
	checked, err := c.tool.Checked(c.arguments)
	if err != nil {
		return proposal{}, err
	}
	shown, err := c.tool.Explain(checked)
	if err != nil {
		return proposal{}, err
	}
	account, err := c.keys.Usable(ctx, c.need())
	d := store.Deed{
		Tool: c.name(), Provider: c.spec.Provider, Account: account.Account.ID, Arguments: checked, Digest: c.digest,
	}
	return proposal{d, account, shown}, err
}

func (s *server) notProposed(ctx context.Context, c *call, st state, err error) (*mcp.CallToolResult, error) {
	if needs, ok := errors.AsType[*store.NeedsConnect](err); ok {
		if err := s.refused(ctx, c, needs.Reason); err != nil {
			return s.broken(c.name(), err), nil
		}
		return s.connect(ctx, c, needs, st)
	}
	if told, ok := errors.AsType[*tools.Error](err); ok {
		c.request.outcome = outcomeError
		return failed(told.Message), nil
	}
	return s.broken(c.name(), err), nil
}

// approved is the person's word on p, which is used up by it: from the client where that
// was asked, else from the page. store.ErrNotFound where there is none yet.
func (s *server) approved(ctx context.Context, c *call, p proposal) (bool, error) {
	answer := c.answerTo(approveID)
	asked := c.approval.Account == p.Account && c.approval.ID != ""
	switch {
	case !asked:
	case c.approval.Nonce != "" && answer != nil:
		yes := agreed(answer)
		err := c.keys.Answer(ctx, p.Deed, c.approval.Nonce, yes)
		if errors.Is(err, store.ErrNotFound) {
			err = errAnswered
		}
		return yes, err
	case c.approval.Nonce == "" && answer != nil && answer.Action != mcp.ElicitationResponseActionAccept:
		return false, s.refused(ctx, c, "the person did not want to decide on the call")
	case c.approval.Nonce == "" && (answer != nil || c.approval.Waits > 0):
		waiting, cancel := context.WithTimeout(ctx, s.wait)
		defer cancel()
		return c.keys.AwaitDecision(waiting, p.Deed)
	}
	return c.keys.Decision(ctx, p.Deed)
}

// refused records that c was stopped before it asked for a credential.
func (s *server) refused(ctx context.Context, c *call, reason string) error {
	return s.Vault.Refuse(ctx, c.caller, audit.Entry{
		Tool: c.name(), Provider: c.spec.Provider, Arguments: hexDigest(c.digest), Reason: reason,
	})
}

// agreed reports whether a form came back with a yes. To accept a form says that it was
// filled in, not what with.
func agreed(answer *mcp.ElicitationResult) bool {
	content, _ := answer.Content.(map[string]any)
	return answer.Action == mcp.ElicitationResponseActionAccept && content[approveID] == true
}

// unapproved answers a call that may not run: err is approved's.
func (s *server) unapproved(ctx context.Context, c *call, p proposal, err error) (*mcp.CallToolResult, error) {
	c.request.outcome = outcomeRefused
	switch {
	case err == nil:
		return failed("The user did not approve this call of " + c.name() + ", so it did nothing. " +
			"Don't repeat it by yourself: ask them what they want instead."), nil
	case errors.Is(err, errAnswered):
		return failed("This requestState was used before: the call may have been made already. " +
			"Check before calling " + c.name() + " again, without it."), nil
	case !errors.Is(err, store.ErrNotFound):
		c.request.outcome = outcomeFailed
		return s.broken(c.name(), err), nil
	}
	if reason := s.unaskable(c, p); reason != "" {
		return failed(reason), nil
	}
	c.request.outcome = outcomeApprove
	return s.askApproval(ctx, c, p)
}

// unaskable is why the person is not asked about p, for the model; "" where they are.
func (s *server) unaskable(c *call, p proposal) string {
	if len(p.Arguments) > largestAsked {
		return fmt.Sprintf("The user has to approve each call of %s, and this one is too large to be shown: send at most %d KiB.", c.name(), largestAsked>>10)
	}
	if !s.calls.allowQuestion(c.caller.Principal().Digest(), s.Now()) {
		return "The user was asked too often. Wait until they have answered what they were asked, then go on."
	}
	return ""
}

// askApproval asks the person, on the best channel that the client declared: in a form
// where all fits into it, else with a link to the page.
func (s *server) askApproval(ctx context.Context, c *call, p proposal) (*mcp.CallToolResult, error) {
	message := formMessage(c, p)
	if c.modern.forms && utf8.RuneCountInString(message) <= longestForm {
		return s.askInForm(ctx, c, p, message)
	}
	link, err := s.ApproveLink(ctx, c.caller, p.Deed)
	if err != nil {
		return s.broken(c.name(), err), nil
	}
	before := c.approval
	again := before.Link == link && before.Account == p.Account
	if !again {
		before = approval{state: state{ID: rand.Text(), Link: link, Expires: s.Now().Add(stateLife).Unix()}, Account: p.Account}
	}
	switch {
	case c.modern.asks:
		return s.askWithLink(c, p, before, again && (c.answerTo(approveID) != nil || before.Waits > 0))
	case c.session.urlElicitation():
		return nil, &linkRequired{approveText(c, p, link),
			mcp.URLElicitationRequiredError{Elicitations: []mcp.ElicitationParams{approveElicitation(c, p, before.state)}}}
	default:
		return failed(approveText(c, p, link)), nil
	}
}

// askInForm is input_required with a form (2026-07-28). A try without an answer is asked
// the same thing again.
func (s *server) askInForm(ctx context.Context, c *call, p proposal, message string) (*mcp.CallToolResult, error) {
	st := c.approval
	if st.Nonce == "" || st.Account != p.Account {
		nonce, err := c.keys.Ask(ctx, p.Deed)
		if err != nil {
			return s.broken(c.name(), err), nil
		}
		st = approval{state: state{ID: rand.Text(), Expires: s.Now().Add(stateLife).Unix()}, Nonce: nonce, Account: p.Account}
	}
	sealed, err := s.sealState(s.approvals, c, st)
	if err != nil {
		return s.broken(c.name(), err), nil
	}
	return mcpgo.NewInputRequestBuilder(sealed).Elicit(approveID, mcp.ElicitationParams{
		Mode: mcp.ElicitationModeForm, Message: message, RequestedSchema: approveForm(),
	}).ToolResult(), nil
}

// askWithLink is input_required with a URL elicitation (2026-07-28). Where the person
// has opened the link and not decided within the wait, the client hears "not yet" twice,
// then a sentence with the same link.
func (s *server) askWithLink(c *call, p proposal, st approval, waited bool) (*mcp.CallToolResult, error) {
	if waited && st.Waits >= maxWaits {
		return failed(approveText(c, p, st.Link)), nil
	}
	if waited {
		st.Waits++
	}
	sealed, err := s.sealState(s.approvals, c, st)
	if err != nil {
		return s.broken(c.name(), err), nil
	}
	ask := mcpgo.NewInputRequestBuilder(sealed)
	if !waited {
		ask.Elicit(approveID, approveElicitation(c, p, st.state))
	}
	return ask.ToolResult(), nil
}

// approveForm is the schema of the form: one box to tick.
func approveForm() map[string]any {
	return map[string]any{
		"type": "object", "required": []string{approveID},
		"properties": map[string]any{approveID: map[string]any{
			"type": "boolean", "title": "Approve", "description": "Do exactly this, once", "default": false,
		}},
	}
}

// formMessage is exactly what would be done. Each line of a value has a mark before it,
// so that no value looks like the words around it.
func formMessage(c *call, p proposal) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s) at %s, as %s.\n", c.spec.Title, c.name(), c.title, p.as())
	fmt.Fprintf(&b, "What the tool can do: %s.\n", c.spec.Can)
	for _, a := range p.arguments {
		fmt.Fprintf(&b, "\n%s", a.Name)
		if a.Description != "" {
			fmt.Fprintf(&b, " (%s)", a.Description)
		}
		fmt.Fprintf(&b, ":\n│ %s\n", strings.ReplaceAll(a.Value, "\n", "\n│ "))
	}
	b.WriteString("\nIf you approve, it is done once, exactly so. Otherwise nothing is done.")
	return b.String()
}

// as is what the account is called, in one line.
func (p proposal) as() string {
	label, _ := tools.Clip(p.account.Account.Label, 100)
	if label = strings.Join(strings.Fields(label), " "); label != "" {
		return label
	}
	return "account " + p.Account
}

func approveElicitation(c *call, p proposal, st state) mcp.ElicitationParams {
	return mcp.ElicitationParams{
		Mode: mcp.ElicitationModeURL, ElicitationID: st.ID, URL: st.Link,
		Message: fmt.Sprintf("Latchkey asks before it does this with your %s account %s: %s. Open the link to see exactly what, and to decide.", c.title, p.as(), c.spec.Title),
	}
}

// approveText asks through the model.
func approveText(c *call, p proposal, link string) string {
	return fmt.Sprintf("The user has to approve this call of %s first, which acts on their %s account %s; nothing is done yet. "+
		"Ask them to open this link in a browser, where they see exactly what would be done: %s "+
		"Show it exactly as it is. It works for at most ten minutes, for this user only. "+
		"Once they say that they have approved, call %s again with the same arguments.", c.name(), c.title, p.as(), link, c.name())
}
