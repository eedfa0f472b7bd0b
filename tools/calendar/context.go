package calendar

import (
	"context"
	"net/http"
	"strings"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func calendarContext() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "calendar_context",
		Title:       "Time, zone and account",
		Description: "The user's time, zone, account and granted scopes. Call it before reckoning with dates.",
		Can:         "Read the time zone of your primary calendar",
		Provider:    provider,
		Scopes:      []string{google.CalendarCalendarsReadonlyScope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{asksPrimary()},
	}, now)
}

type contextOutput struct {
	Now      string   `json:"now"`
	Weekday  string   `json:"weekday"`
	TimeZone string   `json:"time_zone"`
	Account  string   `json:"account"`
	Scopes   []string `json:"scopes"`
}

func now(ctx context.Context, api *http.Client, _ struct{}) (contextOutput, error) {
	service, err := connect(ctx, api)
	if err != nil {
		return contextOutput{}, err
	}
	where, err := primaryZone(ctx, service)
	if err != nil {
		return contextOutput{}, err
	}
	info := tools.Info(ctx)
	connection, err := info.Connection()
	if err != nil {
		return contextOutput{}, err
	}
	here := info.Now().In(where)
	out := contextOutput{
		Now: here.Format(time.RFC3339), Weekday: here.Weekday().String(), TimeZone: where.String(),
		Account: clip(connection.Account, 254), Scopes: make([]string, 0, len(connection.Scopes)),
	}
	for _, scope := range connection.Scopes {
		out.Scopes = append(out.Scopes, strings.TrimPrefix(scope, "https://www.googleapis.com/auth/"))
	}
	return out, nil
}

// asksPrimary is the contract's line for primaryZone.
func asksPrimary() tools.Rule {
	return rule(http.MethodGet, "/calendar/v3/calendars/{calendar}", "fields")
}

// primaryZone is the zone of the primary calendar, for tools whose scopes read no
// events.
func primaryZone(ctx context.Context, service *google.Service) (*time.Location, error) {
	result, err := service.Calendars.Get(primary).Fields("timeZone").Context(ctx).Do()
	if err != nil {
		return nil, explain(err, about{calendar: primary})
	}
	if result == nil {
		return nil, unanswered(about{})
	}
	return itsZone(result.TimeZone)
}
