package calendar

import (
	"context"
	"net/http"
	"slices"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func freeBusy() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "calendar_free_busy",
		Title:       "Busy times",
		Description: "When calendars or people are busy. Not for choosing a time: calendar_find_time.",
		Can:         "See when you, and people who share it with you, are busy",
		Provider:    provider,
		Scopes:      []string{google.CalendarFreebusyScope, google.CalendarCalendarsReadonlyScope},
		ReadOnly:    true, Idempotent: true,
		Egress: []tools.Rule{asksBusy(), asksPrimary()},
	}, busyTimes)
}

type busyInput struct {
	Calendars []string `json:"calendars,omitempty" jsonschema:"ids, or people's addresses (default primary)" maxItems:"20"`
	Start     string   `json:"start,omitempty" jsonschema:"RFC 3339 time or date (default now)"`
	End       string   `json:"end,omitempty" jsonschema:"like start (default 7 days later)"`
	TimeZone  string   `json:"time_zone,omitempty" jsonschema:"IANA zone (default the calendar's)"`
	Cursor    string   `json:"cursor,omitempty" jsonschema:"next_cursor of the answer before, same arguments"`
}

type busyOutput struct {
	TimeZone   string     `json:"time_zone"`
	Busy       []busyTime `json:"busy"`
	Unseen     []string   `json:"not_shared,omitempty"`
	NextCursor string     `json:"next_cursor,omitempty"`
}

type busyTime struct {
	Calendar string   `json:"calendar"`
	Times    []string `json:"times"`
}

// A busyPlace is where a list of busy times goes on. It names the time, since what is
// before it may have changed.
type busyPlace struct {
	From     string `json:"f"`
	Until    string `json:"u"`
	Calendar int    `json:"c"`
	At       string `json:"a"`
}

func busyTimes(ctx context.Context, api *http.Client, in busyInput) (busyOutput, error) {
	service, err := connect(ctx, api)
	if err != nil {
		return busyOutput{}, err
	}
	times, err := newReader(in.TimeZone, func() (*time.Location, error) { return primaryZone(ctx, service) })
	if err != nil {
		return busyOutput{}, err
	}
	here, err := in.begin(ctx, times)
	if err != nil {
		return busyOutput{}, err
	}
	where, err := times.zone()
	if err != nil {
		return busyOutput{}, err
	}
	ids := once(in.Calendars)
	answer, err := askBusy(ctx, service, ids, here.From, here.Until)
	if err != nil {
		return busyOutput{}, err
	}
	out := busyOutput{TimeZone: where.String(), Busy: []busyTime{}, Unseen: answer.unseen}
	left := room
	for i, id := range ids {
		for _, p := range answer.busy[id] {
			switch {
			case here.before(i, p.from):
			case left < 0:
				here.Calendar, here.At = i, stamp(p.from)
				out.NextCursor, err = tools.WriteCursor(ctx, here)
				return out, err
			default:
				left -= out.add(id, p.in(where))
			}
		}
	}
	return out, nil
}

// add puts a time behind the calendar's others, and is how many bytes that takes.
func (out *busyOutput) add(calendar, interval string) int {
	bytes := len(interval) + 3
	if last := len(out.Busy) - 1; last < 0 || out.Busy[last].Calendar != calendar {
		out.Busy = append(out.Busy, busyTime{Calendar: calendar})
		bytes += 6*len(calendar) + 30
	}
	last := &out.Busy[len(out.Busy)-1]
	last.Times = append(last.Times, interval)
	return bytes
}

// begin is where the answer begins.
func (in busyInput) begin(ctx context.Context, times *reader) (busyPlace, error) {
	var here busyPlace
	if in.Cursor != "" {
		return here, tools.ReadCursor(ctx, in.Cursor, &here)
	}
	window, err := times.window(in.Start, in.End, tools.Info(ctx).Now())
	return busyPlace{From: stamp(window.from), Until: stamp(window.until)}, err
}

// before reports whether what begins at t in the calendar at index i was given.
func (here busyPlace) before(i int, t time.Time) bool {
	at, err := time.Parse(time.RFC3339, here.At)
	return i < here.Calendar || i == here.Calendar && err == nil && t.Before(at)
}

// once is ids, each once: the primary calendar for none.
func once(ids []string) []string {
	if len(ids) == 0 {
		return []string{primary}
	}
	var list []string
	for _, id := range ids {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

const (
	standardWindow = 7  // days
	longestWindow  = 31 // days
)

// window is the time from start (now, for "") until end (days later, for "").
func (r *reader) window(start, end string, now time.Time) (period, error) {
	from, err := r.optional("start", start)
	if err != nil {
		return period{}, err
	}
	if from.IsZero() {
		from = now.UTC().Truncate(time.Second)
	}
	until, err := r.optional("end", end)
	if err != nil {
		return period{}, err
	}
	if until.IsZero() {
		until = from.AddDate(0, 0, standardWindow)
	}
	switch {
	case !until.After(from):
		return period{}, told("end %s is not after start %s. Without a start, it is now; the end of a day is the date of the next.", end, stamp(from))
	case until.Sub(from) > (longestWindow*24+1)*time.Hour: // a clock may be set back
		return period{}, told("From start to end are more than %d days. Ask for less at a time.", longestWindow)
	}
	return period{from, until}, nil
}

// asksBusy is the contract's line for askBusy: a question, although it is a POST.
func asksBusy() tools.Rule {
	r := rule(http.MethodPost, "/calendar/v3/freeBusy", "fields")
	r.Safe = true
	return r
}

// A busyness is what Google says of calendars: when they are busy, in order, and which
// of them it doesn't tell of.
type busyness struct {
	busy   map[string][]period
	unseen []string
}

func askBusy(ctx context.Context, service *google.Service, ids []string, from, until string) (busyness, error) {
	question := &google.FreeBusyRequest{TimeMin: from, TimeMax: until}
	for _, id := range ids {
		question.Items = append(question.Items, &google.FreeBusyRequestItem{Id: id})
	}
	result, err := service.Freebusy.Query(question).Fields("calendars").Context(ctx).Do()
	if err != nil {
		return busyness{}, explain(err, about{})
	}
	if result == nil {
		return busyness{}, unanswered(about{})
	}
	out := busyness{busy: map[string][]period{}}
	for _, id := range ids {
		calendar, there := result.Calendars[id]
		switch why := failed(calendar); {
		case !there, why == "notFound":
			out.unseen = append(out.unseen, clip(id, 254))
		case why != "":
			return busyness{}, told("Google doesn't say when %.254q is busy (%s). Try again in a minute, or leave it out.", id, clip(why, 100))
		default:
			out.busy[id] = merged(periods(calendar.Busy))
		}
	}
	return out, nil
}

// failed is why Google doesn't tell of a calendar, or "".
func failed(calendar google.FreeBusyCalendar) string {
	if len(calendar.Errors) == 0 {
		return ""
	}
	if first := calendar.Errors[0]; first != nil && first.Reason != "" {
		return first.Reason
	}
	return "for no reason"
}

func periods(list []*google.TimePeriod) (out []period) {
	for _, p := range list {
		if p == nil {
			continue
		}
		from, err := time.Parse(time.RFC3339, p.Start)
		until, err2 := time.Parse(time.RFC3339, p.End)
		if err == nil && err2 == nil {
			out = append(out, period{from, until})
		}
	}
	return out
}
