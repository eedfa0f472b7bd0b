package oauthflow

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

var keyField = regexp.MustCompile(`name="key" value="([^"]+)"`)

// secondAccount connects 1001 and then 2002, up to the question.
func secondAccount(t *testing.T, w *world, b *browser) url.Values {
	t.Helper()
	b.connect(w.link("alice", "google", readEvents)).wants(t, http.StatusOK)
	w.google.with(func() { w.google.person = "2002" })
	asked := b.connect(w.link("alice", "google", readEvents))
	asked.wants(t, http.StatusOK, "Add this account, or replace one?", "g1001@example.com", "g2002@example.com")
	if got := w.account("alice", "google"); got != "g1001@example.com" {
		t.Fatalf("replaced unasked by %q", got)
	}
	return url.Values{"key": {keyField.FindStringSubmatch(asked.body)[1]}}
}

func TestAnotherAccountIsAskedFor(t *testing.T) {
	for answer, want := range map[string]struct {
		account string
		revoked []string
		left    int
	}{
		"replace=1001": {"g2002@example.com", []string{"google-refresh-1001-1"}, 1},
		"answer=add":   {"g2002@example.com", nil, 2},
		"answer=keep":  {"g1001@example.com", []string{"google-refresh-2002-2"}, 1},
		"":             {"g1001@example.com", []string{"google-refresh-2002-2"}, 1},
	} {
		t.Run(answer, func(t *testing.T) {
			w := newWorld(t)
			alice := w.as("alice")
			form := secondAccount(t, w, alice)
			name, value, _ := strings.Cut(answer, "=")
			form.Set(name, value)
			if got := alice.post("/connections/google/replace", form); got.status >= 400 {
				t.Fatalf("%d %s", got.status, got.text())
			}
			if got := w.account("alice", "google"); got != want.account {
				t.Errorf("connected is %q", got)
			}
			if got := w.google.revocations(); !slices.Equal(got, want.revoked) {
				t.Errorf("revoked %q", got)
			}
			if all := must(w.keyring("alice").Accounts(t.Context(), "google"))(t); len(all.Infos) != want.left {
				t.Errorf("%d accounts are left", len(all.Infos))
			}
			alice.post("/connections/google/replace", form).wants(t, http.StatusGone)
		})
	}
}

func TestAReplacementIsItsOwnersAlone(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		do     func(w *world, alice *browser, form url.Values) answer
	}{
		"bob": {http.StatusForbidden, func(w *world, _ *browser, form url.Values) answer {
			return w.as("bob").post("/connections/google/replace", form)
		}},
		"alice elsewhere": {http.StatusForbidden, func(w *world, _ *browser, form url.Values) answer {
			return w.as("alice").post("/connections/google/replace", form)
		}},
		"another provider": {http.StatusForbidden, func(_ *world, alice *browser, form url.Values) answer {
			return alice.post("/connections/github/replace", form)
		}},
		"nobody": {http.StatusUnauthorized, func(w *world, _ *browser, form url.Values) answer {
			return w.browser().post("/connections/google/replace", form)
		}},
		"too late": {http.StatusGone, func(w *world, alice *browser, form url.Values) answer {
			w.pass(11 * time.Minute)
			return alice.post("/connections/google/replace", form)
		}},
		"after a disconnect": {http.StatusConflict, func(_ *world, alice *browser, form url.Values) answer {
			alice.disconnect("google", "1001")
			return alice.post("/connections/google/replace", form)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := w.as("alice")
			form := secondAccount(t, w, alice)
			form.Set("replace", "1001")
			c.do(w, alice, form).wants(t, c.status)
			for _, person := range []string{"alice", "bob"} {
				if got := w.account(person, "google"); got == "g2002@example.com" {
					t.Errorf("%s has %q", person, got)
				}
			}
		})
	}
}

// The record's owner is compared beside the session: here it says bob, under
// alice's session id.
func TestAReplacementsOwnerIsCompared(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	secondAccount(t, w, alice)
	rep := replacement{
		pending: pending{ticket: ticket{Provider: "google"}, Session: alice.session()}, Old: []string{"1001"},
		Account: store.Account{ID: "3003", Label: "bob's"}, Token: parked{Access: "bobs-access"},
	}
	if err := w.flow.parked.Put(t.Context(), "key", w.iss.Caller("bob").Principal().Digest(), shortLife, rep); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"key": {"key"}, "replace": {"1001"}}
	alice.post("/connections/google/replace", form).wants(t, http.StatusForbidden)
	if got := w.refusals("alice"); len(got) != 1 {
		t.Errorf("the audit record has %q", got)
	}
}
