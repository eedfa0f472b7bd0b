package calendar

import (
	"context"
	"slices"
	"strings"
	"time"

	google "google.golang.org/api/calendar/v3"
)

// A part is what of a series a write is about.
type part int

const (
	itself     part = iota // the event as a whole
	occurrence             // one of a series
	rest                   // one and all that follow
	series                 // all, where one was named
)

// partOf is what scope means for e. A whole series is changed only by a scope that
// says so.
func partOf(e *google.Event, scope string) (part, error) {
	whole, one := len(e.Recurrence) > 0, e.RecurringEventId != ""
	switch {
	case whole && scope == "all", !whole && !one:
		return itself, nil
	case whole:
		return 0, told("The event %q is a whole series. Give scope all for that, or the id of one occurrence, which calendar_list_instances has.", e.Id)
	case scope == "all":
		return series, nil
	case scope == "following":
		return rest, nil
	}
	return occurrence, nil
}

// original is where the rule has an occurrence.
func original(e *google.Event) *google.EventDateTime {
	if e.OriginalStartTime != nil {
		return e.OriginalStartTime
	}
	return e.Start
}

// instant is m, a day as its midnight in UTC.
func instant(m *google.EventDateTime) (time.Time, bool) {
	if m == nil {
		return time.Time{}, false
	}
	if m.Date != "" {
		t, err := time.Parse(time.DateOnly, m.Date)
		return t, err == nil
	}
	if t, err := time.Parse(time.RFC3339, m.DateTime); err == nil {
		return t, true
	}
	where, err := time.LoadLocation(m.TimeZone)
	if err != nil {
		return time.Time{}, false
	}
	t, err := time.ParseInLocation(local, m.DateTime, where)
	return t, err == nil
}

// isFirst reports whether nothing of series is before the occurrence e.
func isFirst(e, series *google.Event) bool {
	at, ok := instant(original(e))
	first, known := instant(series.Start)
	return ok && known && !at.After(first)
}

// endBefore are series' lines of recurrence with an end just before the occurrence e.
// What can't be ended so is refused.
func endBefore(e, series *google.Event) ([]string, error) {
	at, ok := instant(original(e))
	rules := 0
	var lines []string
	for _, line := range series.Recurrence {
		switch {
		case strings.HasPrefix(line, "RRULE:"):
			rules++
			lines = append(lines, until(line, original(e).Date != "", at))
		case strings.HasPrefix(line, "EXDATE"):
			lines = append(lines, line)
		default:
			rules = -1000
		}
	}
	if rules != 1 || !ok {
		return nil, told("The series repeats by more than one rule (%.200q), so it can't be divided. Use scope this for single occurrences, or scope all.", strings.Join(series.Recurrence, " "))
	}
	return lines, nil
}

// until is an RRULE line that ends before at, in the form that days and times want.
func until(line string, days bool, at time.Time) string {
	end := at.UTC().Add(-time.Second).Format("20060102T150405Z")
	if days {
		end = at.AddDate(0, 0, -1).Format("20060102")
	}
	return dropParts(line, "COUNT", "UNTIL") + ";UNTIL=" + end
}

// dropParts is an RRULE line without the parts of those names.
func dropParts(line string, names ...string) string {
	parts := strings.Split(strings.TrimPrefix(line, "RRULE:"), ";")
	return "RRULE:" + strings.Join(slices.DeleteFunc(parts, func(p string) bool {
		name, _, _ := strings.Cut(p, "=")
		return p == "" || slices.Contains(names, strings.ToUpper(name))
	}), ";")
}

// hasPart reports whether a line of recurrence has a part of that name.
func hasPart(lines []string, name string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		return strings.Contains(strings.ToUpper(line), ":"+name+"=") || strings.Contains(strings.ToUpper(line), ";"+name+"=")
	})
}

// maxPages bounds how many pages of occurrences are counted.
const maxPages = 4

// countFrom is how many of series' occurrences its rule has from e on, deleted and
// moved ones too.
func (d desk) countFrom(ctx context.Context, e, series *google.Event) (int, error) {
	from, _ := instant(original(e))
	n, token := 0, ""
	for range maxPages {
		call := d.service.Events.Instances(d.calendar, series.Id).ShowDeleted(true).MaxResults(2500).Fields("nextPageToken", "items/originalStartTime").Context(ctx)
		if token != "" {
			call.PageToken(token)
		}
		result, err := call.Do()
		if err != nil {
			return 0, explain(err, about{calendar: d.calendar, event: series.Id})
		}
		if result == nil {
			return 0, unanswered(about{})
		}
		for _, one := range result.Items {
			if at, ok := instant(original(one)); ok && !at.Before(from) {
				n++
			}
		}
		if token = result.NextPageToken; token == "" {
			return n, nil
		}
	}
	return 0, told("The series has too many occurrences to be divided here. Use scope this or all.")
}
