package calendar

import (
	"slices"
	"time"
)

// A period is the time from one instant until before another.
type period struct{ from, until time.Time }

// workingHours are the minutes of the day, by a zone's clocks, from first until last
// on some days of the week.
type workingHours struct {
	zone        *time.Location
	first, last int
	days        [7]bool // from Sunday, like time.Weekday
}

// in is p with zone's clocks, as an interval of ISO 8601.
func (p period) in(zone *time.Location) string {
	return stamp(p.from.In(zone)) + "/" + stamp(p.until.In(zone))
}

// quarter is what meetings begin on.
const quarter = 15 * time.Minute

// findSlots are the earliest slots of length, at most so many, that are within window
// and hours and touch none of busy. They begin on a quarter of an hour, and none
// overlaps another.
func findSlots(window period, hours workingHours, busy []period, length time.Duration, most int) []period {
	slots := []period{}
	for _, free := range without(merged(hours.within(window)), merged(busy)) {
		for at := roundUp(free.from); !at.Add(length).After(free.until); at = roundUp(at.Add(length)) {
			if len(slots) == most {
				return slots
			}
			slots = append(slots, period{at, at.Add(length)})
		}
	}
	return slots
}

// roundUp is the first quarter of an hour that isn't before t. All of today's zones
// are whole quarters away from each other.
func roundUp(t time.Time) time.Time {
	if down := t.Truncate(quarter); down.Before(t) {
		return down.Add(quarter)
	}
	return t
}

// within are the working hours of window, day by day. A day's are by its own clocks:
// where these are set forward or back in between, they are shorter or longer.
func (h workingHours) within(window period) []period {
	var list []period
	year, month, day := window.from.In(h.zone).Date()
	for ; ; day++ {
		p := period{
			time.Date(year, month, day, 0, h.first, 0, 0, h.zone),
			time.Date(year, month, day, 0, h.last, 0, 0, h.zone),
		}
		if !p.from.Before(window.until) {
			return list
		}
		works := h.days[time.Date(year, month, day, 12, 0, 0, 0, h.zone).Weekday()]
		if p = p.cut(window); works && p.from.Before(p.until) {
			list = append(list, p)
		}
	}
}

// cut is the part of p within other; nothing is left where from isn't before until.
func (p period) cut(other period) period {
	if p.from.Before(other.from) {
		p.from = other.from
	}
	if p.until.After(other.until) {
		p.until = other.until
	}
	return p
}

// merged is list in order of time, with what overlaps or touches made one and what
// is empty left out.
func merged(list []period) []period {
	list = slices.DeleteFunc(slices.Clone(list), func(p period) bool { return !p.from.Before(p.until) })
	slices.SortFunc(list, func(a, b period) int { return a.from.Compare(b.from) })
	var out []period
	for _, p := range list {
		if last := len(out) - 1; last >= 0 && !p.from.After(out[last].until) {
			if p.until.After(out[last].until) {
				out[last].until = p.until
			}
			continue
		}
		out = append(out, p)
	}
	return out
}

// without is what is left of open where nothing of busy is. Both are merged.
func without(open, busy []period) []period {
	var free []period
	for _, p := range open {
		for _, b := range busy {
			if !b.until.After(p.from) || !b.from.Before(p.until) {
				continue
			}
			free = append(free, period{p.from, b.from})
			p.from = b.until
		}
		free = append(free, p)
	}
	return slices.DeleteFunc(free, func(p period) bool { return !p.from.Before(p.until) })
}
