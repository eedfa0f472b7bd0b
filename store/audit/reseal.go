package audit

import (
	"context"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// ResealBroken opens a new segment that names every break which none names yet, and
// returns them; it writes nothing where there are none. From then on those breaks
// don't stop releases, and Verify reports them as resealed. What follows a break in
// its own chain stays without proof. No process may append meanwhile.
func ResealBroken(ctx context.Context, t Table, seal tink.AEAD, now time.Time) ([]Finding, error) {
	report, err := Verify(ctx, t, seal)
	if err != nil {
		return nil, err
	}
	var named []Finding
	var entries []Entry
	for _, f := range report.Findings {
		if !f.Resealed {
			named = append(named, f)
			entries = append(entries, Entry{Time: now, Event: Reseal, Of: f.At, Reason: f.Why})
		}
	}
	if len(entries) == 0 {
		return nil, nil
	}
	heads, err := t.Heads(ctx)
	if err != nil {
		return nil, err
	}
	from := Head{Chain: segment(newVerifier(t, seal, heads).segments() + 1)}
	to, rows, err := extend(seal, from, Row{}, entries)
	if err != nil {
		return nil, err
	}
	return named, t.Append(ctx, from, to, rows)
}
