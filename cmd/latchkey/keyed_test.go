package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

// A repeated comment with the same key is one comment, and one whose outcome nobody
// knows is never written a second time.
func TestCommentOnce(t *testing.T) {
	d := startDemo(t, "")
	alice := twoPeople(t, d.URL)[0]
	comment := func(key string) string {
		t.Helper()
		check(t, alice.call("github_comment", map[string]any{
			"repo": sandbox.AliceLogin + "/garden", "number": 1, "body": "Two cans.", "idempotency_key": key,
		}))
		return alice.last.Body
	}
	sent := func() (n int) {
		for _, r := range d.sandbox.Requests() {
			if r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/comments") {
				n++
			}
		}
		return n
	}
	const address = "/issues/1#issuecomment-"
	first := comment("morning")
	if again := comment("morning"); !strings.Contains(first, address) || !strings.Contains(again, address) || sent() != 1 {
		t.Errorf("%d comments: %s, then %s", sent(), first, again)
	}
	if other := comment("noon"); !strings.Contains(other, address) || sent() != 2 {
		t.Errorf("%d comments: %s", sent(), other)
	}
	d.sandbox.Fail(1, http.StatusBadGateway)
	if lost := comment("evening"); !strings.Contains(lost, "outcome is unknown") || sent() != 3 {
		t.Errorf("%d requests: %s", sent(), lost)
	}
	if again := comment("evening"); !strings.Contains(again, "is unknown") || sent() != 3 {
		t.Errorf("%d requests: %s", sent(), again)
	}
}
