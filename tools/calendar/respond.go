package calendar

import (
	"context"
	"net/http"
	"slices"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func respond() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "calendar_respond",
		Title: "Answer an invitation",
		Description: "Answer an invitation in the primary calendar, for yourself; the organizer is told. " +
			"Not for own events.",
		Can:        "Answer invitations in your own name, and have Google tell the organizer",
		Provider:   provider,
		Scopes:     []string{google.CalendarEventsOwnedScope}, // the primary calendar is always one's own
		Idempotent: true,
		Egress:     []tools.Rule{rule(http.MethodGet, oneEvent), rule(http.MethodPatch, oneEvent, "sendUpdates")},
	}, answerInvitation)
}

type respondInput struct {
	Event    string `json:"event" jsonschema:"id, also of a series"`
	Response string `json:"response" jsonschema:"your answer" enum:"accepted,declined,tentative"`
	Comment  string `json:"comment,omitempty" jsonschema:"note that guests see"`
}

func answerInvitation(ctx context.Context, api *http.Client, in respondInput) (written, error) {
	if err := checkEvent(in.Event); err != nil {
		return written{}, err
	}
	d, err := newDesk(ctx, api, primary, "all")
	if err != nil {
		return written{}, err
	}
	e, err := d.readToChange(ctx, in.Event, "", nil)
	if err != nil {
		return written{}, err
	}
	i := slices.IndexFunc(e.Attendees, func(a *google.EventAttendee) bool { return a != nil && a.Self })
	if i < 0 {
		return written{}, told("The connected account is not among the guests of this event, so there is no invitation to answer.")
	}
	own := copyOf(e.Attendees[i])
	own.ResponseStatus = in.Response
	if in.Comment != "" {
		own.Comment = in.Comment
	}
	// attendeesOmitted: Google changes this one guest and leaves the others alone.
	change := &google.Event{AttendeesOmitted: true, Attendees: []*google.EventAttendee{own}}
	after, err := d.service.Events.Patch(d.calendar, e.Id, change).SendUpdates(d.updates).Context(ctx).Do()
	if err != nil {
		return written{}, explain(err, about{calendar: d.calendar, event: e.Id, writes: true})
	}
	if after == nil || after.Id == "" {
		return written{}, unanswered(about{writes: true})
	}
	return of(after, nil), nil
}
