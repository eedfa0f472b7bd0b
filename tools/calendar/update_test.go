package calendar_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

// lunch is one event with guests.
func (d *diary) lunch() {
	d.t.Helper()
	d.api("POST", "", `{"id":"lunch","summary":"Lunch","location":"Here","description":"Bring cake","start":{"dateTime":"2026-03-27T12:00:00+01:00","timeZone":"Europe/Berlin"},
		"end":{"dateTime":"2026-03-27T13:00:00+01:00","timeZone":"Europe/Berlin"},"attendees":[{"email":"carol@outside.example","responseStatus":"accepted"},{"email":"dan@outside.example"}]}`)
}

// Only what is given changes.
func TestUpdate(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		want   map[string]any // fields that differ from before, as Google has them
		says   string         // changed
	}{
		"title":                     {`"summary":"Feast"`, map[string]any{"summary": "Feast"}, "summary"},
		"no place":                  {`"location":"","description":""`, map[string]any{"location": "", "description": ""}, "location description"},
		"start alone":               {`"start":"2026-03-28T12:30:00+01:00"`, moved("2026-03-28T12:30:00+01:00", "2026-03-28T13:30:00+01:00"), "start end"},
		"end alone":                 {`"end":"2026-03-27T15:00:00+01:00"`, moved("2026-03-27T12:00:00+01:00", "2026-03-27T15:00:00+01:00"), "end"},
		"over the change of clocks": {`"start":"2026-03-29T12:00:00","time_zone":"Europe/Berlin"`, moved("2026-03-29T12:00:00+02:00", "2026-03-29T13:00:00+02:00"), "start end"},
		"whole days":                {`"start":"2026-03-28","end":"2026-03-30"`, map[string]any{"start": map[string]any{"date": "2026-03-28"}, "end": map[string]any{"date": "2026-03-30"}}, "start end"},
		"reminders":                 {`"reminders":["email 60"]`, map[string]any{"reminders": map[string]any{"useDefault": false, "overrides": []any{map[string]any{"method": "email", "minutes": 60.0}}}}, "reminders"},
		"visibility":                {`"visibility":"private"`, map[string]any{"visibility": "private"}, "visibility"},
		"guests": {`"add_attendees":["eve@outside.example","CAROL@outside.example"],"remove_attendees":["Dan@outside.example"]`,
			map[string]any{"attendees": []any{map[string]any{"email": "carol@outside.example", "responseStatus": "accepted"}, map[string]any{"email": "eve@outside.example", "responseStatus": "needsAction"}}}, "attendees"},
		"repeating": {`"recurrence":["RRULE:FREQ=DAILY;COUNT=2"]`, map[string]any{"recurrence": []any{"RRULE:FREQ=DAILY;COUNT=2"}}, "recurrence"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDiary(t)
			d.lunch()
			before := d.event("lunch")
			got := d.must("calendar_update_event", `{"event":"lunch",`+c.change+`}`)
			if says := strings.Trim(fmt.Sprint(got["changed"]), "[]"); says != c.says || got["id"] != "lunch" {
				t.Errorf("%v", got)
			}
			after := d.event("lunch")
			if got["etag"] != after["etag"] || got["etag"] == before["etag"] {
				t.Errorf("etag %v, was %v, is %v", got["etag"], before["etag"], after["etag"])
			}
			for _, name := range []string{"etag", "updated", "sequence"} {
				before[name] = after[name]
			}
			for name, value := range c.want {
				before[name] = value
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Error(diff)
			}
			if len(d.world.Mails()) != 0 {
				t.Errorf("mailed %v", d.world.Mails())
			}
		})
	}
}

func moved(start, end string) map[string]any {
	return map[string]any{"start": map[string]any{"dateTime": start, "timeZone": "Europe/Berlin"}, "end": map[string]any{"dateTime": end, "timeZone": "Europe/Berlin"}}
}

func TestUpdateMeetAndMail(t *testing.T) {
	d := newDiary(t)
	d.lunch()
	link, _ := d.must("calendar_update_event", `{"event":"lunch","meet":true,"send_updates":"all"}`)["meet"].(string)
	if again := d.must("calendar_update_event", `{"event":"lunch","meet":true}`)["meet"]; again != link || !strings.HasPrefix(link, "https://meet.google.com/") {
		t.Errorf("%s, then %v", link, again)
	}
	d.must("calendar_update_event", `{"event":"lunch","summary":"x"}`)
	if d.event("lunch")["hangoutLink"] != link {
		t.Error("the conference went with a change of something else")
	}
	d.must("calendar_update_event", `{"event":"lunch","meet":false,"remove_attendees":["dan@outside.example"],"send_updates":"externalOnly"}`)
	if d.event("lunch")["hangoutLink"] != nil {
		t.Error("the conference stays")
	}
	both := []string{"carol@outside.example", "dan@outside.example"}
	if diff := cmp.Diff([]sandbox.Mail{{Method: "PATCH", Event: "lunch", To: both}, {Method: "PATCH", Event: "lunch", To: both}}, d.world.Mails()); diff != "" {
		t.Error(diff)
	}
}

func TestUpdateRefusals(t *testing.T) {
	d := newDiary(t)
	d.lunch()
	d.walks()
	d.api("POST", "", `{"id":"gone0","summary":"x","start":{"date":"2026-03-27"},"end":{"date":"2026-03-28"}}`)
	d.api("DELETE", "/gone0", "")
	invited := d.invitation()
	for arguments, want := range map[string]string{
		`{"event":"lunch"}`:                                                                  "Nothing to change was given",
		`{"event":"a/b","summary":"x"}`:                                                      "is no event id",
		`{"event":"nothing","summary":"x"}`:                                                  `no event "nothing"`,
		`{"event":"gone0","summary":"x"}`:                                                    `"gone0" was deleted`,
		`{"event":"lunch","calendar":"` + sandbox.BobEmail + `","summary":"x"}`:              "doesn't see it",
		`{"event":"lunch","time_zone":"UTC","summary":"x"}`:                                  "give them too",
		`{"event":"lunch","start":"2026-03-27T12:00:00"}`:                                    "The calendar's is Europe/Berlin",
		`{"event":"lunch","start":"2026-03-27"}`:                                             "Give end too",
		`{"event":"lunch","end":"2026-03-27T11:00:00+01:00"}`:                                "is not after start",
		`{"event":"lunch","remove_attendees":["eve@outside.example"]}`:                       `"eve@outside.example" is not invited`,
		`{"event":"lunch","add_attendees":["eve"]}`:                                          "add_attendees: \"eve\" is no e-mail",
		`{"event":"lunch","recurrence":[]}`:                                                  "recurrence is empty",
		`{"event":"lunch","recurrence":["RRULE:FREQ=NEVER"]}`:                                "Google Calendar refuses (status 400): Invalid recurrence rule",
		`{"event":"hikes","summary":"x"}`:                                                    "is a whole series. Give scope all",
		`{"event":"hikes","summary":"x","scope":"following"}`:                                "is a whole series",
		`{"event":"` + second + `","recurrence":["RRULE:FREQ=DAILY"]}`:                       "give scope following or all",
		`{"event":"` + second + `","scope":"all","start":"2026-03-24T09:00:00+01:00"}`:       "start is on another day. Give recurrence too",
		`{"event":"` + second + `","scope":"following","start":"2026-03-24T09:00:00+01:00"}`: "start is on another day",
		`{"event":"` + second + `","scope":"all","start":"2026-03-23","end":"2026-03-24"}`:   "changed by its own id",
		`{"event":"` + invited + `","summary":"Mine"}`:                                       "Only its organizer may change",
	} {
		d.refused("calendar_update_event", arguments, want)
	}
	if got := d.occurrences("hikes"); len(got) != 4 || d.event("lunch")["sequence"] != 0.0 {
		t.Errorf("something was written: %v %v", got, d.event("lunch"))
	}
}

// An event that isn't what it was is left alone, whether the caller's etag is old or
// somebody was faster in the meantime.
func TestConflict(t *testing.T) {
	d := newDiary(t)
	d.lunch()
	old := d.event("lunch")["etag"].(string)
	d.api("PATCH", "/lunch", `{"summary":"Dinner\u202e"}`)
	now := d.event("lunch")["etag"].(string)
	quoted := strings.ReplaceAll(old, `"`, `\"`)
	d.refused("calendar_update_event", `{"event":"lunch","etag":"`+quoted+`","summary":"Supper"}`, "nothing was written", `summary "Dinner"`, "etag "+now)
	d.refused("calendar_delete_event", `{"event":"lunch","summary":"Lunch","etag":"`+quoted+`"}`, `summary "Dinner"`, `start "2026-03-27T12:00:00+01:00"`, "etag "+now)
	d.must("calendar_update_event", `{"event":"lunch","etag":`+strings.ReplaceAll(fmt.Sprintf("%q", now), "", "")+`,"summary":"Supper"}`)

	for name, tool := range map[string]string{"PATCH": "calendar_update_event", "DELETE": "calendar_delete_event"} {
		faster := false
		d.before = func(r *http.Request) int {
			if r.Method == name && !faster {
				faster = true
				d.before = nil
				d.api("PATCH", "/lunch", `{"location":"There, by `+name+`","attendees":[]}`)
			}
			return 0
		}
		arguments := `{"event":"lunch","summary":"Supper"}`
		if name == "PATCH" {
			arguments = `{"event":"lunch","description":"x"}`
		}
		told := d.refused(tool, arguments, `location "There, by `+name+`"`)
		if strings.Contains(told, "description") || d.event("lunch")["description"] != "Bring cake" {
			t.Errorf("%s: %s", name, told)
		}
		d.api("PATCH", "/lunch", `{"attendees":[{"email":"carol@outside.example"}]}`)
	}
}

func TestRespond(t *testing.T) {
	d := newDiary(t)
	id := d.invitation()
	got := d.must("calendar_respond", `{"event":"`+id+`","response":"tentative","comment":"Perhaps late"}`)
	if got["id"] != id || got["etag"] != d.event(id)["etag"] {
		t.Errorf("%v", got)
	}
	d.must("calendar_respond", `{"event":"`+id+`","response":"accepted"}`)
	want := []any{
		map[string]any{"email": "chair@allotments.example", "responseStatus": "accepted", "organizer": true},
		map[string]any{"email": sandbox.AliceEmail, "responseStatus": "accepted", "comment": "Perhaps late", "self": true},
		map[string]any{"email": "treasurer@allotments.example", "responseStatus": "needsAction"},
	}
	if diff := cmp.Diff(want, d.event(id)["attendees"]); diff != "" {
		t.Error(diff)
	}
	for _, mail := range d.world.Mails() {
		if diff := cmp.Diff([]string{"chair@allotments.example"}, mail.To); diff != "" {
			t.Error(diff)
		}
	}
	if len(d.world.Mails()) != 2 {
		t.Errorf("the organizer isn't told: %v", d.world.Mails())
	}
	d.lunch()
	d.refused("calendar_respond", `{"event":"lunch","response":"declined"}`, "not among the guests")
	d.refused("calendar_respond", `{"event":"`+id+`","response":"needsAction"}`, "response must be one of accepted, declined, tentative")
	d.refused("calendar_respond", `{"event":"nothing","response":"declined"}`, `no event "nothing"`)
	d.refused("calendar_respond", `{"event":"..","response":"declined"}`, "is no event id")
}

// A list of guests that isn't whole is never written back.
func TestUpdateOmittedGuests(t *testing.T) {
	result, err := call(t, "calendar_update_event", `{"event":"e1","add_attendees":["b@example.com"]}`, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("sent %s", r.Method)
		}
		io.WriteString(w, `{"id":"e1","attendeesOmitted":true,"attendees":[{"email":"a@example.com","self":true}]}`)
	})
	if got := message(t, result, err); !strings.Contains(got, "doesn't show all guests") {
		t.Error(got)
	}
}

// Whatever the others answer meanwhile, only one's own answer is sent.
func TestRespondSendsOneGuest(t *testing.T) {
	patched := ""
	_, err := call(t, "calendar_respond", `{"event":"e1","response":"declined"}`, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			body, _ := io.ReadAll(r.Body)
			patched = string(body)
		}
		io.WriteString(w, `{"id":"e1","attendees":[{"email":"b@example.com"},null,{"email":"a@example.com","self":true,"additionalGuests":2,"comment":"c"}]}`)
	})
	want := `{"attendees":[{"additionalGuests":2,"comment":"c","email":"a@example.com","responseStatus":"declined"}],"attendeesOmitted":true}`
	if err != nil || strings.TrimSpace(patched) != want {
		t.Errorf("sent %s, %v", patched, err)
	}
}

// invitation is the id of an event that alice is invited to.
func (d *diary) invitation() string {
	d.t.Helper()
	return d.api("GET", "?q=allotment", "")["items"].([]any)[0].(map[string]any)["id"].(string)
}
