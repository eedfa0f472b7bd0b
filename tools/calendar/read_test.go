package calendar_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/calendar"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

func TestContext(t *testing.T) {
	got, err := call(t, "calendar_context", ``, func(w http.ResponseWriter, r *http.Request) {
		want := url.Values{"fields": {"timeZone"}, "alt": {"json"}, "prettyPrint": {"false"}}
		if diff := cmp.Diff(want, r.URL.Query()); diff != "" || r.URL.Path != "/calendar/v3/calendars/primary" {
			t.Errorf("%s: %s", r.URL, diff)
		}
		io.WriteString(w, `{"timeZone":"America/New_York"}`)
	})
	want := `{"now":"2027-01-15T03:00:00-05:00","weekday":"Friday","time_zone":"America/New_York","account":"alice","scopes":["calendar.calendars.readonly"]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
	lost := errors.New("no account any more")
	bench := tooltest.At(t, calendar.Module(), http.HandlerFunc(berlinHere))
	bench.Facts.Connection = func() (tools.Connection, error) { return tools.Connection{}, lost }
	if _, err := bench.Call(t, "calendar_context", ``); !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
	result, err := call(t, "calendar_context", ``, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"timeZone":"Mars/Olympus"}`) })
	if got := message(t, result, err); !strings.Contains(got, `the zone "Mars/Olympus"`) {
		t.Errorf("got %q", got)
	}
}

func berlinHere(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, `{"timeZone":"Europe/Berlin"}`)
}

func TestCalendars(t *testing.T) {
	got, err := call(t, "calendar_list_calendars", ``, func(w http.ResponseWriter, r *http.Request) {
		want := url.Values{
			"maxResults": {"100"}, "fields": {"nextPageToken,items(id,summary,summaryOverride,timeZone,accessRole,primary)"},
			"alt": {"json"}, "prettyPrint": {"false"},
		}
		if diff := cmp.Diff(want, r.URL.Query()); diff != "" || r.URL.Path != "/calendar/v3/users/me/calendarList" {
			t.Errorf("%s: %s", r.URL, diff)
		}
		io.WriteString(w, `{"items":[null,{"id":"a@example.com","summary":"a@example.com","timeZone":"UTC","accessRole":"owner","primary":true},
			{"id":"b","summary":"Team","summaryOverride":"My\u200b team","timeZone":"Asia/Tokyo","accessRole":"reader"}]}`)
	})
	want := `{"calendars":[{"id":"a@example.com","summary":"a@example.com","time_zone":"UTC","access":"owner","primary":true},` +
		`{"id":"b","summary":"My team","time_zone":"Asia/Tokyo","access":"reader"}],"untrusted":"` + tools.Untrusted + `"}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

// Google's pages of any size come out whole, in answers within the budget.
func TestCalendarsPages(t *testing.T) {
	google := func(w http.ResponseWriter, r *http.Request) {
		page := 0
		fmt.Sscanf(r.URL.Query().Get("pageToken"), "p%d", &page)
		items := []string{}
		for i := range 100 {
			items = append(items, fmt.Sprintf(`{"id":"c%d-%d","summary":%q}`, page, i, strings.Repeat("<", 300)))
		}
		next := ""
		if page < 2 {
			next = fmt.Sprintf(`"nextPageToken":"p%d",`, page+1)
		}
		io.WriteString(w, `{`+next+`"items":[`+strings.Join(items, ",")+`]}`)
	}
	seen, cursor := []string{}, ""
	for range 100 {
		got, err := call(t, "calendar_list_calendars", `{`+cursor+`}`, google)
		var page struct {
			Calendars  []struct{ ID string }
			NextCursor string `json:"next_cursor"`
		}
		if err != nil || json.Unmarshal(got, &page) != nil || len(got) > tools.Budget {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		for _, c := range page.Calendars {
			seen = append(seen, c.ID)
		}
		if page.NextCursor == "" {
			break
		}
		cursor = `"cursor":"` + page.NextCursor + `"`
	}
	sorted := slices.Clone(seen)
	slices.Sort(sorted)
	if len(seen) != 300 || len(slices.Compact(sorted)) != 300 || seen[299] != "c2-99" {
		t.Errorf("%d calendars, %d of them different", len(seen), len(slices.Compact(sorted)))
	}
}

const wholeMask = "id,summary,start,end,location,status,transparency,recurringEventId,description,attendees(email,responseStatus,optional,self)," +
	"etag,organizer/email,recurrence,hangoutLink,htmlLink"

func TestGet(t *testing.T) {
	got, err := call(t, "calendar_get_event", `{"calendar":"team@group.calendar.google.com","event":"e1_20260131T110000Z"}`, func(w http.ResponseWriter, r *http.Request) {
		want := url.Values{"fields": {wholeMask}, "alt": {"json"}, "prettyPrint": {"false"}}
		if diff := cmp.Diff(want, r.URL.Query()); diff != "" || r.URL.Path != "/calendar/v3/calendars/team@group.calendar.google.com/events/e1_20260131T110000Z" {
			t.Errorf("%s: %s", r.URL, diff)
		}
		io.WriteString(w, `{"id":"e1","etag":"\"7\"","summary":"Lunch","recurrence":["RRULE:FREQ=DAILY"],"organizer":{"email":"a@example.com"},"hangoutLink":"https://meet.google.com/x",
			"start":{"dateTime":"2026-01-31T12:00:00+01:00","timeZone":"America/New_York"},"end":{"dateTime":"2026-01-31T13:00:00+01:00"}}`)
	})
	want := `{"time_zone":"America/New_York","id":"e1","summary":"Lunch","start":"2026-01-31T06:00:00-05:00","end":"2026-01-31T07:00:00-05:00","etag":"\"7\"",` +
		`"organizer":"a@example.com","recurrence":["RRULE:FREQ=DAILY"],"meet":"https://meet.google.com/x","untrusted":"` + tools.Untrusted + `"}`
	if diff := cmp.Diff(want, strings.Replace(string(got), `,"status":""`, "", 1)); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// An event that says no zone is shown in its calendar's; a day needs none.
func TestGetZone(t *testing.T) {
	for answer, want := range map[string]string{
		`{"id":"e1","start":{"dateTime":"2026-01-31T11:00:00Z"}}`: `{"time_zone":"Europe/Berlin","id":"e1","summary":"","start":"2026-01-31T12:00:00+01:00"`,
		`{"id":"e1","start":{"date":"2026-01-31"}}`:               `{"id":"e1","summary":"","start":"2026-01-31"`,
	} {
		got, err := call(t, "calendar_get_event", `{"event":"e1"}`, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/events") {
				berlin(t)(w, r)
				return
			}
			io.WriteString(w, answer)
		})
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("got %s, %v", got, err)
		}
	}
}

// Long notes and many guests are cut to the budget, and marked.
func TestGetBudget(t *testing.T) {
	guests := strings.TrimSuffix(strings.Repeat(`{"email":"`+strings.Repeat("g", 200)+`@example.com","responseStatus":"accepted"},`, 300), ",")
	for name, c := range map[string]struct{ body, want string }{
		"notes":  {`"description":"` + strings.Repeat(`\u003c`, 20_000) + `"`, `"description_truncated":true`},
		"guests": {`"attendees":[` + guests + `]`, `more"]`},
		"both":   {`"description":"` + strings.Repeat(`\u003c`, 20_000) + `","attendees":[` + guests + `]`, `"description_truncated":true`},
		"rules":  {`"recurrence":[` + strings.Repeat(`"EXDATE:`+strings.Repeat("2", 2000)+`",`, 200) + `"RDATE"]`, `"recurrence":["EXDATE:2`},
	} {
		got, err := call(t, "calendar_get_event", `{"event":"e1"}`, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"id":"e1","start":{"date":"2026-01-31"},`+c.body+`}`)
		})
		if err != nil || len(got) > tools.Budget || len(got) < 4000 || !strings.Contains(string(got), c.want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestInstances(t *testing.T) {
	got, err := call(t, "calendar_list_instances", `{"event":"e1","start":"2026-01-01T00:00:00Z","end":"2027-01-01T00:00:00Z"}`, func(w http.ResponseWriter, r *http.Request) {
		want := url.Values{
			"timeMin": {"2026-01-01T00:00:00Z"}, "timeMax": {"2027-01-01T00:00:00Z"}, "maxResults": {"25"},
			"fields": {"timeZone,nextPageToken,items(id,summary,start,end,status)"}, "alt": {"json"}, "prettyPrint": {"false"},
		}
		if diff := cmp.Diff(want, r.URL.Query()); diff != "" || r.URL.Path != "/calendar/v3/calendars/primary/events/e1/instances" {
			t.Errorf("%s: %s", r.URL, diff)
		}
		io.WriteString(w, `{"timeZone":"Europe/Berlin","items":[{"id":"e1_20260131T110000Z","summary":"Stand-up","status":"confirmed",
			"start":{"dateTime":"2026-01-31T12:00:00+01:00"},"end":{"dateTime":"2026-01-31T13:00:00+01:00"}}]}`)
	})
	want := `{"time_zone":"Europe/Berlin","instances":[{"id":"e1_20260131T110000Z","summary":"Stand-up","start":"2026-01-31T12:00:00+01:00","end":"2026-01-31T13:00:00+01:00"}],` +
		`"untrusted":"` + tools.Untrusted + `"}`
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for arguments, wrong := range map[string]string{
		`{"event":"e1","start":"2026-07-31T09:00:00"}`: `start "2026-07-31T09:00:00" has no time zone. The calendar's is Europe/Berlin`,
	} {
		result, err := call(t, "calendar_list_instances", arguments, berlin(t))
		if got := message(t, result, err); !strings.Contains(got, wrong) {
			t.Errorf("got %q", got)
		}
	}
}

// Nothing of this may reach Google.
func TestReadBadInput(t *testing.T) {
	for _, c := range []struct{ tool, arguments, want string }{
		{"calendar_context", `{"x":1}`, "not an argument"},
		{"calendar_list_calendars", `{"cursor":"?"}`, "cursor is not of this call"},
		{"calendar_get_event", `{}`, "event is missing"},
		{"calendar_get_event", `{"event":""}`, "is no event id"},
		{"calendar_get_event", `{"event":".."}`, "is no event id"},
		{"calendar_get_event", `{"event":"a/b"}`, "is no event id"},
		{"calendar_get_event", `{"event":"a","calendar":"a/b"}`, "is no calendar id"},
		{"calendar_list_instances", `{"event":"a%2f"}`, "is no event id"},
		{"calendar_list_instances", `{"event":"a","calendar":"../x"}`, "is no calendar id"},
		{"calendar_list_instances", `{"event":"a","start":"now"}`, "is not a time"},
		{"calendar_list_instances", `{"event":"a","start":"2026-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"}`, "is not after start"},
		{"calendar_list_instances", `{"event":"a","cursor":"?"}`, "cursor is not of this call"},
		{"calendar_free_busy", `{"start":"now"}`, "is not a time"},
		{"calendar_free_busy", `{"start":"2026-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"}`, "is not after start"},
		{"calendar_free_busy", `{"start":"2026-01-01T00:00:00Z","end":"2026-02-02T00:00:00Z"}`, "more than 31 days"},
		{"calendar_free_busy", `{"time_zone":"Mars"}`, "not an IANA zone"},
		{"calendar_free_busy", `{"cursor":"?"}`, "cursor is not of this call"},
		{"calendar_free_busy", `{"calendars":[` + strings.Repeat(`"a",`, 20) + `"a"]}`, "calendars must be a list of at most 20"},
		{"calendar_find_time", `{}`, "minutes is missing"},
		{"calendar_find_time", `{"minutes":4}`, "minutes must be"},
		{"calendar_find_time", `{"minutes":30,"day_start":"9"}`, `day_start "9" is no time of day`},
		{"calendar_find_time", `{"minutes":30,"day_end":"25:00"}`, `day_end "25:00" is no time of day`},
		{"calendar_find_time", `{"minutes":30,"day_start":"17:00","day_end":"09:00"}`, "30 minutes don't fit"},
		{"calendar_find_time", `{"minutes":500}`, "500 minutes don't fit"},
		{"calendar_find_time", `{"minutes":30,"days":["monday"]}`, "days[0] must be one of"},
		{"calendar_find_time", `{"minutes":30,"start":"2026-01-01T00:00:00Z","end":"2026-02-02T00:00:00Z"}`, "more than 31 days"},
		{"calendar_find_time", `{"minutes":30,"user":"bob"}`, "user is not an argument"},
	} {
		result, err := call(t, c.tool, c.arguments, func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%s%s: sent %s %s", c.tool, c.arguments, r.Method, r.URL)
		})
		if got := message(t, result, err); !strings.Contains(got, c.want) {
			t.Errorf("%s%s: got %q, want %q", c.tool, c.arguments, got, c.want)
		}
	}
}
