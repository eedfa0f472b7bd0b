package calendar_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
)

func TestList(t *testing.T) {
	got, err := call(t, "calendar_list_events",
		`{"calendar":"en.usa#holiday@group.v.calendar.google.com","start":"2026-01-31","end":"2026-02-02T00:00:00Z","time_zone":"Europe/Berlin","query":"a&b=c","limit":2}`,
		func(w http.ResponseWriter, r *http.Request) {
			want := url.Values{
				"timeMin": {"2026-01-31T00:00:00+01:00"}, "timeMax": {"2026-02-02T00:00:00Z"}, "timeZone": {"Europe/Berlin"}, "q": {"a&b=c"},
				"maxResults": {"2"}, "singleEvents": {"true"}, "orderBy": {"startTime"}, "alt": {"json"}, "prettyPrint": {"false"},
			}
			path := "/calendar/v3/calendars/en.usa%23holiday%40group.v.calendar.google.com/events"
			if diff := cmp.Diff(want, r.URL.Query()); diff != "" || r.URL.EscapedPath() != path || r.Header.Get("Authorization") != "" {
				t.Errorf("%s %s: %s", r.Method, r.URL.EscapedPath(), diff)
			}
			io.WriteString(w, `{"timeZone":"Europe/Berlin","nextPageToken":"to~ken","items":[
				{"id":"e1","status":"confirmed","summary":"Lunch","htmlLink":"https://calendar.google.com/e1","location":"Here",
				 "description":"`+strings.Repeat("é", 400)+`","recurringEventId":"e0","organizer":{"email":"a@example.com"},
				 "start":{"dateTime":"2026-01-31T12:00:00+01:00","timeZone":"Europe/Berlin"},"end":{"dateTime":"2026-01-31T13:00:00+01:00"},
				 "attendees":[{"email":"a@example.com","self":true,"responseStatus":"accepted"}`+strings.Repeat(`,{"email":"b@example.com"}`, 24)+`]},
				{"id":"e2","start":{"date":"2026-02-01"},"end":{"date":"2026-02-02"}}]}`)
		})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"time_zone":"Europe/Berlin","events":[{"id":"e1","summary":"Lunch","start":"2026-01-31T12:00:00+01:00","end":"2026-01-31T13:00:00+01:00",` +
		`"location":"Here","response":"accepted","series":"e0","description":"` + strings.Repeat("é", 250) + `…","description_truncated":true,` +
		`"organizer":"a@example.com","attendees":[{"email":"a@example.com","response":"accepted","self":true}` + strings.Repeat(`,{"email":"b@example.com"}`, 19) +
		`],"attendees_left_out":5,"url":"https://calendar.google.com/e1"},` +
		`{"id":"e2","summary":"","start":"2026-02-01","end":"2026-02-02"}],"next_cursor":"2026-01-31T00:00:00+01:00~to~ken",` +
		`"untrusted":"` + tools.Untrusted + `"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestListDefaults(t *testing.T) {
	got, err := call(t, "calendar_list_events", ``, func(w http.ResponseWriter, r *http.Request) {
		want := url.Values{
			"timeMin": {"2027-01-15T08:00:00Z"}, "maxResults": {"20"}, "singleEvents": {"true"}, "orderBy": {"startTime"},
			"alt": {"json"}, "prettyPrint": {"false"},
		}
		if diff := cmp.Diff(want, r.URL.Query()); diff != "" || r.URL.Path != "/calendar/v3/calendars/primary/events" {
			t.Errorf("%s: %s", r.URL, diff)
		}
		io.WriteString(w, `{"timeZone":"UTC"}`)
	})
	if want := `{"time_zone":"UTC","events":[],"untrusted":`; err != nil || !strings.HasPrefix(string(got), want) {
		t.Errorf("got %s, %v", got, err)
	}
}

// The next page has the first one's start, although the clock went on.
func TestListCursor(t *testing.T) {
	for _, arguments := range []string{
		`{"cursor":"2027-01-15T07:00:00Z~to~ken"}`,
		`{"cursor":"2027-01-15T07:00:00Z~to~ken","start":"2027-01-15T07:00:00Z"}`,
	} {
		_, err := call(t, "calendar_list_events", arguments, func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); q.Get("timeMin") != "2027-01-15T07:00:00Z" || q.Get("pageToken") != "to~ken" {
				t.Errorf("got %s", r.URL)
			}
			io.WriteString(w, `{"timeZone":"UTC"}`)
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// Nothing of this may reach Google.
func TestListBadInput(t *testing.T) {
	for _, c := range []struct{ tool, arguments, want string }{
		{"calendar_list_events", `{"calendar":"../../users/me"}`, "is no calendar id"},
		{"calendar_list_events", `{"calendar":".."}`, "is no calendar id"},
		{"calendar_list_events", `{"calendar":"a/b"}`, "is no calendar id"},
		{"calendar_list_events", `{"calendar":"a%2Fb"}`, "is no calendar id"},
		{"calendar_list_events", `{"calendar":"a?b"}`, "is no calendar id"},
		{"calendar_list_events", `{"start":"tomorrow"}`, `start "tomorrow" is not a time`},
		{"calendar_list_events", `{"start":"2026-02-30T00:00:00Z"}`, "is not a time"},
		{"calendar_list_events", `{"start":"2026-01-31T09:00:00Z","end":"2026-01-31T09:00:00Z"}`, "is not after start"},
		{"calendar_list_events", `{"end":"2020-01-31T09:00:00Z"}`, "An end in the past needs a start"},
		{"calendar_list_events", `{"time_zone":"CET+1"}`, "not an IANA zone"},
		{"calendar_list_events", `{"time_zone":"Local"}`, "not an IANA zone"},
		{"calendar_list_events", `{"time_zone":"../../etc/passwd"}`, "not an IANA zone"},
		{"calendar_list_events", `{"limit":51}`, "limit must be"},
		{"calendar_list_events", `{"cursor":"token"}`, "isn't one that calendar_list_events gave"},
		{"calendar_list_events", `{"cursor":"now~token"}`, "isn't one that"},
		{"calendar_list_events", `{"cursor":"2026-01-31T09:00:00Z~"}`, "isn't one that"},
		{"calendar_list_events", `{"cursor":"2026-01-31T09:00:00Z~t","start":"2026-02-01T09:00:00Z"}`, "belongs to another start"},
		{"calendar_list_events", `{"email":"bob@example.com"}`, "email is not an argument"},
		{"calendar_list_events", `{"Calendar":"bob@example.com"}`, "Calendar is not an argument"},
		{"calendar_list_events", `{"calendar":"a","calendar":"b"}`, "twice"},
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
func TestListWithoutZone(t *testing.T) {
	for arguments, want := range map[string]string{
		`{"start":"2026-07-31T09:00:00","end":"2026-07-31T10:00:00"}`:  `start "2026-07-31T09:00:00" has no time zone. The calendar's is Europe/Berlin: if that is meant, give time_zone Europe/Berlin or write 2026-07-31T09:00:00+02:00.`,
		`{"start":"2026-01-31T09:00:00Z","end":"2026-01-31T10:00:00"}`: `end "2026-01-31T10:00:00" has no time zone.`,
	} {
		result, err := call(t, "calendar_list_events", arguments, berlin(t))
		if got := message(t, result, err); !strings.Contains(got, want) {
			t.Errorf("%s: got %q", arguments, got)
		}
	}
}
