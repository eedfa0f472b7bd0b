package calendar

import (
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

// An event is what a model gets to see of one: up to Series in brief, all of it in
// full. A start and an end without a time of day are dates.
type event struct {
	Calendar string `json:"calendar,omitempty"`
	ID       string `json:"id"`
	Summary  string `json:"summary"`
	Start    string `json:"start"`
	End      string `json:"end" jsonschema:"exclusive"`
	Location string `json:"location,omitempty"`
	Status   string `json:"status,omitempty"` // unless confirmed
	Type     string `json:"type,omitempty"`   // unless default
	Free     bool   `json:"free,omitempty"`
	Response string `json:"response,omitempty" jsonschema:"your own"`
	Series   string `json:"series,omitempty" jsonschema:"id of the recurring event"`

	Etag                 string     `json:"etag,omitempty"`
	Description          string     `json:"description,omitempty"`
	DescriptionTruncated bool       `json:"description_truncated,omitempty"`
	Organizer            string     `json:"organizer,omitempty"`
	Attendees            []attendee `json:"attendees,omitempty"`
	AttendeesLeftOut     int        `json:"attendees_left_out,omitempty"`
	Recurrence           []string   `json:"recurrence,omitempty"`
	EventZone            string     `json:"event_zone,omitempty"` // unless it is the answer's
	Meet                 string     `json:"meet,omitempty"`
	URL                  string     `json:"url,omitempty"`
}

type attendee struct {
	Email    string `json:"email"`
	Response string `json:"response,omitempty"`
	Optional bool   `json:"optional,omitempty"`
	Self     bool   `json:"self,omitempty"`
}

// An extent is how much of an event is shown.
type extent int

const (
	brief extent = iota
	full         // one of many
	whole        // the only one
)

// limits are how many bytes of a description and how many attendees are shown.
func (x extent) limits() (text, attendees int) {
	if x == whole {
		return 12_000, 200
	}
	return 500, 20
}

// shown is e with its times in zone, or as Google gave them where that is nil.
func shown(e *google.Event, zone *time.Location, much extent) event {
	out := event{
		ID: e.Id, Summary: clip(e.Summary, 300), Start: at(e.Start, zone), End: at(e.End, zone), Location: clip(e.Location, 300),
		Status: unless("confirmed", e.Status), Type: unless("default", e.EventType), Free: e.Transparency == "transparent",
		Series: e.RecurringEventId,
	}
	for _, a := range e.Attendees {
		if a != nil && a.Self {
			out.Response = a.ResponseStatus
		}
	}
	if much == brief {
		return out
	}
	out.more(e, zone, much)
	return out
}

// more adds what a brief event doesn't have.
func (out *event) more(e *google.Event, zone *time.Location, much extent) {
	out.Etag, out.URL, out.Meet = e.Etag, e.HtmlLink, e.HangoutLink
	text, most := much.limits()
	out.Description, out.DescriptionTruncated = tools.Clip(e.Description, text)
	if e.Organizer != nil {
		out.Organizer = clip(e.Organizer.Email, 254)
	}
	for _, line := range e.Recurrence {
		out.Recurrence = append(out.Recurrence, clip(line, 500))
	}
	if e.Start != nil && (zone == nil || e.Start.TimeZone != zone.String()) {
		out.EventZone = e.Start.TimeZone
	}
	for _, a := range e.Attendees {
		switch {
		case a == nil:
		case len(out.Attendees) == most:
			out.AttendeesLeftOut++
		default:
			out.Attendees = append(out.Attendees, attendee{clip(a.Email, 254), a.ResponseStatus, a.Optional, a.Self})
		}
	}
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

// unless is value, or "" where it is the usual one.
func unless(usual, value string) string {
	if value == usual {
		return ""
	}
	return value
}

func clip(text string, most int) string {
	short, _ := tools.Clip(text, most)
	return short
}
