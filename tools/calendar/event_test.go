package calendar

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	google "google.golang.org/api/calendar/v3"
)

func TestShown(t *testing.T) {
	e := &google.Event{
		Id: "e1_20260131", RecurringEventId: "e1", Etag: `"1"`, Summary: "Lunch\u202e\u200b", Status: "tentative",
		Transparency: "transparent", Location: "Here", Description: strings.Repeat("é", 400), HtmlLink: "https://calendar.google.com/e1",
		HangoutLink: "https://meet.google.com/abc", Recurrence: []string{"RRULE:FREQ=DAILY"},
		Organizer: &google.EventOrganizer{Email: "a@example.com"},
		Start:     &google.EventDateTime{DateTime: "2026-01-31T12:00:00+01:00", TimeZone: "Europe/Berlin"},
		End:       &google.EventDateTime{DateTime: "2026-01-31T13:00:00+01:00"},
	}
	for range 25 {
		e.Attendees = append(e.Attendees, nil, &google.EventAttendee{Email: "b@example.com", Optional: true, ResponseStatus: "declined"})
	}
	e.Attendees = append(e.Attendees, &google.EventAttendee{Email: "me@example.com", Self: true, ResponseStatus: "accepted"})
	want := event{
		ID: "e1_20260131", Summary: "Lunch", Start: "2026-01-31T06:00:00-05:00", End: "2026-01-31T07:00:00-05:00", Location: "Here",
		Status: "tentative", Free: true, Response: "accepted", Series: "e1",
	}
	newYork := load(t, "America/New_York")
	if diff := cmp.Diff(want, shown(e, newYork, brief)); diff != "" {
		t.Error("brief", diff)
	}
	want.Etag, want.URL, want.Meet, want.Organizer = `"1"`, "https://calendar.google.com/e1", "https://meet.google.com/abc", "a@example.com"
	want.Recurrence = []string{"RRULE:FREQ=DAILY"}
	want.Description, want.DescriptionTruncated = strings.Repeat("é", 250)+"…", true
	for range 20 {
		want.Attendees = append(want.Attendees, "b@example.com declined, optional")
	}
	want.Attendees = append(want.Attendees, "and 6 more")
	if diff := cmp.Diff(want, shown(e, newYork, full)); diff != "" {
		t.Error("full", diff)
	}
	got := shown(e, load(t, "Europe/Berlin"), whole)
	if len(got.Attendees) != 26 || got.DescriptionTruncated || got.Attendees[25] != "me@example.com accepted, the user" || got.Start != "2026-01-31T12:00:00+01:00" {
		t.Errorf("whole: %+v", got)
	}
	day := &google.Event{Start: &google.EventDateTime{Date: "2026-02-01"}, End: &google.EventDateTime{Date: "2026-02-02"}, Status: "confirmed"}
	if diff := cmp.Diff(event{Start: "2026-02-01", End: "2026-02-02"}, shown(day, newYork, full)); diff != "" {
		t.Error("a date stays a date", diff)
	}
	shown(&google.Event{}, nil, whole)
}
