package calendar

import (
	"context"
	"net/http"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func deleteEvent() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "calendar_delete_event",
		Title: "Delete an event",
		Description: "Delete an event; of a series this, it and following, or all. " +
			"Not for declining: calendar_respond.",
		Can:         "Delete events in your calendars, and have Google mail their guests",
		Provider:    provider,
		Scopes:      []string{google.CalendarEventsScope}, // not only .owned: shared calendars too
		Destructive: true, Idempotent: true,
		Egress: []tools.Rule{
			rule(http.MethodGet, oneEvent), rule(http.MethodDelete, oneEvent, "sendUpdates"),
			rule(http.MethodPatch, oneEvent, "sendUpdates"), // for scope following
		},
	}, remove)
}

type deleteInput struct {
	Calendar    string `json:"calendar,omitempty" jsonschema:"default primary"`
	Event       string `json:"event" jsonschema:"event id"`
	Summary     string `json:"summary" jsonschema:"its title, as it is"`
	Scope       string `json:"scope,omitempty" jsonschema:"of a series (default this)" enum:"this,following,all"`
	Etag        string `json:"etag,omitempty" jsonschema:"refuse if changed"`
	SendUpdates string `json:"send_updates,omitempty" jsonschema:"default none" enum:"all,externalOnly,none"`
}

type deleteOutput struct {
	Deleted string `json:"deleted"`
	ID      string `json:"id"`
}

func remove(ctx context.Context, api *http.Client, in deleteInput) (deleteOutput, error) {
	if err := checkEvent(in.Event); err != nil {
		return deleteOutput{}, err
	}
	d, err := newDesk(ctx, api, in.Calendar, in.SendUpdates)
	if err != nil {
		return deleteOutput{}, err
	}
	e, err := d.readToChange(ctx, in.Event, in.Etag, nil)
	if err == nil {
		err = titled(e, "summary", in.Summary)
	}
	if err != nil {
		return deleteOutput{}, err
	}
	part, err := partOf(e, in.Scope)
	if err != nil {
		return deleteOutput{}, err
	}
	if part == itself || part == occurrence {
		return deleted(part, e), d.delete(ctx, e)
	}
	whole, err := d.readToChange(ctx, e.RecurringEventId, "", nil)
	if err != nil {
		return deleteOutput{}, err
	}
	if part == series || isFirst(e, whole) {
		return deleted(series, whole), d.delete(ctx, whole)
	}
	ended, err := endBefore(e, whole)
	if err == nil {
		_, err = d.patch(ctx, whole, &google.Event{Recurrence: ended})
	}
	return deleted(rest, e), err
}

func deleted(p part, e *google.Event) deleteOutput {
	words := map[part]string{itself: "the event", occurrence: "this occurrence", rest: "this occurrence and all following", series: "the whole series"}
	if p == itself && len(e.Recurrence) > 0 {
		p = series
	}
	return deleteOutput{words[p], e.Id}
}

// delete deletes e, if it is still that.
func (d desk) delete(ctx context.Context, e *google.Event) error {
	call := d.service.Events.Delete(d.calendar, e.Id).SendUpdates(d.updates).Context(ctx)
	unlessChanged(call.Header(), e)
	if err := call.Do(); err != nil {
		return d.changed(ctx, err, e)
	}
	return nil
}
