package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// recordedVault is a vault with an entry in its record.
func recordedVault(t *testing.T, reason string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	v, _ := storetest.OpenIn(t, dir, storetest.NewIssuer(t, time.Now), nil)
	if err := v.Refuse(t.Context(), identity.Caller{}, audit.Entry{Reason: reason}); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// forge adds an entry to the end of a chain, as somebody would who has no keys.
func forge(t *testing.T, dir string) audit.Ref {
	t.Helper()
	db, err := sqlite.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	heads, err := db.Audit().Heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from := heads[0]
	rows, err := db.Audit().Rows(t.Context(), from.Chain, from.Seq-1, 1)
	if err != nil {
		t.Fatal(err)
	}
	from.Hash = rows[0].Hash
	row := audit.Row{Chain: from.Chain, Seq: from.Seq + 1, Hash: []byte("x"), Entry: audit.Entry{Event: audit.Release}}
	if err := db.Audit().Append(t.Context(), from, audit.Head{Chain: row.Chain, Seq: row.Seq, Mark: []byte("x")}, []audit.Row{row}); err != nil {
		t.Fatal(err)
	}
	return row.Ref()
}

func TestAuditCommands(t *testing.T) {
	dir := recordedVault(t, "a <reason>")
	t.Setenv("LATCHKEY_DATA", dir)
	t.Setenv("LATCHKEY_KEYS_FILE", filepath.Join(dir, "key"))
	run := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		stdout, stderr, got := latchkey(append([]string{"audit"}, args...)...)
		if got != code {
			t.Fatalf("%v: exit code %d, stdout %q, stderr %q", args, got, stdout, stderr)
		}
		return stdout, stderr
	}
	run(0, "verify")
	forged := forge(t, dir)
	stdout, stderr := run(1, "verify")
	if !strings.Contains(stdout, "wrong  "+string(forged)) || !strings.Contains(stderr, string(forged)) || !strings.Contains(stderr, "latchkey audit reseal") {
		t.Fatalf("stdout %q, stderr %q", stdout, stderr)
	}
	if stdout, _ = run(0, "reseal"); !strings.Contains(stdout, "resealed  "+string(forged)) {
		t.Fatalf("stdout %q", stdout)
	}
	if stdout, _ = run(0, "verify"); !strings.Contains(stdout, "resealed  "+string(forged)) {
		t.Fatalf("stdout %q", stdout)
	}
	stdout, _ = run(0, "tail", "-n", "100")
	for line := range strings.Lines(stdout) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["event"] == "" {
			t.Fatalf("line %q, error %v", line, err)
		}
	}
	if !strings.Contains(stdout, `"reason":"a <reason>"`) || !strings.Contains(stdout, `"event":"reseal","of":"`+string(forged)+`"`) {
		t.Fatalf("stdout %q", stdout)
	}
	if stdout, _ = run(0, "tail", "-n", "1"); strings.Count(stdout, "\n") != 1 {
		t.Fatalf("stdout %q", stdout)
	}
}

// After retention, verify says from when on the record is complete.
func TestAuditVerifyAfterRetention(t *testing.T) {
	clock := storetest.NewClock()
	iss, dir := storetest.NewIssuer(t, clock.Now), t.TempDir()
	v, _ := storetest.OpenIn(t, dir, iss, nil)
	for _, reason := range []string{"old", "new"} {
		if err := v.Refuse(t.Context(), identity.Caller{}, audit.Entry{Reason: reason}); err != nil {
			t.Fatal(err)
		}
		clock.Advance(3 * 24 * time.Hour)
	}
	if n, err := v.PruneAudit(t.Context(), 0); n != 0 || err != nil {
		t.Fatalf("%d chains removed, error %v", n, err)
	}
	if n, err := v.PruneAudit(t.Context(), 4*24*time.Hour); n != 1 || err != nil {
		t.Fatalf("%d chains removed, error %v", n, err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := latchkey("audit", "verify", "--data", dir, "--keys-file", filepath.Join(dir, "key"))
	from := clock.Now().Add(-4 * 24 * time.Hour).Format(time.RFC3339)
	if code != 0 || !strings.Contains(stdout, "complete from "+from+" on: retention removed 1 chain") {
		t.Fatalf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	stdout, _, _ = latchkey("audit", "tail", "--data", dir)
	if strings.Contains(stdout, `"reason":"old"`) || !strings.Contains(stdout, `"reason":"new"`) || !strings.Contains(stdout, `"event":"prune"`) {
		t.Fatalf("stdout %q", stdout)
	}
}

// Keys of another vault vouch for nothing, and reseal nothing.
func TestAuditWithOtherKeys(t *testing.T) {
	dir, other := recordedVault(t, "x"), filepath.Join(t.TempDir(), "key")
	if _, err := store.KeysFromFile(other); err != nil {
		t.Fatal(err)
	}
	for command, says := range map[string]string{"verify": "not this vault's", "reseal": "is not the one"} {
		_, stderr, code := latchkey("audit", command, "--data", dir, "--keys-file", other)
		if code != 1 || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit code %d, stderr %q", command, code, stderr)
		}
	}
	if _, stderr, code := latchkey("audit", "verify", "--data", dir, "--keys-file", filepath.Join(dir, "key")); code != 0 {
		t.Fatalf("stderr %q", stderr)
	}
}

// What comes while tail follows is printed, each entry once.
func TestAuditTailFollows(t *testing.T) {
	dir := t.TempDir()
	v, _ := storetest.OpenIn(t, dir, storetest.NewIssuer(t, time.Now), nil)
	refuse := func(reason string) {
		if err := v.Refuse(t.Context(), identity.Caller{}, audit.Entry{Reason: reason}); err != nil {
			t.Error(err)
		}
	}
	refuse("the first, which begins the chain")
	refuse("before")
	in, out := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int)
	go func() {
		code <- program{stdout: out, stderr: os.Stderr}.Run(ctx, []string{"audit", "tail", "--follow", "-n", "1", "--data", dir})
		out.Close()
	}()
	lines := bufio.NewScanner(in)
	for _, reason := range []string{"before", "after", "at last"} {
		if !lines.Scan() || !strings.Contains(lines.Text(), `"reason":"`+reason+`"`) {
			t.Fatalf("line %q, want %s", lines.Text(), reason)
		}
		if next := map[string]string{"before": "after", "after": "at last"}[reason]; next != "" {
			refuse(next)
		}
	}
	stop()
	if got := <-code; got != 0 {
		t.Fatalf("exit code %d", got)
	}
}
