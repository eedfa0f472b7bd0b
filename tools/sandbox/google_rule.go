package sandbox

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxOccurrences bounds a rule without an end, and maxDays how far one is looked at.
const (
	maxOccurrences = 730
	maxDays        = 366 * 12
)

// A rule is the part of RFC 5545's RRULE that the sandbox has: one line, by days,
// weeks, months or years, with days of the week or of the month.
type rule struct {
	freq            string
	interval, count int
	until           time.Time // the last moment, or
	lastDay         int       // the last day, as dayNumber has it
	weekdays        []nthDay
	monthDays       []int
}

// An nthDay is a day of the week; n is which of the month's (-1: the last), or 0
// for every one.
type nthDay struct {
	n   int
	day time.Weekday
}

// parseRules reads at most one RRULE; ok is false for more, and for what it doesn't
// have.
func parseRules(lines []string) (r *rule, ok bool) {
	if len(lines) == 0 {
		return nil, true
	}
	text, ok := strings.CutPrefix(lines[0], "RRULE:")
	if !ok || len(lines) > 1 {
		return nil, false
	}
	r = &rule{interval: 1, count: maxOccurrences}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(part, "=")
		if seen[name] || !r.set(name, value) {
			return nil, false
		}
		seen[name] = true
	}
	return r, r.freq != "" && !(seen["COUNT"] && seen["UNTIL"])
}

func (r *rule) set(name, value string) bool {
	n, err := strconv.Atoi(value)
	switch name {
	case "FREQ":
		r.freq = value
		return slices.Contains([]string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}, value)
	case "COUNT":
		r.count = min(n, maxOccurrences)
		return err == nil && n > 0
	case "INTERVAL":
		r.interval = n
		return err == nil && n > 0 && n < 1000
	case "UNTIL":
		if day, err := time.Parse("20060102", value); err == nil {
			r.lastDay = dayNumber(day)
			return true
		}
		r.until, err = time.Parse("20060102T150405Z", value)
		return err == nil
	case "WKST":
		return value == "MO" || value == "SU"
	case "BYDAY":
		return r.setWeekdays(value)
	case "BYMONTHDAY":
		r.monthDays = []int{n}
		return err == nil && n >= 1 && n <= 31
	}
	return false
}

func (r *rule) setWeekdays(value string) bool {
	for one := range strings.SplitSeq(value, ",") {
		if len(one) < 2 {
			return false
		}
		day := slices.Index([]string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}, one[len(one)-2:])
		n, err := strconv.Atoi("0" + strings.TrimPrefix(one[:len(one)-2], "-"))
		if strings.HasPrefix(one, "-") {
			n = -n
		}
		if day < 0 || err != nil || n < -1 || n > 5 {
			return false
		}
		r.weekdays = append(r.weekdays, nthDay{n, time.Weekday(day)})
	}
	return true
}

// days are how many days after the first one it takes place; the first counts even
// where the rule wouldn't have it, as at Google.
func (r *rule) days(first time.Time) (offsets []int) {
	for n := range maxDays {
		at := first.AddDate(0, 0, n)
		if len(offsets) == r.count || r.over(at) {
			break
		}
		if n == 0 || r.on(first, at) {
			offsets = append(offsets, n)
		}
	}
	return offsets
}

func (r *rule) over(at time.Time) bool {
	return !r.until.IsZero() && at.After(r.until) || r.lastDay != 0 && dayNumber(at) > r.lastDay
}

// on reports whether the rule, from the first day on, has the day of at.
func (r *rule) on(first, at time.Time) bool {
	months := (at.Year()-first.Year())*12 + int(at.Month()-first.Month())
	switch r.freq {
	case "DAILY":
		return dayNumber(at)%r.interval == dayNumber(first)%r.interval && (r.weekdays == nil || r.onWeekday(at))
	case "WEEKLY":
		weeks := (dayNumber(at)+3)/7 - (dayNumber(first)+3)/7 // 1970 began on a Thursday; weeks begin on Mondays
		return weeks%r.interval == 0 && (r.onWeekday(at) || r.weekdays == nil && at.Weekday() == first.Weekday())
	case "MONTHLY":
		return months%r.interval == 0 && r.inMonth(first, at)
	}
	return months%(12*r.interval) == 0 && r.inMonth(first, at)
}

func dayNumber(t time.Time) int {
	return int(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func (r *rule) onWeekday(at time.Time) bool {
	return slices.ContainsFunc(r.weekdays, func(d nthDay) bool {
		last := at.AddDate(0, 0, 7).Month() != at.Month()
		return d.day == at.Weekday() && (d.n == 0 || d.n == (at.Day()+6)/7 || d.n == -1 && last)
	})
}

func (r *rule) inMonth(first, at time.Time) bool {
	switch {
	case r.weekdays != nil:
		return r.onWeekday(at)
	case r.monthDays != nil:
		return slices.Contains(r.monthDays, at.Day())
	}
	return at.Day() == first.Day()
}
