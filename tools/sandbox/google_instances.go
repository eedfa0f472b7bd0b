package sandbox

import (
	"net/http"
	"slices"
)

// instances lists the occurrences of a recurring event, exceptions in their places.
func (s *Sandbox) instances(c *call) answer {
	if wrong := readsEvents(c); wrong.status != 0 {
		return wrong
	}
	q, wrong := parameters(c, "timeMin", "timeMax", "maxResults", "pageToken", "timeZone", "showDeleted", "maxAttendees", "originalStart")
	if wrong.status != 0 {
		return wrong
	}
	w, wrong := newWindow(q)
	if wrong.status != 0 {
		return wrong
	}
	cal, o, wrong := s.target(c)
	if wrong.status != 0 {
		return wrong
	}
	list := slices.DeleteFunc(cal.all(o.event, true), func(o occurrence) bool {
		return o.of == "" || o.event.Cancelled && q.Get("showDeleted") != "true" ||
			!w.from.IsZero() && !o.end.After(w.from) || !w.to.IsZero() && !o.start.Before(w.to)
	})
	from, to, next, wrong := slicePage(q, len(list), 250, 2500)
	if wrong.status != 0 {
		return wrong
	}
	return answer{status: http.StatusOK, body: cal.list(c, list[from:to], next, w)}
}
