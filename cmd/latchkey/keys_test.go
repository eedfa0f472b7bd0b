package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// vaultOf makes a vault with n tickets in it, its keys where the program has them.
func vaultOf(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	v, _ := storetest.OpenIn(t, dir, storetest.NewIssuer(t, nil), nil)
	for i := range n {
		check(t, store.NewTable[int](v, "ticket").Put(t.Context(), fmt.Sprint(i), [32]byte{}, 0, i))
	}
	check(t, v.Close())
	check(t, os.Rename(filepath.Join(dir, "key"), filepath.Join(dir, "keys.json"))) // from storetest's name
	return dir
}

// addAndPromote rotates the key and returns the new one's id.
func addAndPromote(t *testing.T, dir string) string {
	t.Helper()
	out, errs, code := latchkey("keys", "add", "--data", dir)
	added := regexp.MustCompile(`^Added key (\d+) `).FindStringSubmatch(out)
	if code != 0 || added == nil {
		t.Fatal(out, errs, code)
	}
	if out, errs, code := latchkey("keys", "promote", "--data", dir, added[1]); code != 0 {
		t.Fatal(out, errs, code)
	}
	return added[1]
}

// Ctrl-C in the middle of a rewrap says how to go on, and the next one does.
func TestRewrapIsInterrupted(t *testing.T) {
	dir := vaultOf(t, 5)
	id := addAndPromote(t, dir)
	flags := vaultFlags{Data: text(dir)}
	db, keys, err := flags.open(t.Context())
	check(t, err)
	defer db.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = rewrap(ctx, db, keys, t.Output())
	if err == nil || err.Error() != "stopped: run it again to go on" {
		t.Fatal(err)
	}
	out, errs, code := latchkey("keys", "rewrap", "--data", dir)
	if code != 0 || !strings.HasPrefix(out, "Rewrapped 6.") {
		t.Fatal(out, errs, code)
	}
	out, _, _ = latchkey("keys", "list", "--data", dir)
	if !regexp.MustCompile(`(?m)^` + id + ` +sealing \(primary\) +6$`).MatchString(out) {
		t.Fatal(out)
	}
}

// A key that something needs stays.
func TestRetireKey(t *testing.T) {
	dir := vaultOf(t, 2)
	keys, err := store.KeyFile{Path: filepath.Join(dir, "keys.json")}.Existing(t.Context())
	check(t, err)
	list, err := keys.List()
	check(t, err)
	first := fmt.Sprint(list[0].ID)
	addAndPromote(t, dir)
	if _, errs, code := latchkey("keys", "retire", "--data", dir, first); code != 1 ||
		!strings.Contains(errs, "key "+first+" still seals 3 rows") {
		t.Fatal(errs, code)
	}
	if _, errs, code := latchkey("keys", "rewrap", "--data", dir); code != 0 {
		t.Fatal(errs)
	}
	if out, errs, code := latchkey("keys", "retire", "--data", dir, first); code != 0 || !strings.Contains(out, "Retired key "+first) {
		t.Fatal(out, errs, code)
	}
	if out, errs, code := latchkey("keys", "list", "--data", dir); code != 0 || !regexp.MustCompile(`(?m)^`+first+` +the audit record \(retired\) +0$`).MatchString(out) {
		t.Fatal(out, errs, code)
	}
}

// What rows need and the keyset lacks is shown.
func TestLostKeysAreListed(t *testing.T) {
	var out bytes.Buffer
	check(t, printKeys(&out, []store.Key{{ID: 7, Primary: true}}, map[uint32]int64{7: 1, 9: 2, 0: 3}))
	want := "KEY  FOR                ROWS THAT IT SEALS\n" +
		"7    sealing (primary)  1\n" +
		"0    (damaged rows)     3\n" +
		"9    (missing)          2\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// Keys can come from the environment, where no command changes them.
func TestKeysInTheEnvironment(t *testing.T) {
	dir := vaultOf(t, 2)
	file := filepath.Join(dir, "keys.json")
	raw, err := os.ReadFile(file)
	check(t, err)
	check(t, os.Remove(file))
	t.Setenv("LATCHKEY_DATA", dir)
	if _, errs, code := latchkey("keys", "list"); code != 1 || !strings.Contains(errs, file) {
		t.Fatal(errs, code)
	}
	t.Setenv("LATCHKEY_KEYS", string(raw))
	if out, errs, code := latchkey("keys", "list"); code != 0 || !strings.Contains(out, "(primary)  3\n") {
		t.Fatal(out, errs, code)
	}
	for _, args := range [][]string{{"keys", "add"}, {"keys", "promote", "1"}} {
		if _, errs, code := latchkey(args...); code != 1 || !strings.Contains(errs, "name it with --keys-file instead") {
			t.Fatal(errs, code)
		}
	}
	cfg := config{Data: dir, Keys: string(raw)}
	_, err = cfg.keyset(t.Context())
	check(t, err)
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("a key file was made beside the keys from the environment")
	}

	t.Setenv("LATCHKEY_KEYS_FILE", file)
	if _, errs, code := latchkey("keys", "list"); code != 1 || !strings.Contains(errs, "LATCHKEY_KEYS_FILE) exclude each other") {
		t.Fatal(errs, code)
	}
	t.Setenv("LATCHKEY_KEYS", "")
	_, err = store.KeysFromFile(file) // somebody else's
	check(t, err)
	for _, command := range []string{"list", "rewrap"} {
		if _, errs, code := latchkey("keys", command); code != 1 ||
			!strings.Contains(errs, file+" is not the one that this vault is sealed with: restore the right one") {
			t.Fatal(errs, code)
		}
	}
}

// A restored vault opens with its own keys, and says so where others are at hand.
func TestRestoreSaysWhichKeys(t *testing.T) {
	dir, to := vaultOf(t, 2), t.TempDir()
	file := filepath.Join(t.TempDir(), "backup")
	if out, errs, code := latchkey("backup", "--data", dir, file); code != 0 {
		t.Fatal(out, errs, code)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "keys.json"))
	check(t, err)
	text, err := os.ReadFile(file)
	check(t, err)
	if key := regexp.MustCompile(`"value":\s*"([^"]+)"`).FindSubmatch(raw); key == nil || bytes.Contains(text, key[1]) {
		t.Fatal("the keys are in the backup")
	}
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"none":  {nil, "put the key file of that vault at "},
		"right": {[]string{"--keys-file", filepath.Join(dir, "keys.json")}, "those at hand open it."},
		"wrong": {[]string{"--keys-file", filepath.Join(to, "other")}, "is not the one that this vault is sealed with"},
		"given": {[]string{"--keys", string(raw)}, "those at hand open it."},
	} {
		_, err := store.KeysFromFile(filepath.Join(to, "other"))
		check(t, err)
		args := append([]string{"restore", "--data", filepath.Join(to, name), file}, test.args...)
		out, errs, code := latchkey(args...)
		if code != 0 || !strings.Contains(out, test.says) {
			t.Errorf("%s: %s %s %d", name, out, errs, code)
		}
	}
}
