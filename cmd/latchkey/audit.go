package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

// followEvery is how often --follow looks for what is new.
const followEvery = 300 * time.Millisecond

// auditCommand groups what operators do with the audit record.
type auditCommand struct {
	Verify auditVerifyCommand `cmd:"" help:"Check every entry and checkpoint. Exit code 1 where one is wrong."`
	Tail   auditTailCommand   `cmd:"" help:"Print the last entries, one JSON object a line."`
	Reseal auditResealCommand `cmd:"" help:"Go on after a break that you have looked into: open a new segment that names it."`
}

type auditVerifyCommand struct {
	Vault vaultFlags `embed:""`
}

// run checks the record, beside a server that appends to it or without one.
func (c *auditVerifyCommand) run(ctx context.Context, p program) error {
	data, keys, err := c.Vault.find(ctx)
	if err != nil {
		return err
	}
	db, err := sqlite.OpenReadOnly(ctx, data)
	if err != nil {
		return err
	}
	defer db.Close()
	report, err := audit.Verify(ctx, db.Audit(), store.AuditSeal(keys))
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		fmt.Fprintf(p.stdout, "%s  %s  %s\n", map[bool]string{true: "resealed", false: "wrong"}[f.Resealed], f.At, f.Why)
	}
	fmt.Fprintf(p.stdout, "%d entries with %d checkpoints in %d chains\n", report.Entries, report.Checkpoints, report.Chains)
	if report.Pruned > 0 {
		fmt.Fprintf(p.stdout, "complete from %s on: retention removed %d chains from before\n",
			report.From.Format(time.RFC3339), report.Pruned)
	}
	fmt.Fprintf(p.stdout, "end %s/%d %x\n", report.Last.Chain, report.Last.Seq, report.Last.Hash)
	return verdict(report, data, keys)
}

func verdict(report audit.Report, data string, keys *store.Keys) error {
	f, bad := report.Bad()
	switch {
	case !bad:
		return nil
	case report.Checkpoints == 0:
		return fmt.Errorf("no checkpoint was made with %s: either it is not this vault's, "+
			"or the record is forged from its first entry (%s) on", keys, f.At)
	}
	return fmt.Errorf("the audit record is wrong, first at entry %s (%s): keep a copy of %s, find out who can write to it, "+
		"and then run \"latchkey audit reseal\"", f.At, f.Why, data)
}

type auditTailCommand struct {
	Data   text `placeholder:"DIR" env:"LATCHKEY_DATA" help:"The vault's directory; ~/.local/state/latchkey/serve unless set."`
	Lines  int  `short:"n" default:"20" help:"How many entries."`
	Follow bool `help:"Go on with the entries that come, until Ctrl-C."`
}

// run prints entries. Which are in the record is all that it says: whether they
// are genuine is for verify to say.
func (c *auditTailCommand) run(ctx context.Context, p program) error {
	if c.Lines < 0 {
		return usageError{errors.New("--lines: give a number from 0 up")}
	}
	data, _, err := vaultFlags{Data: c.Data}.check()
	if err != nil {
		return err
	}
	if !sqlite.Exists(data) {
		return noVault(data)
	}
	db, err := sqlite.OpenReadOnly(ctx, data)
	if err != nil {
		return err
	}
	defer db.Close()
	tail := audit.NewTail(db.Audit())
	for n := c.Lines; ; n = math.MaxInt {
		rows, err := tail.Next(ctx, n)
		if err != nil {
			return err
		}
		if err := p.printEntries(rows); err != nil || !c.Follow {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// auditLine is an entry as it is printed: what there is, in this order.
type auditLine struct {
	Time      time.Time   `json:"time"`
	Entry     audit.Ref   `json:"entry"`
	Event     audit.Event `json:"event"`
	Of        audit.Ref   `json:"of,omitempty"`
	Owner     string      `json:"owner,omitempty"`
	Client    string      `json:"client,omitempty"`
	Tool      string      `json:"tool,omitempty"`
	Provider  string      `json:"provider,omitempty"`
	Rule      string      `json:"rule,omitempty"`
	Arguments string      `json:"arguments,omitempty"`
	Reason    string      `json:"reason,omitempty"`
}

func (p program) printEntries(rows []audit.Row) error {
	out := json.NewEncoder(p.stdout)
	out.SetEscapeHTML(false)
	for _, r := range rows {
		line := auditLine{
			Time: r.Time, Entry: r.Ref(), Event: r.Event, Of: r.Of, Client: r.Client, Tool: r.Tool,
			Provider: r.Provider, Rule: r.Rule, Arguments: r.Arguments, Reason: r.Reason,
		}
		if !r.Owner.IsZero() {
			line.Owner = r.Owner.String()
		}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

type auditResealCommand struct {
	Vault vaultFlags `embed:""`
}

// run needs the data to itself: a process that appends meanwhile would write on
// into the segment that ends here.
func (c *auditResealCommand) run(ctx context.Context, p program) error {
	data, keys, err := c.Vault.find(ctx)
	if err != nil {
		return err
	}
	lock, err := lockData(data)
	if err != nil {
		return err
	}
	defer lock.Close()
	db, err := sqlite.Open(ctx, data, time.Now)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := store.CheckKeys(ctx, db, keys); err != nil {
		return err
	}
	named, err := audit.ResealBroken(ctx, db.Audit(), store.AuditSeal(keys), time.Now())
	if err != nil {
		return err
	}
	for _, f := range named {
		fmt.Fprintf(p.stdout, "resealed  %s  %s\n", f.At, f.Why)
	}
	if len(named) == 0 {
		fmt.Fprintln(p.stdout, "nothing to reseal: every entry is as it was written")
	}
	return nil
}
