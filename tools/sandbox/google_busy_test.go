package sandbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asks is a question for busy times, as that holder of the scopes.
func (w *world) asks(token, body string) reply {
	w.t.Helper()
	return w.do("POST", w.google+"/calendar/v3/freeBusy", body, "Authorization", "Bearer "+token)
}

func TestFreeBusy(t *testing.T) {
	w := newWorld(t)
	token := str(w.connectGoogle("alice", "scope", calendarScope), "access_token")
	insert := func(body string) {
		t.Helper()
		if r := w.do("POST", w.google+"/calendar/v3/calendars/primary/events", body, "Authorization", "Bearer "+token); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.text)
		}
	}
	times := `"start":{"dateTime":"2026-06-01T09:00:00Z"},"end":{"dateTime":"2026-06-01T10:00:00Z"}`
	insert(`{"summary":"declined","attendees":[{"email":"` + AliceEmail + `","responseStatus":"declined"}],` + times + `}`)
	insert(`{"summary":"free","transparency":"transparent",` + times + `}`)
	insert(`{"summary":"day","start":{"date":"2026-06-02"},"end":{"date":"2026-06-03"}}`)
	span := `"timeMin":"2026-06-01T00:00:00Z","timeMax":"2026-06-08T00:00:00Z","timeZone":"Asia/Tokyo"`
	r := w.asks(token, `{`+span+`,"items":[{"id":"primary"},{"id":"c_garden7a1f@group.calendar.google.com"},{"id":"`+BobEmail+`"}]}`)
	want := map[string]any{
		"primary":                                map[string]any{"busy": []any{map[string]any{"start": "2026-06-02T07:00:00+09:00", "end": "2026-06-03T07:00:00+09:00"}}},
		"c_garden7a1f@group.calendar.google.com": map[string]any{"busy": []any{}},
		BobEmail:                                 map[string]any{"busy": []any{}, "errors": []any{map[string]any{"domain": "global", "reason": "notFound"}}},
	}
	if diff := cmp.Diff(want, r.json["calendars"]); diff != "" {
		t.Error(diff)
	}
	many := w.asks(token, `{`+span+`,"items":[`+strings.Repeat(`{"id":"x"},`, 50)+`{"id":"primary"}]}`)
	if !strings.Contains(many.text, "tooManyCalendarsRequested") {
		t.Errorf("51 calendars: %s", many.text)
	}
	for body, reason := range map[string]string{
		`{"timeMin":"2026-06-01T00:00:00Z","items":[]}`:                       "required",
		`{"timeMin":"2026-06-02T00:00:00Z","timeMax":"2026-06-01T00:00:00Z"}`: "timeRangeEmpty",
		`{"timeMin":"2026-06-02T00:00:00","timeMax":"2026-06-03T00:00:00Z"}`:  "invalidParameter",
		`{` + span + `,"items":[{"id":"primary","name":"x"}]}`:                "required",
		`{` + span + `,"items":[{}]}`:                                         "required",
		`{` + span + `,"colour":"red"}`:                                       "badRequest",
	} {
		if r := w.asks(token, body); r.status != 400 || !strings.Contains(r.text, `"reason":"`+reason+`"`) {
			t.Errorf("%s: %d %s", body, r.status, r.text)
		}
	}
}

// Each method has the scopes that Google documents for it, and no other.
func TestCalendarReadScopes(t *testing.T) {
	w := newWorld(t)
	span := `{"timeMin":"2026-06-01T00:00:00Z","timeMax":"2026-06-08T00:00:00Z"}`
	for scope, want := range map[string]map[string]int{
		".calendars.readonly":    {"/calendars/primary": 200, "/users/me/calendarList": 403, "/freeBusy": 403, "/calendars/primary/events": 403},
		".calendarlist.readonly": {"/calendars/primary": 403, "/users/me/calendarList": 200, "/freeBusy": 403, "/calendars/primary/events": 403},
		".freebusy":              {"/calendars/primary": 403, "/users/me/calendarList": 403, "/freeBusy": 200, "/calendars/primary/events": 403},
		".events.freebusy":       {"/calendars/primary": 403, "/users/me/calendarList": 403, "/freeBusy": 200},
		".events.readonly":       {"/calendars/primary": 403, "/users/me/calendarList": 403, "/freeBusy": 403, "/calendars/primary/events": 200},
		".readonly":              {"/calendars/primary": 200, "/users/me/calendarList": 200, "/freeBusy": 200, "/calendars/primary/events": 200},
	} {
		token := str(w.connectGoogle("alice", "scope", calendarScope+scope), "access_token")
		for path, status := range want {
			method, body := "GET", ""
			if path == "/freeBusy" {
				method, body = "POST", span
			}
			if r := w.do(method, w.google+"/calendar/v3"+path, body, "Authorization", "Bearer "+token); r.status != status {
				t.Errorf("%s with %s: %d %s", path, scope, r.status, r.text)
			}
		}
	}
}

func TestGetCalendar(t *testing.T) {
	w := newWorld(t)
	token := str(w.connectGoogle("alice", "scope", calendarScope+".calendars.readonly"), "access_token")
	for path, want := range map[string]int{
		"primary": 200, "c_garden7a1f@group.calendar.google.com": 200, BobEmail: 404, "none": 404, "primary?timeZone=UTC": 400,
	} {
		r := w.do("GET", w.google+"/calendar/v3/calendars/"+path, "", "Authorization", "Bearer "+token)
		if r.status != want {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
		if want == 200 && (r.json["timeZone"] != "Europe/Berlin" || r.json["kind"] != "calendar#calendar" || r.header.Get("ETag") != r.json["etag"]) {
			t.Errorf("%s: %v %s", path, r.header, r.text)
		}
	}
}

func TestCalendarListPages(t *testing.T) {
	w := newWorld(t)
	token := str(w.connectGoogle("alice", "scope", calendarScope+".calendarlist.readonly"), "access_token")
	get := func(query string) reply {
		return w.do("GET", w.google+"/calendar/v3/users/me/calendarList?"+query, "", "Authorization", "Bearer "+token)
	}
	first := get("maxResults=1")
	next, _ := first.json["nextPageToken"].(string)
	last := get("maxResults=1&pageToken=" + next)
	if next == "" || first.json["nextSyncToken"] != nil || last.json["nextPageToken"] != nil || last.json["nextSyncToken"] == nil {
		t.Errorf("%s, %s", first.text, last.text)
	}
	if !strings.Contains(first.text, AliceEmail) || strings.Contains(last.text, AliceEmail) || !strings.Contains(last.text, "Garden") {
		t.Errorf("%s, %s", first.text, last.text)
	}
	if r := get("pageToken=guess"); r.status != 400 {
		t.Errorf("a made-up token: %d", r.status)
	}
}
