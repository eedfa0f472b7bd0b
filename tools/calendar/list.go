package calendar

import (
	"context"
	"net/http"
	"slices"
	"time"

	google "google.golang.org/api/calendar/v3"
	"google.golang.org/api/googleapi"

	"github.com/latchkey-mcp/latchkey/tools"
)

func listEvents() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "calendar_list_events",
		Title: "List events",
		Description: "List or search events of calendars in order of time, repeating ones as instances. " +
			"Not for free time: calendar_free_busy.",
		Can:      "Read the events of your calendars",
		Provider: provider,
		Scopes:   []string{google.CalendarEventsReadonlyScope},
		ReadOnly: true, Idempotent: true,
		Egress: []tools.Rule{rule(http.MethodGet, events,
			"timeMin", "timeMax", "q", "maxResults", "pageToken", "singleEvents", "orderBy", "fields")},
	}, list)
}

type listInput struct {
	Calendars []string `json:"calendars,omitempty" jsonschema:"ids (default primary)" maxItems:"10"`
	Start     string   `json:"start,omitempty" jsonschema:"RFC 3339 time or date (default now)"`
	End       string   `json:"end,omitempty" jsonschema:"like start, exclusive"`
	TimeZone  string   `json:"time_zone,omitempty" jsonschema:"IANA zone (default the calendar's)"`
	Query     string   `json:"query,omitempty" jsonschema:"words to find"`
	Full      bool     `json:"full,omitempty" jsonschema:"with notes and guests"`
	Fields    []string `json:"fields,omitempty" jsonschema:"only these of each" enum:"location,status,description,attendees"`
	Limit     int      `json:"limit,omitempty" jsonschema:"default 25" minimum:"1" maximum:"100"`
	Cursor    string   `json:"cursor,omitempty" jsonschema:"next_cursor of the answer before, same arguments"`
}

type listOutput struct {
	TimeZone   string   `json:"time_zone"`
	Events     []listed `json:"events"`
	NextCursor string   `json:"next_cursor,omitempty"`
	Untrusted  string   `json:"untrusted"`
}

// A listed event is as much of an event as one of many needs.
type listed struct {
	Calendar string `json:"calendar,omitempty"`
	ID       string `json:"id"`
	Summary  string `json:"summary"`
	Start    string `json:"start"`
	End      string `json:"end" jsonschema:"exclusive"`
	Location string `json:"location,omitempty"`
	Status   string `json:"status,omitempty"`
	Free     bool   `json:"free,omitempty"`
	Response string `json:"my_response,omitempty"`
	Series   string `json:"recurring_event_id,omitempty"`

	Description          string   `json:"description,omitempty"`
	DescriptionTruncated bool     `json:"description_truncated,omitempty"`
	Attendees            []string `json:"attendees,omitempty"`
}

const (
	standardLimit = 25
	briefFields   = "id,summary,start,end,location,status,transparency,recurringEventId"
	fullFields    = briefFields + ",description,attendees(email,responseStatus,optional,self)"
	wholeFields   = fullFields + ",etag,organizer/email,recurrence,hangoutLink,htmlLink"
)

func list(ctx context.Context, api *http.Client, in listInput) (listOutput, error) {
	ids, err := calendarIDs(in.Calendars)
	if err != nil {
		return listOutput{}, err
	}
	service, err := connect(ctx, api)
	if err != nil {
		return listOutput{}, err
	}
	times, err := newReader(in.TimeZone, func() (*time.Location, error) { return zoneOf(ctx, service, ids[0]) })
	if err != nil {
		return listOutput{}, err
	}
	if in.Start == "" {
		in.Start = tools.Info(ctx).Now().UTC().Format(time.RFC3339)
	}
	at, err := begin(ctx, in.Cursor, times, in.Start, in.End, len(ids))
	if err != nil {
		return listOutput{}, err
	}
	m := &merge{zone: at.Zone}
	for i, id := range ids {
		m.feeds = append(m.feeds, &feed{place: at.Places[i], calendar: id, fetch: func(token string) (*google.Events, error) {
			result, err := in.ask(service, id, at, token).Context(ctx).Do()
			return result, explain(err, about{calendar: id, paged: token != ""})
		}})
	}
	return in.answer(ctx, m, at)
}

// answer is a page of m.
func (in listInput) answer(ctx context.Context, m *merge, at stretch) (listOutput, error) {
	much := brief
	if in.wantsFull() {
		much = full
	}
	found, err := take(ctx, m, limit(in.Limit), func(h *head) listed {
		e := shown(h.event, m.where(), much)
		out := listed{
			ID: e.ID, Summary: e.Summary, Start: e.Start, End: e.End, Location: e.Location, Status: e.Status, Free: e.Free, Response: e.Response,
			Series: e.Series, Description: e.Description, DescriptionTruncated: e.DescriptionTruncated, Attendees: e.Attendees,
		}
		if len(m.feeds) > 1 {
			out.Calendar = h.feed.calendar
		}
		return in.only(out)
	})
	if err != nil {
		return listOutput{}, err
	}
	out := listOutput{TimeZone: m.zone, Events: found, Untrusted: tools.Untrusted}
	out.NextCursor, err = at.cursor(ctx, m)
	return out, err
}

// wantsFull reports whether Google has to be asked for notes and guests.
func (in listInput) wantsFull() bool {
	return in.Full || slices.Contains(in.Fields, "description") || slices.Contains(in.Fields, "attendees")
}

// only is e with the fields that were asked for, and those that say which event it is.
func (in listInput) only(e listed) listed {
	if !tools.Wants(in.Fields, "location") {
		e.Location = ""
	}
	if !tools.Wants(in.Fields, "status") {
		e.Status, e.Free, e.Response = "", false, ""
	}
	if !tools.Wants(in.Fields, "description") {
		e.Description, e.DescriptionTruncated = "", false
	}
	if !tools.Wants(in.Fields, "attendees") {
		e.Attendees = nil
	}
	return e
}

func (in listInput) ask(service *google.Service, id string, at stretch, token string) *google.EventsListCall {
	fields := briefFields + ",attendees(self,responseStatus)"
	if in.wantsFull() {
		fields = fullFields
	}
	call := service.Events.List(id).SingleEvents(true).OrderBy("startTime").MaxResults(int64(limit(in.Limit))).TimeMin(at.From).
		Fields("timeZone", "nextPageToken", googleapi.Field("items("+fields+")"))
	if at.Until != "" {
		call.TimeMax(at.Until)
	}
	if token != "" {
		call.PageToken(token)
	}
	if in.Query != "" {
		call.Q(in.Query)
	}
	return call
}

func limit(asked int) int {
	if asked == 0 {
		return standardLimit
	}
	return asked
}

// calendarIDs are the calendars that ids name, each once: the primary one for none.
func calendarIDs(ids []string) ([]string, error) {
	if len(ids) == 0 {
		return []string{primary}, nil
	}
	var list []string
	for _, id := range ids {
		if id == "" || !plainID(id) {
			return nil, badCalendar(id)
		}
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list, nil
}

// A stretch is what a list is about, and where it is in it: a cursor's content. The
// first page fixes it, because "now" moves on.
type stretch struct {
	From   string  `json:"f,omitempty"`
	Until  string  `json:"u,omitempty"`
	Zone   string  `json:"z,omitempty"`
	Places []place `json:"p"`
}

// begin is the stretch that a cursor goes on with, or the one from start until end,
// where "" is open, over so many calendars.
func begin(ctx context.Context, cursor string, times *reader, start, end string, calendars int) (stretch, error) {
	at := stretch{Places: make([]place, calendars)}
	if cursor != "" {
		err := tools.ReadCursor(ctx, cursor, &at)
		if err == nil && len(at.Places) != calendars {
			err = told("This cursor is not of this call. Leave it out to begin at the first page.")
		}
		return at, err
	}
	from, err := times.optional("start", start)
	if err != nil {
		return stretch{}, err
	}
	until, err := times.optional("end", end)
	if err != nil {
		return stretch{}, err
	}
	if !from.IsZero() && !until.IsZero() && !until.After(from) {
		return stretch{}, told("end %s is not after start %s. Without a start, it is now; the end of a day is the date of the next.", end, from.Format(time.RFC3339))
	}
	at.From, at.Until = stamp(from), stamp(until)
	if where := times.sofar(); where != nil {
		at.Zone = where.String()
	}
	return at, nil
}

// cursor is for what comes after m's events; "" where nothing does.
func (at stretch) cursor(ctx context.Context, m *merge) (string, error) {
	places, more := m.places()
	if !more {
		return "", nil
	}
	at.Places, at.Zone = places, m.zone
	return tools.WriteCursor(ctx, at)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}
