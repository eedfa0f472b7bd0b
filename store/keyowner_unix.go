//go:build unix

package store

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f the owner of what it replaces: changed by root, a key file must
// stay readable for the user who serves.
func keepOwner(f *os.File, replaced fs.FileInfo) error {
	was, ok := replaced.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(was.Uid), int(was.Gid))
}
