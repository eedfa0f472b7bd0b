package audit

import (
	"cmp"
	"context"
	"slices"
)

// A Tail reads what is new in the record. It is for one goroutine.
type Tail struct {
	table Table
	seen  map[string]int64
}

// NewTail has seen nothing yet.
func NewTail(t Table) *Tail { return &Tail{t, map[string]int64{}} }

// Next is the last n entries of those that it hasn't looked at before, by time. It
// checks nothing: that is Verify's work.
func (t *Tail) Next(ctx context.Context, n int) ([]Row, error) {
	heads, err := t.table.Heads(ctx)
	if err != nil {
		return nil, err
	}
	var list []Row
	for _, h := range heads {
		for after := max(t.seen[h.Chain], h.Seq-int64(n)); after < h.Seq; {
			rows, err := t.table.Rows(ctx, h.Chain, after, page)
			if err != nil {
				return nil, err
			}
			if len(rows) == 0 {
				break
			}
			list, after = append(list, rows...), rows[len(rows)-1].Seq
			t.seen[h.Chain] = after
		}
		t.seen[h.Chain] = max(t.seen[h.Chain], h.Seq)
	}
	slices.SortStableFunc(list, func(a, b Row) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Chain, b.Chain), cmp.Compare(a.Seq, b.Seq))
	})
	return list[max(0, len(list)-n):], nil
}
