// Package audit is the record of every release of a credential, written before
// the release happens, and of every refusal.
//
// It guarantees that
//
//   - no credential leaves the vault without a durable entry: the vault appends
//     and only then releases, and an append that fails refuses the release;
//   - what is written can't be changed, left out, moved, forged or cut off by
//     somebody who can write to the database but doesn't have the vault's keys,
//     without Verify naming the first entry that is wrong;
//   - a record that is found to be broken stops releases, until an operator opens
//     a new segment that names the break (Reseal).
//
// Entries name people by digest and never hold a token, an argument or a
// provider's answer.
//
// Each process appends to a chain of its own, so that processes on one database
// don't queue. An entry's hash covers all of it, with lengths, and the entry
// before. What is written in one commit ends with a checkpoint, and the chain has
// a head that says where it ends; both are authenticated with the vault's keys (an
// AEAD tag over the hash: who opens grants can check the record, and rotating keys
// needs nothing here as long as the old ones stay in the keyset). Chains are listed
// in a segment, which is a chain too.
//
// A process begins another chain after a day, or 50,000 entries. That is what old
// entries are removed by (Log.Prune): whole chains, each in one commit with an entry
// in the segment that says which chain it was, where and with what hash it ended,
// and up to when. So Verify tells what retention removed from what somebody else
// did, and says from when on the record is complete. Segments stay; they name
// chains, and no people.
//
// That a whole database was put back to an
// older copy can't be told from within: keep the last line of "latchkey audit
// verify", or the output of "latchkey audit tail --follow", somewhere else.
package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// An Event is what an entry records.
type Event string

// The events.
const (
	Release    Event = "release"    // a credential was released for a call
	Outcome    Event = "outcome"    // what came of the release that Of names; Reason says it
	Refuse     Event = "refuse"     // a release, a link or an egress was refused; Reason says why
	Download   Event = "download"   // a provider's redirect was followed, without a credential; Reason says where to
	Connect    Event = "connect"    // a person connected an account
	Disconnect Event = "disconnect" // a person disconnected an account
	Forget     Event = "forget"     // a person had all of theirs removed; Reason says how much
	Choose     Event = "choose"     // a person chose which account serves whom; Reason says it
	Permit     Event = "permit"     // a person said what a client may do without asking; Reason says it
	Approve    Event = "approve"    // a person approved one call, by its tool and arguments
	Spend      Event = "spend"      // that call is made; Of names the approval, which is used up
	Refresh    Event = "refresh"    // the vault asked the provider for a new access token

	// The record's own.
	Start  Event = "start"  // a process began a chain, or went on from Of; in a segment, Reason is the chain
	Stop   Event = "stop"   // it ended cleanly
	Reseal Event = "reseal" // an operator went on after the break at Of; Reason says what it was
	Prune  Event = "prune"  // retention removed the chain that ended with Of; Arguments is that entry's hash, Reason says why
)

// An Entry is what there is to record. Fields that don't apply are empty.
type Entry struct {
	Time      time.Time // kept to the microsecond
	Event     Event
	Owner     identity.Digest // whose credential; for a wrong person at a link: who was signed in
	Client    string          // OAuth client id
	Tool      string
	Provider  string
	Rule      string // the egress rule, as "GET /repos/{owner}/{repo}"
	Arguments string // hex SHA-256 of the call's arguments
	Reason    string // a short sentence without secrets
	Of        Ref    // the entry that this one is about
}

// A Ref names an entry: its chain, a slash and its number there, from 1.
type Ref string

func refTo(chain string, seq int64) Ref { return Ref(chain + "/" + strconv.FormatInt(seq, 10)) }

// chain is the name of the chain that r's entry is in.
func (r Ref) chain() string { return string(r[:max(0, strings.LastIndexByte(string(r), '/'))]) }

// A Row is an entry as a Table keeps it.
type Row struct {
	Chain string
	Seq   int64 // 1, 2, … in its chain
	Entry
	Hash []byte // SHA-256; see Row.digest
	Mark []byte // the checkpoint; empty but for the last entry of a commit
}

// Ref names r.
func (r Row) Ref() Ref { return refTo(r.Chain, r.Seq) }

// A Head says where a chain ends.
type Head struct {
	Chain string
	Seq   int64  // of its last entry; 0 where there is none
	Hash  []byte // of that entry; a Table keeps it only there
	Mark  []byte
}

// A Table is where a backend keeps rows and heads. It is safe for concurrent use,
// and every backend passes the suite in storetest.
type Table interface {
	// Append adds rows, which follow one another in one chain, and moves the
	// chain's head from one to the other: both or nothing, durable when it
	// returns, whatever becomes of ctx. ErrMoved where the head or the entry
	// that from speaks of isn't there (any more), or one of the rows is.
	Append(ctx context.Context, from, to Head, rows []Row) error
	// Replace is Append that also removes the whole chain gone, head and all: both
	// or nothing. ErrMoved too where gone doesn't end there (any more).
	Replace(ctx context.Context, gone, from, to Head, rows []Row) error
	// Heads are those of all chains, by name, without Hash. A chain of which
	// there are entries but no head has a head with Seq 0.
	Heads(ctx context.Context) ([]Head, error)
	// Rows are the first n, by number, with a number above after. One that
	// can't be read as a Row has no Hash.
	Rows(ctx context.Context, chain string, after int64, n int) ([]Row, error)
	// Clients are the first n by name, each once, that an owner's entries name.
	Clients(ctx context.Context, owner identity.Digest, n int) ([]string, error)
}

// ErrMoved means that a chain doesn't end where its writer left it.
var ErrMoved = errors.New("the audit chain was changed by somebody else")

// ErrBroken means that the record was tampered with or damaged. Nothing is appended
// to it, and so nothing is released.
var ErrBroken = errors.New("the audit record is broken")

func brokenAt(f Finding) error {
	return fmt.Errorf("%w at entry %s (%s): no credential is released until an operator has looked: "+
		"stop latchkey, run \"latchkey audit verify\", then \"latchkey audit reseal\"", ErrBroken, f.At, f.Why)
}
