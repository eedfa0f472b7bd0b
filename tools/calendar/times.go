package calendar

import (
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
		return nil, told("time_zone %q is not an IANA zone. Use a name like Europe/Berlin or America/New_York.", name)
	}
	return where, nil
}

// moment reads a date-time with an offset, or a date-time or date at where. What
// names no zone in either way is refused.
func moment(field, text string, where *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{local, time.DateOnly} {
		if _, err := time.Parse(layout, text); err != nil {
			continue
		}
		if where == nil {
			return time.Time{}, told("%s %q has no time zone. Add the offset (2026-01-31T09:00:00+01:00) or give time_zone (Europe/Berlin).", field, text)
		}
		return time.ParseInLocation(layout, text, where)
	}
	return time.Time{}, told("%s %q is not a time. Write it like 2026-01-31T09:00:00+01:00, or 2026-01-31 for a whole day.", field, text)
}

func isDate(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

// span is an event's start and end as Google wants them: two dates as they are,
// or two times with their offset or zone.
func span(start, end, zoneName string) (from, to *google.EventDateTime, err error) {
	where, err := zone(zoneName)
	if err != nil {
		return nil, nil, err
	}
	if isDate(start) != isDate(end) {
		return nil, nil, told("start and end must both be dates (an all-day event) or both be times.")
	}
	if isDate(start) {
		return days(start, end)
	}
	a, err := moment("start", start, where)
	if err != nil {
		return nil, nil, err
	}
	b, err := moment("end", end, where)
	if err != nil {
		return nil, nil, err
	}
	if !b.After(a) {
		return nil, nil, told("end %s is not after start %s.", end, start)
	}
	return &google.EventDateTime{DateTime: plain(start), TimeZone: zoneName}, &google.EventDateTime{DateTime: plain(end), TimeZone: zoneName}, nil
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
