package calendar

import (
	"context"
	"net/http"

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
		Egress: []tools.Rule{{
			Method: http.MethodPost, Host: host, Path: events,
			Query: []string{"sendUpdates", "alt", "prettyPrint"},
		}},
	}, create)
}

type createInput struct {
	Calendar        string   `json:"calendar,omitempty" jsonschema:"calendar id (default primary)" pattern:"^[A-Za-z0-9_][A-Za-z0-9._+#@-]*$" maxLength:"254"`
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
	if in.Calendar == "" {
		in.Calendar = primary
	}
	start, end, err := span(in.Start, in.End, in.TimeZone)
	if err != nil {
		return createOutput{}, err
	}
	service, err := connect(ctx, api)
	if err != nil {
		return createOutput{}, err
	}
	wanted := &google.Event{
		Summary: in.Summary, Start: start, End: end, Location: in.Location, Description: in.Description, Attendees: in.invited(),
	}
	made, err := service.Insert(in.Calendar, wanted).SendUpdates(in.mail()).Context(ctx).Do()
	if err != nil {
		return createOutput{}, createFault(err, in)
	}
	if made == nil {
		return createOutput{}, told("Google Calendar didn't answer as it should, and the outcome is unknown: look with calendar_list_events whether it happened before you try again.")
	}
	return createOutput{Calendar: in.Calendar, Event: shown(made), Untrusted: untrusted}, nil
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
