package calendar

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

// split ends old before its occurrence e and makes a new series from there on, with
// the changes: Google's way to change all that follow. Single changes after e go.
func (u updating) split(ctx context.Context, e, old *google.Event) (updateOutput, error) {
	progress := tools.Info(ctx).Progress
	progress(1, 3, "Reading the series")
	ended, err := endBefore(e, old)
	if err != nil {
		return updateOutput{}, err
	}
	fresh, err := u.goesOn(ctx, e, old)
	if err != nil {
		return updateOutput{}, err
	}
	progress(2, 3, "Ending the series before this occurrence")
	if _, err := u.patch(ctx, old, &google.Event{Recurrence: ended}); err != nil {
		return updateOutput{}, err
	}
	progress(3, 3, "Making the series from here on")
	made, err := u.post(ctx, fresh)
	if err != nil {
		return updateOutput{}, u.halfway(err, e, old, fresh)
	}
	u.out.Earlier = old.Id
	return u.answer(made), nil
}

// halfway says what is so after the old series ended and the new one wasn't made, and
// how to mend it. err stays in it, for who made the client.
func (u updating) halfway(err error, e, old, fresh *google.Event) error {
	what := fmt.Sprintf("whether the new one from there on was made is unknown: look for %s with calendar_get_event. If it isn't there", fresh.Id)
	if code := status(err); code >= 400 && code < 500 {
		what = "the new one from there on was not made. " + explain(err, about{calendar: u.calendar, writes: true}).Error() + " Then"
	}
	mend := told("The series %s now ends before %s, but %s, put the old one back with calendar_update_event: event %s, scope all, recurrence [%q], and begin again.",
		old.Id, at(original(e), nil), what, old.Id, strings.Join(old.Recurrence, `","`))
	return errors.Join(mend, err)
}

// goesOn is the series that goes on from the occurrence e: as old is, but for the
// changes. What can't be taken along is refused.
func (u updating) goesOn(ctx context.Context, e, old *google.Event) (*google.Event, error) {
	if old.EventType != "" && old.EventType != "default" {
		return nil, told("A series of the type %q can't be divided. Use scope this or all.", old.EventType)
	}
	if old.AttendeesOmitted {
		return nil, told("Google doesn't show all guests of this series, so dividing it would lose some. Use scope this, or all.")
	}
	fresh := copied(old)
	fresh.Id = madeID("following", old.Id, e.Id, old.Etag)
	if old.ConferenceData != nil || old.HangoutLink != "" {
		if old.HangoutLink == "" {
			return nil, told("The series has a conference that isn't Google Meet, which dividing it would lose. Use scope this or all.")
		}
		fresh.ConferenceData = asksMeet(fresh.Id)
	}
	if err := u.when(ctx, fresh, e, old); err != nil {
		return nil, err
	}
	start, end, err := u.span(fresh, fresh)
	if err != nil {
		return nil, err
	}
	if start != nil && start.DateTime != "" && start.TimeZone == "" {
		start.TimeZone, end.TimeZone = fresh.Start.TimeZone, fresh.Start.TimeZone
	}
	return fresh, u.onto(fresh, fresh, start, end)
}

// when sets fresh to begin at the occurrence e's place, and to repeat as old does from
// there.
func (u updating) when(ctx context.Context, fresh, e, old *google.Event) error {
	place := original(e)
	from, ok := instant(place)
	a, okA := instant(old.Start)
	b, okB := instant(old.End)
	if !ok || !okA || !okB {
		return strange()
	}
	to := from.Add(b.Sub(a))
	if place.Date != "" {
		fresh.Start, fresh.End = &google.EventDateTime{Date: place.Date}, &google.EventDateTime{Date: to.Format(time.DateOnly)}
	} else {
		where := zoneOfAny(old.Start, place)
		fresh.Start, fresh.End = timed(from.In(where), where), timed(to.In(where), where)
	}
	if u.in.Recurrence != nil {
		return nil
	}
	lines, err := u.rest(ctx, e, old)
	fresh.Recurrence = lines
	return err
}

// rest are old's lines of recurrence for what is left from e on: an end stays, of a
// number of times the rest.
func (u updating) rest(ctx context.Context, e, old *google.Event) ([]string, error) {
	if !hasPart(old.Recurrence, "COUNT") {
		return old.Recurrence, nil
	}
	if len(old.Recurrence) > 1 {
		return nil, told("The series ends after a number of times and leaves some out, so it can't be divided as it is. Give recurrence with the rule from here on.")
	}
	n, err := u.countFrom(ctx, e, old)
	return []string{dropParts(old.Recurrence[0], "COUNT") + ";COUNT=" + strconv.Itoa(max(n, 1))}, err
}

// strange is for times of Google's that are none.
func strange() error {
	return told("Google gives a time for this series that can't be read here. Change it in Google Calendar.")
}

// copied are the fields of a series that a new one takes over.
func copied(old *google.Event) *google.Event {
	fresh := &google.Event{
		Summary: old.Summary, Description: old.Description, Location: old.Location, ColorId: old.ColorId,
		Visibility: old.Visibility, Transparency: old.Transparency, Attendees: guests(old),
		GuestsCanInviteOthers: old.GuestsCanInviteOthers, GuestsCanModify: old.GuestsCanModify,
		GuestsCanSeeOtherGuests: old.GuestsCanSeeOtherGuests, Source: old.Source, Attachments: old.Attachments,
	}
	if old.Reminders != nil {
		fresh.Reminders = &google.EventReminders{UseDefault: old.Reminders.UseDefault, Overrides: old.Reminders.Overrides, ForceSendFields: []string{"UseDefault"}}
	}
	if p := old.ExtendedProperties; p != nil {
		private := maps.Clone(p.Private)
		delete(private, mark)
		fresh.ExtendedProperties = &google.EventExtendedProperties{Private: private, Shared: p.Shared}
	}
	return fresh
}
