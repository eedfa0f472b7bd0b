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
type counting struct{ commits atomic.Int64 }

func (c *counting) Append(context.Context, audit.Head, audit.Head, []audit.Row) error {
	c.commits.Add(1)
	return nil
}

func (*counting) Replace(context.Context, audit.Head, audit.Head, audit.Head, []audit.Row) error {
	return nil
}

func (*counting) Heads(context.Context) ([]audit.Head, error) { return nil, nil }

func (*counting) Rows(context.Context, string, int64, int) ([]audit.Row, error) { return nil, nil }

// A crowd shares commits, also on a disk that is so fast that it needn't; who comes
// alone gets one of their own, at once.
func TestCrowdSharesCommits(t *testing.T) {
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
	if n := table.commits.Load(); n > crowd*each/10 {
		t.Errorf("%d entries took %d commits", crowd*each, n)
	}
	for range 2 { // the crowd is forgotten
		if err := put(log, audit.Entry{Event: audit.Refuse}); err != nil {
			t.Fatal(err)
		}
	}
	before, start := table.commits.Load(), time.Now()
	for range 500 {
		if err := put(log, audit.Entry{Event: audit.Refuse}); err != nil {
			t.Fatal(err)
		}
	}
	if n := table.commits.Load() - before; n != 500 {
		t.Errorf("500 entries, each alone, took %d commits", n)
	}
	if took := time.Since(start); took > time.Second { // with a wait each, two seconds
		t.Errorf("500 entries, each alone, took %s", took)
	}
}
