package sandbox

import (
	"fmt"
	"time"
	_ "time/tzdata" // calendars have zones, on machines without a database too
)

// A person has an account at both providers.
type person struct {
	Key, Name   string
	Login       string // at GitHub
	ID          int64
	Email, Sub  string // at Google
	Zone        string
	Description string
}

// decoy is the first account of both providers.
func decoy() person {
	return person{Key: "decoy", Name: "Decoy Nobody", Login: DecoyLogin, ID: 1, Email: DecoyEmail,
		Sub: "100000000000000000001", Zone: "UTC"}
}

// people are those that can be signed in as.
func people() []person {
	return []person{
		{Key: "alice", Name: "Alice", Login: AliceLogin, ID: 1001, Email: AliceEmail,
			Sub: "104210000000000001001", Zone: "Europe/Berlin", Description: "Plants, maps and small tools."},
		{Key: "bob", Name: "Bob", Login: BobLogin, ID: 1002, Email: BobEmail,
			Sub: "104210000000000001002", Zone: "America/New_York", Description: "Wood, wires and synthesizers."},
	}
}

func personByLogin(login string) (person, bool) {
	for _, p := range people() {
		if p.Login == login {
			return p, true
		}
	}
	return person{}, false
}

func personByEmail(email string) (person, bool) {
	for _, p := range people() {
		if p.Email == email {
			return p, true
		}
	}
	return person{}, false
}

// seed makes the world.
func (s *Sandbox) seed() {
	s.state = state{Format: stateFormat, SeededOn: s.cfg.Now().UTC().Format(time.DateOnly), NextID: 5000,
		Codes: map[string]*code{}, Tokens: map[string]*token{}}
	s.seedRepos()
	s.seedGit()
	s.seedComments()
	s.seedWork()
	s.seedCalendars()
	s.dirty = true
}

// issueSeed is an issue that was opened days ago.
type issueSeed struct {
	title, body string
	days        int
	closed      bool
	labels      []string
}

func (s *Sandbox) seedRepos() {
	s.seedRepo(DecoyLogin, "decoy-secrets", "The decoy's own. Nobody may see it.", true,
		issueSeed{"decoy: you should not read this", "It belongs to the decoy account.", 3, false, nil})
	s.seedRepo(AliceLogin, "garden", "Plans, beds and harvests of a small city garden", true,
		issueSeed{"Water the tomatoes before the heat wave", "Thirty-four degrees are announced. Two cans in the morning, none at noon.", 1, false, []string{"urgent"}},
		issueSeed{"Draw the raised beds to scale", "The sketch has no measures. 1.2 m by 2.4 m, three of them.", 6, false, []string{"enhancement"}},
		issueSeed{"Seed order: basil, chard, snap peas", "Ordered from the usual place.", 20, true, nil})
	s.seedRepo(AliceLogin, "trail-notes", "Hiking routes, with the turns that maps get wrong", true,
		issueSeed{"GPX export drops the last waypoint", "The final point is missing when the track ends on a summit.", 2, false, []string{"bug"}},
		issueSeed{"Add the ridge path above the lake", "Walked it in May. Open from June to October.", 9, false, []string{"enhancement"}})
	s.seedRepo(BobLogin, "workshop", "Furniture drawings and cut lists", true,
		issueSeed{"Table saw fence drifts by a millimetre", "Only after long rips. Check the rear clamp.", 2, false, []string{"bug"}},
		issueSeed{"Cut list for the walnut bench", "Seat, two legs, one stretcher. Add 3 mm for the kerf.", 5, false, nil},
		issueSeed{"Sharpen the chisels", "All five, to 30 degrees.", 15, true, nil})
	s.seedRepo(BobLogin, "modular-synth", "Schematics and firmware of a home-made synthesizer", true,
		issueSeed{"Oscillator goes flat when warm", "About four cents in ten minutes. Try a tempco resistor.", 4, false, []string{"bug"}})
	s.seedRepo("open-meadow", "field-guide", "A free field guide to wild flowers", false,
		issueSeed{"Photo credits are missing on the orchid pages", "Three pages have pictures without a name.", 8, false, []string{"documentation"}},
		issueSeed{"Index lists the cornflower twice", "Once under C, once under B for bluebottle.", 30, true, []string{"bug"}})
}

func (s *Sandbox) seedRepo(owner, name, description string, private bool, issues ...issueSeed) {
	now := s.cfg.Now().UTC().Truncate(time.Second)
	r := &repo{ID: s.nextID(), Owner: owner, Name: name, Description: description, Private: private,
		Created: now.AddDate(-1, 0, 0), Labels: []string{"bug", "documentation", "enhancement", "urgent"}}
	author := owner
	if owner == "open-meadow" {
		author = "meadow-gardener"
	}
	for n, i := range issues {
		opened := now.AddDate(0, 0, -i.days)
		is := &issue{ID: s.nextID(), Number: n + 1, Title: i.title, Body: i.body, Author: author, State: "open",
			Labels: i.labels, Created: opened, Updated: opened}
		if i.closed {
			done := opened.Add(26 * time.Hour)
			is.State, is.StateReason, is.Closed, is.Updated = "closed", "completed", &done, done
		}
		r.Issues = append(r.Issues, is)
	}
	s.state.Repos = append(s.state.Repos, r)
}

// eventSeed is an event days after today. Without a start it lasts the whole day.
type eventSeed struct {
	title    string
	day      int
	start    string // "09:30" in the calendar's zone
	minutes  int
	location string
	rule     string
	from     string // who invited the calendar's owner and others; "" for nobody
}

// The events are out of order on purpose: who needs an order has to ask for it.
func (s *Sandbox) seedCalendars() {
	alice, bob, nobody := people()[0], people()[1], decoy()
	s.seedCalendar(nobody, nobody.Email, nobody.Email, eventSeed{"decoy appointment", 0, "09:00", 60, "", "", ""})
	s.seedCalendar(alice, alice.Email, alice.Email,
		eventSeed{"Lunch with Priya", 0, "12:30", 60, "Café Linde", "", ""},
		eventSeed{"Design review", 0, "10:00", 60, "Room Juniper", "", ""},
		eventSeed{"Dentist", 1, "08:30", 45, "Dr. Okafor, Torstraße 5", "", ""},
		eventSeed{"Quarterly planning", 1, "14:00", 120, "Room Cedar", "", ""},
		eventSeed{"Train to Leipzig", 3, "07:48", 75, "Hauptbahnhof, platform 4", "", ""},
		eventSeed{"Stand-up", -7, "09:15", 15, "", "RRULE:FREQ=DAILY;COUNT=60", ""},
		eventSeed{"Botanical garden day trip", 5, "", 0, "", "", ""},
		eventSeed{"Allotment association meeting", 4, "18:00", 90, "Clubhouse", "", "chair@allotments.example"})
	s.seedCalendar(alice, "c_garden7a1f@group.calendar.google.com", "Garden",
		eventSeed{"Plant the winter garlic", 2, "16:00", 60, "", "", ""},
		eventSeed{"Compost delivery", 4, "11:00", 30, "", "", ""})
	s.seedCalendar(bob, bob.Email, bob.Email,
		eventSeed{"Pick up the walnut boards", 1, "11:00", 60, "Hudson Lumber", "", ""},
		eventSeed{"Roadmap call", 1, "15:00", 45, "", "", ""},
		eventSeed{"Physiotherapy", 2, "08:00", 30, "", "", ""},
		eventSeed{"Soldering night", 2, "19:30", 150, "Maker space", "", ""},
		eventSeed{"Long weekend in Vermont", 6, "", 0, "", "", ""})
	s.seedCalendar(bob, "c_band42c9@group.calendar.google.com", "Band practice",
		eventSeed{"Rehearsal", 3, "20:00", 120, "Studio B", "RRULE:FREQ=WEEKLY;COUNT=8", ""})
}

func (s *Sandbox) seedCalendar(p person, id, summary string, events ...eventSeed) {
	cal := &calendar{ID: id, Owner: p.Email, Summary: summary, Zone: p.Zone, Primary: id == p.Email}
	for _, e := range events {
		cal.Events = append(cal.Events, s.seedEvent(cal, e))
	}
	s.state.Calendars = append(s.state.Calendars, cal)
}

func (s *Sandbox) seedEvent(cal *calendar, e eventSeed) *event {
	now := s.cfg.Now()
	body := map[string]any{"summary": e.title}
	if e.location != "" {
		body["location"] = e.location
	}
	if e.rule != "" {
		body["recurrence"] = []any{e.rule}
	}
	if e.from != "" {
		body["attendees"] = []any{object{"email": e.from, "responseStatus": "accepted"}, object{"email": cal.ID}, object{"email": "treasurer@allotments.example"}}
	}
	day := now.In(cal.location()).AddDate(0, 0, e.day)
	if e.start == "" {
		body["start"] = map[string]any{"date": day.Format(time.DateOnly)}
		body["end"] = map[string]any{"date": day.AddDate(0, 0, 1).Format(time.DateOnly)}
	} else {
		at, _ := time.ParseInLocation("2006-01-02 15:04", day.Format(time.DateOnly)+" "+e.start, cal.location())
		body["start"] = map[string]any{"dateTime": at.Format(time.RFC3339), "timeZone": cal.Zone}
		body["end"] = map[string]any{"dateTime": at.Add(time.Duration(e.minutes) * time.Minute).Format(time.RFC3339), "timeZone": cal.Zone}
	}
	made := now.UTC().Truncate(time.Second).AddDate(0, 0, -10)
	return &event{ID: fmt.Sprintf("seed%08d", s.nextID()), Body: body, Created: made, Updated: made, Revision: 1, Seed: true, Organizer: e.from}
}

// moveSeed brings the made-up events that nobody touched to today, so that a demo
// that was left for a week doesn't look abandoned.
func (s *Sandbox) moveSeed() {
	today := s.cfg.Now().UTC().Truncate(24 * time.Hour)
	then, err := time.Parse(time.DateOnly, s.state.SeededOn)
	days := int(today.Sub(then).Hours() / 24)
	if err != nil || days == 0 {
		return
	}
	for _, cal := range s.state.Calendars {
		for _, e := range cal.Events {
			if e.Seed {
				e.move(cal, days)
			}
		}
	}
	s.state.SeededOn, s.dirty = today.Format(time.DateOnly), true
}
