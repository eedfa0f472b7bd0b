//go:build hcvault

package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// serving starts the built program and waits until it serves. stop presses Ctrl-C and
// returns all that it has printed.
func serving(t *testing.T) (stop func() string) {
	t.Helper()
	cmd := exec.Command("latchkey", "serve", "--listen", "127.0.0.1:0")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.Contains(lines.Text(), " serves ") {
		_ = cmd.Wait()
		t.Fatal(lines.Text(), errs.String())
	}
	first := lines.Text()
	return func() string {
		t.Helper()
		check(t, cmd.Process.Signal(os.Interrupt))
		check(t, cmd.Wait())
		return first + errs.String()
	}
}

// ran is what the built program prints, and whether it succeeds.
func ran(args ...string) (string, bool) {
	out, err := exec.Command("latchkey", args...).CombinedOutput()
	return string(out), err == nil
}

// TestKMSProgram goes with the built program from keys in clear to a KMS key, through
// a rotation and to another KMS key. It is told everything by its environment.
func TestKMSProgram(t *testing.T) {
	kms := storetest.NewTransit(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	environment(t, good, "LATCHKEY_DATA="+dir, "LATCHKEY_ISSUER=https://127.0.0.1:1")
	var printed strings.Builder
	does := func(want string, args ...string) string {
		t.Helper()
		out, _ := ran(args...)
		printed.WriteString(out)
		if !strings.Contains(out, want) || strings.Contains(want, "latchkey: ") && strings.Count(out, "\n") != 1 {
			t.Fatalf("%q prints\n%swant %q", args, out, want)
		}
		return out
	}
	printed.WriteString(serving(t)())
	t.Setenv("LATCHKEY_KEYS_KMS", kms.URI("one"))
	does("latchkey: key file "+file+": it is in clear while --keys-kms (LATCHKEY_KEYS_KMS) is set: run latchkey keys wrap", "serve", "--listen", "127.0.0.1:0")
	does(file+" is encrypted by "+kms.URI("one"), "keys", "wrap")

	kms.Asked()
	stop := serving(t)
	if asked := kms.Asked(); len(asked) != 1 {
		t.Errorf("the start asked %q", asked)
	}
	id := regexp.MustCompile(`Added key (\d+)`).FindStringSubmatch(does("Added key ", "keys", "add"))[1]
	does("seals from now on", "keys", "promote", id)
	does("Rewrapped ", "keys", "rewrap")
	does("sealing (primary)", "keys", "list")
	does("entries with", "audit", "verify")
	printed.WriteString(stop())

	kms.Trouble("sealed")
	does("latchkey: key file "+file+": the KMS key "+kms.URI("one")+" can't be used: Vault is sealed", "serve", "--listen", "127.0.0.1:0")
	does("latchkey: key file "+file+": the KMS key ", "keys", "add")
	kms.Trouble("")
	t.Setenv("LATCHKEY_KEYS_KMS", kms.URI("two"))
	does("encrypted by another key", "serve", "--listen", "127.0.0.1:0")
	does(file+" is encrypted by "+kms.URI("two"), "keys", "wrap", "--from-kms", kms.URI("one"))
	printed.WriteString(serving(t)())
	t.Setenv("LATCHKEY_KEYS_KMS", "")
	does("latchkey: key file "+file+": it is encrypted by a KMS: name that KMS key with --keys-kms", "serve", "--listen", "127.0.0.1:0")
	does(file+" is in clear", "keys", "wrap", "--from-kms", kms.URI("two"))
	printed.WriteString(serving(t)())
	hidesSecrets(t, printed.String(), kms.Token)
}
