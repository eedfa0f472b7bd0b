package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

type backupCommand struct {
	Vault vaultFlags `embed:""`
	File  string     `arg:"" help:"The file to make. It must not be there yet."`
}

// run writes the backup while others use the vault.
func (c *backupCommand) run(ctx context.Context, p program) error {
	data, file, err := c.Vault.check()
	if err != nil {
		return err
	}
	if !sqlite.Exists(data) {
		return noVault(data)
	}
	fmt.Fprintf(p.stdout, "Backing up the vault in %s …\n", data)
	if err := sqlite.Backup(ctx, data, c.File); errors.Is(err, context.Canceled) {
		return errors.New("stopped: no backup was made")
	} else if err != nil {
		return err
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	if file == "" {
		file = "LATCHKEY_KEYS"
	}
	fmt.Fprintf(p.stdout, "Wrote %s (%d KiB). The keys are not in it: back up %s too, and never to the same place.\n",
		c.File, (info.Size()+1023)/1024, file)
	return nil
}

type restoreCommand struct {
	Vault vaultFlags `embed:""`
	File  string     `arg:"" help:"A file that latchkey backup wrote."`
}

// run makes a vault of the backup where none is.
func (c *restoreCommand) run(ctx context.Context, p program) error {
	data, file, err := c.Vault.check()
	if err != nil {
		return err
	}
	lock, err := lockData(data)
	if err != nil {
		return err
	}
	defer lock.Close()
	fmt.Fprintf(p.stdout, "Checking %s and copying it to %s …\n", c.File, data)
	if err := sqlite.Restore(ctx, data, c.File, time.Now()); errors.Is(err, context.Canceled) {
		return errors.New("stopped: nothing was restored")
	} else if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "Restored. The keys are not in a backup: %s\n", c.keyAdvice(ctx, data, file))
	return c.warn(ctx, p, data)
}

// warn says which connections may be of no use any more. Whose they are is for the
// connections page to tell them: nobody else can open a grant.
func (c *restoreCommand) warn(ctx context.Context, p program, data string) error {
	db, err := sqlite.Open(ctx, data, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	count, err := store.CountGrants(ctx, db)
	if err != nil || len(count) == 0 {
		return err
	}
	fmt.Fprintln(p.stdout, "May have been renewed or ended since the backup was made:")
	for _, provider := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(p.stdout, "  %s: connections of %d\n", provider, count[provider])
	}
	fmt.Fprint(p.stdout, `They are used as long as the provider accepts them. Whose it refuses is asked to connect again, and their
connections page says so from now on. What was disconnected since the backup is connected again, where the
provider didn't revoke it.
`)
	return nil
}

// keyAdvice says whether the keys at hand open the restored vault, and what to do
// where they don't.
func (c *restoreCommand) keyAdvice(ctx context.Context, data, file string) string {
	keys, err := c.Vault.existing(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("put the key file of that vault at %s, with mode 0600, before you start it.", file)
	}
	if err != nil {
		return err.Error() + "."
	}
	db, err := sqlite.Open(ctx, data, nil)
	if err != nil {
		return err.Error() + "."
	}
	defer db.Close()
	if _, err := store.KeyUse(ctx, db, keys); err != nil {
		return err.Error() + "."
	}
	return "those at hand open it."
}
