package calendar

import (
	"time"

	google "google.golang.org/api/calendar/v3"
)

// span is when target shall begin and end, or nil where that stays. The arguments
// speak of named, which is target itself or an occurrence of that series.
func (u updating) span(target, named *google.Event) (start, end *google.EventDateTime, err error) {
	in := u.in
	if in.Start == "" && in.End == "" {
		if in.TimeZone != "" {
			err = told("time_zone is for start and end: give them too.")
		}
		return nil, nil, err
	}
	was := named.Start
	if target != named {
		was = original(named)
	}
	if in.Start == "" {
		in.Start = at(was, nil)
	}
	if in.End == "" {
		if in.End, err = u.endOf(in.Start, named); err != nil {
			return nil, nil, err
		}
	}
	if start, end, err = u.times.span(in.Start, in.End); err != nil {
		return nil, nil, err
	}
	if err := u.keepsRule(target, was, start); err != nil || target == named {
		return start, end, err
	}
	return shift(target.Start, was, start, end)
}

// endOf is the end that leaves named its length when it begins at start.
func (u updating) endOf(start string, named *google.Event) (string, error) {
	from, ok := instant(named.Start)
	to, known := instant(named.End)
	if !ok || !known || isDate(start) != (named.Start.Date != "") {
		return "", told("Give end too: the event changes between whole days and times.")
	}
	if isDate(start) {
		day, err := time.Parse(time.DateOnly, start)
		return day.Add(to.Sub(from)).Format(time.DateOnly), err
	}
	begin, err := u.times.moment("start", start)
	return begin.Add(to.Sub(from)).Format(time.RFC3339), err
}

// keepsRule refuses to move a series to a day that its rule doesn't have.
func (u updating) keepsRule(target *google.Event, was, start *google.EventDateTime) error {
	rule := target.Recurrence
	if rule == nil || u.in.Recurrence != nil {
		return nil
	}
	moved := daysBetween(was, start, zoneOfAny(start, was))
	if moved%7 != 0 && hasPart(rule, "BYDAY") || moved != 0 && hasPart(rule, "BYMONTHDAY") {
		return told("The series repeats by %.200q, and start is on another day. Give recurrence too, with the days that are meant.", rule[0])
	}
	return nil
}

// shift moves the first start of a series as far as an occurrence is moved from was to
// start: as many days, and to that time of day.
func shift(first, was, start, end *google.EventDateTime) (from, to *google.EventDateTime, err error) {
	if (first.Date != "") != (start.Date != "") {
		return nil, nil, told("A series that changes between whole days and times is changed by its own id, with its first start and end.")
	}
	where := zoneOfAny(start, first)
	begin, ok := instant(first)
	a, okA := instant(start)
	b, okB := instant(end)
	if !ok || !okA || !okB {
		return nil, nil, strange()
	}
	moved := daysBetween(was, start, where)
	if first.Date != "" {
		day := begin.AddDate(0, 0, moved)
		return &google.EventDateTime{Date: day.Format(time.DateOnly)}, &google.EventDateTime{Date: day.Add(b.Sub(a)).Format(time.DateOnly)}, nil
	}
	begin, a = begin.In(where), a.In(where)
	moment := time.Date(begin.Year(), begin.Month(), begin.Day()+moved, a.Hour(), a.Minute(), a.Second(), 0, where)
	return timed(moment, where), timed(moment.Add(b.Sub(a)), where), nil
}

func timed(t time.Time, where *time.Location) *google.EventDateTime {
	return &google.EventDateTime{DateTime: t.Format(time.RFC3339), TimeZone: where.String()}
}

// zoneOfAny is the first zone that one of the times names, or UTC.
func zoneOfAny(times ...*google.EventDateTime) *time.Location {
	for _, m := range times {
		if where, err := time.LoadLocation(m.TimeZone); err == nil && m.TimeZone != "" && m.TimeZone != "Local" {
			return where
		}
	}
	return time.UTC
}

// daysBetween is how many days of the calendar at where are from a to b.
func daysBetween(a, b *google.EventDateTime, where *time.Location) int {
	midnight := func(m *google.EventDateTime) time.Time {
		t, _ := instant(m)
		if m != nil && m.Date == "" {
			t = t.In(where)
		}
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	}
	return int(midnight(b).Sub(midnight(a)).Hours() / 24)
}

// replacing says in change that a date goes where a time was, or a time where a date.
func replacing(change, was *google.EventDateTime) {
	switch {
	case change == nil || was == nil:
	case change.Date != "" && was.DateTime != "":
		change.NullFields = []string{"DateTime", "TimeZone"}
	case change.DateTime != "" && was.Date != "":
		change.NullFields = []string{"Date"}
	}
}
