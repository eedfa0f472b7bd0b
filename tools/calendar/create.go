package calendar

import (
	"context"
	"net/http"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func createEvent() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "calendar_create_event",
		Title: "Create an event",
		Description: "Create an event in the connected Google Calendar. Attendees get it in their calendars; mail goes out " +
			"only with send_invitations. Not for changing or repeating events.",
		Can:      "Create events in your calendars, and invite people to them",
		Provider: provider,
		Scopes:   []string{google.CalendarEventsScope},
		Egress:   []tools.Rule{rule(http.MethodPost, events, "sendUpdates"), asksZone()},
	}, create)
}

type createInput struct {
	Calendar        string   `json:"calendar,omitempty" jsonschema:"calendar id (default primary)"`
	Summary         string   `json:"summary" jsonschema:"the title" minLength:"1" maxLength:"500"`
	Start           string   `json:"start" jsonschema:"2026-01-31T09:00:00+01:00, or without offset but with time_zone, or a date for an all-day event" maxLength:"40"`
	End             string   `json:"end" jsonschema:"like start; for an all-day event the day after the last one" maxLength:"40"`
	TimeZone        string   `json:"time_zone,omitempty" jsonschema:"IANA zone, like Europe/Berlin" maxLength:"64"`
	Location        string   `json:"location,omitempty" jsonschema:"place" maxLength:"500"`
	Description     string   `json:"description,omitempty" jsonschema:"notes" maxLength:"8000"`
	Attendees       []string `json:"attendees,omitempty" jsonschema:"e-mail addresses of whom to invite" maxItems:"50" maxLength:"254" pattern:"^[^@\\s,;:<>\"()]+@[^@\\s,;:<>\"()]+$"`
	SendInvitations bool     `json:"send_invitations,omitempty" jsonschema:"mail the attendees (default false)"`
}

type createOutput struct {
	Calendar  string `json:"calendar"`
	Event     event  `json:"event"`
	Untrusted string `json:"untrusted"`
}

func create(ctx context.Context, api *http.Client, in createInput) (createOutput, error) {
	calendar, err := calendarID(in.Calendar)
	if err != nil {
		return createOutput{}, err
	}
	service, err := connect(ctx, api)
	if err != nil {
		return createOutput{}, err
	}
	times, err := newReader(in.TimeZone, func() (*time.Location, error) { return zoneOf(ctx, service, calendar) })
	if err != nil {
		return createOutput{}, err
	}
	start, end, err := times.span(in.Start, in.End)
	if err != nil {
		return createOutput{}, err
	}
	wanted := &google.Event{
		Summary: in.Summary, Start: start, End: end, Location: in.Location, Description: in.Description, Attendees: in.invited(),
	}
	doing := about{calendar: calendar, writes: true}
	made, err := service.Events.Insert(calendar, wanted).SendUpdates(in.mail()).Context(ctx).Do()
	if err != nil {
		return createOutput{}, explain(err, doing)
	}
	if made == nil {
		return createOutput{}, unanswered(doing)
	}
	return createOutput{Calendar: calendar, Event: shown(made, times.sofar(), whole), Untrusted: tools.Untrusted}, nil
}

func (in createInput) invited() []*google.EventAttendee {
	var list []*google.EventAttendee
	for _, address := range in.Attendees {
		list = append(list, &google.EventAttendee{Email: address})
	}
	return list
}

// mail is Google's word for who is told.
func (in createInput) mail() string {
	if in.SendInvitations {
		return "all"
	}
	return "none"
}
