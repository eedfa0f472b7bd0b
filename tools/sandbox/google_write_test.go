package sandbox

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A diary is alice's primary calendar, at hand.
type diary struct {
	*world
	token string
}

func newDiary(t *testing.T) diary {
	w := newWorld(t)
	return diary{w, str(w.connectGoogle("alice"), "access_token")}
}

func (d diary) send(call, body string, headers ...string) reply {
	d.t.Helper()
	method, path, _ := strings.Cut(call, " ")
	d.clock.advance(time.Second)
	return d.do(method, d.google+"/calendar/v3/calendars/primary/events"+path, body, append(headers, "Authorization", "Bearer "+d.token)...)
}

func (d diary) must(call, body string, headers ...string) map[string]any {
	d.t.Helper()
	r := d.send(call, body, headers...)
	if r.status != 200 && r.status != 204 {
		d.t.Fatalf("%s %s: %d %s", call, body, r.status, r.text)
	}
	return r.json
}

// starts are when the instances of a series begin, and their titles.
func (d diary) starts(id, query string) (list []string) {
	d.t.Helper()
	for _, i := range d.must("GET /"+id+"/instances"+query, "")["items"].([]any) {
		item := i.(map[string]any)
		start := item["start"].(map[string]any)
		list = append(list, fmt.Sprint(start["dateTime"], " ", item["summary"], " ", item["status"]))
	}
	return list
}

const weekly = `{"id":"hikes","summary":"Walk","start":{"dateTime":"2026-03-09T09:00:00+01:00","timeZone":"Europe/Berlin"},
	"end":{"dateTime":"2026-03-09T10:00:00+01:00","timeZone":"Europe/Berlin"},"recurrence":["RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=4"]}`

func TestExceptions(t *testing.T) {
	d := newDiary(t)
	d.must("POST ", weekly)
	second, third := "/hikes_20260316T080000Z", "/hikes_20260323T080000Z"
	one := d.must("PATCH "+second, `{"summary":"Swim","start":{"dateTime":"2026-03-17T09:00:00+01:00"},"end":{"dateTime":"2026-03-17T10:00:00+01:00"}}`)
	if one["recurringEventId"] != "hikes" || one["recurrence"] != nil || one["originalStartTime"].(map[string]any)["dateTime"] != "2026-03-16T09:00:00+01:00" {
		t.Errorf("%v", one)
	}
	d.must("DELETE "+third, "")
	d.must("PATCH /hikes", `{"location":"Woods"}`)
	want := []string{"2026-03-09T09:00:00+01:00 Walk confirmed", "2026-03-17T09:00:00+01:00 Swim confirmed", "2026-03-30T09:00:00+02:00 Walk confirmed"}
	if diff := cmp.Diff(want, d.starts("hikes", "")); diff != "" {
		t.Error(diff)
	}
	if got := d.starts("hikes", "?showDeleted=true"); len(got) != 4 || !strings.HasSuffix(got[2], "cancelled") {
		t.Errorf("with deleted: %v", got)
	}
	if r := d.send("DELETE "+third, ""); r.status != 410 {
		t.Errorf("deleted twice: %d", r.status)
	}
	if r := d.send("PATCH "+second, `{"recurrence":["RRULE:FREQ=DAILY"]}`); r.status != 400 {
		t.Errorf("a series of one: %d", r.status)
	}
	if r := d.send("PATCH "+second, `{"summary":"x"}`, "If-Match", d.must("GET /hikes", "")["etag"].(string)); r.status != 412 {
		t.Errorf("an exception has the series' etag: %d", r.status)
	}
	d.must("PATCH /hikes", `{"recurrence":["RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20260316T075959Z"]}`)
	if got := d.starts("hikes", "?showDeleted=true"); len(got) != 1 {
		t.Errorf("cut short: %v", got)
	}
	if r := d.send("GET "+second, ""); r.status != 404 {
		t.Errorf("an exception outlives its place: %d", r.status)
	}
}

func TestRules(t *testing.T) {
	first := time.Date(2026, 1, 28, 9, 0, 0, 0, time.UTC) // a Wednesday
	for text, want := range map[string]string{
		"FREQ=DAILY;COUNT=3":                         "28.1 29.1 30.1",
		"FREQ=DAILY;INTERVAL=2;UNTIL=20260201":       "28.1 30.1 1.2",
		"FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4":            "28.1 2.2 4.2 9.2",
		"FREQ=WEEKLY;INTERVAL=2;BYDAY=FR;COUNT=3":    "28.1 30.1 13.2",
		"FREQ=MONTHLY;COUNT=3":                       "28.1 28.2 28.3",
		"FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3":         "28.1 31.1 31.3",
		"FREQ=MONTHLY;BYDAY=-1FR;COUNT=3":            "28.1 30.1 27.2",
		"FREQ=MONTHLY;BYDAY=2TU;COUNT=3":             "28.1 10.2 10.3",
		"FREQ=YEARLY;UNTIL=20280128T090000Z;WKST=MO": "28.1 28.1 28.1",
		"FREQ=HOURLY":                                "",
		"FREQ=DAILY;COUNT=2;UNTIL=20260201":          "",
		"FREQ=DAILY;FREQ=WEEKLY":                     "",
		"COUNT=3":                                    "",
		"FREQ=WEEKLY;BYDAY=XX":                       "",
	} {
		r, ok := parseRules([]string{"RRULE:" + text})
		var got []string
		if ok {
			for _, n := range r.days(first) {
				at := first.AddDate(0, 0, n)
				got = append(got, fmt.Sprintf("%d.%d", at.Day(), at.Month()))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
}

func TestGuests(t *testing.T) {
	d := newDiary(t)
	d.must("POST ?sendUpdates=all", `{"id":"feast","summary":"x","start":{"date":"2026-05-01"},"end":{"date":"2026-05-02"},"attendees":[{"email":"carol@outside.example"},{"email":"alice@sandbox.example"}]}`)
	d.must("PATCH /feast?sendUpdates=externalOnly", `{"attendees":[{"email":"bob@sandbox.example"}]}`)
	d.must("PATCH /feast?sendUpdates=none", `{"summary":"y"}`)
	meeting := "/" + d.find(AliceEmail, "Allotment association meeting")
	if r := d.send("PATCH "+meeting, `{"summary":"mine"}`); r.status != 403 || !strings.Contains(r.text, "forbiddenForNonOrganizer") {
		t.Errorf("a guest changes the title: %d", r.status)
	}
	got := d.must("PATCH "+meeting+"?sendUpdates=all", `{"attendeesOmitted":true,"attendees":[{"email":"alice@sandbox.example","responseStatus":"accepted"},{"email":"treasurer@allotments.example","responseStatus":"declined"}]}`)
	want := []any{
		map[string]any{"email": "chair@allotments.example", "responseStatus": "accepted", "organizer": true},
		map[string]any{"email": AliceEmail, "responseStatus": "accepted", "self": true},
		map[string]any{"email": "treasurer@allotments.example", "responseStatus": "needsAction"},
	}
	if diff := cmp.Diff(want, got["attendees"]); diff != "" {
		t.Error(diff)
	}
	d.must("DELETE /feast?sendUpdates=all", "")
	mails := []Mail{{"POST", "feast", []string{"carol@outside.example"}}, {"PATCH", "feast", []string{"carol@outside.example"}},
		{"PATCH", meeting[1:], []string{"chair@allotments.example"}}, {"DELETE", "feast", []string{BobEmail}}}
	if diff := cmp.Diff(mails, d.Mails()); diff != "" {
		t.Error(diff)
	}
}

func TestMeetAndQuickAdd(t *testing.T) {
	d := newDiary(t)
	const asked = `{"conferenceData":{"createRequest":{"requestId":"r1","conferenceSolutionKey":{"type":"hangoutsMeet"}}}}`
	design := "/" + d.find(AliceEmail, "Design review")
	if got := d.must("PATCH "+design, asked); got["hangoutLink"] != nil {
		t.Error("a conference without conferenceDataVersion")
	}
	link := d.must("PATCH "+design+"?conferenceDataVersion=1", asked)["hangoutLink"]
	if again := d.must("PATCH "+design+"?conferenceDataVersion=1", asked)["hangoutLink"]; link == nil || again != link {
		t.Errorf("%v, then %v", link, again)
	}
	if got := d.must("PATCH "+design+"?conferenceDataVersion=1", `{"conferenceData":null}`); got["hangoutLink"] != nil {
		t.Errorf("taken away: %v", got)
	}
	if r := d.send("PATCH "+design+"?conferenceDataVersion=1", `{"conferenceData":{"createRequest":{"requestId":"r2"}}}`); r.status != 400 {
		t.Errorf("no kind of conference: %d", r.status)
	}
	for text, want := range map[string]string{"Prune+roses+tomorrow+at+15:00": "2026-03-11T15:00:00+01:00", "Prune+roses+on+2026-07-01+3pm": "2026-07-01T15:00:00+02:00"} {
		got := d.must("POST /quickAdd?text="+text, "")
		if got["summary"] != "Prune roses" || got["start"].(map[string]any)["dateTime"] != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for call, body := range map[string]string{"POST /quickAdd": "", "POST /quickAdd?text=a": "{}", "POST /quickAdd?text=a&maxAttendees=1": "",
		"DELETE " + design + "?conferenceDataVersion=1": "", "PATCH " + design: `{"reminders":{"overrides":[{"method":"sms","minutes":1}]}}`} {
		if r := d.send(call, body); r.status != 400 {
			t.Errorf("%s: %d", call, r.status)
		}
	}
}
