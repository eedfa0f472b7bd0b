package calendar

import (
	"context"
	"net/http"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func getEvent() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "calendar_get_event",
		Title:       "Get an event",
		Description: "One event with notes, guests, repetition and etag. Not for searching: calendar_list_events.",
		Can:         "Read an event of your calendars",
		Provider:    provider,
		Scopes:      []string{google.CalendarEventsReadonlyScope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{rule(http.MethodGet, events+"/{event}", "fields"), asksZone()},
	}, get)
}

type getInput struct {
	Calendar string `json:"calendar,omitempty" jsonschema:"id (default primary)"`
	Event    string `json:"event" jsonschema:"its id"`
}

type getOutput struct {
	TimeZone string `json:"time_zone,omitempty"`
	event
	Untrusted string `json:"untrusted"`
}

func get(ctx context.Context, api *http.Client, in getInput) (getOutput, error) {
	calendar, err := calendarID(in.Calendar)
	if err == nil {
		err = checkEvent(in.Event)
	}
	if err != nil {
		return getOutput{}, err
	}
	service, err := connect(ctx, api)
	if err != nil {
		return getOutput{}, err
	}
	e, err := service.Events.Get(calendar, in.Event).Fields(wholeFields).Context(ctx).Do()
	if err != nil {
		return getOutput{}, explain(err, about{calendar: calendar, event: in.Event})
	}
	if e == nil {
		return getOutput{}, unanswered(about{})
	}
	times := &reader{ask: func() (*time.Location, error) { return zoneOf(ctx, service, calendar) }}
	where, err := times.zoneFor(e)
	if err != nil {
		return getOutput{}, err
	}
	out := getOutput{event: shown(e, where, whole), Untrusted: tools.Untrusted}
	if where != nil {
		out.TimeZone = where.String()
	}
	return out, nil
}
