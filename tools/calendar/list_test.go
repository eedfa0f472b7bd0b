package calendar_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/calendar"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

const (
	briefMask = "timeZone,nextPageToken,items(id,summary,start,end,location,status,transparency,recurringEventId,attendees(self,responseStatus))"
	fullMask  = "timeZone,nextPageToken,items(id,summary,start,end,location,status,transparency,recurringEventId,description,attendees(email,responseStatus,optional,self))"
)

func TestList(t *testing.T) {
	const arguments = `{"calendars":["en.usa#holiday@group.v.calendar.google.com"],"start":"2026-01-31","end":"2026-02-02T00:00:00Z","time_zone":"Europe/Berlin","query":"a&b=c","limit":2,"full":true}`
	got, err := call(t, "calendar_list_events", arguments,
		func(w http.ResponseWriter, r *http.Request) {
			want := url.Values{
				"timeMin": {"2026-01-31T00:00:00+01:00"}, "timeMax": {"2026-02-02T00:00:00Z"}, "q": {"a&b=c"}, "fields": {fullMask},
				"maxResults": {"2"}, "singleEvents": {"true"}, "orderBy": {"startTime"}, "alt": {"json"}, "prettyPrint": {"false"},
			}
			path := "/calendar/v3/calendars/en.usa%23holiday%40group.v.calendar.google.com/events"
			if diff := cmp.Diff(want, r.URL.Query()); diff != "" || r.URL.EscapedPath() != path || r.Header.Get("Authorization") != "" {
				t.Errorf("%s %s: %s", r.Method, r.URL.EscapedPath(), diff)
			}
			io.WriteString(w, `{"timeZone":"America/New_York","nextPageToken":"to~ken","items":[null,
				{"id":"e1","status":"confirmed","summary":"Lu\u202ench","location":"Here","description":"`+strings.Repeat("é", 400)+`","recurringEventId":"e0",
				 "start":{"dateTime":"2026-01-31T06:00:00-05:00","timeZone":"America/New_York"},"end":{"dateTime":"2026-01-31T07:00:00-05:00"},
				 "attendees":[{"email":"a@example.com","self":true,"responseStatus":"accepted"}`+strings.Repeat(`,{"email":"b@example.com","responseStatus":"declined"}`, 24)+`]},
				{"id":"e2","start":{"date":"2026-02-01"},"end":{"date":"2026-02-02"}}]}`)
		})
	if err != nil {
		t.Fatal(err)
	}
	next := cursor(t, "calendar_list_events", arguments, `{"f":"2026-01-31T00:00:00+01:00","u":"2026-02-02T00:00:00Z","z":"Europe/Berlin","p":[{"t":"to~ken"}]}`)
	want := `{"time_zone":"Europe/Berlin","events":[{"id":"e1","summary":"Lunch","start":"2026-01-31T12:00:00+01:00","end":"2026-01-31T13:00:00+01:00",` +
		`"location":"Here","my_response":"accepted","recurring_event_id":"e0","description":"` + strings.Repeat("é", 250) + `…","description_truncated":true,` +
		`"attendees":["a@example.com accepted, the user"` + strings.Repeat(`,"b@example.com declined"`, 19) + `,"and 5 more"]},` +
		`{"id":"e2","summary":"","start":"2026-02-01","end":"2026-02-02"}],"next_cursor":"` + next + `","untrusted":"` + tools.Untrusted + `"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestListDefaults(t *testing.T) {
	got, err := call(t, "calendar_list_events", ``, func(w http.ResponseWriter, r *http.Request) {
		want := url.Values{
			"timeMin": {"2027-01-15T08:00:00Z"}, "maxResults": {"25"}, "singleEvents": {"true"}, "orderBy": {"startTime"}, "fields": {briefMask},
			"alt": {"json"}, "prettyPrint": {"false"},
		}
		if diff := cmp.Diff(want, r.URL.Query()); diff != "" || r.URL.Path != "/calendar/v3/calendars/primary/events" {
			t.Errorf("%s: %s", r.URL, diff)
		}
		io.WriteString(w, `{"timeZone":"UTC"}`)
	})
	if want := `{"time_zone":"UTC","events":[],"untrusted":"` + tools.Untrusted + `"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

// With fields, an event has those and what says which it is; Google is asked for no more
// than that takes.
func TestListFields(t *testing.T) {
	const item = `{"id":"e1","summary":"S","location":"L","status":"confirmed","transparency":"transparent","description":"D","attendees":[{"email":"a@b","self":true,"responseStatus":"accepted"}]}`
	for arguments, want := range map[string][2]string{
		`{"fields":["location"]}`:               {briefMask, `"location":"L"`},
		`{"fields":["status"]}`:                 {briefMask, `"free":true,"my_response":"accepted"`},
		`{"fields":["description"]}`:            {fullMask, `"description":"D"`},
		`{"fields":["attendees"],"full":true}`:  {fullMask, `"attendees":["a@b accepted, the user"]`},
		`{"fields":["location"],"full":true}`:   {fullMask, `"location":"L"`},
		`{"fields":["location","description"]}`: {fullMask, `"location":"L","description":"D"`},
	} {
		got, err := call(t, "calendar_list_events", arguments, func(w http.ResponseWriter, r *http.Request) {
			if mask := r.URL.Query().Get("fields"); mask != want[0] {
				t.Errorf("%s asks for %s", arguments, mask)
			}
			io.WriteString(w, `{"timeZone":"UTC","items":[`+item+`]}`)
		})
		if event := `"events":[{"id":"e1","summary":"S","start":"","end":"",` + want[1] + `}]`; err != nil || !strings.Contains(string(got), event) {
			t.Errorf("%s: got %s, %v", arguments, got, err)
		}
	}
}

// The next page has the first one's start and zone, although the clock went on.
func TestListCursor(t *testing.T) {
	for state, want := range map[string]string{
		`{"f":"2027-01-15T07:00:00Z","z":"Asia/Tokyo","p":[{"t":"token"}]}`: `{"time_zone":"Asia/Tokyo","events":[{"id":"e1","summary":"","start":"2027-01-16T09:00:00+09:00","end":""},{"id":"e2"`,
		`{"f":"2027-01-15T07:00:00Z","p":[{"t":"token","s":1}]}`:            `{"time_zone":"UTC","events":[{"id":"e2"`,
		`{"f":"2027-01-15T07:00:00Z","p":[{"t":"token","s":9}]}`:            `{"time_zone":"UTC","events":[]`,
	} {
		got, err := call(t, "calendar_list_events", `{"cursor":"`+cursor(t, "calendar_list_events", `{}`, state)+`"}`, func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); q.Get("timeMin") != "2027-01-15T07:00:00Z" || q.Get("pageToken") != "token" {
				t.Errorf("got %s", r.URL)
			}
			io.WriteString(w, `{"timeZone":"UTC","items":[{"id":"e1","start":{"dateTime":"2027-01-16T00:00:00Z"}},{"id":"e2"}]}`)
		})
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%s: got %s, %v", state, got, err)
		}
	}
}

// a made-up Google with some calendars: each event's id says when it begins.
type google struct {
	zones    map[string]string
	starts   map[string][]string // by calendar, in order
	summary  string
	empty    int // empty pages before each full one
	requests int
}

func (g *google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.requests++
	id, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/calendar/v3/calendars/"), "/")
	starts, ok := g.starts[id]
	if !ok {
		w.WriteHeader(404)
		io.WriteString(w, googleError(404, "notFound", "Not Found"))
		return
	}
	size, _ := strconv.Atoi(r.URL.Query().Get("maxResults"))
	from, empty := 0, 0
	fmt.Sscanf(r.URL.Query().Get("pageToken"), "%d-%d", &from, &empty)
	answer := map[string]any{"timeZone": g.zones[id]}
	if empty < g.empty {
		answer["nextPageToken"] = fmt.Sprintf("%d-%d", from, empty+1)
		_ = json.NewEncoder(w).Encode(answer)
		return
	}
	items := []any{}
	for _, start := range starts[from:min(from+size, len(starts))] {
		at := map[string]string{"dateTime": start}
		if len(start) == len(time.DateOnly) {
			at = map[string]string{"date": start}
		}
		items = append(items, map[string]any{"id": id + "_" + start, "summary": g.summary, "start": at, "end": at})
	}
	if answer["items"] = items; from+size < len(starts) {
		answer["nextPageToken"] = fmt.Sprintf("%d-0", from+size)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// Google's own ids have signs that mean something in a URL.
func TestListKnowsGooglesIDs(t *testing.T) {
	for _, id := range []string{
		"#contacts@group.v.calendar.google.com", "en.usa#holiday@group.v.calendar.google.com", "pat.o'brien+work@example.com", "e_2_en#weeknum@group.v.calendar.google.com",
	} {
		bench := tooltest.At(t, calendar.Module(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if want := "/calendar/v3/calendars/" + id + "/events"; r.URL.Path != want {
				t.Errorf("asked for %s, want %s", r.URL.Path, want)
			}
			io.WriteString(w, `{"timeZone":"UTC"}`)
		}))
		if _, err := bench.Call(t, "calendar_list_events", `{"calendars":["`+id+`"]}`); err != nil {
			t.Error(err)
		}
	}
}

// listed is a page of calendar_list_events.
type listed struct {
	TimeZone   string `json:"time_zone"`
	Events     []struct{ Calendar, ID, Start string }
	NextCursor string `json:"next_cursor"`
}

// pages reads calendar_list_events until the end.
func (g *google) pages(t *testing.T, arguments string, each func(size int, page listed)) {
	t.Helper()
	bench, cursor := tooltest.At(t, calendar.Module(), g), ""
	for range 400 {
		got, err := bench.Call(t, "calendar_list_events", `{`+arguments+cursor+`}`)
		var page listed
		if err != nil || json.Unmarshal(got, &page) != nil {
			t.Fatalf("got %s, %v", got, err)
		}
		if each(len(got), page); page.NextCursor == "" {
			return
		}
		cursor = `,"cursor":"` + page.NextCursor + `"`
	}
	t.Fatal("no end")
}

// Pages of any size, over calendars with pages of their own, give each event once and
// all in order of time, although the zones differ and some days have no time.
func TestListMerges(t *testing.T) {
	g := &google{
		zones: map[string]string{"a": "Europe/Berlin", "b": "Pacific/Auckland", "c": "UTC", "d": "UTC"},
		starts: map[string][]string{
			// A day begins at midnight in its calendar's zone: in Auckland eleven hours before Greenwich.
			"a": {"2026-10-24T23:30:00+02:00", "2026-10-25", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T00:00:00+01:00"},
			"b": {"2026-10-25", "2026-10-25T12:30:00+13:00", "2026-10-25T13:45:00+13:00"},
			"c": {"2026-10-24T22:15:00Z", "2026-10-25", "2026-10-25T01:00:00Z"},
			"d": {},
		},
	}
	want := []string{
		"b_2026-10-25", "a_2026-10-24T23:30:00+02:00", "a_2026-10-25", "c_2026-10-24T22:15:00Z", "b_2026-10-25T12:30:00+13:00",
		"c_2026-10-25", "a_2026-10-25T02:30:00+02:00", "b_2026-10-25T13:45:00+13:00", "c_2026-10-25T01:00:00Z",
		"a_2026-10-25T02:30:00+01:00", "a_2026-10-26T00:00:00+01:00",
	}
	for empty := range 3 {
		for limit := 1; limit <= len(want)+1; limit++ {
			g.empty = empty
			var ids []string
			g.pages(t, fmt.Sprintf(`"calendars":["a","b","c","d","b"],"start":"2026-10-01T00:00:00Z","limit":%d`, limit), func(_ int, page listed) {
				if page.TimeZone != "Europe/Berlin" || len(page.Events) > limit {
					t.Errorf("got %+v", page)
				}
				for _, e := range page.Events {
					if ids = append(ids, e.ID); e.Calendar != e.ID[:1] || strings.Contains(e.Start, "T") && !strings.Contains(e.Start, "+0") {
						t.Errorf("got %+v", e)
					}
				}
			})
			if diff := cmp.Diff(want, ids); diff != "" {
				t.Errorf("by %d: %s", limit, diff)
			}
		}
	}
}

// A result stays within the budget, and what is cut comes on the next page.
func TestListBudget(t *testing.T) {
	g := &google{starts: map[string][]string{}, summary: strings.Repeat("<", 300)}
	var want []string
	for i := range 10 {
		id := string(rune('a' + i))
		for n := range 30 {
			g.starts[id] = append(g.starts[id], fmt.Sprintf("2026-01-%02dT%02d:00:00Z", n+1, i))
		}
		want = append(want, g.starts[id]...)
	}
	slices.Sort(want)
	var got []string
	pages := 0
	g.pages(t, `"calendars":["a","b","c","d","e","f","g","h","i","j"],"start":"2026-01-01T00:00:00Z","limit":100`, func(size int, page listed) {
		if pages++; size > tools.Budget || page.NextCursor != "" && size < tools.Budget/2 {
			t.Errorf("a result of %d bytes", size)
		}
		for _, e := range page.Events {
			got = append(got, e.Start)
		}
	})
	if diff := cmp.Diff(want, got); diff != "" || pages < 10 {
		t.Errorf("%d pages: %s", pages, diff)
	}
}

// A Google that only sends empty pages ends no call's time, and the cursor goes on.
func TestListBoundsRequests(t *testing.T) {
	g := &google{starts: map[string][]string{"a": {"2026-01-01T00:00:00Z"}, "b": {"2026-01-02T00:00:00Z"}}, empty: 50}
	var ids []string
	g.pages(t, `"calendars":["a","b"],"start":"2026-01-01T00:00:00Z"`, func(_ int, page listed) {
		if g.requests > 40 {
			t.Errorf("%d requests for one answer", g.requests)
		}
		g.requests = 0
		for _, e := range page.Events {
			ids = append(ids, e.ID)
		}
	})
	if want := []string{"a_2026-01-01T00:00:00Z", "b_2026-01-02T00:00:00Z"}; !slices.Equal(ids, want) {
		t.Errorf("got %v", ids)
	}
}

// One calendar that can't be read is named, and nothing is shown as if it were all.
func TestListNamesTheCalendar(t *testing.T) {
	g := &google{starts: map[string][]string{"a": {"2026-01-01T00:00:00Z"}}}
	result, err := call(t, "calendar_list_events", `{"calendars":["a","nobody@example.com"]}`, g.ServeHTTP)
	if got := message(t, result, err); !strings.Contains(got, `no calendar "nobody@example.com", or the connected account doesn't see it`) {
		t.Errorf("got %q", got)
	}
}

func TestListProgress(t *testing.T) {
	g := &google{starts: map[string][]string{"a": {}, "b": {}, "c": {}, "d": {}, "e": {}}}
	for arguments, want := range map[string]int{`{"calendars":["a","b","c"]}`: 0, `{"calendars":["a","b","c","d","e"]}`: 5} {
		heard := 0
		bench := tooltest.At(t, calendar.Module(), g)
		bench.Facts.Progress = func(done, total float64, text string) {
			if heard++; int(done) != heard || total != 5 || !strings.HasPrefix(text, "Reading ") {
				t.Errorf("%v of %v: %s", done, total, text)
			}
		}
		_, err := bench.Call(t, "calendar_list_events", arguments)
		if err != nil || heard != want {
			t.Errorf("%s: heard %d times, %v", arguments, heard, err)
		}
	}
}

func TestListCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	sent := 0
	bench := tooltest.At(t, calendar.Module(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sent++
		cancel()
		<-r.Context().Done() // the cancellation reached Google
	}))
	_, err := bench.CallContext(ctx, t, "calendar_list_events", `{"calendars":["a","b","c"]}`)
	if !errors.Is(err, context.Canceled) || sent != 1 {
		t.Errorf("%d requests, %v", sent, err)
	}
}

// Nothing of this may reach Google.
func TestListBadInput(t *testing.T) {
	list := func(n int) string { return `{"calendars":[` + strings.Repeat(`"a",`, n-1) + `"a"]}` }
	sealed := func(state string) string {
		return `{"cursor":"` + cursor(t, "calendar_list_events", `{}`, state) + `"}`
	}
	for arguments, want := range map[string]string{
		`{"calendars":["../../users/me"]}`: "is no calendar id", `{"calendars":[".."]}`: "is no calendar id", `{"calendars":["a/b"]}`: "is no calendar id",
		`{"calendars":["a%2Fb"]}`: "is no calendar id", `{"calendars":["a?b"]}`: "is no calendar id", `{"calendars":["a","-b"]}`: "is no calendar id",
		`{"calendars":[""]}`: "is no calendar id", `{"calendars":["` + strings.Repeat("a", 1025) + `"]}`: "is no calendar id", `{"calendars":["a b"]}`: "is no calendar id",
		list(11):               "calendars must be a list of at most 10",
		`{"start":"tomorrow"}`: `start "tomorrow" is not a time`, `{"start":"2026-02-30T00:00:00Z"}`: "is not a time",
		`{"start":"2026-01-31T09:00:00Z","end":"2026-01-31T09:00:00Z"}`:         "is not after start",
		`{"start":"2026-01-31","end":"2026-01-31","time_zone":"Europe/Berlin"}`: "the end of a day is the date of the next",
		`{"end":"2020-01-31T09:00:00Z"}`:                                        "Without a start, it is now",
		`{"time_zone":"CET+1"}`:                                                 "not an IANA zone",
		`{"time_zone":"Local"}`:                                                 "not an IANA zone",
		`{"time_zone":"../../etc/passwd"}`:                                      "not an IANA zone",
		`{"limit":101}`:                                                         "limit must be",
		`{"cursor":"?"}`:                                                        "cursor is not of this call",
		sealed(`{"f":"2026-01-31T09:00:00Z","p":[]}`):                           "cursor is not of this call",
		sealed(`{"f":"2026-01-31T09:00:00Z","p":[{},{}]}`):                      "cursor is not of this call",
		`{"email":"bob@example.com"}`:                                           "email is not an argument",
		`{"Calendars":["bob@example.com"]}`:                                     "Calendars is not an argument",
		`{"limit":1,"limit":2}`:                                                 "twice",
	} {
		result, err := call(t, "calendar_list_events", arguments, func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%.80s: sent %s %s", arguments, r.Method, r.URL)
		})
		if got := message(t, result, err); !strings.Contains(got, want) {
			t.Errorf("%.80s: got %q, want %q", arguments, got, want)
		}
	}
}

// A date-time without a zone is refused, and the zone that is probably meant is named;
// a date is one of the calendar's days.
func TestListWithoutZone(t *testing.T) {
	for arguments, want := range map[string]string{
		`{"start":"2026-07-31T09:00:00"}`: `start "2026-07-31T09:00:00" has no time zone. The calendar's is Europe/Berlin: if that is meant, give time_zone Europe/Berlin or write 2026-07-31T09:00:00+02:00.`,
		`{"end":"2026-01-31T10:00:00"}`:   `end "2026-01-31T10:00:00" has no time zone.`,
	} {
		result, err := call(t, "calendar_list_events", arguments, berlin(t))
		if got := message(t, result, err); !strings.Contains(got, want) {
			t.Errorf("%s: got %q", arguments, got)
		}
	}
	var asked []string
	got, err := call(t, "calendar_list_events", `{"start":"2026-07-31","end":"2026-08-01","calendars":["a"]}`, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("timeMin")+" "+r.URL.Query().Get("timeMax"))
		io.WriteString(w, `{"timeZone":"Europe/Berlin"}`)
	})
	if want := []string{" ", "2026-07-31T00:00:00+02:00 2026-08-01T00:00:00+02:00"}; err != nil || !slices.Equal(asked, want) {
		t.Errorf("asked %q, got %s, %v", asked, got, err)
	}
}
