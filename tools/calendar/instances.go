package calendar

import (
	"context"
	"net/http"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func listInstances() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "calendar_list_instances",
		Title:       "List instances",
		Description: "The instances of one repeating event. Not for all events of a time: calendar_list_events.",
		Can:         "Read the instances of a repeating event of your calendars",
		Provider:    provider,
		Scopes:      []string{google.CalendarEventsReadonlyScope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{
			rule(http.MethodGet, events+"/{event}/instances", "timeMin", "timeMax", "maxResults", "pageToken", "fields"), asksZone(),
		},
	}, instances)
}

type instancesInput struct {
	Calendar string `json:"calendar,omitempty" jsonschema:"id (default primary)"`
	Event    string `json:"event" jsonschema:"the repeating event's id"`
	Start    string `json:"start,omitempty" jsonschema:"RFC 3339 time or date"`
	End      string `json:"end,omitempty" jsonschema:"like start"`
	Cursor   string `json:"cursor,omitempty" jsonschema:"next_cursor of the answer before, same arguments"`
}

type instancesOutput struct {
	TimeZone   string     `json:"time_zone"`
	Instances  []instance `json:"instances"`
	NextCursor string     `json:"next_cursor,omitempty"`
	Untrusted  string     `json:"untrusted"`
}

// An instance is what its series doesn't say of it.
type instance struct {
	ID      string `json:"id"`
	Summary string `json:"summary"`
	Start   string `json:"start"`
	End     string `json:"end"`
	Status  string `json:"status,omitempty"`
}

func instances(ctx context.Context, api *http.Client, in instancesInput) (instancesOutput, error) {
	calendar, err := calendarID(in.Calendar)
	if err == nil {
		err = checkEvent(in.Event)
	}
	if err != nil {
		return instancesOutput{}, err
	}
	service, err := connect(ctx, api)
	if err != nil {
		return instancesOutput{}, err
	}
	times, err := newReader("", func() (*time.Location, error) { return zoneOf(ctx, service, calendar) })
	if err != nil {
		return instancesOutput{}, err
	}
	at, err := begin(ctx, in.Cursor, times, in.Start, in.End, 1)
	if err != nil {
		return instancesOutput{}, err
	}
	m := &merge{zone: at.Zone, feeds: []*feed{{place: at.Places[0], calendar: calendar, fetch: func(token string) (*google.Events, error) {
		result, err := in.ask(service, calendar, at, token).Context(ctx).Do()
		return result, explain(err, about{calendar: calendar, event: in.Event, paged: token != ""})
	}}}}
	found, err := take(ctx, m, standardLimit, func(h *head) instance {
		e := shown(h.event, m.where(), brief)
		return instance{e.ID, e.Summary, e.Start, e.End, e.Status}
	})
	if err != nil {
		return instancesOutput{}, err
	}
	out := instancesOutput{TimeZone: m.zone, Instances: found, Untrusted: tools.Untrusted}
	out.NextCursor, err = at.cursor(ctx, m)
	return out, err
}

func (in instancesInput) ask(service *google.Service, calendar string, at stretch, token string) *google.EventsInstancesCall {
	call := service.Events.Instances(calendar, in.Event).MaxResults(standardLimit).
		Fields("timeZone", "nextPageToken", "items(id,summary,start,end,status)")
	if at.From != "" {
		call.TimeMin(at.From)
	}
	if at.Until != "" {
		call.TimeMax(at.Until)
	}
	if token != "" {
		call.PageToken(token)
	}
	return call
}
