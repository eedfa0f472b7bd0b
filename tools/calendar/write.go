package calendar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

// oneEvent is the path of one event.
const oneEvent = events + "/{event}"

// patches is the contract's line for changing an event.
func patches() tools.Rule {
	return rule(http.MethodPatch, oneEvent, "sendUpdates", "conferenceDataVersion")
}

// A written is what there is to know of an event after a write.
type written struct {
	ID       string `json:"id"`
	URL      string `json:"url,omitempty"`
	Etag     string `json:"etag,omitempty"`
	Start    string `json:"start,omitempty"`
	End      string `json:"end,omitempty"`
	TimeZone string `json:"time_zone,omitempty"`
}

// of is e with its times in zone, or in e's own where that is nil. It asks nobody:
// the write is done, and nothing may fail any more.
func of(e *google.Event, zone *time.Location) written {
	if e.Start != nil && e.Start.DateTime != "" && zone == nil {
		if own, err := time.LoadLocation(e.Start.TimeZone); err == nil && e.Start.TimeZone != "" {
			zone = own
		}
	}
	out := written{ID: e.Id, URL: e.HtmlLink, Etag: e.Etag, Start: at(e.Start, zone), End: at(e.End, zone)}
	if zone != nil && e.Start != nil && e.Start.DateTime != "" {
		out.TimeZone = zone.String()
	}
	return out
}

// updates is Google's word for whom to mail: nobody unless told otherwise.
func updates(asked string) string {
	if asked == "" {
		return "none"
	}
	return asked
}

// addresses checks e-mail addresses; field is the argument that they are in.
func addresses(field string, list []string) error {
	if len(list) > 100 {
		return told("%s has more than 100 addresses. Invite a group's address instead.", field)
	}
	for _, address := range list {
		name, domain, ok := strings.Cut(address, "@")
		if !ok || name == "" || domain == "" || len(address) > 254 || strings.ContainsAny(address, " \t\r\n,;:<>\"()[]\\") || strings.Contains(domain, "@") {
			return told("%s: %.80q is no e-mail address. Give addresses alone, like ana@example.com.", field, address)
		}
	}
	return nil
}

// reminders reads "popup 10" and "email 60"; nil are none given, empty ones that there
// shall be none, and "default" those of the calendar.
func reminders(list []string) (*google.EventReminders, error) {
	if list == nil {
		return nil, nil
	}
	out := &google.EventReminders{ForceSendFields: []string{"UseDefault", "Overrides"}, Overrides: []*google.EventReminder{}}
	if slices.Equal(list, []string{"default"}) {
		out.UseDefault = true
		return out, nil
	}
	if len(list) > 5 {
		return nil, told("reminders: Google takes at most 5.")
	}
	for _, text := range list {
		method, minutes, _ := strings.Cut(text, " ")
		n, err := strconv.Atoi(minutes)
		if method != "popup" && method != "email" || err != nil || n < 0 || n > 40320 {
			return nil, told(`reminders: %.40q is none. Write "popup 10" or "email 60", with up to 40320 minutes, or "default" alone.`, text)
		}
		out.Overrides = append(out.Overrides, &google.EventReminder{Method: method, Minutes: int64(n), ForceSendFields: []string{"Minutes"}})
	}
	return out, nil
}

// checkRecurrence refuses what are no lines of a recurrence.
func checkRecurrence(lines []string) error {
	if len(lines) > 20 {
		return told("recurrence has more than 20 lines.")
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		name, _, _ = strings.Cut(name, ";")
		if !slices.Contains([]string{"RRULE", "RDATE", "EXDATE", "EXRULE"}, name) || value == "" || tools.Clean(line) != line || strings.ContainsAny(line, "\n\t") {
			return told("recurrence: %.80q is no line of RFC 5545 that Google takes. Write RRULE:FREQ=WEEKLY;BYDAY=MO, or an EXDATE or RDATE line; start and end are arguments of their own.", line)
		}
	}
	return nil
}

// asksMeet is a request for a Google Meet; id makes it one however often it is sent.
func asksMeet(id string) *google.ConferenceData {
	return &google.ConferenceData{CreateRequest: &google.CreateConferenceRequest{
		RequestId: id, ConferenceSolutionKey: &google.ConferenceSolutionKey{Type: "hangoutsMeet"},
	}}
}

// meetOf is the link of e's Google Meet, or what became of it.
func meetOf(e *google.Event) string {
	if e.HangoutLink != "" || e.ConferenceData == nil || e.ConferenceData.CreateRequest == nil || e.ConferenceData.CreateRequest.Status == nil {
		return e.HangoutLink
	}
	switch e.ConferenceData.CreateRequest.Status.StatusCode {
	case "pending":
		return "pending: calendar_get_event has the link in a moment"
	case "failure":
		return "failed: the event has no Google Meet"
	}
	return ""
}

// madeID is an id that the same parts lead to again, in the letters (of base32hex)
// that Google wants in one of an event.
func madeID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "lk" + hex.EncodeToString(sum[:16])
}

// A desk is one calendar to write in.
type desk struct {
	service  *google.Service
	calendar string
	updates  string // whom to mail, in Google's words
}

// newDesk is the calendar's of that id, as an argument says it.
func newDesk(ctx context.Context, api *http.Client, calendar, sendUpdates string) (desk, error) {
	id, err := calendarID(calendar)
	if err != nil {
		return desk{}, err
	}
	service, err := connect(ctx, api)
	return desk{service, id, updates(sendUpdates)}, err
}

func (d desk) times(ctx context.Context, zoneName string) (*reader, error) {
	return newReader(zoneName, func() (*time.Location, error) { return zoneOf(ctx, d.service, d.calendar) })
}

// read is the event of that id.
func (d desk) read(ctx context.Context, id string) (*google.Event, error) {
	e, err := d.service.Events.Get(d.calendar, id).Context(ctx).Do()
	if err != nil {
		return nil, explain(err, about{calendar: d.calendar, event: id})
	}
	if e == nil || e.Id == "" {
		return nil, unanswered(about{})
	}
	return e, nil
}

// readToChange is the event of that id, if it is there and, where etag is given, still
// as it was. fields are what the change is about.
func (d desk) readToChange(ctx context.Context, id, etag string, fields []string) (*google.Event, error) {
	e, err := d.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if e.Status == "cancelled" {
		return nil, told("The event %q was deleted.", id)
	}
	if etag != "" && strings.Trim(etag, `"`) != strings.Trim(e.Etag, `"`) {
		return nil, conflict(e, fields)
	}
	return e, nil
}

// titled refuses a title that isn't e's. An id says nothing to a person who approves a
// call; the title does, and so must be the right one.
func titled(e *google.Event, argument, title string) error {
	short := func(text string) string { return strings.TrimSpace(clip(text, 300)) }
	if short(title) == short(e.Summary) {
		return nil
	}
	return told("Nothing was changed: the event %q has the title %q, and %s is %q. If that event is meant, repeat the call with its title.",
		e.Id, clip(e.Summary, 100), argument, clip(title, 100))
}

// patch changes before, if it is still that.
func (d desk) patch(ctx context.Context, before, change *google.Event) (*google.Event, error) {
	call := d.service.Events.Patch(d.calendar, before.Id, change).SendUpdates(d.updates).Context(ctx)
	if change.ConferenceData != nil || slices.Contains(change.NullFields, "ConferenceData") {
		call.ConferenceDataVersion(1)
	}
	unlessChanged(call.Header(), before)
	e, err := call.Do()
	if err != nil {
		return nil, d.changed(ctx, err, before)
	}
	if e == nil || e.Id == "" {
		return nil, unanswered(about{writes: true})
	}
	return e, nil
}

// unlessChanged makes Google refuse a write to what isn't before any more.
func unlessChanged(header http.Header, before *google.Event) {
	if before.Etag != "" {
		header.Set("If-Match", before.Etag)
	}
}

// changed is err of a write to before; where that was changed meanwhile, it says how.
func (d desk) changed(ctx context.Context, err error, before *google.Event) error {
	if status(err) != http.StatusPreconditionFailed {
		return explain(err, about{calendar: d.calendar, event: before.Id, writes: true})
	}
	now, again := d.read(ctx, before.Id)
	if again != nil {
		return explain(err, about{calendar: d.calendar, event: before.Id, writes: true})
	}
	return conflict(now, differing(before, now))
}
