package calendar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func createEvent() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "calendar_create_event",
		Title: "Create an event",
		Description: "Create an event, once or repeating. Guests are mailed only with send_updates. " +
			"Not for changing one: calendar_update_event.",
		Can:             "Create events in your calendars, invite people to them, and have Google mail these",
		Provider:        provider,
		Scopes:          []string{google.CalendarEventsScope}, // not only .owned: shared calendars too
		KeyedByProvider: true,
		Egress: []tools.Rule{
			rule(http.MethodPost, events, "sendUpdates", "conferenceDataVersion"), rule(http.MethodGet, oneEvent), asksZone(),
		},
	}, create)
}

type createInput struct {
	Calendar       string   `json:"calendar,omitempty" jsonschema:"default primary"`
	Summary        string   `json:"summary" jsonschema:"title"`
	Start          string   `json:"start" jsonschema:"2026-01-31T09:00:00+01:00, or a date"`
	End            string   `json:"end" jsonschema:"exclusive"`
	TimeZone       string   `json:"time_zone,omitempty" jsonschema:"IANA, needed to repeat"`
	Location       string   `json:"location,omitempty" jsonschema:"place"`
	Description    string   `json:"description,omitempty" jsonschema:"notes"`
	Attendees      []string `json:"attendees,omitempty" jsonschema:"e-mail addresses"`
	Recurrence     []string `json:"recurrence,omitempty" jsonschema:"RRULE lines"`
	Reminders      []string `json:"reminders,omitempty" jsonschema:"like popup 10; [] for none"`
	Meet           bool     `json:"meet,omitempty" jsonschema:"add Google Meet"`
	Visibility     string   `json:"visibility,omitempty" jsonschema:"of details" enum:"default,public,private"`
	SendUpdates    string   `json:"send_updates,omitempty" jsonschema:"default none" enum:"all,externalOnly,none"`
	IdempotencyKey string   `json:"idempotency_key,omitempty" jsonschema:"makes a retry safe" pattern:"^[\\w.-]{1,64}$"`
}

type createOutput struct {
	written
	Meet    string `json:"meet,omitempty"`
	Existed bool   `json:"existed,omitempty"`
}

func create(ctx context.Context, api *http.Client, in createInput) (createOutput, error) {
	d, err := newDesk(ctx, api, in.Calendar, in.SendUpdates)
	if err != nil {
		return createOutput{}, err
	}
	times, err := d.times(ctx, in.TimeZone)
	if err != nil {
		return createOutput{}, err
	}
	wanted, err := in.event(times)
	if err == nil {
		err = in.sign(ctx, wanted)
	}
	if err != nil {
		return createOutput{}, err
	}
	made, existed, err := d.insert(ctx, wanted)
	if err != nil {
		return createOutput{}, err
	}
	return createOutput{written: of(made, times.sofar()), Meet: meetOf(made), Existed: existed}, nil
}

// event is what the arguments describe.
func (in createInput) event(times *reader) (*google.Event, error) {
	if strings.TrimSpace(in.Summary) == "" {
		return nil, told("summary is empty: give the event a title.")
	}
	if err := addresses("attendees", in.Attendees); err != nil {
		return nil, err
	}
	if err := checkRecurrence(in.Recurrence); err != nil {
		return nil, err
	}
	remind, err := reminders(in.Reminders)
	if err != nil {
		return nil, err
	}
	start, end, err := times.span(in.Start, in.End)
	if err != nil {
		return nil, err
	}
	if len(in.Recurrence) > 0 && start.DateTime != "" && in.TimeZone == "" {
		where, err := times.zone()
		if err != nil {
			return nil, err
		}
		return nil, told("A repeating event needs time_zone, so that it keeps its hour when clocks change. The calendar's is %s.", where)
	}
	e := &google.Event{
		Summary: in.Summary, Start: start, End: end, Location: in.Location, Description: in.Description,
		Recurrence: in.Recurrence, Reminders: remind, Visibility: in.Visibility,
	}
	for _, address := range in.Attendees {
		e.Attendees = append(e.Attendees, &google.EventAttendee{Email: address})
	}
	return e, nil
}

// mark is the name of the private property that says from which arguments an event
// with an idempotency_key was made.
const mark = "latchkey"

// sign gives wanted the id and the mark that this account's idempotency_key leads to,
// and a Google Meet if there shall be one.
func (in createInput) sign(ctx context.Context, wanted *google.Event) error {
	request := madeID("meet", tools.Info(ctx).Now().Format(time.RFC3339Nano), in.Summary, in.Start)
	if in.IdempotencyKey != "" {
		account, err := tools.Info(ctx).Connection()
		if err != nil {
			return err
		}
		arguments, err := json.Marshal(in)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(arguments)
		wanted.Id = madeID("create", account.Account, in.IdempotencyKey)
		wanted.ExtendedProperties = &google.EventExtendedProperties{Private: map[string]string{mark: hex.EncodeToString(sum[:16])}}
		request = wanted.Id
	}
	if in.Meet {
		wanted.ConferenceData = asksMeet(request)
	}
	return nil
}

// insert makes wanted. An event of its id that is there already is the one that an
// earlier call made, if it made it from the same arguments.
func (d desk) insert(ctx context.Context, wanted *google.Event) (made *google.Event, existed bool, err error) {
	made, err = d.post(ctx, wanted)
	switch {
	case wanted.Id != "" && status(err) == http.StatusConflict:
		made, err = d.earlier(ctx, wanted)
		return made, true, err
	case err != nil:
		return nil, false, explain(err, about{calendar: d.calendar, writes: true, keyed: wanted.Id != ""})
	}
	return made, false, nil
}

// post is the request that makes wanted, with its error as it came.
func (d desk) post(ctx context.Context, wanted *google.Event) (*google.Event, error) {
	call := d.service.Events.Insert(d.calendar, wanted).SendUpdates(d.updates).Context(ctx)
	if wanted.ConferenceData != nil {
		call.ConferenceDataVersion(1)
	}
	if len(wanted.Attachments) > 0 {
		call.SupportsAttachments(true)
	}
	made, err := call.Do()
	if err == nil && (made == nil || made.Id == "") {
		err = unanswered(about{writes: true, keyed: wanted.Id != ""})
	}
	return made, err
}

// earlier is the event that wanted's id has, if it is what wanted would be.
func (d desk) earlier(ctx context.Context, wanted *google.Event) (*google.Event, error) {
	e, err := d.read(ctx, wanted.Id)
	if err != nil {
		return nil, err
	}
	was := ""
	if e.ExtendedProperties != nil {
		was = e.ExtendedProperties.Private[mark]
	}
	switch {
	case e.Status == "cancelled":
		return nil, told("The event that this idempotency_key made was deleted since. Use a new key to make it again.")
	case wanted.ExtendedProperties == nil || was != wanted.ExtendedProperties.Private[mark]:
		return nil, told("This idempotency_key made another event before: %q at %s, id %s. Use a new key for a new event, or calendar_update_event to change that one.",
			clip(e.Summary, 100), at(e.Start, nil), e.Id)
	}
	return e, nil
}
