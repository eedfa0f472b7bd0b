package calendar

import (
	"context"
	"net/http"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func updateEvent() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "calendar_update_event",
		Title: "Change an event",
		Description: "Change only what is given of an event; scope following makes a new series. " +
			"Not for invitations: calendar_respond.",
		Can:         "Change events in your calendars and who is invited to them, and have Google mail the guests",
		Provider:    provider,
		Scopes:      []string{google.CalendarEventsScope}, // not only .owned: shared calendars too
		Destructive: true,
		Egress: []tools.Rule{
			rule(http.MethodGet, oneEvent), patches(), asksZone(),
			// For scope following.
			rule(http.MethodGet, oneEvent+"/instances", "showDeleted", "maxResults", "pageToken", "fields"),
			rule(http.MethodPost, events, "sendUpdates", "conferenceDataVersion", "supportsAttachments"),
		},
	}, update)
}

type updateInput struct {
	Calendar        string   `json:"calendar,omitempty" jsonschema:"default primary"`
	Event           string   `json:"event" jsonschema:"event id"`
	Scope           string   `json:"scope,omitempty" jsonschema:"of a series (default this)" enum:"this,following,all"`
	Etag            string   `json:"etag,omitempty" jsonschema:"refuse if changed"`
	Current         string   `json:"current_summary,omitempty" jsonschema:"its title before, for who approves"`
	Summary         string   `json:"summary,omitempty" jsonschema:"title"`
	Start           string   `json:"start,omitempty" jsonschema:"alone it keeps the length"`
	End             string   `json:"end,omitempty" jsonschema:"exclusive"`
	TimeZone        string   `json:"time_zone,omitempty" jsonschema:"IANA"`
	Location        *string  `json:"location,omitempty" jsonschema:"place; empty clears"`
	Description     *string  `json:"description,omitempty" jsonschema:"notes; empty clears"`
	AddAttendees    []string `json:"add_attendees,omitempty" jsonschema:"e-mail addresses"`
	RemoveAttendees []string `json:"remove_attendees,omitempty" jsonschema:"e-mail addresses"`
	Recurrence      []string `json:"recurrence,omitempty" jsonschema:"RRULE lines"`
	Reminders       []string `json:"reminders,omitempty" jsonschema:"popup 10; [] for none"`
	Meet            *bool    `json:"meet,omitempty" jsonschema:"add or remove it"`
	Visibility      string   `json:"visibility,omitempty" jsonschema:"of details" enum:"default,public,private"`
	SendUpdates     string   `json:"send_updates,omitempty" jsonschema:"default none" enum:"all,externalOnly,none"`
}

type updateOutput struct {
	written
	Changed []string `json:"changed"`
	Meet    string   `json:"meet,omitempty"`
	Earlier string   `json:"earlier,omitempty"`
}

func update(ctx context.Context, api *http.Client, in updateInput) (updateOutput, error) {
	fields, remind, err := in.check()
	if err != nil {
		return updateOutput{}, err
	}
	d, err := newDesk(ctx, api, in.Calendar, in.SendUpdates)
	if err != nil {
		return updateOutput{}, err
	}
	times, err := d.times(ctx, in.TimeZone)
	if err != nil {
		return updateOutput{}, err
	}
	e, err := d.readToChange(ctx, in.Event, in.Etag, fields)
	if err == nil && in.Current != "" {
		err = titled(e, "current_summary", in.Current)
	}
	if err != nil {
		return updateOutput{}, err
	}
	u := updating{desk: d, in: in, times: times, remind: remind, out: updateOutput{Changed: fields}}
	return u.run(ctx, e)
}

// check is what needs nothing from Google: the names of what shall change, and the
// reminders.
func (in updateInput) check() ([]string, *google.EventReminders, error) {
	if in.Recurrence != nil && len(in.Recurrence) == 0 {
		return nil, nil, told("recurrence is empty. A series is ended with an UNTIL in its rule, or by deleting the occurrences that follow.")
	}
	remind, err := reminders(in.Reminders)
	for _, wrong := range []error{
		checkEvent(in.Event), err, addresses("add_attendees", in.AddAttendees), addresses("remove_attendees", in.RemoveAttendees), checkRecurrence(in.Recurrence),
	} {
		if wrong != nil {
			return nil, nil, wrong
		}
	}
	var fields []string
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"summary", in.Summary != ""}, {"start", in.Start != ""}, {"end", in.End != "" || in.Start != ""}, {"location", in.Location != nil},
		{"description", in.Description != nil}, {"attendees", len(in.AddAttendees)+len(in.RemoveAttendees) > 0},
		{"recurrence", in.Recurrence != nil}, {"reminders", in.Reminders != nil}, {"meet", in.Meet != nil}, {"visibility", in.Visibility != ""},
	} {
		if f.given {
			fields = append(fields, f.name)
		}
	}
	if len(fields) == 0 {
		return nil, nil, told("Nothing to change was given. Give at least one of summary, start, end, location, description, add_attendees, remove_attendees, recurrence, reminders, meet, visibility.")
	}
	return fields, remind, nil
}

// An updating is one update on its way.
type updating struct {
	desk
	in     updateInput
	times  *reader
	remind *google.EventReminders
	out    updateOutput
}

// run changes e, the event that was named, or the series that it is of.
func (u updating) run(ctx context.Context, e *google.Event) (updateOutput, error) {
	part, err := partOf(e, u.in.Scope)
	if err != nil {
		return updateOutput{}, err
	}
	switch {
	case part == occurrence && u.in.Recurrence != nil:
		return updateOutput{}, told("recurrence is of a whole series: give scope following or all.")
	case part == itself || part == occurrence:
		return u.change(ctx, e, e)
	}
	series, err := u.readToChange(ctx, e.RecurringEventId, "", nil)
	if err != nil {
		return updateOutput{}, err
	}
	if part == rest && !isFirst(e, series) {
		return u.split(ctx, e, series)
	}
	return u.change(ctx, series, e)
}

// change changes target: named itself, or the series of named.
func (u updating) change(ctx context.Context, target, named *google.Event) (updateOutput, error) {
	start, end, err := u.span(target, named)
	if err != nil {
		return updateOutput{}, err
	}
	replacing(start, target.Start)
	replacing(end, target.End)
	change := &google.Event{}
	if err := u.onto(change, target, start, end); err != nil {
		return updateOutput{}, err
	}
	after, err := u.patch(ctx, target, change)
	if err != nil {
		return updateOutput{}, err
	}
	return u.answer(after), nil
}

func (u updating) answer(after *google.Event) updateOutput {
	u.out.written = of(after, u.times.sofar())
	if u.in.Meet != nil && *u.in.Meet {
		u.out.Meet = meetOf(after)
	}
	return u.out
}

// onto sets in e, a change or a whole event, what was given; before is the event as
// it was.
func (u updating) onto(e, before *google.Event, start, end *google.EventDateTime) error {
	in := u.in
	if in.Summary != "" {
		e.Summary = in.Summary
	}
	if start != nil {
		e.Start, e.End = start, end
	}
	if in.Location != nil {
		e.Location, e.ForceSendFields = *in.Location, append(e.ForceSendFields, "Location")
	}
	if in.Description != nil {
		e.Description, e.ForceSendFields = *in.Description, append(e.ForceSendFields, "Description")
	}
	if in.Recurrence != nil {
		e.Recurrence = in.Recurrence
	}
	if u.remind != nil {
		e.Reminders = u.remind
	}
	if in.Visibility != "" {
		e.Visibility = in.Visibility
	}
	u.meet(e, before)
	return u.invite(e, before)
}

// meet adds a Google Meet where there is none, or takes one away.
func (u updating) meet(e, before *google.Event) {
	has := before.ConferenceData != nil || before.HangoutLink != ""
	switch {
	case u.in.Meet == nil || *u.in.Meet == has:
	case *u.in.Meet:
		e.ConferenceData = asksMeet(madeID("meet", before.Id, before.Etag))
	default:
		e.ConferenceData, e.NullFields = nil, append(e.NullFields, "ConferenceData")
	}
}
