package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

// keysCommand is "latchkey keys": rotation in steps, each of which processes with the
// old and the new keyset survive.
type keysCommand struct {
	List    keysList    `cmd:"" help:"Show the keys, and how much each of them seals."`
	Add     keysAdd     `cmd:"" help:"Add a key. It opens, and doesn't seal yet."`
	Promote keysPromote `cmd:"" help:"Have an added key seal from now on."`
	Rewrap  keysRewrap  `cmd:"" help:"Have that key seal what older ones still do. Ctrl-C stops it; the next time it goes on."`
	Retire  keysRetire  `cmd:"" help:"Have a key that seals nothing any more open nothing either."`
	Wrap    keysWrap    `cmd:"" help:"Have the KMS key of --keys-kms encrypt the key file; without that setting, have it in clear again."`
}

type keysAdd struct {
	Vault vaultFlags `embed:""`
}

func (c *keysAdd) run(ctx context.Context, p program) error {
	file, err := c.Vault.changeable()
	if err != nil {
		return err
	}
	id, err := file.Add(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, `Added key %d to %s. Who reads that file opens with it at once; it seals nothing yet.
Back the file up, and give it to processes that have copies of it (LATCHKEY_KEYS). Then: latchkey keys promote %[1]d
`, id, file.Path)
	return nil
}

// keyUse is the vault's keys, and how much each of them seals.
func (f vaultFlags) keyUse(ctx context.Context) (*store.Keys, map[uint32]int64, error) {
	db, keys, err := f.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	use, err := store.KeyUse(ctx, db, keys)
	return keys, use, err
}

// changeable is the key file. Keys in the environment aren't ours to change.
func (f vaultFlags) changeable() (store.KeyFile, error) {
	_, file, err := f.check()
	if err == nil && file == "" {
		err = errors.New("the keys are in LATCHKEY_KEYS, which can't be changed from here: " +
			"write them to a file, name it with --keys-file instead, and set LATCHKEY_KEYS to what it holds then")
	}
	return f.keyFile(file), err
}

type keysPromote struct {
	Vault vaultFlags `embed:""`
	ID    uint32     `arg:"" help:"The key's id, as add and list print it."`
}

func (c *keysPromote) run(ctx context.Context, p program) error {
	file, err := c.Vault.changeable()
	if err != nil {
		return err
	}
	if err := file.Promote(ctx, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "Key %d seals from now on. Processes that have copies of %s need this one too. Then: latchkey keys rewrap\n", c.ID, file.Path)
	return nil
}

type keysRewrap struct {
	Vault vaultFlags `embed:""`
}

func (c *keysRewrap) run(ctx context.Context, p program) error {
	db, keys, err := c.Vault.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	return rewrap(ctx, db, keys, p.stdout)
}

func rewrap(ctx context.Context, db store.Backend, keys *store.Keys, out io.Writer) error {
	show := progress{out: out, next: time.Now().Add(time.Second)}
	result, err := store.Rewrap(ctx, db, keys, show.report)
	if errors.Is(err, context.Canceled) {
		return show.stopped()
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Rewrapped %d. Older keys still open sessions and backups; latchkey keys retire ends that.\n", result.Changed)
	if result.Broken > 0 {
		fmt.Fprintf(out, "%d don't open with any key and were left alone; whose they are is asked to connect again.\n", result.Broken)
	}
	if result.Missed > 0 {
		return fmt.Errorf("%d changed in the meantime: run it again", result.Missed)
	}
	return nil
}

type keysRetire struct {
	Vault vaultFlags `embed:""`
	ID    uint32     `arg:"" help:"The key's id, as list prints it."`
}

// run retires the key unless something in the vault needs it.
func (c *keysRetire) run(ctx context.Context, p program) error {
	file, err := c.Vault.changeable()
	if err != nil {
		return err
	}
	_, use, err := c.Vault.keyUse(ctx)
	if err != nil {
		return err
	}
	if n := use[c.ID]; n > 0 {
		return fmt.Errorf("key %d still seals %d rows: promote another, if it is the primary, and run latchkey keys rewrap", c.ID, n)
	}
	if err := file.Retire(ctx, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, `Retired key %d in %s. Browser sessions that it sealed end; running processes follow when they next seal something.
Backups from before the rewrap open only with a copy of the key file from then.
`, c.ID, file.Path)
	return nil
}

type keysWrap struct {
	Vault   vaultFlags `embed:""`
	FromKMS text       `name:"from-kms" placeholder:"URI" help:"The KMS key that encrypts the file so far, where one does."`
}

func (c *keysWrap) run(ctx context.Context, p program) error {
	if c.FromKMS != "" {
		if err := store.CheckKMS(string(c.FromKMS)); err != nil {
			return fmt.Errorf("--from-kms: %w", err)
		}
	}
	file, err := c.Vault.changeable()
	if err != nil {
		return err
	}
	left, err := file.Wrap(ctx, string(c.FromKMS))
	if err != nil {
		return err
	}
	if file.KMS == "" {
		fmt.Fprintf(p.stdout, "%s is in clear. Start every process without --keys-kms (LATCHKEY_KEYS_KMS) from now on.\n", file.Path)
		return nil
	}
	fmt.Fprintf(p.stdout, `%s is encrypted by %s. Start every process with --keys-kms (LATCHKEY_KEYS_KMS) set to that; those that
run go on with the keys that they have. Copies from before still hold the same keys: backups and snapshots of the
file, LATCHKEY_KEYS elsewhere, freed blocks of its disk. Destroy them, or have those keys open nothing any more:
latchkey keys add, promote, rewrap and retire.
`, file.Path, file.KMS)
	for _, name := range left {
		fmt.Fprintf(p.stdout, "Remove %s too, which a first start left behind.\n", name)
	}
	return nil
}

// A progress prints how far it is, once a second.
type progress struct {
	out         io.Writer
	next        time.Time
	done, total int64
}

func (s *progress) report(done, total int64) {
	s.done, s.total = done, total
	if now := time.Now(); now.After(s.next) {
		s.next = now.Add(time.Second)
		fmt.Fprintf(s.out, "%d of %d\n", done, total)
	}
}

func (s *progress) stopped() error {
	if s.total == 0 {
		return errors.New("stopped: run it again to go on")
	}
	return fmt.Errorf("stopped at %d of %d: run it again to go on", s.done, s.total)
}

type keysList struct {
	Vault vaultFlags `embed:""`
}

func (c *keysList) run(ctx context.Context, p program) error {
	keys, use, err := c.Vault.keyUse(ctx)
	if err != nil {
		return err
	}
	list, err := keys.List()
	if err != nil {
		return err
	}
	return printKeys(p.stdout, list, use)
}

// printKeys is a table of the keys, and of those that rows need but the keyset lacks.
func printKeys(w io.Writer, list []store.Key, use map[uint32]int64) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tFOR\tROWS THAT IT SEALS")
	for _, k := range list {
		role := "opening"
		switch {
		case k.Primary:
			role = "sealing (primary)"
		case k.Retired:
			role = "the audit record (retired)"
		}
		fmt.Fprintf(table, "%d\t%s\t%d\n", k.ID, role, use[k.ID])
		delete(use, k.ID)
	}
	var lost []uint32
	for id := range use {
		lost = append(lost, id)
	}
	slices.Sort(lost)
	for _, id := range lost {
		what := "(missing)"
		if id == 0 {
			what = "(damaged rows)"
		}
		fmt.Fprintf(table, "%d\t%s\t%d\n", id, what, use[id])
	}
	return table.Flush()
}
