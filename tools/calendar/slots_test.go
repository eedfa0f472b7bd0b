package calendar

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// between reads "2026-03-29T01:00:00+01:00/2026-03-29T04:00:00+02:00".
func between(t *testing.T, intervals ...string) (list []period) {
	t.Helper()
	for _, text := range intervals {
		a, b, _ := strings.Cut(text, "/")
		from, err := time.Parse(time.RFC3339, a)
		until, err2 := time.Parse(time.RFC3339, b)
		if err != nil || err2 != nil {
			t.Fatalf("%s: %v, %v", text, err, err2)
		}
		list = append(list, period{from, until})
	}
	return list
}

var everyDay = [7]bool{true, true, true, true, true, true, true}

func TestFindSlots(t *testing.T) {
	const berlin, newYork = "Europe/Berlin", "America/New_York"
	weekdays := [7]bool{false, true, true, true, true, true, false}
	for name, c := range map[string]struct {
		zone          string
		first, last   int // hours
		days          [7]bool
		window        string
		busy          []string
		minutes, most int
		want          []string
	}{
		"the clocks go forward: three hours are two": {
			berlin, 1, 4, everyDay, "2026-03-29T00:00:00+01:00/2026-03-30T00:00:00+02:00", nil, 60, 9,
			[]string{"2026-03-29T01:00:00+01:00/2026-03-29T03:00:00+02:00", "2026-03-29T03:00:00+02:00/2026-03-29T04:00:00+02:00"},
		},
		"the clocks go back: three hours are four": {
			berlin, 1, 4, everyDay, "2026-10-25T00:00:00+02:00/2026-10-26T00:00:00+01:00", nil, 60, 9,
			[]string{
				"2026-10-25T01:00:00+02:00/2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+02:00/2026-10-25T02:00:00+01:00",
				"2026-10-25T02:00:00+01:00/2026-10-25T03:00:00+01:00", "2026-10-25T03:00:00+01:00/2026-10-25T04:00:00+01:00",
			},
		},
		"nine is nine before and after they go forward": {
			newYork, 9, 10, everyDay, "2026-03-07T00:00:00-05:00/2026-03-10T00:00:00-04:00", nil, 60, 9,
			[]string{"2026-03-07T09:00:00-05:00/2026-03-07T10:00:00-05:00", "2026-03-08T09:00:00-04:00/2026-03-08T10:00:00-04:00", "2026-03-09T09:00:00-04:00/2026-03-09T10:00:00-04:00"},
		},
		"nine is nine before and after they go back": {
			newYork, 9, 10, everyDay, "2026-10-31T00:00:00-04:00/2026-11-02T00:00:00-05:00", nil, 60, 9,
			[]string{"2026-10-31T09:00:00-04:00/2026-10-31T10:00:00-04:00", "2026-11-01T09:00:00-05:00/2026-11-01T10:00:00-05:00"},
		},
		"hours that end when the clocks jump": {
			berlin, 1, 2, everyDay, "2026-03-29T00:00:00+01:00/2026-03-30T00:00:00+02:00", nil, 60, 9,
			[]string{"2026-03-29T01:00:00+01:00/2026-03-29T03:00:00+02:00"},
		},
		"a day of 23 hours has room for 23": {
			berlin, 0, 24, everyDay, "2026-03-29T00:00:00+01:00/2026-03-30T00:00:00+02:00", nil, 23 * 60, 9,
			[]string{"2026-03-29T00:00:00+01:00/2026-03-30T00:00:00+02:00"},
		},
		"and not for 24": {
			berlin, 0, 24, everyDay, "2026-03-29T00:00:00+01:00/2026-03-30T00:00:00+02:00", nil, 24 * 60, 9, nil,
		},
		"all-day busy": {
			berlin, 9, 11, everyDay, "2026-01-05T00:00:00+01:00/2026-01-08T00:00:00+01:00",
			[]string{"2026-01-05T00:00:00+01:00/2026-01-06T00:00:00+01:00", "2026-01-07T00:00:00+01:00/2026-01-08T00:00:00+01:00"}, 60, 9,
			[]string{"2026-01-06T09:00:00+01:00/2026-01-06T10:00:00+01:00", "2026-01-06T10:00:00+01:00/2026-01-06T11:00:00+01:00"},
		},
		"somebody's all-day in another zone covers a part": {
			berlin, 9, 11, everyDay, "2026-01-05T00:00:00+01:00/2026-01-06T00:00:00+01:00",
			[]string{"2026-01-05T00:00:00-05:00/2026-01-06T00:00:00-05:00", "2026-01-05T00:00:00+01:00/2026-01-05T04:00:00Z"}, 60, 9, nil,
		},
		"between two meetings, without a minute to spare": {
			berlin, 9, 17, everyDay, "2026-01-05T00:00:00+01:00/2026-01-06T00:00:00+01:00",
			[]string{"2026-01-05T09:00:00+01:00/2026-01-05T12:00:00+01:00", "2026-01-05T12:30:00+01:00/2026-01-05T17:00:00+01:00"}, 30, 9,
			[]string{"2026-01-05T12:00:00+01:00/2026-01-05T12:30:00+01:00"},
		},
		"a minute short": {
			berlin, 9, 17, everyDay, "2026-01-05T00:00:00+01:00/2026-01-06T00:00:00+01:00",
			[]string{"2026-01-05T09:00:00+01:00/2026-01-05T12:00:00+01:00", "2026-01-05T12:29:00+01:00/2026-01-05T17:00:00+01:00"}, 30, 9, nil,
		},
		"busy times that touch leave nothing between them": {
			berlin, 9, 12, everyDay, "2026-01-05T00:00:00+01:00/2026-01-06T00:00:00+01:00",
			[]string{"2026-01-05T10:00:00+01:00/2026-01-05T12:00:00+01:00", "2026-01-05T08:00:00+01:00/2026-01-05T10:00:00+01:00"}, 15, 9, nil,
		},
		"busy times that overlap, in any order": {
			berlin, 9, 12, everyDay, "2026-01-05T00:00:00+01:00/2026-01-06T00:00:00+01:00",
			[]string{"2026-01-05T10:00:00+01:00/2026-01-05T10:10:00+01:00", "2026-01-05T09:00:00+01:00/2026-01-05T11:00:00+01:00", "2026-01-05T09:30:00+01:00/2026-01-05T09:40:00+01:00"}, 45, 9,
			[]string{"2026-01-05T11:00:00+01:00/2026-01-05T11:45:00+01:00"},
		},
		"a start on the quarter": {
			berlin, 9, 17, everyDay, "2026-01-05T09:01:00+01:00/2026-01-05T10:20:00+01:00", nil, 20, 9,
			[]string{"2026-01-05T09:15:00+01:00/2026-01-05T09:35:00+01:00", "2026-01-05T09:45:00+01:00/2026-01-05T10:05:00+01:00"},
		},
		"a zone of a quarter": {
			"Asia/Kathmandu", 9, 10, everyDay, "2026-01-05T00:00:00+05:45/2026-01-06T00:00:00+05:45", nil, 60, 9,
			[]string{"2026-01-05T09:00:00+05:45/2026-01-05T10:00:00+05:45"},
		},
		"at most so many": {
			berlin, 9, 17, everyDay, "2026-01-05T00:00:00+01:00/2026-01-06T00:00:00+01:00", nil, 60, 2,
			[]string{"2026-01-05T09:00:00+01:00/2026-01-05T10:00:00+01:00", "2026-01-05T10:00:00+01:00/2026-01-05T11:00:00+01:00"},
		},
		"no weekend": {
			berlin, 9, 10, weekdays, "2026-01-03T00:00:00+01:00/2026-01-06T00:00:00+01:00", nil, 60, 9,
			[]string{"2026-01-05T09:00:00+01:00/2026-01-05T10:00:00+01:00"},
		},
		"the day of the week is the zone's, not Greenwich's": {
			"Pacific/Auckland", 8, 9, [7]bool{time.Monday: true}, "2026-01-04T00:00:00Z/2026-01-05T00:00:00Z", nil, 60, 9,
			[]string{"2026-01-05T08:00:00+13:00/2026-01-05T09:00:00+13:00"},
		},
		"across midnight, where the hours do": {
			berlin, 0, 24, everyDay, "2026-01-05T23:30:00+01:00/2026-01-06T00:30:00+01:00", nil, 60, 9,
			[]string{"2026-01-05T23:30:00+01:00/2026-01-06T00:30:00+01:00"},
		},
		"a window that begins within the hours": {
			berlin, 9, 17, everyDay, "2026-01-05T16:00:00+01:00/2026-01-06T09:30:00+01:00", nil, 60, 9,
			[]string{"2026-01-05T16:00:00+01:00/2026-01-05T17:00:00+01:00"},
		},
		"an empty window":    {berlin, 0, 24, everyDay, "2026-01-05T09:00:00+01:00/2026-01-05T09:00:00+01:00", nil, 5, 9, nil},
		"a window backwards": {berlin, 0, 24, everyDay, "2026-01-05T09:00:00+01:00/2026-01-04T09:00:00+01:00", nil, 5, 9, nil},
		"no days":            {berlin, 0, 24, [7]bool{}, "2026-01-05T09:00:00+01:00/2026-01-15T09:00:00+01:00", nil, 5, 9, nil},
	} {
		t.Run(name, func(t *testing.T) {
			where := load(t, c.zone)
			hours := workingHours{where, c.first * 60, c.last * 60, c.days}
			got := []string{}
			for _, p := range findSlots(between(t, c.window)[0], hours, between(t, c.busy...), time.Duration(c.minutes)*time.Minute, c.most) {
				got = append(got, p.in(where))
			}
			if diff := cmp.Diff(append([]string{}, c.want...), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever is asked, slots are in order, apart, of the right length, within window and
// hours, clear of all that is busy, and none was passed over: a slow reading finds the
// same.
func TestFindSlotsAgainstASlowReading(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	zones := []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"}
	for i := range 400 {
		where := load(t, zones[r.IntN(len(zones))])
		begin := time.Date(2026, []time.Month{3, 4, 10, 11}[r.IntN(4)], 1+r.IntN(28), r.IntN(24), r.IntN(60), 0, 0, where)
		window := period{begin, begin.Add(time.Duration(r.IntN(4*24*60)) * time.Minute)}
		first := r.IntN(20) * 60
		hours := workingHours{where, first, first + 60*(1+r.IntN(24-first/60)), everyDay}
		hours.days[r.IntN(7)] = false
		var busy []period
		for range r.IntN(12) {
			from := begin.Add(time.Duration(r.IntN(4*24*60)-60) * time.Minute)
			busy = append(busy, period{from, from.Add(time.Duration(r.IntN(600)) * time.Minute)})
		}
		length := time.Duration(5*(1+r.IntN(40))) * time.Minute
		got := findSlots(window, hours, busy, length, 1000)
		if want := slowSlots(window, hours, busy, length); !slices.Equal(intervals(want, where), intervals(got, where)) {
			t.Fatalf("%d: %s %v in %s by %s, busy %v:\n%v\n%v", i, window.in(where), hours, where, length, intervals(busy, where), intervals(got, where), intervals(want, where))
		}
	}
}

func intervals(list []period, where *time.Location) (out []string) {
	for _, p := range list {
		out = append(out, p.in(where))
	}
	return out
}

// slowSlots goes through the minutes one by one.
func slowSlots(window period, hours workingHours, busy []period, length time.Duration) (list []period) {
	free := func(t time.Time) bool {
		local := t.In(hours.zone)
		minute := local.Hour()*60 + local.Minute()
		if t.Before(window.from) || !t.Before(window.until) || !hours.days[local.Weekday()] || minute < hours.first || minute >= hours.last {
			return false
		}
		return !slices.ContainsFunc(busy, func(b period) bool { return !t.Before(b.from) && t.Before(b.until) })
	}
	for t := window.from.Truncate(quarter); t.Before(window.until); {
		end := t
		for end.Before(t.Add(length)) && free(end) {
			end = end.Add(time.Minute)
		}
		if end.Equal(t.Add(length)) {
			list = append(list, period{t, end})
			t = end.Add(quarter - 1).Truncate(quarter)
			continue
		}
		t = t.Add(quarter)
	}
	return list
}

func TestMinutes(t *testing.T) {
	for text, want := range map[string]int{"": 540, "00:00": 0, "09:30": 570, "23:59": 1439, "24:00": 1440} {
		if got, err := minutes("day_start", text, "09:00"); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"24:01", "9", "9am", "09:00:00", "-1:00", "25:00", "12:60"} {
		if got, err := minutes("day_start", text, "09:00"); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("day_start %q", text)) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}
