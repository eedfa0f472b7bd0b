package calendar_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools/calendar"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

// writes are a call of each tool that writes.
func writes() map[string]string {
	return map[string]string{
		"calendar_create_event": `{"summary":"a",` + times + `}`,
		"calendar_quick_add":    `{"text":"a tomorrow"}`,
		"calendar_update_event": `{"event":"e1","summary":"a"}`,
		"calendar_delete_event": `{"event":"e1","summary":""}`,
		"calendar_respond":      `{"event":"e1","response":"accepted"}`,
	}
}

const oneOfMine = `{"id":"e1","etag":"\"1\"","start":{"date":"2026-01-31"},"end":{"date":"2026-02-01"},"attendees":[{"email":"a@example.com","self":true}]}`

// Whatever Google answers to a write, the model is told what is so and what to do.
func TestWriteFaults(t *testing.T) {
	for _, c := range []struct {
		status       int
		reason, want string
	}{
		{401, "authError", "connect it again"},
		{403, "requiredAccessLevel", `read the calendar "primary" but not write`},
		{403, "insufficientPermissions", "every box ticked"},
		{403, "rateLimitExceeded", "It ends in 30 seconds"},
		{404, "notFound", "or the connected account doesn't see it"},
		{410, "deleted", "gone at Google"},
		{429, "x", "It ends in 30 seconds"},
		{400, "invalid", "(status 400): Because. Correct"},
		{500, "backendError", "the outcome is unknown: look"},
		{503, "backendError", "the outcome is unknown: look"},
	} {
		for tool, arguments := range writes() {
			wrote := 0
			result, err := call(t, tool, arguments, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					io.WriteString(w, oneOfMine)
					return
				}
				wrote++
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(c.status)
				io.WriteString(w, googleError(c.status, c.reason, "Because."))
			})
			if got := message(t, result, err); !strings.Contains(got, c.want) || wrote != 1 {
				t.Errorf("%s, %d %s: %q after %d writes", tool, c.status, c.reason, got, wrote)
			}
		}
	}
}

// Before a write is sent, a Google that fails is only a reason to try again.
func TestWriteFaultsBefore(t *testing.T) {
	for tool, arguments := range writes() {
		if tool == "calendar_create_event" || tool == "calendar_quick_add" {
			continue
		}
		for status, want := range map[int]string{401: "connect it again", 404: `no event "e1"`, 429: "limit on requests", 503: "Try again in a minute"} {
			result, err := call(t, tool, arguments, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					t.Errorf("%s: sent %s", tool, r.Method)
				}
				w.WriteHeader(status)
				io.WriteString(w, googleError(status, "x", "No."))
			})
			if got := message(t, result, err); !strings.Contains(got, want) {
				t.Errorf("%s, %d: %q", tool, status, got)
			}
		}
	}
}

// A good answer without an event says nothing of what happened.
func TestWriteWithoutAnswer(t *testing.T) {
	for tool, arguments := range writes() {
		if tool == "calendar_delete_event" {
			continue // has none
		}
		for _, text := range []string{`null`, `{}`} {
			result, err := call(t, tool, arguments, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					io.WriteString(w, oneOfMine)
					return
				}
				io.WriteString(w, text)
			})
			if got := message(t, result, err); !strings.Contains(got, "outcome is unknown") {
				t.Errorf("%s, %s: %q", tool, text, got)
			}
		}
	}
}

// A caller that gives up ends the request that is under way.
func TestWriteCancelled(t *testing.T) {
	for tool, arguments := range writes() {
		ctx, cancel := context.WithCancel(t.Context())
		bench := tooltest.At(t, calendar.Module(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server see the other side leave
			cancel()
			<-r.Context().Done()
		}))
		if result, err := bench.CallContext(ctx, t, tool, arguments); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %s, %v", tool, result, err)
		}
	}
}
