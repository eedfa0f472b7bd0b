package sandbox

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// writing are the parameters that inserting and patching share.
func writing() []string {
	return []string{"sendUpdates", "conferenceDataVersion", "maxAttendees", "supportsAttachments"}
}

// mayWrite checks scope and parameters of a write.
func mayWrite(c *call, parameterNames ...string) answer {
	if wrong := writesEvents(c); wrong.status != 0 {
		return wrong
	}
	q, wrong := parameters(c, parameterNames...)
	if wrong.status != 0 {
		return wrong
	}
	for name, values := range map[string][]string{
		"sendUpdates": {"", "all", "externalOnly", "none"}, "conferenceDataVersion": {"", "0", "1"}, "supportsAttachments": {"", "true", "false"},
	} {
		if !slices.Contains(values, q.Get(name)) {
			return badParameter(name, "Invalid value for "+name+": it is "+strings.Join(values[1:], " or ")+".")
		}
	}
	return answer{}
}

func (s *Sandbox) insertEvent(c *call) answer {
	if wrong := mayWrite(c, writing()...); wrong.status != 0 {
		return wrong
	}
	cal := s.own(c, c.PathValue("calendar"))
	if cal == nil {
		return googleNotFound()
	}
	body, wrong := eventBody(c)
	if wrong.status != 0 {
		return wrong
	}
	id, wrong := s.eventID(cal, body)
	if wrong.status == 0 {
		wrong = s.extras(c, body, object{})
	}
	if wrong.status == 0 {
		wrong = cal.check(body)
	}
	if wrong.status != 0 {
		return wrong
	}
	return s.add(c, cal, id, body)
}

// add puts a new event into cal.
func (s *Sandbox) add(c *call, cal *calendar, id string, body object) answer {
	now := s.cfg.Now().UTC().Truncate(time.Millisecond)
	e := &event{ID: id, Body: body, Created: now, Updated: now, Revision: 1}
	cal.Events = append(cal.Events, e)
	s.dirty = true
	s.mail(c, cal, e, nil)
	return answer{status: http.StatusOK, body: cal.shape(c, *cal.occurrence(id), nil)}.with("ETag", e.etag())
}

// eventID takes the id out of body, or makes one. An id is spent for ever: that of
// a deleted event too.
func (s *Sandbox) eventID(cal *calendar, body object) (string, answer) {
	asked, given := body["id"].(string)
	delete(body, "id")
	if !given {
		return "sb" + strconv.FormatInt(s.nextID(), 32) + strings.ToLower(TokenHash(random())[:16]), answer{}
	}
	if len(asked) < 5 || len(asked) > 1024 || strings.Trim(asked, "0123456789abcdefghijklmnopqrstuv") != "" {
		return "", googleBad("Invalid resource id value.", "invalid")
	}
	if cal.occurrence(asked) != nil {
		return "", googleError(http.StatusConflict, "The requested identifier already exists.", "duplicate", nil)
	}
	return asked, answer{}
}

// change is the target of a write, if it may be changed.
func (s *Sandbox) change(c *call, parameterNames ...string) (*calendar, *occurrence, answer) {
	if wrong := mayWrite(c, parameterNames...); wrong.status != 0 {
		return nil, nil, wrong
	}
	cal, o, wrong := s.target(c)
	switch {
	case wrong.status != 0:
		return nil, nil, wrong
	case c.Header.Get("If-Match") != "" && c.Header.Get("If-Match") != o.event.etag():
		return nil, nil, googleError(http.StatusPreconditionFailed, "Precondition Failed", "conditionNotMet",
			object{"location": "If-Match", "locationType": "header"})
	}
	return cal, o, answer{}
}

func (s *Sandbox) patchEvent(c *call) answer {
	cal, o, wrong := s.change(c, writing()...)
	if wrong.status != 0 {
		return wrong
	}
	patch, wrong := eventBody(c)
	if wrong.status == 0 {
		wrong = cal.mayPatch(o, patch)
	}
	if wrong.status != 0 {
		return wrong
	}
	delete(patch, "id")
	before := cal.bodyOf(o)
	if patch["attendeesOmitted"] == true {
		patch["attendees"] = cal.withOwnAnswer(before, patch)
	}
	delete(patch, "attendeesOmitted")
	if wrong := s.extras(c, patch, before); wrong.status != 0 {
		return wrong
	}
	body := merge(before, patch)
	if wrong := cal.check(body); wrong.status != 0 {
		return wrong
	}
	e := cal.writable(o)
	e.Body, e.Cancelled = body, e.Cancelled && patch["status"] != "confirmed"
	s.touch(e)
	cal.prune(e)
	s.mail(c, cal, e, before)
	return answer{status: http.StatusOK, body: cal.shape(c, *cal.occurrence(e.ID), nil)}.with("ETag", e.etag())
}

// mayPatch says what a patch may not have: a recurrence for one occurrence, and,
// from a guest, what all guests share.
func (cal *calendar) mayPatch(o *occurrence, patch object) answer {
	if o.of != "" && patch["recurrence"] != nil {
		return googleBad("Recurrence can't be set on an instance of a recurring event.", "invalid")
	}
	if cal.organizer(o.event) == cal.ID {
		return answer{}
	}
	for name := range patch {
		if !slices.Contains([]string{"attendees", "attendeesOmitted", "reminders", "colorId", "transparency", "visibility"}, name) {
			return googleError(http.StatusForbidden, "Shared properties can only be changed by the organizer of the event.", "forbiddenForNonOrganizer", nil)
		}
	}
	return answer{}
}

// withOwnAnswer are the guests before, with the calendar's own entry as in patch.
func (cal *calendar) withOwnAnswer(before, patch object) []any {
	answered, _ := patch["attendees"].([]any)
	guests, _ := before["attendees"].([]any)
	guests = slices.Clone(guests)
	for _, a := range answered {
		own, _ := a.(object)
		i := slices.IndexFunc(guests, func(g any) bool { return g.(object)["email"] == own["email"] })
		if own["email"] == cal.ID && i >= 0 {
			guests[i] = merge(guests[i].(object), own)
		}
	}
	return guests
}

// bodyOf is what clients wrote of o; for one occurrence, the series' with its time.
func (cal *calendar) bodyOf(o *occurrence) object {
	if o.of == "" || o.event.Of != "" {
		return o.event.Body
	}
	body := maps.Clone(o.event.Body)
	delete(body, "recurrence")
	f, _ := decodeEvent(body)
	body["start"], body["end"] = o.moment(o.start, f.Start, cal.location()), o.moment(o.end, f.End, cal.location())
	return body
}

// writable is o's event; for one occurrence, an exception that is made now.
func (cal *calendar) writable(o *occurrence) *event {
	o.event.Seed = false
	if o.of == "" || o.event.Of != "" {
		return o.event
	}
	e := &event{ID: o.id, Body: cal.bodyOf(o), Created: o.event.Created, Updated: o.event.Updated, Revision: o.event.Revision,
		Organizer: o.event.Organizer, Of: o.of, Original: o.original}
	cal.Events = append(cal.Events, e)
	return e
}

// prune drops the exceptions of e that its rule doesn't lead to any more.
func (cal *calendar) prune(e *event) {
	if e.Of != "" {
		return
	}
	kept := cal.all(e, true)
	cal.Events = slices.DeleteFunc(cal.Events, func(x *event) bool {
		return x.Of == e.ID && !slices.ContainsFunc(kept, func(o occurrence) bool { return o.id == x.ID })
	})
}

func (s *Sandbox) deleteEvent(c *call) answer {
	cal, o, wrong := s.change(c, "sendUpdates")
	if wrong.status != 0 {
		return wrong
	}
	if o.event.Cancelled {
		return googleError(http.StatusGone, "Resource has been deleted", "deleted", nil)
	}
	e := cal.writable(o)
	e.Cancelled = true
	s.touch(e)
	s.mail(c, cal, e, nil)
	cal.prune(e)
	return answer{status: http.StatusNoContent}
}

// touch notes that e changed.
func (s *Sandbox) touch(e *event) {
	e.Updated, e.Seed = s.cfg.Now().UTC().Truncate(time.Millisecond), false
	e.Revision++
	s.dirty = true
}
