package calendar

import (
	"context"
	"net/http"
	"strings"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func listEvents() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "calendar_list_events",
		Title: "List events",
		Description: "List events of the connected Google Calendar in order of time, from now on unless told otherwise. " +
			"Not for free or busy times of other people.",
		Can:      "Read the events of your calendars",
		Provider: provider,
		Scopes:   []string{google.CalendarEventsReadonlyScope},
		ReadOnly: true, Idempotent: true,
		Egress: []tools.Rule{rule(http.MethodGet, events,
			"timeMin", "timeMax", "timeZone", "q", "maxResults", "pageToken", "singleEvents", "orderBy", "fields")},
	}, list)
}

type listInput struct {
	Calendar string `json:"calendar,omitempty" jsonschema:"calendar id (default primary)"`
	Start    string `json:"start,omitempty" jsonschema:"events that end after it, like 2026-01-31T09:00:00+01:00, or a date with time_zone (default now)" maxLength:"40"`
	End      string `json:"end,omitempty" jsonschema:"events that begin before it, like start" maxLength:"40"`
	TimeZone string `json:"time_zone,omitempty" jsonschema:"IANA zone for dates here and for times in the answer (default the calendar's)" maxLength:"64"`
	Query    string `json:"query,omitempty" jsonschema:"words in title, description, place or attendees" maxLength:"256"`
	Limit    int    `json:"limit,omitempty" jsonschema:"events in an answer (default 20)" minimum:"1" maximum:"50"`
	Cursor   string `json:"cursor,omitempty" jsonschema:"next_cursor of the answer before, with the same arguments" maxLength:"4096"`
}

type listOutput struct {
	TimeZone   string  `json:"time_zone" jsonschema:"zone of the times"`
	Events     []event `json:"events"`
	NextCursor string  `json:"next_cursor,omitempty"`
	Untrusted  string  `json:"untrusted"`
}

func list(ctx context.Context, api *http.Client, in listInput) (listOutput, error) {
	var err error
	if in.Calendar, err = calendarID(in.Calendar); err != nil {
		return listOutput{}, err
	}
	service, err := connect(ctx, api)
	if err != nil {
		return listOutput{}, err
	}
	times, err := newReader(in.TimeZone, func() (*time.Location, error) { return zoneOf(ctx, service, in.Calendar) })
	if err != nil {
		return listOutput{}, err
	}
	p, err := in.page(tools.Info(ctx).Now(), times)
	if err != nil {
		return listOutput{}, err
	}
	result, err := p.ask(service.Events.List(in.Calendar).Context(ctx), in).Do()
	if err != nil {
		return listOutput{}, explain(err, about{calendar: in.Calendar, paged: in.Cursor != ""})
	}
	if result == nil {
		return listOutput{}, unanswered(about{})
	}
	where, err := itsZone(result.TimeZone)
	if err != nil {
		return listOutput{}, err
	}
	out := listOutput{TimeZone: result.TimeZone, Events: make([]event, 0, len(result.Items)), Untrusted: tools.Untrusted}
	for _, e := range result.Items {
		if e != nil {
			out.Events = append(out.Events, shown(e, where, full))
		}
	}
	if result.NextPageToken != "" {
		out.NextCursor = p.from + cursorMark + result.NextPageToken
	}
	return out, nil
}

// A page is a stretch of time and a place in its results.
type page struct{ from, until, token string }

// cursorMark is between the first page's start and Google's page token. Google
// wants the same start on every page, and "now" would move.
const cursorMark = "~"

func (in listInput) page(now time.Time, times *reader) (page, error) {
	var err error
	p := page{from: now.UTC().Format(time.RFC3339)}
	if in.Start != "" {
		start, err := times.moment("start", in.Start)
		if err != nil {
			return page{}, err
		}
		p.from = start.Format(time.RFC3339)
	}
	if in.Cursor != "" {
		if p.from, p.token, err = in.readCursor(p.from); err != nil {
			return page{}, err
		}
	}
	return p.upTo(in, times)
}

// readCursor takes a cursor apart; from is the start that the arguments ask for.
func (in listInput) readCursor(from string) (string, string, error) {
	first, token, ok := strings.Cut(in.Cursor, cursorMark)
	if _, err := time.Parse(time.RFC3339, first); !ok || err != nil || token == "" {
		return "", "", told("This cursor isn't one that calendar_list_events gave. Leave it out to begin at the first page.")
	}
	if in.Start != "" && first != from {
		return "", "", told("This cursor belongs to another start. Repeat the arguments of the first page, or leave the cursor out.")
	}
	return first, token, nil
}

// upTo adds the end, which must be after the start.
func (p page) upTo(in listInput, times *reader) (page, error) {
	if in.End == "" {
		return p, nil
	}
	end, err := times.moment("end", in.End)
	if err != nil {
		return page{}, err
	}
	if start, err := time.Parse(time.RFC3339, p.from); err != nil || !end.After(start) {
		return page{}, told("end %s is not after start %s. An end in the past needs a start.", in.End, p.from)
	}
	p.until = end.Format(time.RFC3339)
	return p, nil
}

func (p page) ask(call *google.EventsListCall, in listInput) *google.EventsListCall {
	call.SingleEvents(true).OrderBy("startTime").TimeMin(p.from).MaxResults(20)
	if in.Limit != 0 {
		call.MaxResults(int64(in.Limit))
	}
	if p.until != "" {
		call.TimeMax(p.until)
	}
	if p.token != "" {
		call.PageToken(p.token)
	}
	if in.TimeZone != "" {
		call.TimeZone(in.TimeZone)
	}
	if in.Query != "" {
		call.Q(in.Query)
	}
	return call
}
