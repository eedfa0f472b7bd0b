package calendar_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/calendar"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

func TestCreate(t *testing.T) {
	const made = `{"id":"e1","summary":"Lunch","start":{"dateTime":"2026-01-31T09:00:00+01:00","timeZone":"Europe/Berlin"},"end":{"dateTime":"2026-01-31T10:00:00+01:00"},"etag":"\"1\"","htmlLink":"https://calendar.google.com/e1"}`
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
			`{"calendar":"team@group.calendar.google.com","summary":"Lunch","start":"2026-01-31T09:00:00","end":"2026-01-31T10:00:00","time_zone":"Europe/Berlin",` +
				`"location":"Here","description":"<b>","attendees":["b@example.com"],"recurrence":["RRULE:FREQ=DAILY;COUNT=3"],"reminders":["popup 0","email 60"],"visibility":"private","send_updates":"externalOnly"}`,
			"/calendar/v3/calendars/team%40group.calendar.google.com/events", "externalOnly",
			`{"attendees":[{"email":"b@example.com"}],"description":"\u003cb\u003e","end":{"dateTime":"2026-01-31T10:00:00","timeZone":"Europe/Berlin"},"location":"Here","recurrence":["RRULE:FREQ=DAILY;COUNT=3"],` +
				`"reminders":{"overrides":[{"method":"popup","minutes":0},{"method":"email","minutes":60}],"useDefault":false},"start":{"dateTime":"2026-01-31T09:00:00","timeZone":"Europe/Berlin"},"summary":"Lunch","visibility":"private"}`,
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
			want := `{"id":"e1","url":"https://calendar.google.com/e1","etag":"\"1\"","start":"2026-01-31T09:00:00+01:00","end":"2026-01-31T10:00:00+01:00","time_zone":"Europe/Berlin"}`
			if err != nil || string(got) != want {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

// Nothing of this may reach Google.
func TestCreateBadInput(t *testing.T) {
	many := strings.Repeat(`"a@b",`, 100) + `"a@b"`
	for arguments, want := range map[string]string{
		`{}`:                            "summary is missing",
		`{"summary":" ",` + times + `}`: "summary is empty",
		`{"summary":"a"}`:               "start is missing",
		`{"summary":"a","start":"2026-01-31T09:00Z","end":"2026-01-31T10:00:00Z"}`:                                "is not a time",
		`{"summary":"a","start":"2026-01-31","end":"2026-01-31T10:00:00Z"}`:                                       "both be dates",
		`{"summary":"a","start":"2026-01-31","end":"2026-01-31"}`:                                                 "the day after the last one: 2026-02-01 or later",
		`{"summary":"a","start":"2026-01-31T10:00:00Z","end":"2026-01-31T10:30:00+01:00"}`:                        "is not after start",
		`{"summary":"a",` + times + `,"time_zone":"Mars"}`:                                                        "not an IANA zone",
		`{"summary":"a",` + times + `,"calendar":"a/b"}`:                                                          "is no calendar id",
		`{"summary":"a",` + times + `,"attendees":["bob"]}`:                                                       `attendees: "bob" is no e-mail address`,
		`{"summary":"a",` + times + `,"attendees":["Bob <bob@example.com>"]}`:                                     "is no e-mail address",
		`{"summary":"a",` + times + `,"attendees":["a@b.example, c@d.example"]}`:                                  "is no e-mail address",
		`{"summary":"a",` + times + `,"attendees":[` + many + `]}`:                                                "more than 100",
		`{"summary":"a",` + times + `,"recurrence":["FREQ=DAILY"]}`:                                               "is no line of RFC 5545",
		`{"summary":"a",` + times + `,"recurrence":["DTSTART:20260131T090000Z"]}`:                                 "start and end are arguments",
		`{"summary":"a",` + times + `,"recurrence":["RRULE:FREQ=DAILY\nX:y"]}`:                                    "is no line of RFC 5545",
		`{"summary":"a",` + times + `,"reminders":["10"]}`:                                                        `Write "popup 10"`,
		`{"summary":"a",` + times + `,"reminders":["sms 10"]}`:                                                    `Write "popup 10"`,
		`{"summary":"a",` + times + `,"reminders":["popup 40321"]}`:                                               "up to 40320",
		`{"summary":"a",` + times + `,"reminders":["popup 1","popup 2","popup 3","popup 4","popup 5","popup 6"]}`: "at most 5",
		`{"summary":"a",` + times + `,"visibility":"secret"}`:                                                     "visibility must be",
		`{"summary":"a",` + times + `,"send_updates":"everyone"}`:                                                 "send_updates must be",
		`{"summary":"a",` + times + `,"idempotency_key":"a b"}`:                                                   "idempotency_key must be",
		`{"summary":"a",` + times + `,"organizer":"bob@example.com"}`:                                             "organizer is not an argument",
	} {
		result, err := call(t, "calendar_create_event", arguments, func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%s: sent %s %s", arguments, r.Method, r.URL)
		})
		if got := message(t, result, err); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", arguments, got, want)
		}
	}
}

// What needs a zone and has none is refused, and the zone that is probably meant is
// named.
func TestCreateWithoutZone(t *testing.T) {
	for arguments, want := range map[string]string{
		`{"summary":"a","start":"2026-07-31T09:00:00","end":"2026-07-31T10:00:00"}`:  `start "2026-07-31T09:00:00" has no time zone. The calendar's is Europe/Berlin: if that is meant, give time_zone Europe/Berlin or write 2026-07-31T09:00:00+02:00.`,
		`{"summary":"a","start":"2026-01-31T09:00:00Z","end":"2026-01-31T10:00:00"}`: `end "2026-01-31T10:00:00" has no time zone.`,
		`{"summary":"a",` + times + `,"recurrence":["RRULE:FREQ=DAILY"]}`:            "A repeating event needs time_zone, so that it keeps its hour when clocks change. The calendar's is Europe/Berlin.",
	} {
		result, err := call(t, "calendar_create_event", arguments, berlin(t))
		if got := message(t, result, err); !strings.Contains(got, want) {
			t.Errorf("%s: got %q", arguments, got)
		}
	}
}

func TestCreateAtTheSandbox(t *testing.T) {
	d := newDiary(t)
	made := d.must("calendar_create_event", `{"summary":"Prune","start":"2026-03-27T09:00:00","end":"2026-03-27T10:00:00","time_zone":"Europe/Berlin","recurrence":["RRULE:FREQ=WEEKLY;COUNT=2"],
		"attendees":["carol@outside.example"],"meet":true,"reminders":[],"visibility":"private","send_updates":"all"}`)
	id := made["id"].(string)
	if link, _ := made["meet"].(string); !strings.HasPrefix(link, "https://meet.google.com/") || made["time_zone"] != "Europe/Berlin" || made["etag"] != d.event(id)["etag"] {
		t.Errorf("%v", made)
	}
	if diff := cmp.Diff([]string{"2026-03-27T09:00:00+01:00 Prune", "2026-04-03T09:00:00+02:00 Prune"}, d.occurrences(id)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]sandbox.Mail{{Method: "POST", Event: id, To: []string{"carol@outside.example"}}}, d.world.Mails()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"useDefault": false, "overrides": []any{}}, d.event(id)["reminders"]); diff != "" || d.event(id)["visibility"] != "private" {
		t.Error(diff)
	}
	day := d.must("calendar_create_event", `{"summary":"Fair","start":"2026-05-01","end":"2026-05-03"}`)
	if day["start"] != "2026-05-01" || day["end"] != "2026-05-03" || day["time_zone"] != nil || len(d.world.Mails()) != 1 {
		t.Errorf("%v", day)
	}
}

// A repeated key is one event, however the first try ended; for other content it is
// refused.
func TestCreateOnce(t *testing.T) {
	d := newDiary(t)
	const once = `{"summary":"Prune","start":"2026-05-01","end":"2026-05-02","meet":true,"idempotency_key":"try-1"`
	made := d.must("calendar_create_event", once+`}`)
	id := made["id"].(string)
	d.api("PATCH", "/"+id, `{"summary":"Prune the quince","start":{"date":"2026-05-02"},"end":{"date":"2026-05-03"}}`)
	again := d.must("calendar_create_event", once+`}`)
	if made["existed"] != nil || again["existed"] != true || again["id"] != id || again["start"] != "2026-05-02" || again["meet"] != made["meet"] {
		t.Errorf("%v, then %v", made, again)
	}
	if other := d.must("calendar_create_event", strings.Replace(once, "try-1", "try-2", 1)+`}`); other["id"] == id {
		t.Error("two keys made one event")
	}
	d.refused("calendar_create_event", once+`,"location":"Elsewhere"}`, `made another event before: "Prune the quince" at 2026-05-02, id `+id)
	d.api("DELETE", "/"+id, "")
	d.refused("calendar_create_event", once+`}`, "was deleted since. Use a new key")

	lost := `{"summary":"Lost","start":"2026-06-01","end":"2026-06-02","idempotency_key":"try-3"}`
	d.before = func(r *http.Request) int { return 503 }
	d.refused("calendar_create_event", lost, "outcome is unknown", "same arguments and idempotency_key")
	d.before = nil
	d.must("calendar_create_event", lost)
	if again := d.must("calendar_create_event", lost); again["existed"] != true {
		t.Errorf("%v", again)
	}
}

// A key is its account's own: another's, in a calendar that both write to, is another
// event.
func TestCreateKeyOfAnAccount(t *testing.T) {
	ids := map[string]bool{}
	for _, account := range []string{"alice@example.com", "bob@example.com", "alice@example.com"} {
		bench := tooltest.At(t, calendar.Module(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var sent struct{ ID string }
			if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || len(sent.ID) < 20 || strings.Trim(sent.ID, "0123456789abcdefghijklmnopqrstuv") != "" {
				t.Errorf("id %q, %v", sent.ID, err)
			}
			ids[sent.ID] = true
			io.WriteString(w, oneOfMine)
		}))
		bench.Facts.Connection = func() (tools.Connection, error) { return tools.Connection{Account: account}, nil }
		if _, err := bench.Call(t, "calendar_create_event", `{"summary":"a",`+times+`,"idempotency_key":"k"}`); err != nil {
			t.Error(err)
		}
	}
	if len(ids) != 2 {
		t.Errorf("got %v", ids)
	}
}

func TestQuickAdd(t *testing.T) {
	d := newDiary(t)
	made := d.must("calendar_quick_add", `{"text":"Dentist tomorrow at 15:30","idempotency_key":"k"}`)
	if made["summary"] != "Dentist" || made["start"] != "2026-03-11T15:30:00+01:00" || made["time_zone"] != "Europe/Berlin" || made["etag"] == nil {
		t.Errorf("%v", made)
	}
	d.refused("calendar_quick_add", `{"text":"x","calendar":"`+sandbox.BobEmail+`"}`, "doesn't see it")
	d.refused("calendar_quick_add", `{"text":"  "}`, "must be a sentence")
	d.refused("calendar_quick_add", `{"text":"`+strings.Repeat("x", 1001)+`"}`, "at most 1000")
}
