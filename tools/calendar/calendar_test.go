package calendar_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools/calendar"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

func call(t *testing.T, name, arguments string, server http.HandlerFunc) (json.RawMessage, error) {
	t.Helper()
	return tooltest.At(t, calendar.Module(), server).Call(t, name, arguments)
}

func message(t *testing.T, result json.RawMessage, err error) string {
	t.Helper()
	return tooltest.Message(t, result, err)
}

// cursor is one that the tool could have given for arguments.
func cursor(t *testing.T, tool, arguments, state string) string {
	t.Helper()
	return tooltest.At(t, calendar.Module(), http.NotFoundHandler()).Cursor(t, tool, arguments, state)
}

// berlin answers the question for a calendar's zone, and no other.
func berlin(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("fields") != "timeZone" || q.Get("maxResults") != "1" || r.Method != http.MethodGet {
			t.Errorf("sent %s %s", r.Method, r.URL)
		}
		io.WriteString(w, `{"timeZone":"Europe/Berlin"}`)
	}
}

const times = `"start":"2026-01-31T09:00:00+01:00","end":"2026-01-31T10:00:00+01:00"`

func googleError(code int, reason, text string) string {
	return fmt.Sprintf(`{"error":{"code":%d,"message":%q,"errors":[{"reason":%q,"message":%q}]}}`, code, text, reason, text)
}

func TestErrors(t *testing.T) {
	const list, create = `{}`, `{"summary":"a",` + times + `}`
	paged := `{"cursor":"` + cursor(t, "calendar_list_events", `{}`, `{"f":"2026-01-31T09:00:00Z","p":[{"t":"t"}]}`) + `"}`
	for name, c := range map[string]struct {
		arguments string
		status    int
		body      string
		want      string
	}{
		"dead credential":       {list, 401, googleError(401, "authError", "Invalid Credentials"), "connect it again"},
		"no such calendar":      {list, 404, googleError(404, "notFound", "Not Found"), `no calendar "primary"`},
		"bad request":           {create, 400, googleError(400, "invalid", "Bad\n time."), "(status 400): Bad time. Correct"},
		"bad cursor":            {paged, 400, googleError(400, "invalid", "Invalid page token"), "Leave it out"},
		"cursor gone":           {paged, 410, googleError(410, "fullSyncRequired", "Gone"), "Leave it out"},
		"gone":                  {create, 410, googleError(410, "deleted", "Gone"), "gone at Google"},
		"conflict":              {create, 409, googleError(409, "duplicate", "Exists"), "there already"},
		"precondition":          {create, 412, googleError(412, "conditionNotMet", "No"), "changed in the meantime"},
		"rate limit":            {list, 403, googleError(403, "rateLimitExceeded", "Slow"), "ends in 30 seconds"},
		"rate limit per person": {create, 403, googleError(403, "userRateLimitExceeded", "Slow"), "ends in 30 seconds"},
		"429":                   {list, 429, googleError(429, "x", "Slow"), "ends in 30 seconds"},
		"missing scope":         {list, 403, googleError(403, "insufficientPermissions", "Insufficient Permission"), "every box ticked"},
		"missing scope, newer":  {list, 403, `{"error":{"code":403,"message":"Request had insufficient authentication scopes.","details":[{"reason":"ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}}`, "every box ticked"},
		"API switched off":      {list, 403, googleError(403, "accessNotConfigured", "Not enabled"), "operator"},
		"read only":             {create, 403, googleError(403, "requiredAccessLevel", "You need to have writer access to this calendar."), `read the calendar "primary" but not write`},
		"not allowed":           {list, 403, googleError(403, "forbidden", "No."), "may not do that: No. Use"},
		"broken while reading":  {list, 503, `<html>`, "Try again in a minute"},
		"broken while writing":  {create, 503, googleError(503, "backendError", "x"), "outcome is unknown"},
		"no reason":             {list, 418, ``, "it doesn't say why"},
		"a long reason":         {list, 418, googleError(418, "x", strings.Repeat("x", 5000)), "(status 418): xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			tool, sent := "calendar_list_events", 0
			if c.arguments == create {
				tool = "calendar_create_event"
			}
			result, err := call(t, tool, c.arguments, func(w http.ResponseWriter, r *http.Request) {
				sent++
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			if got := message(t, result, err); !strings.Contains(got, c.want) || len(got) > 600 {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if sent != 1 {
				t.Errorf("%d requests", sent)
			}
		})
	}
}

// The library takes its endpoint and logger from the environment, if it is let.
func TestEnvironmentChangesNothing(t *testing.T) {
	t.Setenv("GOOGLE_API_USE_MTLS_ENDPOINT", "always")
	t.Setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "evil.example")
	t.Setenv("GOOGLE_SDK_GO_LOGGING_LEVEL", "debug")
	_, err := call(t, "calendar_list_events", `{}`, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"timeZone":"UTC"}`)
	})
	if err != nil {
		t.Error(err)
	}
}

// What the bound client says is for who made it, so it must come through.
func TestTransportErrorsStay(t *testing.T) {
	want := errors.New("from the bound client")
	client := &http.Client{Transport: failing{want}}
	for _, tool := range calendar.Module().Tools {
		arguments := map[string]string{
			"calendar_create_event": `{"summary":"a","start":"2026-01-31","end":"2026-02-01"}`, "calendar_find_time": `{"minutes":30}`,
			"calendar_get_event": `{"event":"a"}`, "calendar_list_instances": `{"event":"a"}`,
			"calendar_quick_add": `{"text":"a"}`, "calendar_update_event": `{"event":"a","summary":"b"}`,
			"calendar_delete_event": `{"event":"a","summary":""}`, "calendar_respond": `{"event":"a","response":"accepted"}`,
		}[tool.Spec().Name]
		if _, err := tool.Call(t.Context(), client, json.RawMessage(arguments)); !errors.Is(err, want) {
			t.Errorf("%s: got %v", tool.Spec().Name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }
