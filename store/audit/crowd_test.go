package audit_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// A counting table keeps nothing but how often it was written to.
type counting struct {
	audit.Table
	commits atomic.Int64
}

func (c *counting) Append(context.Context, audit.Head, audit.Head, []audit.Row) error {
	c.commits.Add(1)
	return nil
}

func (*counting) Heads(context.Context) ([]audit.Head, error) { return nil, nil }

func (*counting) Rows(context.Context, string, int64, int) ([]audit.Row, error) { return nil, nil }

// Who comes alone, after a crowd too, gets a commit of their own, at once. (How much
// a crowd gains by waiting is for the benchmark of whole calls to say.)
func TestAloneNobodyWaits(t *testing.T) {
	const crowd, each = 64, 20
	table := &counting{}
	log := audit.NewLog(audit.Config{Table: table, Seal: storetest.AuditSeal(), Now: time.Now, Report: func(err error) { t.Error(err) }})
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			for range each {
				if err := put(log, audit.Entry{Event: audit.Refuse}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for range 2 { // the crowd is forgotten
		if err := put(log, audit.Entry{Event: audit.Refuse}); err != nil {
			t.Fatal(err)
		}
	}
	before, waited := table.commits.Load(), 0
	for range 500 {
		start := time.Now()
		if err := put(log, audit.Entry{Event: audit.Refuse}); err != nil {
			t.Fatal(err)
		}
		if time.Since(start) >= 4*time.Millisecond {
			waited++
		}
	}
	if n := table.commits.Load() - before; n != 500 {
		t.Errorf("500 entries, each alone, took %d commits", n)
	}
	if waited > 250 { // a busy machine makes some wait
		t.Errorf("%d of 500 entries, each alone, had to wait", waited)
	}
}
