//go:build unix

package sqlite_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

const guestDir = "LATCHKEY_TEST_GUEST_DIR"

// A second DB on the file in one process leaves the first one's lock alone, by which
// another process knows that the log is in use. That process is this test again.
func TestOpenTwiceKeepsTheLock(t *testing.T) {
	if dir := os.Getenv(guestDir); dir != "" {
		wantLock(t, filepath.Join(dir, sqlite.File))
		return
	}
	dir := t.TempDir()
	write(t, open(t, dir))
	open(t, dir)
	guest := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpenTwiceKeepsTheLock$")
	guest.Env = append(os.Environ(), guestDir+"="+dir)
	if out, err := guest.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// wantLock checks that somebody has SQLite's shared lock on a file.
func wantLock(t *testing.T, path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 0x40000002, Len: 510}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil || lock.Type == syscall.F_UNLCK {
		t.Fatalf("nobody has a lock, error %v", err)
	}
}
