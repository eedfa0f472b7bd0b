// Package calendar is the Google Calendar module.
//
// It guarantees to send nothing but what its tools' contracts list, to
// www.googleapis.com as it is known in public, with a client that it is given and
// never makes. A date-time without a zone is refused and the calendar's zone named,
// never guessed; a date stays a date; an answer says in which zone its times are.
// What it returns of other people's words is cleaned, cut to a bounded length and
// marked as theirs.
//
// A write changes only what was given: guests are added and removed, never replaced,
// and a guest's answer leaves the others' alone. What was changed since it was read is
// not written to. A whole series is changed only when the call says so. Nobody is mailed
// unless the call says so, but an organizer of an answer. With an idempotency_key,
// however often it is repeated, there is one event.
package calendar

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	google "google.golang.org/api/calendar/v3"
	"google.golang.org/api/option"

	"github.com/latchkey-mcp/latchkey/tools"
)

const (
	host     = "www.googleapis.com"
	endpoint = "https://" + host + "/calendar/v3/"
	events   = "/calendar/v3/calendars/{calendar}/events"
	provider = "google"
	primary  = "primary"
)

// Module is Google Calendar's tools.
func Module() tools.Module {
	return tools.Module{
		Name: "calendar", Title: "Google Calendar", Provider: provider,
		Tools: []tools.Tool{
			calendarContext(), listCalendars(), listEvents(), getEvent(), listInstances(), freeBusy(), findTime(), createEvent(),
			quickAdd(), updateEvent(), deleteEvent(), respond(),
		},
	}
}

// connect is Google's client on api. Endpoint and logger are given, because the
// library would take others from the environment.
func connect(ctx context.Context, api *http.Client) (*google.Service, error) {
	service, err := google.NewService(ctx,
		option.WithHTTPClient(api), option.WithEndpoint(endpoint), option.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, fmt.Errorf("calendar: %w", err)
	}
	service.UserAgent = "latchkey"
	return service, nil
}

// rule is a contract's line for a path below Google's calendar API, with the query
// names that its client library always sends.
func rule(method, path string, query ...string) tools.Rule {
	return tools.Rule{Method: method, Host: host, Path: path, Query: append(query, "alt", "prettyPrint")}
}

// asksZone is the contract's line for zoneOf.
func asksZone() tools.Rule { return rule(http.MethodGet, events, "maxResults", "fields") }

// calendarID is id, or primary for "". What couldn't be one segment of a path is
// refused with a sentence; the contract would refuse it with none.
func calendarID(id string) (string, error) {
	if id == "" {
		return primary, nil
	}
	if !plainID(id) {
		return "", badCalendar(id)
	}
	return id, nil
}

func badCalendar(id string) error {
	return told("%.80q is no calendar id. Use primary, or an id that calendar_list_calendars gives.", id)
}

// checkEvent is calendarID for an event's id.
func checkEvent(id string) error {
	if !plainID(id) {
		return told("event %.80q is no event id. Use an id that calendar_list_events gives.", id)
	}
	return nil
}

// plainID knows what Google makes ids of: addresses, in which it allows apostrophes,
// and names like #contacts@group.v.calendar.google.com.
func plainID(id string) bool {
	return id != "" && len(id) <= 1024 && !strings.Contains(".+@-", id[:1]) && strings.Trim(id,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+#@'-") == ""
}
