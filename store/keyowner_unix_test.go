//go:build unix

package store_test

import (
	"context"
	"os"
	"syscall"
	"testing"
)

// Root changes the key file of the user who serves, who can read it afterwards.
func TestKeyFileKeepsItsOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("left out: it needs root, who can give files away")
	}
	w := newWorld(t)
	ok(t, os.Chown(w.keyFile(), 65534, 65534))
	_, err := plain(w.keyFile()).Add(context.Background())
	ok(t, err)
	info, err := os.Stat(w.keyFile())
	ok(t, err)
	same(t, info.Sys().(*syscall.Stat_t).Uid, uint32(65534))
	same(t, info.Mode(), os.FileMode(0o600))
}
