package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// mostBusy is how many calendars Google tells of in one answer.
const mostBusy = 50

// freeBusy answers for the caller's own calendars, and notFound for any other.
func (s *Sandbox) freeBusy(c *call) answer {
	if wrong := googleNeeds(c, calendarScope, calendarScope+".readonly", calendarScope+".freebusy", calendarScope+".events.freebusy"); wrong.status != 0 {
		return wrong
	}
	var in struct {
		TimeMin  string              `json:"timeMin"`
		TimeMax  string              `json:"timeMax"`
		TimeZone string              `json:"timeZone"`
		Items    []map[string]string `json:"items"`
	}
	if _, wrong := parameters(c); wrong.status != 0 {
		return wrong
	}
	if err := decodeStrict(c.body, &in, "timeMin", "timeMax", "timeZone", "items"); err != nil {
		return badBody(err)
	}
	w, wrong := newWindow(url.Values{"timeMin": {in.TimeMin}, "timeMax": {in.TimeMax}, "timeZone": {in.TimeZone}})
	if wrong.status != 0 {
		return wrong
	}
	if w.from.IsZero() || w.to.IsZero() {
		return googleBad("Missing timeMin or timeMax.", "required")
	}
	if w.zone == nil {
		w.zone = time.UTC
	}
	calendars := object{}
	for i, item := range in.Items {
		if len(item) != 1 || item["id"] == "" {
			return googleBad("Missing id of an item, or more than that.", "required")
		}
		calendars[item["id"]] = s.busyness(c, item["id"], i, w)
	}
	return answer{status: http.StatusOK, body: object{"kind": "calendar#freeBusy",
		"timeMin": stamp(w.from), "timeMax": stamp(w.to), "calendars": calendars}}
}

// busyness is what the answer says of the calendar that is item i.
func (s *Sandbox) busyness(c *call, id string, i int, w window) object {
	cal, reason := s.own(c, id), ""
	switch {
	case i >= mostBusy:
		reason = "tooManyCalendarsRequested"
	case cal == nil:
		reason = "notFound"
	default:
		return object{"busy": cal.busy(w)}
	}
	return object{"busy": []object{}, "errors": []object{{"domain": "global", "reason": reason}}}
}

func (cal *calendar) busy(w window) []object {
	busy := []object{}
	list := cal.occurrences(w, true)
	slices.SortStableFunc(list, func(a, b occurrence) int { return a.start.Compare(b.start) })
	for _, o := range list {
		if cal.blocks(o.event) {
			busy = append(busy, object{"start": o.start.In(w.zone).Format(time.RFC3339), "end": o.end.In(w.zone).Format(time.RFC3339)})
		}
	}
	return busy
}

// blocks: nothing that was cancelled, is marked as free, or was declined.
func (cal *calendar) blocks(e *event) bool {
	f, _ := decodeEvent(e.Body)
	for _, a := range f.Attendees {
		if a.Email == cal.ID && a.ResponseStatus == "declined" {
			return false
		}
	}
	return !e.Cancelled && f.Transparency != "transparent"
}
