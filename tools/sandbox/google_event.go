package sandbox

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An event keeps what clients wrote as they wrote it, so that a patch can merge.
type event struct {
	ID               string
	Body             object
	Created, Updated time.Time
	Revision         int
	Cancelled        bool
	Seed             bool // made up, and touched by nobody: it moves with the days

	Organizer string    `json:",omitempty"` // who invited; "" for the calendar itself
	Of        string    `json:",omitempty"` // the recurring event that it is an exception of
	Original  time.Time `json:",omitzero"`  // where that has it
}

// eventFields are the fields that clients may write.
type eventFields struct {
	ID           string   `json:"id"`
	Summary      string   `json:"summary"`
	Description  string   `json:"description"`
	Location     string   `json:"location"`
	ColorID      string   `json:"colorId"`
	Visibility   string   `json:"visibility"`
	Transparency string   `json:"transparency"`
	Status       string   `json:"status"`
	Start        *moment  `json:"start"`
	End          *moment  `json:"end"`
	Recurrence   []string `json:"recurrence"`
	Attendees    []struct {
		Email            string `json:"email"`
		DisplayName      string `json:"displayName"`
		Optional         bool   `json:"optional"`
		ResponseStatus   string `json:"responseStatus"`
		Comment          string `json:"comment"`
		AdditionalGuests int    `json:"additionalGuests"`
		Resource         bool   `json:"resource"`
	} `json:"attendees"`
	Reminders *struct {
		UseDefault bool `json:"useDefault"`
		Overrides  []struct {
			Method  string `json:"method"`
			Minutes int    `json:"minutes"`
		} `json:"overrides"`
	} `json:"reminders"`
	GuestsCanInviteOthers   *bool `json:"guestsCanInviteOthers"`
	GuestsCanModify         *bool `json:"guestsCanModify"`
	GuestsCanSeeOtherGuests *bool `json:"guestsCanSeeOtherGuests"`
	ExtendedProperties      *struct {
		Private map[string]string `json:"private"`
		Shared  map[string]string `json:"shared"`
	} `json:"extendedProperties"`
	Source *struct {
		URL   string `json:"url"`
		Title string `json:"title"`
	} `json:"source"`
	Attachments []struct {
		FileURL  string `json:"fileUrl"`
		Title    string `json:"title"`
		MimeType string `json:"mimeType"`
		IconLink string `json:"iconLink"`
		FileID   string `json:"fileId"`
	} `json:"attachments"`
	AttendeesOmitted bool   `json:"attendeesOmitted"`
	ConferenceData   object `json:"conferenceData"`
	HangoutLink      string `json:"hangoutLink"` // of what is kept; clients don't write it
}

// A moment is a day or a time.
type moment struct {
	Date     string `json:"date"`
	DateTime string `json:"dateTime"`
	TimeZone string `json:"timeZone"`
}

// badBody is Google's answer to a body that isn't the resource.
func badBody(err error) answer {
	if field, ok := err.(unknownField); ok {
		return googleBad("Invalid JSON payload received. Unknown name "+strconv.Quote(string(field))+": Cannot find field.", "badRequest")
	}
	return googleBad("Parse Error: "+err.Error(), "parseError")
}

// decodeEvent reads body, which may have only fields of eventFields, and nulls.
func decodeEvent(body object) (eventFields, error) {
	var f eventFields
	b, err := json.Marshal(body)
	if err != nil {
		return f, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return f, d.Decode(&f)
}

// eventBody is the request's body, with known names only.
func eventBody(c *call) (object, answer) {
	var body object
	if err := json.Unmarshal(c.body, &body); err != nil || body == nil {
		return nil, googleBad("Parse Error", "parseError")
	}
	for name := range body {
		if !slices.Contains(strings.Fields(`id summary description location colorId visibility transparency status start end
			recurrence attendees reminders guestsCanInviteOthers guestsCanModify guestsCanSeeOtherGuests extendedProperties source
			attachments attendeesOmitted conferenceData`), name) {
			return nil, badBody(unknownField(name))
		}
	}
	if _, err := decodeEvent(body); err != nil {
		return nil, badBody(err)
	}
	return body, answer{}
}

// merge is RFC 7396: objects merge, null deletes, the rest replaces.
func merge(old, patch object) object {
	out := maps.Clone(old)
	if out == nil {
		out = object{}
	}
	for name, value := range patch {
		sub, ok := value.(object)
		switch {
		case value == nil:
			delete(out, name)
		case ok:
			was, _ := out[name].(object)
			out[name] = merge(was, sub)
		default:
			out[name] = value
		}
	}
	return out
}

// check says what Google would find wrong with a whole event.
func (cal *calendar) check(body object) answer {
	f, err := decodeEvent(body)
	if err != nil {
		return badBody(err)
	}
	start, allDay, wrong := f.Start.parse("start", cal.location())
	if wrong != "" {
		return googleBad(wrong, "required")
	}
	end, endAllDay, wrong := f.End.parse("end", cal.location())
	switch {
	case wrong != "":
		return googleBad(wrong, "required")
	case allDay != endAllDay:
		return googleBad("Start and end times must either both be date or both be dateTime.", "invalid")
	case end.Before(start) || allDay && !end.After(start):
		return googleBad("The specified time range is empty.", "timeRangeEmpty")
	case len(f.Recurrence) > 0 && !allDay && f.Start.TimeZone == "":
		return googleBad("Missing time zone definition for start time.", "required")
	}
	if _, ok := parseRules(f.Recurrence); !ok {
		return googleBad("Invalid recurrence rule.", "invalid")
	}
	return f.check()
}

// check is about the fields with few values.
func (f eventFields) check() answer {
	for _, e := range []struct{ name, value, values string }{
		{"visibility", f.Visibility, "default public private confidential"},
		{"transparency", f.Transparency, "opaque transparent"},
		{"status", f.Status, "confirmed tentative cancelled"},
		{"colorId", f.ColorID, "1 2 3 4 5 6 7 8 9 10 11"},
	} {
		if e.value != "" && !slices.Contains(strings.Fields(e.values), e.value) {
			return googleBad("Invalid value for: "+e.name+".", "invalid")
		}
	}
	for _, a := range f.Attendees {
		if at, err := mail.ParseAddress(a.Email); err != nil || at.Address != a.Email {
			return googleBad("Invalid attendee email.", "invalid")
		}
		if a.ResponseStatus != "" && !slices.Contains(strings.Fields("needsAction declined tentative accepted"), a.ResponseStatus) {
			return googleBad("Invalid value for: responseStatus.", "invalid")
		}
	}
	return f.checkReminders()
}

func (f eventFields) checkReminders() answer {
	switch {
	case f.Reminders == nil:
		return answer{}
	case f.Reminders.UseDefault && len(f.Reminders.Overrides) > 0:
		return googleBad("Cannot specify both default reminders and overrides at the same time.", "cannotUseDefaultRemindersAndSpecifyOverride")
	case len(f.Reminders.Overrides) > 5:
		return googleBad("Too many reminder overrides.", "invalid")
	}
	for _, o := range f.Reminders.Overrides {
		if o.Method != "email" && o.Method != "popup" || o.Minutes < 0 || o.Minutes > 40320 {
			return googleBad("Invalid reminder.", "invalid")
		}
	}
	return answer{}
}

// parse is the instant of m; a day begins at midnight in zone.
func (m *moment) parse(name string, zone *time.Location) (at time.Time, allDay bool, wrong string) {
	if m == nil || m.Date == "" && m.DateTime == "" {
		return at, false, "Missing " + name + " time."
	}
	if m.Date != "" && m.DateTime != "" {
		return at, false, "Invalid " + name + " time: it has both date and dateTime."
	}
	if m.TimeZone != "" {
		l, err := time.LoadLocation(m.TimeZone)
		if err != nil || m.TimeZone == "Local" {
			return at, false, "Invalid time zone definition for " + name + " time."
		}
		zone = l
	}
	if m.Date != "" {
		at, err := time.ParseInLocation(time.DateOnly, m.Date, zone)
		if err != nil {
			return at, true, "Invalid " + name + " date."
		}
		return at, true, ""
	}
	if at, err := time.Parse(time.RFC3339, m.DateTime); err == nil {
		return at, false, ""
	}
	at, err := time.ParseInLocation("2006-01-02T15:04:05", m.DateTime, zone)
	switch {
	case err != nil:
		return at, false, "Invalid " + name + " time."
	case m.TimeZone == "":
		return at, false, "Missing time zone definition for " + name + " time."
	}
	return at, false, ""
}

func (e *event) etag() string {
	return fmt.Sprintf(`"%d%03d"`, e.Updated.UnixMilli(), e.Revision)
}

// move shifts a made-up event by days.
func (e *event) move(cal *calendar, days int) {
	for _, name := range []string{"start", "end"} {
		m, _ := e.Body[name].(object)
		if day, ok := m["date"].(string); ok {
			t, _ := time.Parse(time.DateOnly, day)
			m["date"] = t.AddDate(0, 0, days).Format(time.DateOnly)
		}
		if at, ok := m["dateTime"].(string); ok {
			t, _ := time.Parse(time.RFC3339, at)
			m["dateTime"] = t.In(cal.location()).AddDate(0, 0, days).Format(time.RFC3339)
		}
	}
}

// shape is the event resource, with times in zone (nil: the calendar's).
func (cal *calendar) shape(c *call, o occurrence, zone *time.Location) object {
	e := o.event
	f, _ := decodeEvent(e.Body)
	if zone == nil {
		zone = cal.location()
	}
	out := merge(e.Body, object{
		"kind": "calendar#event", "etag": e.etag(), "id": o.id, "status": "confirmed",
		"htmlLink": c.base + "/calendar/event?eid=" + base64.RawURLEncoding.EncodeToString([]byte(o.id+" "+cal.ID)),
		"created":  stamp(e.Created), "updated": e.Updated.Format("2006-01-02T15:04:05.000Z"),
		"creator": cal.person(cmp.Or(e.Organizer, cal.Owner)), "organizer": cal.person(cal.organizer(e)), "iCalUID": cmp.Or(e.Of, e.ID) + "@sandbox.example",
		"sequence": e.Revision - 1, "eventType": "default",
		"start": o.moment(o.start, f.Start, zone), "end": o.moment(o.end, f.End, zone)})
	if f.Status != "" {
		out["status"] = f.Status
	}
	if e.Cancelled {
		out["status"] = "cancelled"
	}
	if f.Reminders == nil {
		out["reminders"] = object{"useDefault": true}
	}
	if o.of != "" {
		out["recurringEventId"], out["originalStartTime"] = o.of, o.moment(o.original, f.Start, zone)
		delete(out, "recurrence")
	}
	return cal.withGuests(out, cal.organizer(e))
}

// organizer is who may change what all guests share.
func (cal *calendar) organizer(e *event) string { return cmp.Or(e.Organizer, cal.ID) }

// person is a creator or organizer.
func (cal *calendar) person(address string) object {
	o := object{"email": address}
	if address == cal.ID || address == cal.Owner {
		o["self"] = true
	}
	if address == cal.ID && !cal.Primary {
		o["displayName"] = cal.Summary
	}
	return o
}

// withGuests says of guests who has not answered, who organizes, and who is the
// calendar itself.
func (cal *calendar) withGuests(out object, organizer string) object {
	list, _ := out["attendees"].([]any)
	filled := []any{}
	for _, a := range list {
		guest, _ := a.(object)
		guest = maps.Clone(guest)
		if guest["responseStatus"] == nil {
			guest["responseStatus"] = "needsAction"
		}
		if guest["email"] == cal.ID {
			guest["self"] = true
		}
		if guest["email"] == organizer {
			guest["organizer"] = true
		}
		filled = append(filled, guest)
	}
	if len(filled) > 0 {
		out["attendees"] = filled
	}
	return out
}
