package sandbox

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxOccurrences bounds a rule without an end: two years of days.
const maxOccurrences = 730

// An occurrence is one time at which an event takes place.
type occurrence struct {
	event      *event
	id         string
	of         string // the recurring event's id; "" for an event of its own
	start, end time.Time
	allDay     bool
}

// A rule is the part of RFC 5545's RRULE that the sandbox has.
type rule struct {
	days, count int // days from one to the next
	until       time.Time
}

// parseRules reads at most one RRULE, by days or weeks; ok is false for more.
func parseRules(lines []string) (r *rule, ok bool) {
	if len(lines) == 0 {
		return nil, true
	}
	text, ok := strings.CutPrefix(lines[0], "RRULE:")
	if !ok || len(lines) > 1 {
		return nil, false
	}
	r, interval := &rule{count: maxOccurrences}, 1
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(value)
		switch {
		case name == "FREQ" && value == "DAILY":
			r.days = 1
		case name == "FREQ" && value == "WEEKLY":
			r.days = 7
		case name == "COUNT" && err == nil && n > 0:
			r.count = min(n, maxOccurrences)
		case name == "INTERVAL" && err == nil && n > 0 && n < 1000:
			interval = n
		case name == "UNTIL":
			if r.until, ok = parseUntil(value); !ok {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	r.days *= interval
	return r, r.days > 0
}

func parseUntil(value string) (time.Time, bool) {
	if t, err := time.Parse("20060102T150405Z", value); err == nil {
		return t, true
	}
	t, err := time.Parse("20060102", value)
	return t.AddDate(0, 0, 1).Add(-time.Second), err == nil
}

// all are an event's occurrences; it alone where it doesn't recur or isn't to be
// taken apart.
func (cal *calendar) all(e *event, apart bool) []occurrence {
	f, _ := decodeEvent(e.Body)
	start, allDay, _ := f.Start.parse("start", cal.location())
	end, _, _ := f.End.parse("end", cal.location())
	whole := occurrence{event: e, id: e.ID, start: start, end: end, allDay: allDay}
	r, _ := parseRules(f.Recurrence)
	if r == nil || !apart || e.Cancelled {
		return []occurrence{whole}
	}
	zone := cal.location()
	if l, err := time.LoadLocation(f.Start.TimeZone); err == nil && f.Start.TimeZone != "" {
		zone = l
	}
	var list []occurrence
	for n := range r.count {
		o := whole
		o.start, o.end = start.In(zone).AddDate(0, 0, n*r.days), end.In(zone).AddDate(0, 0, n*r.days)
		if !r.until.IsZero() && o.start.After(r.until) {
			break
		}
		o.of, o.id = e.ID, e.ID+"_"+o.start.UTC().Format("20060102T150405Z")
		if allDay {
			o.id = e.ID + "_" + o.start.Format("20060102")
		}
		list = append(list, o)
	}
	return list
}

// occurrences are what lies in w: apart, or recurring events as a whole.
func (cal *calendar) occurrences(w window, apart bool) []occurrence {
	var list []occurrence
	for _, e := range cal.Events {
		inside := slices.DeleteFunc(cal.all(e, true), func(o occurrence) bool {
			return !w.from.IsZero() && !o.end.After(w.from) || !w.to.IsZero() && !o.start.Before(w.to)
		})
		if !apart && len(inside) > 0 {
			inside = cal.all(e, false)
		}
		list = append(list, inside...)
	}
	return list
}

// occurrence is the event or the one occurrence with that id.
func (cal *calendar) occurrence(id string) *occurrence {
	for _, e := range cal.Events {
		if id != e.ID && !strings.HasPrefix(id, e.ID+"_") {
			continue
		}
		for _, o := range append(cal.all(e, false), cal.all(e, true)...) {
			if o.id == id {
				return &o
			}
		}
	}
	return nil
}

// moment is a start or an end in the answer.
func (o occurrence) moment(at time.Time, written *moment, zone *time.Location) object {
	if o.allDay {
		return object{"date": at.Format(time.DateOnly)}
	}
	out := object{"dateTime": at.In(zone).Format(time.RFC3339), "timeZone": zone.String()}
	if written.TimeZone != "" {
		out["timeZone"] = written.TimeZone
	}
	return out
}
