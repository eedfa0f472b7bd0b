package sandbox

import (
	"strings"
	"time"
)

// quickly is the event that a short text describes: words are its title, but for
// "tomorrow", a date (2026-01-31) and a time of day (15:00, 3pm). It lasts an hour,
// or the day where no time is said.
func quickly(text string, now time.Time) object {
	day, clock, timed := now, time.Time{}, false
	var title []string
	for word := range strings.FieldsSeq(text) {
		date, noDate := time.Parse(time.DateOnly, word)
		hour, isTime := timeOfDay(word)
		switch {
		case strings.EqualFold(word, "tomorrow"):
			day = now.AddDate(0, 0, 1)
		case noDate == nil:
			day = date
		case isTime:
			clock, timed = hour, true
		default:
			title = append(title, word)
		}
	}
	body := object{"summary": strings.TrimSuffix(strings.TrimSuffix(strings.Join(title, " "), " at"), " on")}
	if !timed {
		body["start"] = object{"date": day.Format(time.DateOnly)}
		body["end"] = object{"date": day.AddDate(0, 0, 1).Format(time.DateOnly)}
		return body
	}
	at := time.Date(day.Year(), day.Month(), day.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
	body["start"] = object{"dateTime": at.Format(time.RFC3339), "timeZone": now.Location().String()}
	body["end"] = object{"dateTime": at.Add(time.Hour).Format(time.RFC3339), "timeZone": now.Location().String()}
	return body
}

func timeOfDay(word string) (time.Time, bool) {
	for _, layout := range []string{"15:04", "3pm", "3:04pm"} {
		if t, err := time.Parse(layout, strings.ToLower(word)); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
