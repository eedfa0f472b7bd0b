package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// A failing table is a real one that stops taking commits after some.
type failing struct {
	audit.Table
	left int
}

var errFails = errors.New("the disk fails")

func (f *failing) Append(ctx context.Context, from, to audit.Head, rows []audit.Row) error {
	if f.left == 0 {
		return errFails
	}
	f.left--
	return f.Table.Append(ctx, from, to, rows)
}

// A process may end, or its disk fail, after each commit: also between the one that
// begins a chain and the one that lists it. What is written verifies then, what was
// acknowledged is there, and the same process goes on when it can.
func TestAuditEndsAnywhere(t *testing.T) {
	for commits := range 6 {
		db := open(t, t.TempDir())
		table := &failing{db.Audit(), commits}
		log := audit.NewLog(audit.Config{Table: table, Seal: storetest.AuditSeal(), Now: time.Now})
		acknowledged := 0
		for range 5 {
			switch err := put(log, audit.Entry{Event: audit.Release, Owner: alice}); {
			case err == nil:
				acknowledged++
			case !errors.Is(err, errFails):
				t.Fatal(err)
			}
		}
		if want := max(commits-2, 0); acknowledged != want {
			t.Errorf("%d commits: %d entries, want %d", commits, acknowledged, want)
		}
		storetest.VerifyAudit(t, db)
		table.left = -1
		if err := errors.Join(put(log, audit.Entry{Event: audit.Release, Owner: alice}), log.Close()); err != nil {
			t.Fatal(err)
		}
		storetest.VerifyAudit(t, db)
		if list, err := db.AuditEntries(t.Context(), alice); err != nil || len(list) != acknowledged+1 {
			t.Fatalf("%d entries of %d, error %v", len(list), acknowledged+1, err)
		}
	}
}
