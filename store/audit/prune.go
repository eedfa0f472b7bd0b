package audit

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// A process goes on in another chain after chainLife or chainMost entries, so that
// a chain can be removed although the process runs for a year, and in one commit
// that doesn't keep others waiting.
const (
	chainLife = 24 * time.Hour
	chainMost = 50_000
)

// ShortestRetention is what Prune keeps at least: no process, with whatever clock,
// still appends to a chain that old.
const ShortestRetention = 2 * chainLife

// prunedBefore begins the Reason of a Prune entry; the time follows.
const prunedBefore = "retention: removed what is from before "

// Prune removes the chains whose last entry is older than keep, and says how many.
// It removes nothing where the record is broken and nobody has resealed it
// (ErrBroken, and the log stops as in Check), and nothing where keep is less than
// ShortestRetention. Each chain goes in a commit of its own. Several processes may
// prune at the same time.
func (l *Log) Prune(ctx context.Context, keep time.Duration) (n int, err error) {
	if keep < ShortestRetention {
		return 0, errors.New("the audit record is kept for two days at least")
	}
	before := l.Now().Add(-keep).UTC().Truncate(time.Second)
	heads, err := l.Table.Heads(ctx)
	if err != nil {
		return 0, err
	}
	for _, h := range heads {
		if ctx.Err() != nil || isSegment(h.Chain) {
			continue
		}
		switch old, err := l.endsBefore(ctx, h, before); {
		case err != nil:
			return n, err
		case !old:
			continue
		}
		if n == 0 {
			if err := l.Check(ctx, true); err != nil {
				return 0, err
			}
			if err := l.Broken(); err != nil {
				return 0, err
			}
		}
		switch gone, err := l.remove(ctx, h, before); {
		case err != nil:
			return n, err
		case gone:
			n++
		}
	}
	return n, ctx.Err()
}

// endsBefore is a short look at the chain's last entry.
func (l *Log) endsBefore(ctx context.Context, h Head, before time.Time) (bool, error) {
	rows, err := l.Table.Rows(ctx, h.Chain, h.Seq-1, 1)
	return len(rows) == 1 && rows[0].Time.Before(before), err
}

// remove removes the chain that ends at h, if all of it is that old and good. One
// with a break that an operator knows of stays.
func (l *Log) remove(ctx context.Context, h Head, before time.Time) (gone bool, err error) {
	v := newVerifier(l.Table, l.Seal, []Head{h})
	old := true
	last, err := v.walk(ctx, h, 0, func(r Row) { old = old && r.Time.Before(before) })
	if err != nil || !old || len(v.findings) > 0 {
		return false, err
	}
	e := Entry{
		Time: l.Now(), Event: Prune, Of: last.Ref(), Arguments: hex.EncodeToString(last.Hash),
		Reason: prunedBefore + before.Format(time.RFC3339),
	}
	for range listTries {
		from, end, err := l.segmentEnd(ctx)
		if err != nil {
			return false, err
		}
		to, rows, err := extend(l.Seal, from, end, []Entry{e})
		if err != nil {
			return false, err
		}
		if err := l.Table.Replace(ctx, h, from, to, rows); !errors.Is(err, ErrMoved) {
			return err == nil, err
		}
	}
	return false, nil // others are busy, or have removed it
}

// segmentEnd is where the newest segment ends.
func (l *Log) segmentEnd(ctx context.Context) (head Head, last Row, err error) {
	heads, err := l.Table.Heads(ctx)
	if err != nil {
		return Head{}, Row{}, err
	}
	v := newVerifier(l.Table, l.Seal, heads)
	n := v.segments()
	if n == 0 {
		return Head{Chain: segment(1)}, Row{}, nil
	}
	head = v.heads[segment(n)]
	if last, err = v.walk(ctx, head, head.Seq-1, nil); err != nil {
		return Head{}, Row{}, err
	}
	if len(v.findings) > 0 {
		return Head{}, Row{}, l.stop(v.findings[0])
	}
	head.Hash = last.Hash
	return head, last, nil
}

// isSegment reports whether the chain has a segment's name.
func isSegment(chain string) bool { return strings.HasPrefix(chain, "segment-") }

// prune takes note of a Prune entry.
func (v *verifier) prune(r Row) {
	before, err := time.Parse(time.RFC3339, strings.TrimPrefix(r.Reason, prunedBefore))
	if err != nil {
		v.find(r.Chain, r.Seq, "it doesn't say what retention removed")
		return
	}
	v.pruned[r.Of.chain()] = true
	if before.After(v.from) {
		v.from = before
	}
}
