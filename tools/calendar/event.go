package calendar

import (
	"encoding/json"
	"fmt"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

// An event is what a model gets to see of one: up to Series in brief, all of it in
// full. A start and an end without a time of day are dates.
type event struct {
	ID       string `json:"id"`
	Summary  string `json:"summary"`
	Start    string `json:"start"`
	End      string `json:"end" jsonschema:"exclusive"`
	Location string `json:"location,omitempty"`
	Status   string `json:"status,omitempty"` // unless confirmed
	Free     bool   `json:"free,omitempty"`
	Response string `json:"my_response,omitempty"`
	Series   string `json:"recurring_event_id,omitempty"`

	Etag                 string   `json:"etag,omitempty"`
	Description          string   `json:"description,omitempty"`
	DescriptionTruncated bool     `json:"description_truncated,omitempty"`
	Organizer            string   `json:"organizer,omitempty"`
	Attendees            []string `json:"attendees,omitempty"` // "bob@example.com accepted"
	Recurrence           []string `json:"recurrence,omitempty"`
	Meet                 string   `json:"meet,omitempty"`
	URL                  string   `json:"url,omitempty"`
}

// An extent is how much of an event is shown.
type extent int

const (
	brief extent = iota
	full         // one of many
	whole        // the only one, as much of it as a result's budget takes
)

// shown is e with its times in zone, or as Google gave them where that is nil.
func shown(e *google.Event, zone *time.Location, much extent) event {
	out := event{
		ID: e.Id, Summary: clip(e.Summary, 300), Start: at(e.Start, zone), End: at(e.End, zone), Location: clip(e.Location, 300),
		Free: e.Transparency == "transparent", Series: e.RecurringEventId,
	}
	if e.Status != "confirmed" {
		out.Status = e.Status
	}
	for _, a := range e.Attendees {
		if a != nil && a.Self {
			out.Response = a.ResponseStatus
		}
	}
	switch much {
	case full:
		out.add(e, 500, 20)
	case whole:
		out.fill(e)
	}
	return out
}

// fill adds what a brief event doesn't have, within the budget: long notes full of
// signs that JSON escapes, or many guests, could pass it.
func (out *event) fill(e *google.Event) {
	text, guests := 12_000, 200
	for range 20 { // halved so often, either is gone
		if out.add(e, text, guests); size(out) <= room {
			return
		}
		if size(out.Attendees) > size(out.Description) {
			guests /= 2
		} else {
			text /= 2
		}
	}
}

// add adds what a brief event doesn't have: of notes and guests at most so many bytes
// and lines.
func (out *event) add(e *google.Event, text, most int) {
	out.Etag, out.URL, out.Meet = e.Etag, e.HtmlLink, e.HangoutLink
	out.Description, out.DescriptionTruncated = tools.Clip(e.Description, text)
	if e.Organizer != nil {
		out.Organizer = clip(e.Organizer.Email, 254)
	}
	out.Recurrence = nil
	for _, line := range e.Recurrence[:min(len(e.Recurrence), 10)] {
		out.Recurrence = append(out.Recurrence, clip(line, 400))
	}
	var guests []string
	more := 0
	for _, a := range e.Attendees {
		switch {
		case a == nil:
		case len(guests) == most:
			more++
		default:
			guests = append(guests, guest(a))
		}
	}
	out.Attendees = plus(guests, more)
}

// at is a date as it is, or a time in zone.
func at(m *google.EventDateTime, zone *time.Location) string {
	if m == nil {
		return ""
	}
	t, err := time.Parse(time.RFC3339, m.DateTime)
	if m.Date != "" || err != nil || zone == nil {
		return m.Date + m.DateTime
	}
	return t.In(zone).Format(time.RFC3339)
}

// guest is an attendee in words: "bob@example.com declined, optional".
func guest(a *google.EventAttendee) string {
	text := clip(a.Email, 254) + " " + a.ResponseStatus
	if a.Optional {
		text += ", optional"
	}
	if a.Self {
		text += ", the user"
	}
	return text
}

// plus is list with a last line that says how many more there are.
func plus(list []string, more int) []string {
	if more == 0 {
		return list
	}
	return append(list, fmt.Sprintf("and %d more", more))
}

func size(v any) int {
	text, _ := json.Marshal(v) // what fails here fails the result too
	return len(text)
}

func clip(text string, most int) string {
	short, _ := tools.Clip(text, most)
	return short
}
