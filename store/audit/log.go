package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

const (
	// noteDelay is how long an outcome waits for an entry to be written along with.
	noteDelay = 100 * time.Millisecond
	// gatherFor is how long a commit waits for more entries, after one for which a
	// crowd came: one flush of the disk then serves more of them. Who comes alone or
	// with a few others never waits.
	gatherFor = 4 * time.Millisecond
	crowd     = 4
	// mostNotes bounds the outcomes that wait; where the disk is slower than that,
	// a release without an outcome is honest.
	mostNotes = 10_000
	// batch bounds a commit.
	batch = 256
	// listTries is against processes that start at the same time.
	listTries = 50
)

// Config is what a Log is made of.
type Config struct {
	Table  Table
	Seal   tink.AEAD // the vault's keys, for this purpose only
	Now    func() time.Time
	Report func(error) // told what went wrong where no caller waits to hear it
}

// A Log is one process's way into the record. It is safe for concurrent use:
// entries that come together are written in one commit.
type Log struct {
	Config

	mu     sync.Mutex
	queue  []*pending
	notes  []Entry
	timer  *time.Timer // writes the notes
	busy   bool        // somebody drains
	idle   sync.Cond   // nobody does, any more
	broken error       // for good
	closed bool

	// Where this process's chain ends, and when it began; the zero Head where it must
	// begin one. Only who drains touches them.
	head  Head
	last  Row
	began time.Time
	most  int64 // entries in a chain
	came  int   // for the last commit
}

// A pending entry waits to be written.
type pending struct {
	entry Entry
	ref   Ref
	err   error
	done  chan struct{}
}

// NewLog is a log that begins its chain with its first entry.
func NewLog(cfg Config) *Log {
	l := &Log{Config: cfg, most: chainMost}
	l.idle.L = &l.mu
	return l
}

// Append returns once e is durable. ErrBroken where the record is; any other error
// means that e may not be written, and the next Append tries anew.
func (l *Log) Append(e Entry) (Ref, error) {
	p := &pending{entry: e, done: make(chan struct{})}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return "", errors.New("the audit record is closed")
	}
	l.queue = append(l.queue, p)
	l.wake()
	l.mu.Unlock()
	<-p.done
	return p.ref, p.err
}

// Note has e written soon, along with other entries where there are some.
func (l *Log) Note(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.broken != nil || len(l.notes) >= mostNotes {
		return
	}
	l.notes = append(l.notes, e)
	if l.timer == nil {
		l.timer = time.AfterFunc(noteDelay, l.flush)
	}
}

func (l *Log) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.notes) > 0 {
		l.wake()
	}
}

// wake has somebody drain; l.mu is held.
func (l *Log) wake() {
	if !l.busy {
		l.busy = true
		go l.drain()
	}
}

// drain writes until nobody waits. Who comes while a commit is on its way is in
// the next one.
func (l *Log) drain() {
	for {
		if l.came >= crowd {
			time.Sleep(gatherFor)
		}
		waiting, entries := l.take()
		l.came = len(waiting)
		refs, err := l.write(entries)
		for i, p := range waiting {
			if p.err = err; err == nil {
				p.ref = refs[i]
			}
			close(p.done)
		}
		if err != nil && len(waiting) == 0 && len(entries) > 0 {
			l.Report(fmt.Errorf("outcomes can't be written to the audit record: %w", err))
		}
		if l.rest() {
			return
		}
	}
}

// take is what to write next: who waits, and at the end of the entries the notes.
func (l *Log) take() (waiting []*pending, entries []Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.queue), batch)
	waiting, l.queue = l.queue[:n:n], l.queue[n:]
	for _, p := range waiting {
		entries = append(entries, p.entry)
	}
	entries = append(entries, l.notes...)
	l.notes = nil
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	return waiting, entries
}

// rest reports whether there is nothing left to do.
func (l *Log) rest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) > 0 {
		return false
	}
	l.busy = false
	l.idle.Broadcast()
	return true
}

// write appends entries to this process's chain. After an error it is unknown what
// was written, so that the next entries begin another chain.
func (l *Log) write(entries []Entry) ([]Ref, error) {
	if err := l.Broken(); err != nil || len(entries) == 0 {
		return nil, err
	}
	if l.head.Seq == 0 || l.head.Seq >= l.most || l.Now().Sub(l.began) >= chainLife {
		if err := l.begin(); err != nil {
			return nil, err
		}
	}
	before := l.last.Seq
	if err := l.put(&l.head, &l.last, entries); err != nil {
		at := refTo(l.head.Chain, l.head.Seq)
		l.head, l.last = Head{}, Row{}
		if errors.Is(err, ErrMoved) {
			return nil, l.stop(Finding{At: at, Why: "the chain doesn't end where this process left it"})
		}
		return nil, err
	}
	refs := make([]Ref, len(entries))
	for i := range refs {
		refs[i] = refTo(l.head.Chain, before+1+int64(i))
	}
	return refs, nil
}

// put appends entries after last, and moves head and last.
func (l *Log) put(head *Head, last *Row, entries []Entry) error {
	to, rows, err := extend(l.Seal, *head, *last, entries)
	if err != nil {
		return err
	}
	if err := l.Table.Append(context.Background(), *head, to, rows); err != nil {
		return err
	}
	*head, *last = to, rows[len(rows)-1]
	return nil
}

// begin starts a chain, where there is one before it as what that one goes on in,
// and lists it. In this order, since a chain that is listed
// but not there is one that somebody removed.
func (l *Log) begin() error {
	head := Head{Chain: l.Now().UTC().Format("20060102T150405Z-") + rand.Text()[:8]}
	var last Row
	start := Entry{Time: l.Now(), Event: Start}
	if l.head.Seq > 0 {
		start.Of = l.last.Ref()
	}
	if err := l.put(&head, &last, []Entry{start}); err != nil {
		return err
	}
	err := ErrMoved
	for try := 0; errors.Is(err, ErrMoved) && try < listTries; try++ {
		err = l.list(head.Chain)
	}
	if err == nil {
		l.head, l.last, l.began = head, last, start.Time
	}
	return err
}

// list adds chain to the newest segment; ErrMoved where another process was
// faster.
func (l *Log) list(chain string) error {
	head, last, err := l.segmentEnd(context.Background())
	if err != nil {
		return err
	}
	return l.put(&head, &last, []Entry{{Time: l.Now(), Event: Start, Reason: chain}})
}

// stop ends all appending, for good.
func (l *Log) stop(f Finding) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = brokenAt(f)
	}
	return l.broken
}

// Broken is why nothing is appended any more, or nil.
func (l *Log) Broken() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// Check verifies the record, all of it or only where each chain ends, and stops
// all appending where it is broken. Any other error is one of reading.
func (l *Log) Check(ctx context.Context, all bool) error {
	report, err := verify(ctx, l.Table, l.Seal, all)
	if err != nil {
		return err
	}
	if f, bad := report.Bad(); bad {
		return l.stop(f)
	}
	return nil
}

// Close writes what waits and ends the chain with a Stop entry. Nobody may use the
// log any more.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	for l.busy {
		l.idle.Wait()
	}
	l.busy = true // nobody drains from here on
	l.mu.Unlock()
	_, entries := l.take()
	if l.head.Seq > 0 {
		entries = append(entries, Entry{Time: l.Now(), Event: Stop})
	}
	_, err := l.write(entries)
	if errors.Is(err, ErrBroken) {
		return nil // which was said when it was found
	}
	return err
}
