package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// A Finding is the first thing that is wrong in a chain.
type Finding struct {
	At       Ref // the first bad entry
	Why      string
	Resealed bool // an operator knows, and opened a new segment
}

// A Report is what Verify found.
type Report struct {
	Chains, Checkpoints, Entries int
	Findings                     []Finding
	Last                         Head // of the newest segment
	// Pruned is how many chains retention has removed, and From, where there are
	// some, the time from which on nothing was removed.
	Pruned int
	From   time.Time
}

// Bad is the first finding that no operator has resealed.
func (r Report) Bad() (f Finding, bad bool) {
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return !f.Resealed })
	if i < 0 {
		return Finding{}, false
	}
	return r.Findings[i], true
}

// Verify checks every entry, checkpoint and head, while processes go on appending.
// seal must be the keys that the record was written with. An error means that the
// record couldn't be read.
func Verify(ctx context.Context, t Table, seal tink.AEAD) (Report, error) {
	return verify(ctx, t, seal, true)
}

const page = 1000 // rows read at once

type verifier struct {
	table    Table
	seal     tink.AEAD
	heads    map[string]Head
	listed   map[string]bool
	resealed map[Finding]bool
	pruned   map[string]bool // chains
	from     time.Time       // nothing later was pruned
	findings []Finding
	notYet   error // why a checkpoint could not be checked, if so
	rows     int
	marks    int
}

func newVerifier(t Table, seal tink.AEAD, heads []Head) *verifier {
	v := &verifier{table: t, seal: seal, listed: map[string]bool{}, resealed: map[Finding]bool{}, pruned: map[string]bool{}}
	v.know(heads)
	return v
}

func (v *verifier) know(heads []Head) {
	v.heads = map[string]Head{}
	for _, h := range heads {
		v.heads[h.Chain] = h
	}
}

// segment is the name of the nth list of chains, from 1.
func segment(n int) string { return fmt.Sprintf("segment-%06d", n) }

// segments is how many there are. A later one with a gap before it counts as a
// chain that nobody listed.
func (v *verifier) segments() int {
	n := 0
	for {
		if _, ok := v.heads[segment(n+1)]; !ok {
			return n
		}
		n++
	}
}

// verify checks all entries, or of each chain that isn't a segment only where it
// ends.
func verify(ctx context.Context, t Table, seal tink.AEAD, all bool) (Report, error) {
	heads, err := t.Heads(ctx)
	if err != nil {
		return Report{}, err
	}
	return newVerifier(t, seal, heads).report(ctx, heads, all)
}

func (v *verifier) report(ctx context.Context, heads []Head, all bool) (Report, error) {
	last, err := v.walkSegments(ctx)
	if err != nil {
		return Report{}, err
	}
	if err := v.walkChains(ctx, heads, all); err != nil {
		return Report{}, err
	}
	if err := v.excuse(ctx, last); err != nil {
		return Report{}, err
	}
	for i, f := range v.findings {
		v.findings[i].Resealed = v.resealed[f] || !all && v.chainResealed(f)
	}
	if len(v.findings) == 0 && v.notYet != nil {
		return Report{}, fmt.Errorf("audit: not all of the record can be checked: %w", v.notYet)
	}
	return Report{len(v.heads), v.marks, v.rows, v.findings, last, len(v.pruned), v.from}, nil
}

// chainResealed is for a short look, which finds another entry than the first bad
// one of a chain.
func (v *verifier) chainResealed(f Finding) bool {
	for known := range v.resealed {
		if known.At.chain() == f.At.chain() {
			return true
		}
	}
	return false
}

// walkSegments checks the lists of chains, reads them, and returns where they end.
func (v *verifier) walkSegments(ctx context.Context) (Head, error) {
	n := v.segments()
	for i := 1; i <= n; i++ {
		trusted := func(r Row) {
			switch {
			case r.Seq == 1 && i > 1 && r.Event != Reseal:
				v.find(r.Chain, 1, "a segment that no reseal opened")
			case r.Event == Start:
				v.listed[r.Reason] = true
			case r.Event == Reseal:
				v.resealed[Finding{At: r.Of, Why: r.Reason}] = true
			case r.Event == Prune:
				v.prune(r)
			}
		}
		last, err := v.walk(ctx, v.heads[segment(i)], 0, trusted)
		if err != nil || i == n {
			return Head{Chain: last.Chain, Seq: last.Seq, Hash: last.Hash}, err
		}
	}
	return Head{}, nil
}

// walkChains checks the chains that heads and the segments speak of.
func (v *verifier) walkChains(ctx context.Context, heads []Head, all bool) error {
	lists := map[string]bool{}
	for i := range v.segments() {
		lists[segment(i+1)] = true
	}
	for _, h := range heads {
		if lists[h.Chain] {
			continue
		}
		if v.pruned[h.Chain] {
			continue
		}
		after := int64(0)
		if !all {
			after = h.Seq - 1
		}
		found := len(v.findings)
		first := Row{}
		_, err := v.walk(ctx, h, after, func(r Row) {
			if r.Seq == 1 {
				first = r
			}
		})
		if err != nil {
			return err
		}
		// A process that ends before it lists its chain has written its first entry.
		begun := h.Seq == 1 && first.Event == Start
		if !v.listed[h.Chain] && !begun && len(v.findings) == found {
			v.find(h.Chain, 1, "no segment lists its chain")
		}
	}
	return v.findMissing(ctx)
}

// findMissing looks for listed chains that aren't there, and for removed ones that
// are. Since the heads were read first, some may have begun, and some been removed.
func (v *verifier) findMissing(ctx context.Context) error {
	heads, err := v.table.Heads(ctx)
	if err != nil {
		return err
	}
	v.know(heads)
	for _, h := range heads {
		if v.pruned[h.Chain] {
			v.find(h.Chain, max(h.Seq, 1), "retention removed its chain, and somebody put it back")
		}
	}
	var missing []string
	for chain := range v.listed {
		if _, ok := v.heads[chain]; !ok && !v.pruned[chain] {
			missing = append(missing, chain)
		}
	}
	slices.Sort(missing)
	for _, chain := range missing {
		v.find(chain, 1, "it is missing, with all of its chain")
	}
	return nil
}

// excuse takes back what was found in chains that retention removed while they were
// looked at: what it removes it notes in the same commit, and so the newest segment
// says so by now. last is where that one ended.
func (v *verifier) excuse(ctx context.Context, last Head) error {
	segmentIsBad := func(f Finding) bool { return f.At.chain() == last.Chain }
	if last.Seq == 0 || slices.ContainsFunc(v.findings, segmentIsBad) {
		return nil
	}
	meanwhile := map[string]bool{}
	_, err := v.walk(ctx, v.heads[last.Chain], last.Seq, func(r Row) {
		if r.Event == Prune {
			v.prune(r)
			meanwhile[r.Of.chain()] = true
		}
	})
	v.findings = slices.DeleteFunc(v.findings, func(f Finding) bool { return meanwhile[f.At.chain()] })
	return err
}

// genuine is whether mark was made with the keys over data. Where they can't tell, it
// is taken for good, and the whole look comes to an error.
func (v *verifier) genuine(mark, data []byte) bool {
	_, err := v.seal.Decrypt(mark, data)
	if errors.Is(err, ErrNotYet) {
		v.notYet = err
		return true
	}
	return err == nil
}

func (v *verifier) find(chain string, seq int64, why string) {
	v.findings = append(v.findings, Finding{At: refTo(chain, seq), Why: why})
}

// walk checks a chain from after the entry of that number, which it believes, to
// its end, and finds at most one thing wrong. trusted gets each entry that a
// checkpoint vouches for. last is the last good entry.
func (v *verifier) walk(ctx context.Context, head Head, after int64, trusted func(Row)) (last Row, err error) {
	believe := after > 0
	last = Row{Chain: head.Chain, Seq: max(after-1, 0)}
	if after--; !believe {
		after = math.MinInt64 // there may be forged ones with any number
	}
	var waiting []Row // for a checkpoint
	for {
		rows, err := v.table.Rows(ctx, head.Chain, after, page)
		if err != nil {
			return Row{}, err
		}
		for _, r := range rows {
			if believe {
				believe, last = false, r
				continue
			}
			if why := v.wrong(last, r); why != "" {
				v.find(head.Chain, min(r.Seq, last.Seq+1), why)
				return last, nil
			}
			v.rows++
			last, waiting = r, append(waiting, r)
			if len(r.Mark) > 0 {
				v.marks++
				waiting = vouch(waiting, trusted)
			}
		}
		if len(rows) < page {
			return last, v.checkEnd(ctx, head, last, len(waiting) > 0)
		}
		after = rows[len(rows)-1].Seq
	}
}

func vouch(rows []Row, trusted func(Row)) []Row {
	for _, r := range rows {
		if trusted != nil {
			trusted(r)
		}
	}
	return rows[:0]
}

// wrong says what is wrong with r as the one that follows last, or "".
func (v *verifier) wrong(last, r Row) string {
	switch {
	case r.Seq <= last.Seq:
		return "no entry has such a number"
	case r.Seq != last.Seq+1:
		return "it is missing"
	case !bytes.Equal(r.Hash, r.digest(last)):
		return "it was changed, or what comes before it"
	case len(r.Mark) > 0 && !v.genuine(r.Mark, r.markData()):
		return "its checkpoint was not made with this vault's keys"
	}
	return ""
}

// checkEnd holds the last entry of a chain against its head.
func (v *verifier) checkEnd(ctx context.Context, head Head, last Row, unmarked bool) error {
	if last.Seq > head.Seq { // written since the head was read, or forged
		heads, err := v.table.Heads(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(heads, func(h Head) bool { return h.Chain == head.Chain })
		if i >= 0 && heads[i].Seq > last.Seq && !unmarked {
			return nil
		}
		if i >= 0 && heads[i].Seq == last.Seq {
			head = heads[i]
		}
	}
	switch {
	case last.Seq < head.Seq:
		v.find(head.Chain, last.Seq+1, "it is missing, with all that followed it")
	case last.Seq > head.Seq:
		v.find(head.Chain, head.Seq+1, "it comes after the end of its chain")
	case unmarked:
		v.find(head.Chain, last.Seq, "it ends its chain without a checkpoint")
	case !v.genuine(head.Mark, last.headData()):
		v.find(head.Chain, max(last.Seq, 1), "the end of its chain was not made with this vault's keys, or not for this entry")
	}
	return nil
}
