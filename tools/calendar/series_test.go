package calendar_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

func TestUpdateOneOfASeries(t *testing.T) {
	d := newDiary(t)
	d.walks()
	got := d.must("calendar_update_event", `{"event":"`+second+`","summary":"Swim","start":"2026-03-24T08:00:00+01:00"}`)
	if got["id"] != second || got["end"] != "2026-03-24T09:00:00+01:00" {
		t.Errorf("%v", got)
	}
	want := []string{"2026-03-16T09:00:00+01:00 Walk", "2026-03-24T08:00:00+01:00 Swim", "2026-03-30T09:00:00+02:00 Walk", "2026-04-06T09:00:00+02:00 Walk"}
	if diff := cmp.Diff(want, d.occurrences("hikes")); diff != "" {
		t.Error(diff)
	}
}

// An occurrence names the series too; a new start moves all of them alike, to the same
// hour before and after clocks change.
func TestUpdateAllOfASeries(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		want   []string
	}{
		"later by an hour": {`"event":"` + third + `","scope":"all","start":"2026-03-30T10:00:00","end":"2026-03-30T11:30:00","time_zone":"Europe/Berlin"`,
			[]string{"2026-03-16T10:00:00+01:00 Walk", "2026-03-23T10:00:00+01:00 Walk", "2026-03-30T10:00:00+02:00 Walk", "2026-04-06T10:00:00+02:00 Walk"}},
		"a week later": {`"event":"` + second + `","scope":"all","start":"2026-03-30T09:00:00+02:00"`,
			[]string{"2026-03-23T09:00:00+01:00 Walk", "2026-03-30T09:00:00+02:00 Walk", "2026-04-06T09:00:00+02:00 Walk", "2026-04-13T09:00:00+02:00 Walk"}},
		"on Tuesdays": {`"event":"` + second + `","scope":"all","start":"2026-03-24T09:00:00+01:00","recurrence":["RRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=2"]`,
			[]string{"2026-03-17T09:00:00+01:00 Walk", "2026-03-24T09:00:00+01:00 Walk"}},
		"title, by the series": {`"event":"hikes","scope":"all","summary":"Hike"`,
			[]string{"2026-03-16T09:00:00+01:00 Hike", "2026-03-23T09:00:00+01:00 Hike", "2026-03-30T09:00:00+02:00 Hike", "2026-04-06T09:00:00+02:00 Hike"}},
		"from the first on": {`"event":"hikes_20260316T080000Z","scope":"following","summary":"Hike"`,
			[]string{"2026-03-16T09:00:00+01:00 Hike", "2026-03-23T09:00:00+01:00 Hike", "2026-03-30T09:00:00+02:00 Hike", "2026-04-06T09:00:00+02:00 Hike"}},
		"whole days": {`"event":"hikes","scope":"all","start":"2026-03-16","end":"2026-03-18"`,
			[]string{"2026-03-16 Walk", "2026-03-23 Walk", "2026-03-30 Walk", "2026-04-06 Walk"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDiary(t)
			d.walks()
			got := d.must("calendar_update_event", `{`+c.change+`}`)
			if diff := cmp.Diff(c.want, d.occurrences("hikes")); diff != "" || got["id"] != "hikes" || got["earlier"] != nil {
				t.Errorf("%v: %s", got, diff)
			}
			if d.event("hikes")["location"] != "Woods" {
				t.Error("more was changed")
			}
		})
	}
	d := newDiary(t)
	d.walks() // the end alone leaves the start, even if the occurrence that is named was moved
	d.api("PATCH", "/"+second, `{"start":{"dateTime":"2026-03-23T07:00:00+01:00"},"end":{"dateTime":"2026-03-23T08:00:00+01:00"}}`)
	d.must("calendar_update_event", `{"event":"`+second+`","scope":"all","end":"2026-03-23T09:30:00+01:00"}`)
	if got := d.event("hikes"); got["start"].(map[string]any)["dateTime"] != "2026-03-16T09:00:00+01:00" || got["end"].(map[string]any)["dateTime"] != "2026-03-16T09:30:00+01:00" {
		t.Errorf("%v", got)
	}
	d.api("POST", "", `{"id":"fairs","summary":"Fair","start":{"date":"2026-03-16"},"end":{"date":"2026-03-18"},"recurrence":["RRULE:FREQ=WEEKLY;COUNT=2"]}`)
	d.must("calendar_update_event", `{"event":"fairs_20260323","scope":"all","start":"2026-03-24"}`)
	if end := d.event("fairs")["end"].(map[string]any)["date"]; end != "2026-03-19" {
		t.Errorf("ends on %v", end)
	}
	if diff := cmp.Diff([]string{"2026-03-17 Fair", "2026-03-24 Fair"}, d.occurrences("fairs")); diff != "" {
		t.Error(diff)
	}
}

// The old series ends, and a new one has the rest with all that the old one had.
func TestUpdateFollowing(t *testing.T) {
	d := newDiary(t)
	d.walks()
	d.api("PATCH", "/hikes?conferenceDataVersion=1", `{"conferenceData":{"createRequest":{"requestId":"r","conferenceSolutionKey":{"type":"hangoutsMeet"}}},"extendedProperties":{"private":{"latchkey":"m","mine":"yes"}}}`)
	d.api("DELETE", "/hikes_20260406T070000Z", "") // counts, though it is gone
	got := d.must("calendar_update_event", `{"event":"`+second+`","scope":"following","summary":"Swim","start":"2026-03-23T18:00:00+01:00","add_attendees":["dan@outside.example"],"send_updates":"all"}`)
	id := got["id"].(string)
	if got["earlier"] != "hikes" || id == "hikes" || got["start"] != "2026-03-23T18:00:00+01:00" {
		t.Errorf("%v", got)
	}
	if diff := cmp.Diff([]string{"2026-03-16T09:00:00+01:00 Walk"}, d.occurrences("hikes")); diff != "" {
		t.Error(diff)
	}
	want := []string{"2026-03-23T18:00:00+01:00 Swim", "2026-03-30T18:00:00+02:00 Swim", "2026-04-06T18:00:00+02:00 Swim"}
	if diff := cmp.Diff(want, d.occurrences(id)); diff != "" {
		t.Error(diff)
	}
	fresh, old := d.event(id), d.event("hikes")
	if link := fresh["hangoutLink"]; link == nil || link == old["hangoutLink"] {
		t.Errorf("a conference of its own: %v and %v", link, old["hangoutLink"])
	}
	for name, want := range map[string]any{"location": "Woods", "reminders": map[string]any{"useDefault": false},
		"recurrence": []any{"RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=3"}, "extendedProperties": map[string]any{"private": map[string]any{"mine": "yes"}}} {
		if diff := cmp.Diff(want, fresh[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"carol@outside.example accepted", "dan@outside.example needsAction"}, d.addresses(id)); diff != "" {
		t.Error(diff)
	}
	mails := []sandbox.Mail{{Method: "PATCH", Event: "hikes", To: []string{"carol@outside.example"}}, {Method: "POST", Event: id, To: []string{"carol@outside.example", "dan@outside.example"}}}
	if diff := cmp.Diff(mails, d.world.Mails()); diff != "" {
		t.Error(diff)
	}
}

func TestUpdateFollowingDays(t *testing.T) {
	d := newDiary(t)
	d.api("POST", "", `{"id":"fairs","summary":"Fair","start":{"date":"2026-03-16"},"end":{"date":"2026-03-18"},"recurrence":["RRULE:FREQ=WEEKLY;UNTIL=20260406"]}`)
	got := d.must("calendar_update_event", `{"event":"fairs_20260330","scope":"following","location":"Square"}`)
	if diff := cmp.Diff([]string{"2026-03-16 Fair", "2026-03-23 Fair"}, d.occurrences("fairs")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"2026-03-30 Fair", "2026-04-06 Fair"}, d.occurrences(got["id"].(string))); diff != "" || got["end"] != "2026-04-01" {
		t.Errorf("%v: %s", got, diff)
	}
	if rule := d.event("fairs")["recurrence"].([]any)[0]; rule != "RRULE:FREQ=WEEKLY;UNTIL=20260329" {
		t.Errorf("got %v", rule)
	}
}

// Each step's failure is told as it is.
func TestUpdateFollowingFails(t *testing.T) {
	arguments := `{"event":"` + second + `","scope":"following","summary":"Swim"}`
	old := `recurrence ["RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=4"]`
	for name, c := range map[string]struct {
		method string
		status int
		want   []string
		left   int // occurrences of the old series
	}{
		"reading the rest": {"instances", 500, []string{"Try again in a minute"}, 4},
		"ending, refused":  {"PATCH", 403, []string{"may not do that"}, 4},
		"ending, unknown":  {"PATCH", 500, []string{"outcome is unknown"}, 4},
		"making, refused":  {"POST", 403, []string{"now ends before 2026-03-23T09:00:00+01:00", "was not made. The connected account", "scope all, " + old}, 1},
		"making, limit":    {"POST", 429, []string{"now ends before", "was not made. Google's limit", old}, 1},
		"making, unknown":  {"POST", 503, []string{"now ends before", "is unknown: look for lk", "If it isn't there, put the old one back", old}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDiary(t)
			d.walks()
			d.before = func(r *http.Request) int {
				if r.Method == c.method || strings.HasSuffix(r.URL.Path, c.method) {
					return c.status
				}
				return 0
			}
			d.refused("calendar_update_event", arguments, c.want...)
			d.before = nil
			if got := d.occurrences("hikes"); len(got) != c.left {
				t.Errorf("left %v", got)
			}
			if c.left == 1 { // as the model is told to
				d.must("calendar_update_event", `{"event":"hikes","scope":"all","recurrence":["RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=4"]}`)
				d.must("calendar_update_event", arguments)
			}
		})
	}
}

// What a new series would lose isn't divided.
func TestUpdateFollowingRefusals(t *testing.T) {
	const when = `"start":{"dateTime":"2026-03-16T09:00:00+01:00","timeZone":"Europe/Berlin"},"end":{"dateTime":"2026-03-16T10:00:00+01:00","timeZone":"Europe/Berlin"}`
	for fields, want := range map[string]string{
		`"recurrence":["RRULE:FREQ=WEEKLY","RDATE:20260401T070000Z"]`:                         "more than one rule",
		`"recurrence":["RRULE:FREQ=WEEKLY","RRULE:FREQ=DAILY"]`:                               "more than one rule",
		`"recurrence":["RRULE:FREQ=WEEKLY;COUNT=9","EXDATE:20260401T070000Z"]`:                "Give recurrence with the rule",
		`"recurrence":["RRULE:FREQ=WEEKLY"],"eventType":"outOfOffice"`:                        `type "outOfOffice"`,
		`"recurrence":["RRULE:FREQ=WEEKLY"],"attendeesOmitted":true`:                          "doesn't show all guests",
		`"recurrence":["RRULE:FREQ=WEEKLY"],"conferenceData":{"conferenceId":"of an add-on"}`: "isn't Google Meet",
		`"recurrence":["RRULE:FREQ=WEEKLY"],"status":"cancelled"`:                             "was deleted",
	} {
		result, err := call(t, "calendar_update_event", `{"event":"e1_20260323T080000Z","scope":"following","summary":"x"}`, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method != http.MethodGet:
				t.Errorf("%s: sent %s %s", fields, r.Method, r.URL)
			case strings.HasSuffix(r.URL.Path, "/e1"):
				_, _ = w.Write([]byte(`{"id":"e1",` + when + `,` + fields + `}`))
			default:
				_, _ = w.Write([]byte(`{"id":"e1_20260323T080000Z","recurringEventId":"e1",` + strings.ReplaceAll(when, "-16T", "-23T") + `}`))
			}
		})
		if got := message(t, result, err); !strings.Contains(got, want) {
			t.Errorf("%s: %s", fields, got)
		}
	}
}

func TestDelete(t *testing.T) {
	for name, c := range map[string]struct {
		arguments, says string
		left            []string
	}{
		"one": {`"event":"` + second + `"`, "this occurrence",
			[]string{"2026-03-16T09:00:00+01:00 Walk", "2026-03-30T09:00:00+02:00 Walk", "2026-04-06T09:00:00+02:00 Walk"}},
		"following": {`"event":"` + third + `","scope":"following"`, "this occurrence and all following",
			[]string{"2026-03-16T09:00:00+01:00 Walk", "2026-03-23T09:00:00+01:00 Walk"}},
		"all":          {`"event":"` + second + `","scope":"all"`, "the whole series", nil},
		"the series":   {`"event":"hikes","scope":"all"`, "the whole series", nil},
		"all from one": {`"event":"hikes_20260316T080000Z","scope":"following"`, "the whole series", nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDiary(t)
			d.walks()
			got := d.must("calendar_delete_event", `{`+c.arguments+`,"summary":"Walk","send_updates":"all"}`)
			if diff := cmp.Diff(c.left, d.occurrences("hikes")); diff != "" || got["deleted"] != c.says {
				t.Errorf("%v: %s", got, diff)
			}
			if mails := d.world.Mails(); len(mails) != 1 || mails[0].To[0] != "carol@outside.example" {
				t.Errorf("mailed %v", mails)
			}
		})
	}
	d := newDiary(t)
	d.lunch()
	d.walks()
	d.refused("calendar_delete_event", `{"event":"hikes","summary":"Walk"}`, "is a whole series. Give scope all")
	d.refused("calendar_delete_event", `{"event":"nothing","summary":""}`, `no event "nothing"`)
	d.refused("calendar_delete_event", `{"event":"a/b","summary":""}`, "is no event id")
	d.refused("calendar_delete_event", `{"event":"lunch","summary":"Walk"}`, `has the title "Lunch", and summary is "Walk"`)
	d.refused("calendar_delete_event", `{"event":"lunch","summary":""}`, `has the title "Lunch"`)
	d.refused("calendar_update_event", `{"event":"lunch","current_summary":"Walk","location":"Elsewhere"}`, `has the title "Lunch", and current_summary is "Walk"`)
	if len(d.world.Mails()) != 0 || d.event("lunch")["location"] == "Elsewhere" {
		t.Error("another event than the one that was shown was changed")
	}
	d.must("calendar_update_event", `{"event":"lunch","current_summary":" Lunch","location":"Elsewhere"}`)
	if got := d.must("calendar_delete_event", `{"event":"lunch","summary":"Lunch"}`); got["deleted"] != "the event" || d.event("lunch")["status"] != "cancelled" || len(d.world.Mails()) != 0 {
		t.Errorf("%v", got)
	}
	d.refused("calendar_delete_event", `{"event":"lunch","summary":"Lunch"}`, `"lunch" was deleted`)
}
