package mcpserver

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

const withURL = `{"elicitation":{"url":{}}}`

func TestSessionIDsAreWorthlessToOthers(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob := w.issuer.Token("alice"), w.issuer.Token("bob")
	hers := w.initialize(alice, mcp.ProtocolVersion20251125, withURL)
	raw, err := base64.RawURLEncoding.DecodeString(hers)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	forged := base64.RawURLEncoding.EncodeToString(raw)
	cases := map[string]struct {
		token, session string
		known          bool
	}{
		"her own":         {alice, hers, true},
		"none":            {alice, "", true},
		"stolen":          {bob, hers, false},
		"forged":          {alice, forged, false},
		"invented":        {alice, "mcp-session-3f0c9a52-6d5b-4a35-9c51-0a4a7f9e8b11", false},
		"a state of hers": {alice, sealedState(t, w), false},
	}
	for name, c := range cases {
		for method, served := range map[string]int{"POST": 200, "GET": 405, "DELETE": 405} {
			want := served
			if !c.known {
				want = http.StatusNotFound
			}
			header := map[string]string{}
			if c.session != "" {
				header[mcp.HeaderSessionID] = c.session
			}
			r := w.do(ask{method: method, token: c.token, header: header, body: listTools})
			if r.status != want {
				t.Errorf("%s, %s: %d, want %d: %s", name, method, r.status, want, r.text)
			}
			if r.status == 405 && r.header.Get("Allow") != "POST" {
				t.Errorf("%s, %s: Allow %q", name, method, r.header.Get("Allow"))
			}
		}
	}
	t.Run("ignored by 2026-07-28", func(t *testing.T) {
		req := ask{token: bob, header: map[string]string{
			mcp.HeaderProtocolVersion: mcp.ProtocolVersion20260728, mcp.HeaderMethod: "tools/list", mcp.HeaderSessionID: hers,
		}, body: rpc + `"tools/list","params":{"_meta":{"` + mcp.MetaKeyProtocolVersion + `":"2026-07-28","` + mcp.MetaKeyClientCapabilities + `":{}}}}`}
		if r := w.do(req); r.status != 200 || r.header.Get(mcp.HeaderSessionID) != "" {
			t.Errorf("%d %s", r.status, r.text)
		}
	})
	t.Run("over after a day", func(t *testing.T) {
		w.clock.forward(sessionLife + time.Minute)
		if r := w.legacy(w.issuer.Token("alice"), hers, "", "tools/list", ""); r.status != http.StatusNotFound {
			t.Errorf("%d", r.status)
		}
	})
}

// sealedState is a request state of alice's: sealed by us, for another purpose.
func sealedState(t *testing.T, w *world) string {
	t.Helper()
	sealed, err := w.face.states.Encrypt([]byte(`{}`), sessionOwner(w.issuer.Caller("alice")))
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed)
}

func TestSessionOnlyOnInitialize(t *testing.T) {
	w := newWorld(t, nil)
	token := w.issuer.Token("alice")
	for _, version := range []string{mcp.ProtocolVersion20250326, mcp.ProtocolVersion20250618, mcp.ProtocolVersion20251125} {
		session := w.initialize(token, version, "{}")
		header := version
		if version == mcp.ProtocolVersion20250326 {
			header = "" // which had no such header
		}
		r := w.legacy(token, session, header, "tools/list", "")
		if r.status != 200 || !strings.Contains(r.text, "acme_read") || r.header.Get(mcp.HeaderSessionID) != "" {
			t.Errorf("%s: %d %s", version, r.status, r.text)
		}
	}
	r := w.legacy(token, "", "", "initialize", `"nonsense"`)
	if r.header.Get(mcp.HeaderSessionID) != "" {
		t.Errorf("a failed initialize got a session: %s", r.text)
	}
}

// blockedCall starts a call of alice's that lasts until it is cancelled or freed.
func blockedCall(w *world, send func() reply) (entered chan struct{}, free func(), done chan reply) {
	entered, release := make(chan struct{}), make(chan struct{})
	w.probe = func(ctx context.Context, _ *http.Client) (string, error) {
		close(entered)
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-release:
			return "finished", nil
		}
	}
	done = make(chan reply, 1)
	go func() { done <- send() }()
	return entered, func() { close(release) }, done
}

const cancelFirst = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`

func TestNobodyCancelsAnothersCall(t *testing.T) {
	modernCancel := strings.Replace(cancelFirst, `"requestId":1`,
		`"requestId":1,"_meta":{"`+mcp.MetaKeyProtocolVersion+`":"2026-07-28","`+mcp.MetaKeyClientCapabilities+`":{}}`, 1)
	for _, era := range []string{"legacy without a session", "legacy", "2026-07-28"} {
		t.Run(era, func(t *testing.T) {
			w := newWorld(t, nil)
			w.connect("alice")
			alice, bob := w.issuer.Token("alice"), w.issuer.Token("bob")
			header, cancel := map[string]string{}, cancelFirst
			send := func() reply { return w.legacy(alice, "", "", "tools/call", callParams("acme_probe", "{}")) }
			switch era {
			case "legacy":
				hers := w.initialize(alice, mcp.ProtocolVersion20251125, "{}")
				header[mcp.HeaderSessionID] = w.initialize(bob, mcp.ProtocolVersion20251125, "{}")
				send = func() reply { return w.legacy(alice, hers, "", "tools/call", callParams("acme_probe", "{}")) }
			case "2026-07-28":
				header[mcp.HeaderProtocolVersion], header[mcp.HeaderMethod] = mcp.ProtocolVersion20260728, "notifications/cancelled"
				cancel = modernCancel
				send = func() reply { return w.modern(alice, "{}", "tools/call", "acme_probe", `"arguments":{}`) }
			}
			entered, free, done := blockedCall(w, send)
			<-entered
			if r := w.do(ask{token: bob, header: header, body: cancel}); r.status != http.StatusAccepted {
				t.Fatalf("%d %s", r.status, r.text)
			}
			free()
			if text, isError := (<-done).says(t); isError || !strings.Contains(text, "finished") {
				t.Errorf("bob's notification ended alice's call: %s", text)
			}
		})
	}
}

func TestOneCancelsOnesOwnCall(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	alice := w.issuer.Token("alice")
	session := w.initialize(alice, mcp.ProtocolVersion20251125, "{}")
	entered, _, done := blockedCall(w, func() reply {
		return w.legacy(alice, session, "", "tools/call", callParams("acme_probe", "{}"))
	})
	<-entered
	w.do(ask{token: alice, header: map[string]string{mcp.HeaderSessionID: session}, body: cancelFirst})
	if text, isError := (<-done).says(t); !isError || !strings.Contains(text, "cancelled") {
		t.Errorf("%v %s", isError, text)
	}
}

// Some clients of 2026-07-28 notify without _meta; an error would end their session.
func TestModernNotificationsAreAccepted(t *testing.T) {
	w := newWorld(t, nil)
	for _, body := range []string{
		cancelFirst, `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":7,"method":"notifications/cancelled"}`, `{"jsonrpc":"2.0","method":"tools/list","params":{"x":"notifications/"}}`,
	} {
		want := http.StatusAccepted
		if strings.Contains(body, `"id"`) || strings.Contains(body, "tools/list") {
			want = http.StatusBadRequest // a request, or no notification: mcp-go's to judge
		}
		r := w.do(ask{token: w.issuer.Token("alice"), header: map[string]string{mcp.HeaderProtocolVersion: mcp.ProtocolVersion20260728}, body: body})
		if r.status != want {
			t.Errorf("%s: %d %s, want %d", body, r.status, r.text, want)
		}
	}
}

func TestAnswersToNothingAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.issuer.Token("alice")
	session := w.initialize(alice, mcp.ProtocolVersion20251125, withURL)
	r := w.do(ask{token: alice, header: map[string]string{mcp.HeaderSessionID: session},
		body: `{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}`})
	if r.status != http.StatusBadRequest {
		t.Errorf("a forged elicitation answer: %d %s", r.status, r.text)
	}
}

func TestBodyIsLimited(t *testing.T) {
	w := newWorld(t, nil)
	token := w.issuer.Token("alice")
	body := func(size int) string {
		head, tail := rpc+`"tools/list","params":{},"x":"`, `"}`
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	if r := w.do(ask{token: token, body: body(maxBody)}); r.status != http.StatusOK {
		t.Errorf("1 MiB: %d %s", r.status, r.text)
	}
	if r := w.do(ask{token: token, body: body(maxBody + 1)}); r.status != http.StatusRequestEntityTooLarge || !strings.Contains(r.text, "1 MiB") {
		t.Errorf("1 MiB and a byte: %d %s", r.status, r.text)
	}
}
