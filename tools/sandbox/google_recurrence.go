package sandbox

import (
	"slices"
	"strings"
	"time"
)

// An occurrence is one time at which an event takes place.
type occurrence struct {
	event      *event
	id         string
	of         string    // the recurring event's id; "" for an event of its own
	original   time.Time // where the rule has it, if of is set
	start, end time.Time
	allDay     bool
}

// all are an event's occurrences; it alone where it doesn't recur or isn't to be
// taken apart.
func (cal *calendar) all(e *event, apart bool) []occurrence {
	f, _ := decodeEvent(e.Body)
	start, allDay, _ := f.Start.parse("start", cal.location())
	end, _, _ := f.End.parse("end", cal.location())
	whole := occurrence{event: e, id: e.ID, of: e.Of, original: e.Original, start: start, end: end, allDay: allDay}
	r, _ := parseRules(f.Recurrence)
	if r == nil || !apart || e.Cancelled {
		return []occurrence{whole}
	}
	zone := cal.location()
	if l, err := time.LoadLocation(f.Start.TimeZone); err == nil && f.Start.TimeZone != "" {
		zone = l
	}
	var list []occurrence
	for _, n := range r.days(start.In(zone)) {
		o := whole
		o.start, o.end = start.In(zone).AddDate(0, 0, n), end.In(zone).AddDate(0, 0, n)
		o.of, o.original, o.id = e.ID, o.start, e.ID+"_"+o.start.UTC().Format("20060102T150405Z")
		if allDay {
			o.id = e.ID + "_" + o.start.Format("20060102")
		}
		list = append(list, cal.excepted(o))
	}
	return list
}

// excepted is o, or the exception that takes its place.
func (cal *calendar) excepted(o occurrence) occurrence {
	for _, e := range cal.Events {
		if e.Of == o.of && e.ID == o.id {
			return cal.all(e, false)[0]
		}
	}
	return o
}

// occurrences are what lies in w: apart, or recurring events as a whole beside
// their exceptions.
func (cal *calendar) occurrences(w window, apart bool) []occurrence {
	var list []occurrence
	for _, e := range cal.Events {
		if apart && e.Of != "" {
			continue // comes with its series
		}
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
		if e.Of != "" || id != e.ID && !strings.HasPrefix(id, e.ID+"_") {
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
