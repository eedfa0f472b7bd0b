package sandbox

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A window is the part of a calendar that a list is about.
type window struct {
	from, to time.Time      // zero means open
	zone     *time.Location // of the answer; nil means the calendar's
}

// newWindow reads timeMin, timeMax and timeZone.
func newWindow(q url.Values) (w window, wrong answer) {
	for name, t := range map[string]*time.Time{"timeMin": &w.from, "timeMax": &w.to} {
		if q.Get(name) == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, q.Get(name))
		if err != nil {
			return w, badParameter(name, "Bad Request: "+name+" must be an RFC 3339 time with an offset.")
		}
		*t = at
	}
	if !w.from.IsZero() && !w.to.IsZero() && !w.from.Before(w.to) {
		return w, googleBad("The specified time range is empty.", "timeRangeEmpty")
	}
	if name := q.Get("timeZone"); name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			return w, badParameter("timeZone", "Invalid time zone: "+name)
		}
		w.zone = zone
	}
	return w, answer{}
}

// slicePage reads maxResults and pageToken: the items from until to, and the token
// of the next page.
func slicePage(q url.Values, n, standard, most int) (from, to int, next string, wrong answer) {
	size := standard
	if text := q.Get("maxResults"); text != "" {
		v, err := strconv.Atoi(text)
		if err != nil || v < 1 {
			return 0, 0, "", badParameter("maxResults", "Invalid value "+strconv.Quote(text)+". It must be a positive number.")
		}
		size = min(v, most)
	}
	if text := q.Get("pageToken"); text != "" {
		b, _ := base64.RawURLEncoding.DecodeString(text)
		offset, ok := strings.CutPrefix(string(b), pageKey(q))
		v, err := strconv.Atoi(offset)
		if !ok || err != nil || v < 1 {
			return 0, 0, "", badParameter("pageToken", "Invalid page token value.")
		}
		from = min(v, n)
	}
	to = min(from+size, n)
	if to < n {
		next = base64.RawURLEncoding.EncodeToString([]byte(pageKey(q) + strconv.Itoa(to)))
	}
	return from, to, next, answer{}
}

// pageKey binds a page token to the query that it goes on with.
func pageKey(q url.Values) string {
	rest := url.Values{}
	for name, values := range q {
		if name != "pageToken" && name != "maxResults" {
			rest[name] = values
		}
	}
	return TokenHash(rest.Encode())[:8] + "."
}

func (s *Sandbox) listEvents(c *call) answer {
	if wrong := readsEvents(c); wrong.status != 0 {
		return wrong
	}
	q, wrong := parameters(c, "timeMin", "timeMax", "q", "maxResults", "pageToken", "singleEvents", "orderBy", "timeZone", "showDeleted", "maxAttendees", "eventTypes")
	if wrong.status != 0 {
		return wrong
	}
	w, wrong := newWindow(q)
	if wrong.status == 0 {
		wrong = checkList(q)
	}
	if wrong.status != 0 {
		return wrong
	}
	cal := s.own(c, c.PathValue("calendar"))
	if cal == nil {
		return googleNotFound()
	}
	list := cal.selection(w, q)
	from, to, next, wrong := slicePage(q, len(list), 250, 2500)
	if wrong.status != 0 {
		return wrong
	}
	return answer{status: http.StatusOK, body: cal.list(c, list[from:to], next, w)}
}

func checkList(q url.Values) answer {
	for _, name := range []string{"singleEvents", "showDeleted"} {
		if !slices.Contains([]string{"", "true", "false"}, q.Get(name)) {
			return badParameter(name, "Invalid value for "+name+": it is true or false.")
		}
	}
	switch q.Get("orderBy") {
	case "", "updated":
	case "startTime":
		if q.Get("singleEvents") != "true" {
			return badParameter("orderBy", "The requested ordering is not available for the particular query.")
		}
	default:
		return badParameter("orderBy", "Invalid value for orderBy: it is startTime or updated.")
	}
	return answer{}
}

// selection is what q asks for. Without orderBy the order means nothing, as at
// Google.
func (cal *calendar) selection(w window, q url.Values) []occurrence {
	list := cal.occurrences(w, q.Get("singleEvents") == "true")
	list = slices.DeleteFunc(list, func(o occurrence) bool {
		return o.event.Cancelled && q.Get("showDeleted") != "true" || !o.event.mentions(q.Get("q")) ||
			q.Get("eventTypes") != "" && q.Get("eventTypes") != "default"
	})
	switch q.Get("orderBy") {
	case "startTime":
		slices.SortStableFunc(list, func(a, b occurrence) int { return a.start.Compare(b.start) })
	case "updated":
		slices.SortStableFunc(list, func(a, b occurrence) int { return a.event.Updated.Compare(b.event.Updated) })
	}
	return list
}

// mentions: all words of q are somewhere in the event's text.
func (e *event) mentions(q string) bool {
	f, _ := decodeEvent(e.Body)
	text := strings.ToLower(f.Summary + "\n" + f.Description + "\n" + f.Location)
	for _, a := range f.Attendees {
		text += "\n" + strings.ToLower(a.Email+"\n"+a.DisplayName)
	}
	for word := range strings.FieldsSeq(strings.ToLower(q)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

func (cal *calendar) list(c *call, page []occurrence, next string, w window) object {
	items := []object{}
	for _, o := range page {
		items = append(items, cal.shape(c, o, w.zone))
	}
	out := object{"kind": "calendar#events", "etag": `"events"`, "summary": cal.Summary, "timeZone": cal.Zone,
		"updated": stamp(cal.updated()), "accessRole": "owner", "items": items,
		"defaultReminders": []object{{"method": "popup", "minutes": 10}}}
	if w.zone != nil {
		out["timeZone"] = w.zone.String()
	}
	if next != "" {
		out["nextPageToken"] = next
	} else {
		out["nextSyncToken"] = "sandbox-has-no-sync"
	}
	return out
}

func (cal *calendar) updated() time.Time {
	var last time.Time
	for _, e := range cal.Events {
		if e.Updated.After(last) {
			last = e.Updated
		}
	}
	return last
}

// target is the event that a request is about, and its calendar.
func (s *Sandbox) target(c *call) (*calendar, *occurrence, answer) {
	cal := s.own(c, c.PathValue("calendar"))
	if cal == nil {
		return nil, nil, googleNotFound()
	}
	o := cal.occurrence(c.PathValue("id"))
	if o == nil {
		return nil, nil, googleNotFound()
	}
	return cal, o, answer{}
}

func (s *Sandbox) getEvent(c *call) answer {
	if wrong := readsEvents(c); wrong.status != 0 {
		return wrong
	}
	q, wrong := parameters(c, "timeZone", "maxAttendees")
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
	return answer{status: http.StatusOK, body: cal.shape(c, *o, w.zone)}.with("ETag", o.event.etag())
}
