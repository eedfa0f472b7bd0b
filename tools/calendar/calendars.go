package calendar

import (
	"context"
	"net/http"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func listCalendars() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "calendar_list_calendars",
		Title:       "List calendars",
		Description: "List the user's calendars and their ids. Not needed for the primary one, whose id is primary.",
		Can:         "Read the list of your calendars",
		Provider:    provider,
		Scopes:      []string{google.CalendarCalendarlistReadonlyScope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{rule(http.MethodGet, "/calendar/v3/users/me/calendarList", "maxResults", "pageToken", "fields")},
	}, calendars)
}

type calendarsInput struct {
	Cursor string `json:"cursor,omitempty" jsonschema:"next_cursor of the answer before"`
}

type calendarsOutput struct {
	Calendars  []oneCalendar `json:"calendars"`
	NextCursor string        `json:"next_cursor,omitempty"`
	Untrusted  string        `json:"untrusted"`
}

type oneCalendar struct {
	ID       string `json:"id"`
	Summary  string `json:"summary"`
	TimeZone string `json:"time_zone"`
	Access   string `json:"access"`
	Primary  bool   `json:"primary,omitempty"`
}

// calendarsPage is how many calendars Google is asked for at a time.
const calendarsPage = 100

func calendars(ctx context.Context, api *http.Client, in calendarsInput) (calendarsOutput, error) {
	var here place
	if err := tools.ReadCursor(ctx, in.Cursor, &here); err != nil {
		return calendarsOutput{}, err
	}
	service, err := connect(ctx, api)
	if err != nil {
		return calendarsOutput{}, err
	}
	call := service.CalendarList.List().MaxResults(calendarsPage).Context(ctx).
		Fields("nextPageToken", "items(id,summary,summaryOverride,timeZone,accessRole,primary)")
	if here.Token != "" {
		call.PageToken(here.Token)
	}
	result, err := call.Do()
	if err != nil {
		return calendarsOutput{}, explain(err, about{paged: here.Token != ""})
	}
	if result == nil {
		return calendarsOutput{}, unanswered(about{})
	}
	list := listing(result.Items)
	list = list[min(here.Skip, len(list)):]
	fit := tools.Fit(list, room)
	out := calendarsOutput{Calendars: list[:fit], Untrusted: tools.Untrusted}
	switch {
	case fit < len(list):
		here.Skip += fit
	case result.NextPageToken != "":
		here = place{Token: result.NextPageToken}
	default:
		return out, nil
	}
	out.NextCursor, err = tools.WriteCursor(ctx, here)
	return out, err
}

func listing(items []*google.CalendarListEntry) []oneCalendar {
	list := make([]oneCalendar, 0, len(items))
	for _, item := range items {
		if item == nil {
			continue
		}
		name := item.Summary
		if item.SummaryOverride != "" {
			name = item.SummaryOverride // what the person calls it
		}
		list = append(list, oneCalendar{clip(item.Id, 1024), clip(name, 300), item.TimeZone, item.AccessRole, item.Primary})
	}
	return list
}
