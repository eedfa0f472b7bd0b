//go:build unix

package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFirstAnswer holds that a newcomer's first start, keys and data included,
// answers within two seconds, below the state directory, and that Ctrl-C ends it
// well.
func TestFirstAnswer(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	addr := freeAddress(t)
	_, port, _ := strings.Cut(addr, ":")
	w := &world{addr: strings.Replace(addr, "127.0.0.1", "localhost", 1)}
	start := time.Now()
	check(t, w.start())
	res, err := http.Get("http://" + addr + "/.well-known/oauth-protected-resource")
	check(t, err)
	if took := time.Since(start); took > 2*time.Second || res.StatusCode != http.StatusOK {
		t.Errorf("the first answer is %d after %s", res.StatusCode, took)
	}
	keys, err := os.Stat(filepath.Join(state, "latchkey", "demo-"+port, "keys.json"))
	check(t, err)
	if keys.Mode().Perm() != 0o600 {
		t.Errorf("the keys have mode %v", keys.Mode())
	}
	check(t, w.stop())
}

// TestReadOnlyDirectory needs somebody whom a read-only directory stops: where the
// tests run as root, the program runs as nobody.
func TestReadOnlyDirectory(t *testing.T) {
	program, err := exec.LookPath("latchkey")
	check(t, err)
	dir := t.TempDir()
	mine := filepath.Join(dir, "latchkey") // the test's own is below a directory of root's
	text, err := os.ReadFile(program)
	check(t, err)
	check(t, os.WriteFile(mine, text, 0o755))
	data := filepath.Join(dir, "data")
	check(t, os.Mkdir(data, 0o555))

	cmd := exec.Command(mine, "demo", "--listen", "127.0.0.1:0", "--data", data)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if os.Getuid() == 0 {
		check(t, os.Chmod(filepath.Dir(dir), 0o755))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	err = cmd.Run()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("left out: it needs a user other than root, and root may not become one here")
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the program ended with %v", err)
	}
	want := "latchkey: can't write to the data directory " + data + " (permission denied): make it writable, or choose another with --data\n"
	if stderr.String() != want {
		t.Errorf("got  %swant %s", stderr.String(), want)
	}
}

// TestListenErrors are what the scripts can't bring about.
func TestListenErrors(t *testing.T) {
	tests := []struct{ addr, want string }{
		{"192.0.2.1:8420", "192.0.2.1:8420 is no address of this computer"},
		{"127.0.0.1:70000", "can't listen on 127.0.0.1:70000"},
	}
	for _, tt := range tests {
		if _, err := listen(t.Context(), tt.addr); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.addr, err, tt.want)
		}
	}
	if err := listenError("127.0.0.1:80", syscall.EACCES); !strings.Contains(err.Error(), "choose a port from 1024 up with --listen") {
		t.Error(err)
	}
}

// TestLoopbackOnly is the demo's most important refusal, in all its spellings.
func TestLoopbackOnly(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8420": "127.0.0.1:8420", "localhost:1": "127.0.0.1:1", "LocalHost:1": "127.0.0.1:1",
		"[::1]:8420": "[::1]:8420", "127.9.9.9:1": "127.9.9.9:1",
	} {
		if got, err := loopbackAddress(addr); err != nil || got != want {
			t.Errorf("%s: got %q, %v", addr, got, err)
		}
	}
	for _, addr := range []string{
		"0.0.0.0:1", ":1", "[::]:1", "10.0.0.1:1", "localhost.example.com:1", "localhost.:1", "127.1:1", "0:1", "2130706433:1",
		"[::ffff:10.0.0.1]:1", "[fe80::1%25lo]:1", "*:1", "",
	} {
		if got, err := loopbackAddress(addr); err == nil {
			t.Errorf("%s was taken as %s", addr, got)
		}
	}
}
