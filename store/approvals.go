package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
)

// ApprovalLife is how long a person has to answer a question about a call, and then
// how long a client has to make the call that was approved.
const ApprovalLife = 10 * time.Minute

// ErrOtherPerson means that a link is for somebody else than whose keyring it is.
var ErrOtherPerson = errors.New("this is for another person")

// Why a call that was asked about doesn't run, in the audit record.
const notApproved = "the person did not approve the call"

// A Deed is one call that a person is asked about. What was approved is this and
// nothing else: the same person, client, tool, account and arguments.
type Deed struct {
	Client    string          `json:"client"` // filled in by the keyring
	Tool      string          `json:"tool"`
	Provider  string          `json:"provider"`
	Account   string          `json:"account"`   // the id of the one that it acts on
	Arguments json.RawMessage `json:"arguments"` // all, written in one way
	// Digest is the digest of the arguments that the call's releases are recorded with.
	Digest [sha256.Size]byte `json:"digest"`
}

// binding is a key that only the same deed of the same person has.
func (k Keyring) binding(d Deed) string {
	return string(fields("deed v1", string(k.owner[:]), d.Client, d.Tool, d.Provider, d.Account, string(d.Arguments)))
}

func (d Deed) entry(event audit.Event, reason string) audit.Entry {
	return audit.Entry{
		Event: event, Tool: d.Tool, Provider: d.Provider, Arguments: hex.EncodeToString(d.Digest[:]), Reason: reason,
	}
}

// A question was put in the client itself. Its record is the right to one answer.
type question struct{}

// A submission is the link at which a deed is decided.
type submission struct{ Ticket string }

// A decided deed waits for its client to make the call.
type decided struct {
	Approved bool
	Entry    audit.Ref
}

func (k Keyring) questions() Table[question] {
	return NewTable[question](k.vault, "approval question")
}
func (k Keyring) tickets() Table[Deed] { return NewTable[Deed](k.vault, "approval ticket") }
func (k Keyring) submissions() Table[submission] {
	return NewTable[submission](k.vault, "approval link")
}
func (k Keyring) decisions() Table[decided] { return NewTable[decided](k.vault, "approval") }

// newTicket is 256 random bits in base64url.
func newTicket() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Ask allows one answer to a question that the client puts to its person about d, and
// names it.
func (k Keyring) Ask(ctx context.Context, d Deed) (nonce string, err error) {
	d.Client, nonce = k.client, newTicket()
	return nonce, k.questions().Put(ctx, k.binding(d)+nonce, k.owner, ApprovalLife, question{})
}

// Answer takes the answer that the client brings. With nil, d was approved and may run
// now, this once. ErrNotFound where the question was another, is answered or too old.
func (k Keyring) Answer(ctx context.Context, d Deed, nonce string, approved bool) error {
	d.Client = k.client
	if _, err := k.questions().Take(ctx, k.binding(d)+nonce); err != nil {
		return err
	}
	if !approved {
		return k.recordFor(ctx, d.Client, d.entry(audit.Refuse, notApproved))
	}
	entry, err := k.recordedFor(ctx, d.Client, d.entry(audit.Approve, "answered in the client"))
	if err != nil {
		return err
	}
	return k.spend(ctx, d, entry)
}

// spend records that d runs by the approval of that entry.
func (k Keyring) spend(ctx context.Context, d Deed, approval audit.Ref) error {
	e := d.entry(audit.Spend, "")
	e.Of = approval
	return k.recordFor(ctx, d.Client, e)
}

// Submit is the ticket of the page at which the person decides on d: as long as they
// haven't, the same.
func (k Keyring) Submit(ctx context.Context, d Deed) (ticket string, err error) {
	d.Client = k.client
	key := k.binding(d)
	for range chooseTries { // another call may submit the same, or the person decide
		ticket, err := k.undecided(ctx, key)
		if !errors.Is(err, ErrNotFound) {
			return ticket, err
		}
		ticket = newTicket()
		if err := k.tickets().Put(ctx, ticket, k.owner, ApprovalLife, d); err != nil {
			return "", err
		}
		err = k.submissions().Put(ctx, key, k.owner, ApprovalLife, submission{ticket})
		if !errors.Is(err, ErrConflict) {
			return ticket, err
		}
	}
	return "", ErrConflict
}

// undecided is the ticket under key; ErrNotFound where there is none, or none any more:
// a decision that failed half-way has used it up.
func (k Keyring) undecided(ctx context.Context, key string) (ticket string, err error) {
	item, err := k.submissions().Get(ctx, key)
	if err != nil {
		return "", err
	}
	_, err = k.tickets().Get(ctx, item.Value.Ticket)
	if !errors.Is(err, ErrNotFound) {
		return item.Value.Ticket, err
	}
	if _, gone := k.submissions().Take(ctx, key); gone != nil && !errors.Is(gone, ErrNotFound) {
		return "", gone
	}
	return "", err
}

// Submitted is what a ticket is about; ErrNotFound, ErrOtherPerson.
func (k Keyring) Submitted(ctx context.Context, ticket string) (Deed, error) {
	item, err := k.tickets().Get(ctx, ticket)
	if err == nil && item.Owner != k.owner {
		err = ErrOtherPerson
	}
	if err != nil {
		return Deed{}, err
	}
	return item.Value, nil
}

// Decide is the person's word on a ticket, once, for a browser's keyring. What they
// approve may then run once, when its client makes the same call; what they don't is
// said to it. The error is Submitted's.
func (k Keyring) Decide(ctx context.Context, ticket string, approved bool) error {
	if k.client != "" {
		return errClient
	}
	if _, err := k.Submitted(ctx, ticket); err != nil {
		return err
	}
	item, err := k.tickets().Take(ctx, ticket)
	if err != nil {
		return err
	}
	d := item.Value
	e := d.entry(audit.Approve, "decided on the page")
	if !approved {
		e = d.entry(audit.Refuse, notApproved)
	}
	entry, err := k.recordedFor(ctx, d.Client, e)
	if err != nil {
		return err
	}
	if err := k.decide(ctx, d, decided{approved, entry}); err != nil {
		return err
	}
	if _, err := k.submissions().Take(ctx, k.binding(d)); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	k.vault.bells.ring(slot{k.owner, d.Provider})
	return nil
}

// decide puts the last word on d in the place of one before.
func (k Keyring) decide(ctx context.Context, d Deed, last decided) error {
	err := ErrConflict
	for try := 0; errors.Is(err, ErrConflict) && try < chooseTries; try++ {
		if _, err := k.decisions().Take(ctx, k.binding(d)); err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, errUnopened) {
			return err
		}
		err = k.decisions().Put(ctx, k.binding(d), k.owner, ApprovalLife, last)
	}
	return err
}

// Decision takes the person's word on d: with approved, d may run now, this once.
// ErrNotFound where there is none (any more).
func (k Keyring) Decision(ctx context.Context, d Deed) (approved bool, err error) {
	d.Client = k.client
	item, err := k.decisions().Take(ctx, k.binding(d))
	if err != nil || !item.Value.Approved {
		return false, err
	}
	return true, k.spend(ctx, d, item.Value.Entry)
}

// AwaitDecision is Decision as soon as there is one; ErrNotFound once ctx ends.
func (k Keyring) AwaitDecision(ctx context.Context, d Deed) (approved bool, err error) {
	rung, hangUp := k.vault.bells.listen(slot{k.owner, d.Provider})
	defer hangUp()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		approved, err := k.Decision(ctx, d)
		if !errors.Is(err, ErrNotFound) {
			return approved, err
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-rung:
		case <-poll.C:
		}
	}
}
