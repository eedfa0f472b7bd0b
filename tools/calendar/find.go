package calendar

import (
	"context"
	"net/http"
	"slices"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func findTime() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "calendar_find_time",
		Title:       "Find a time",
		Description: "The earliest slots in working hours when the user and all attendees are free. Makes no event.",
		Can:         "See when you, and people who share it with you, are busy",
		Provider:    provider,
		Scopes:      []string{google.CalendarFreebusyScope, google.CalendarCalendarsReadonlyScope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{asksBusy(), asksPrimary()},
	}, find)
}

type findInput struct {
	Minutes   int      `json:"minutes" jsonschema:"how long" minimum:"5" maximum:"1440"`
	Attendees []string `json:"attendees,omitempty" jsonschema:"others' addresses, or more calendars" maxItems:"20"`
	Start     string   `json:"start,omitempty" jsonschema:"RFC 3339 time or date (default now)"`
	End       string   `json:"end,omitempty" jsonschema:"like start (default 7 days later)"`
	TimeZone  string   `json:"time_zone,omitempty" jsonschema:"IANA zone (default the calendar's)"`
	DayStart  string   `json:"day_start,omitempty" jsonschema:"default 09:00"`
	DayEnd    string   `json:"day_end,omitempty" jsonschema:"default 17:00; to 24:00"`
	Days      []string `json:"days,omitempty" jsonschema:"default mon to fri" enum:"mon,tue,wed,thu,fri,sat,sun"`
	Limit     int      `json:"limit,omitempty" jsonschema:"default 5" minimum:"1" maximum:"20"`
}

type findOutput struct {
	TimeZone string   `json:"time_zone"`
	Slots    []string `json:"slots"`
	Unseen   []string `json:"not_shared,omitempty" jsonschema:"unseen, so left out of account"`
}

func find(ctx context.Context, api *http.Client, in findInput) (findOutput, error) {
	hours, err := in.hours()
	if err != nil {
		return findOutput{}, err
	}
	service, err := connect(ctx, api)
	if err != nil {
		return findOutput{}, err
	}
	times, err := newReader(in.TimeZone, func() (*time.Location, error) { return primaryZone(ctx, service) })
	if err != nil {
		return findOutput{}, err
	}
	window, err := times.window(in.Start, in.End, tools.Info(ctx).Now())
	if err != nil {
		return findOutput{}, err
	}
	if hours.zone, err = times.zone(); err != nil {
		return findOutput{}, err
	}
	answer, err := askBusy(ctx, service, once(append([]string{primary}, in.Attendees...)), stamp(window.from), stamp(window.until))
	if err != nil {
		return findOutput{}, err
	}
	var busy []period
	for _, of := range answer.busy {
		busy = append(busy, of...)
	}
	most := in.Limit
	if most == 0 {
		most = 5
	}
	out := findOutput{TimeZone: hours.zone.String(), Slots: []string{}, Unseen: answer.unseen}
	for _, p := range findSlots(window, hours, busy, time.Duration(in.Minutes)*time.Minute, most) {
		out.Slots = append(out.Slots, p.in(hours.zone))
	}
	return out, nil
}

// hours are the working hours that in asks for, in no zone yet.
func (in findInput) hours() (h workingHours, err error) {
	if h.first, err = minutes("day_start", in.DayStart, "09:00"); err != nil {
		return h, err
	}
	if h.last, err = minutes("day_end", in.DayEnd, "17:00"); err != nil {
		return h, err
	}
	if h.last-h.first < in.Minutes {
		return h, told("%d minutes don't fit between day_start and day_end. Make the working hours longer: up to 00:00 and 24:00.", in.Minutes)
	}
	days := in.Days
	if len(days) == 0 {
		days = []string{"mon", "tue", "wed", "thu", "fri"}
	}
	for i, name := range []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} {
		h.days[i] = slices.Contains(days, name)
	}
	return h, nil
}

// minutes are those of the day at text, "09:00" or up to "24:00".
func minutes(field, text, standard string) (int, error) {
	if text == "" {
		text = standard
	}
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, told("%s %.16q is no time of day. Write it like 09:00.", field, text)
	}
	return t.Hour()*60 + t.Minute(), nil
}
