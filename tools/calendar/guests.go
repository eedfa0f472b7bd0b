package calendar

import (
	"slices"
	"strings"

	google "google.golang.org/api/calendar/v3"
)

// invite sets e's guests: those of before, as they answered, without the removed ones
// and with the added ones.
func (u updating) invite(e, before *google.Event) error {
	if len(u.in.AddAttendees)+len(u.in.RemoveAttendees) == 0 {
		return nil
	}
	if before.AttendeesOmitted {
		return told("Google doesn't show all guests of this event, so a change would lose some. Only its organizer can change them.")
	}
	list := guests(before)
	for _, address := range u.in.RemoveAttendees {
		i := invited(list, address)
		if i < 0 {
			return told("remove_attendees: %q is not invited. calendar_get_event shows who is.", address)
		}
		list = slices.Delete(list, i, i+1)
	}
	for _, address := range u.in.AddAttendees {
		if invited(list, address) < 0 {
			list = append(list, &google.EventAttendee{Email: address})
		}
	}
	e.Attendees, e.ForceSendFields = list, append(e.ForceSendFields, "Attendees")
	return nil
}

// guests are e's, with what of them may be written.
func guests(e *google.Event) []*google.EventAttendee {
	list := []*google.EventAttendee{}
	for _, a := range e.Attendees {
		if a != nil {
			list = append(list, copyOf(a))
		}
	}
	return list
}

// copyOf is what of a may be written.
func copyOf(a *google.EventAttendee) *google.EventAttendee {
	return &google.EventAttendee{
		Email: a.Email, DisplayName: a.DisplayName, Optional: a.Optional, Resource: a.Resource,
		ResponseStatus: a.ResponseStatus, Comment: a.Comment, AdditionalGuests: a.AdditionalGuests,
	}
}

// invited is where in list the guest of that address is, or -1.
func invited(list []*google.EventAttendee, address string) int {
	return slices.IndexFunc(list, func(a *google.EventAttendee) bool { return strings.EqualFold(a.Email, address) })
}
