package mcpserver

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

func TestCallsAreLimitedByPersonAndTool(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.connect("bob")
	call := func(person, tool string) (string, bool) {
		return w.legacy(w.issuer.Token(person), "", "", "tools/call", callParams(tool, `{}`)).says(t)
	}
	later := w.clock.now().Add(time.Hour) // so that none comes back while the test runs
	for w.face.calls.allow(w.issuer.Caller("alice").Principal().Digest(), "acme_read", later) {
	}
	if text, isError := call("alice", "acme_read"); !isError || !strings.Contains(text, "too often") {
		t.Errorf("alice: %s", text)
	}
	if n := len(w.provider.requests()); n != 0 {
		t.Errorf("%d requests reached the provider", n)
	}
	if text, isError := call("alice", "acme_write"); isError {
		t.Errorf("alice, another tool: %s", text)
	}
	if text, isError := call("bob", "acme_read"); isError {
		t.Errorf("bob: %s", text)
	}
	w.clock.forward(time.Hour + time.Second)
	if text, isError := call("alice", "acme_read"); isError {
		t.Errorf("alice, later: %s", text)
	}
}

func TestMeters(t *testing.T) {
	var m meters
	now := time.Unix(1_800_000_000, 0)
	count := func(at time.Time) (n int) {
		for m.allow(identity.Digest{}, "a", at) {
			n++
		}
		return n
	}
	if n := count(now); n != callBurst {
		t.Errorf("%d at once", n)
	}
	if n := count(now.Add(3 * time.Second)); n != 3*callRate {
		t.Errorf("%d after three seconds", n)
	}
	for i := range uint64(maxMeters + 10) {
		var person identity.Digest
		binary.BigEndian.PutUint64(person[:], i+1)
		m.allow(person, "a", now.Add(4*time.Second))
	}
	if len(m.of) > maxMeters {
		t.Errorf("%d meters are kept", len(m.of))
	}
}

// Room is made from the meters that are full again, not from those that hold.
func TestMetersForgetTheIdleFirst(t *testing.T) {
	var m meters
	now := time.Unix(1_800_000_000, 0)
	for i := range uint64(maxMeters - 1) {
		var person identity.Digest
		binary.BigEndian.PutUint64(person[:], i+1)
		m.allow(person, "a", now)
	}
	now = now.Add(time.Minute)
	for m.allow(identity.Digest{}, "a", now) {
	}
	m.allow(identity.Digest{}, "b", now)
	if m.allow(identity.Digest{}, "a", now) || len(m.of) != 2 {
		t.Errorf("a limit was forgotten; %d meters are kept", len(m.of))
	}
}
