package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/latchkey-mcp/latchkey/store"
)

// lockData makes the data directory, readable by its owner only, and takes its
// lock. The caller closes the file at the end.
func lockData(dir string) (*os.File, error) {
	if err := store.MakeDir(dir); err != nil {
		return nil, dataError(dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, dataError(dir, err)
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, errors.New("another latchkey is running on " + dir + ": stop it, or choose another directory with --data")
	}
	return f, nil
}

// stateDir is where name's data goes unless --data says otherwise: below
// $XDG_STATE_HOME, or ~/.local/state.
func stateDir(name string) (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", errors.New("no home directory to keep data in: choose one with --data")
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "latchkey", name), nil
}
