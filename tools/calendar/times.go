package calendar

import (
	"context"
	"time"
	_ "time/tzdata" // zone names mean the same on every machine

	google "google.golang.org/api/calendar/v3"
)

const local = "2006-01-02T15:04:05" // RFC 3339 without the offset

// zone is the IANA zone of that name, or nil for "".
func zone(name string) (*time.Location, error) {
	if name == "" {
		return nil, nil
	}
	where, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, told("time_zone %.64q is not an IANA zone. Use a name like Europe/Berlin or America/New_York.", name)
	}
	return where, nil
}

// zoneOf is the zone of a calendar. No event comes with it.
func zoneOf(ctx context.Context, service *google.Service, calendar string) (*time.Location, error) {
	result, err := service.Events.List(calendar).MaxResults(1).Fields("timeZone").Context(ctx).Do()
	if err != nil {
		return nil, explain(err, about{calendar: calendar})
	}
	if result == nil {
		return nil, unanswered(about{})
	}
	return itsZone(result.TimeZone)
}

// itsZone is the zone that Google says a calendar is in.
func itsZone(name string) (*time.Location, error) {
	where, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, told("Google Calendar says that the calendar is in the zone %.64q, which is none that is known here. Give time_zone.", name)
	}
	return where, nil
}

// A reader reads times. The zone of those that name none is the argument time_zone's
// or, for dates, the calendar's, which is asked for only where it matters.
type reader struct {
	given, known *time.Location
	ask          func() (*time.Location, error)
}

// newReader is a reader where name is the argument time_zone, or "", and ask finds
// out the calendar's zone.
func newReader(name string, ask func() (*time.Location, error)) (*reader, error) {
	given, err := zone(name)
	return &reader{given: given, ask: ask}, err
}

// zone is the one that times are read and shown in.
func (r *reader) zone() (*time.Location, error) {
	if r.given != nil || r.known != nil {
		return r.sofar(), nil
	}
	known, err := r.ask()
	r.known = known
	return known, err
}

// sofar is zone, or nil where it isn't known without asking.
func (r *reader) sofar() *time.Location {
	if r.given != nil {
		return r.given
	}
	return r.known
}

// zoneFor is the zone of an answer that has e alone: time_zone, or the event's own, or
// the calendar's. An all-day event needs none.
func (r *reader) zoneFor(e *google.Event) (*time.Location, error) {
	if r.sofar() != nil || e.Start == nil || e.Start.DateTime == "" {
		return r.sofar(), nil
	}
	if own, err := time.LoadLocation(e.Start.TimeZone); err == nil && e.Start.TimeZone != "" {
		return own, nil
	}
	return r.zone()
}

// moment reads a date-time that says its zone, or has it from time_zone, or the
// beginning of a day. A date-time without either is refused with the calendar's zone.
func (r *reader) moment(field, text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	layout := local
	if isDate(text) {
		layout = time.DateOnly
	}
	if _, err := time.Parse(layout, text); err != nil {
		return time.Time{}, told("%s %.64q is not a time. Write it like 2026-01-31T09:00:00+01:00, or 2026-01-31 for a whole day.", field, text)
	}
	where, err := r.zone()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.ParseInLocation(layout, text, where)
	if r.given == nil && layout == local {
		return time.Time{}, told("%s %q has no time zone. The calendar's is %s: if that is meant, give time_zone %s or write %s.", field, text, where, where, t.Format(time.RFC3339))
	}
	return t, err
}

// optional is moment, or the zero time for "".
func (r *reader) optional(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return r.moment(field, text)
}

func isDate(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

// span is an event's start and end as Google wants them: two dates as they are,
// or two times with their offset or zone.
func (r *reader) span(start, end string) (from, to *google.EventDateTime, err error) {
	if isDate(start) != isDate(end) {
		return nil, nil, told("start and end must both be dates (an all-day event) or both be times.")
	}
	if isDate(start) {
		return days(start, end)
	}
	a, err := r.moment("start", start)
	if err != nil {
		return nil, nil, err
	}
	b, err := r.moment("end", end)
	if err != nil {
		return nil, nil, err
	}
	if !b.After(a) {
		return nil, nil, told("end %s is not after start %s.", end, start)
	}
	name := ""
	if r.given != nil {
		name = r.given.String()
	}
	return &google.EventDateTime{DateTime: plain(start), TimeZone: name}, &google.EventDateTime{DateTime: plain(end), TimeZone: name}, nil
}

// plain is a date-time that moment accepted, as Google writes it: without a
// fraction, with the offset that it has, or none.
func plain(text string) string {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Format(time.RFC3339)
	}
	t, err := time.Parse(local, text)
	if err != nil {
		return text
	}
	return t.Format(local)
}

func days(start, end string) (from, to *google.EventDateTime, err error) {
	if end <= start {
		first, _ := time.Parse(time.DateOnly, start)
		return nil, nil, told("For an all-day event, end is the day after the last one: %s or later.", first.AddDate(0, 0, 1).Format(time.DateOnly))
	}
	return &google.EventDateTime{Date: start}, &google.EventDateTime{Date: end}, nil
}
