package calendar_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCreate(t *testing.T) {
	const made = `{"id":"e1","summary":"Lunch","start":{"dateTime":"2026-01-31T09:00:00+01:00","timeZone":"Europe/Berlin"},"end":{"dateTime":"2026-01-31T10:00:00+01:00"}}`
	for name, c := range map[string]struct{ arguments, path, updates, body string }{
		"with offsets": {
			`{"summary":"Lunch",` + times + `}`, "/calendar/v3/calendars/primary/events", "none",
			`{"end":{"dateTime":"2026-01-31T10:00:00+01:00"},"start":{"dateTime":"2026-01-31T09:00:00+01:00"},"summary":"Lunch"}`,
		},
		"with a zone": {
			`{"summary":"Lunch","start":"2026-01-31T09:00:00","end":"2026-01-31T10:00:00.5","time_zone":"Europe/Berlin"}`,
			"/calendar/v3/calendars/primary/events", "none",
			`{"end":{"dateTime":"2026-01-31T10:00:00","timeZone":"Europe/Berlin"},"start":{"dateTime":"2026-01-31T09:00:00","timeZone":"Europe/Berlin"},"summary":"Lunch"}`,
		},
		"all day": {
			`{"summary":"Trip","start":"2026-01-31","end":"2026-02-02","time_zone":"Europe/Berlin"}`,
			"/calendar/v3/calendars/primary/events", "none",
			`{"end":{"date":"2026-02-02"},"start":{"date":"2026-01-31"},"summary":"Trip"}`,
		},
		"with everything": {
			`{"calendar":"team@group.calendar.google.com","summary":"Lunch",` + times + `,"location":"Here","description":"<b>","attendees":["b@example.com"],"send_invitations":true}`,
			"/calendar/v3/calendars/team%40group.calendar.google.com/events", "all",
			`{"attendees":[{"email":"b@example.com"}],"description":"\u003cb\u003e","end":{"dateTime":"2026-01-31T10:00:00+01:00"},"location":"Here","start":{"dateTime":"2026-01-31T09:00:00+01:00"},"summary":"Lunch"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := call(t, "calendar_create_event", c.arguments, func(w http.ResponseWriter, r *http.Request) {
				want := url.Values{"sendUpdates": {c.updates}, "alt": {"json"}, "prettyPrint": {"false"}}
				body, err := io.ReadAll(r.Body)
				if diff := cmp.Diff(want, r.URL.Query()); diff != "" || err != nil || r.Method != "POST" || r.URL.EscapedPath() != c.path {
					t.Errorf("%s %s: %s, %v", r.Method, r.URL.EscapedPath(), diff, err)
				}
				if diff := cmp.Diff(c.body, strings.TrimSpace(string(body))); diff != "" {
					t.Error(diff)
				}
				io.WriteString(w, made)
			})
			want := `"event":{"id":"e1","summary":"Lunch","start":"2026-01-31T09:00:00+01:00","end":"2026-01-31T10:00:00+01:00"`
			if err != nil || !strings.Contains(string(got), want) {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

// Nothing of this may reach Google.
func TestCreateBadInput(t *testing.T) {
	for _, c := range []struct{ tool, arguments, want string }{
		{"calendar_create_event", `{}`, "summary is missing"},
		{"calendar_create_event", `{"summary":"",` + times + `}`, "summary must be"},
		{"calendar_create_event", `{"summary":"a"}`, "start is missing"},
		{"calendar_create_event", `{"summary":"a","start":"2026-01-31T09:00Z","end":"2026-01-31T10:00:00Z"}`, "is not a time"},
		{"calendar_create_event", `{"summary":"a","start":"2026-01-31","end":"2026-01-31T10:00:00Z"}`, "both be dates"},
		{"calendar_create_event", `{"summary":"a","start":"2026-01-31","end":"2026-01-31"}`, "the day after the last one: 2026-02-01 or later"},
		{"calendar_create_event", `{"summary":"a","start":"2026-01-31T10:00:00Z","end":"2026-01-31T10:30:00+01:00"}`, "is not after start"},
		{"calendar_create_event", `{"summary":"a",` + times + `,"time_zone":"Mars"}`, "not an IANA zone"},
		{"calendar_create_event", `{"summary":"a",` + times + `,"attendees":["bob"]}`, "attendees[0] must be"},
		{"calendar_create_event", `{"summary":"a",` + times + `,"attendees":["bob@example.com, eve@example.com"]}`, "attendees[0] must be"},
		{"calendar_create_event", `{"summary":"a",` + times + `,"attendees":[` + strings.Repeat(`"a@b",`, 50) + `"a@b"]}`, "attendees must be a list of at most 50"},
		{"calendar_create_event", `{"summary":"a",` + times + `,"organizer":"bob@example.com"}`, "organizer is not an argument"},
	} {
		result, err := call(t, c.tool, c.arguments, func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%s: sent %s %s", c.arguments, r.Method, r.URL)
		})
		if got := message(t, result, err); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.arguments, got, c.want)
		}
	}
}

// A date-time without a zone is refused, and the zone that is probably meant is named.
func TestCreateWithoutZone(t *testing.T) {
	for arguments, want := range map[string]string{
		`{"summary":"a","start":"2026-07-31T09:00:00","end":"2026-07-31T10:00:00"}`:  `start "2026-07-31T09:00:00" has no time zone. The calendar's is Europe/Berlin: if that is meant, give time_zone Europe/Berlin or write 2026-07-31T09:00:00+02:00.`,
		`{"summary":"a","start":"2026-01-31T09:00:00Z","end":"2026-01-31T10:00:00"}`: `end "2026-01-31T10:00:00" has no time zone.`,
	} {
		result, err := call(t, "calendar_create_event", arguments, berlin(t))
		if got := message(t, result, err); !strings.Contains(got, want) {
			t.Errorf("%s: got %q", arguments, got)
		}
	}
}
