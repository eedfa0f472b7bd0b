package calendar

import (
	"errors"
	"strings"
	"testing"
	"time"

	google "google.golang.org/api/calendar/v3"
)

func load(t *testing.T, name string) *time.Location {
	t.Helper()
	where, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return where
}

func TestReader(t *testing.T) {
	berlin := load(t, "Europe/Berlin")
	for _, c := range []struct {
		given, text, want, wrong string
		asked                    int
	}{
		{"", "2026-01-31T09:00:00+05:30", "2026-01-31T03:30:00Z", "", 0},
		{"Asia/Tokyo", "2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z", "", 0},
		{"Asia/Tokyo", "2026-01-31T09:00:00", "2026-01-31T00:00:00Z", "", 0},
		{"Asia/Tokyo", "2026-01-31", "2026-01-30T15:00:00Z", "", 0},
		{"", "2026-01-31", "2026-01-30T23:00:00Z", "", 1},
		{"", "2026-07-31", "2026-07-30T22:00:00Z", "", 1},
		{"", "2026-07-31T09:00:00", "", "The calendar's is Europe/Berlin: if that is meant, give time_zone Europe/Berlin or write 2026-07-31T09:00:00+02:00.", 1},
		{"", "2026-02-30", "", "is not a time", 0},
		{"", "9 am", "", "is not a time", 0},
		{"", "2026-01-31T09:00", "", "is not a time", 0},
	} {
		asked := 0
		r, err := newReader(c.given, func() (*time.Location, error) { asked++; return berlin, nil })
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.moment("start", c.text)
		if c.wrong == "" && (err != nil || got.UTC().Format(time.RFC3339) != c.want) {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
		if c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
		if _, _ = r.moment("end", c.text); asked != c.asked {
			t.Errorf("%+v: asked %d times", c, asked)
		}
	}
	for _, name := range []string{"Local", "CET+1", "../../etc/passwd"} {
		if _, err := newReader(name, nil); err == nil {
			t.Errorf("the zone %s", name)
		}
	}
	broken := errors.New("broken")
	r, _ := newReader("", func() (*time.Location, error) { return nil, broken })
	if _, err := r.moment("start", "2026-01-31T09:00:00"); err != broken {
		t.Errorf("got %v", err)
	}
}

func TestZoneFor(t *testing.T) {
	berlin := load(t, "Europe/Berlin")
	for _, c := range []struct {
		given string
		start *google.EventDateTime
		want  string
	}{
		{"Asia/Tokyo", &google.EventDateTime{DateTime: "x", TimeZone: "America/New_York"}, "Asia/Tokyo"},
		{"", &google.EventDateTime{DateTime: "x", TimeZone: "America/New_York"}, "America/New_York"},
		{"", &google.EventDateTime{DateTime: "x"}, "Europe/Berlin"},
		{"", &google.EventDateTime{DateTime: "x", TimeZone: "Mars/Olympus"}, "Europe/Berlin"},
		{"", &google.EventDateTime{Date: "2026-01-31"}, ""},
		{"", nil, ""},
	} {
		r, err := newReader(c.given, func() (*time.Location, error) { return berlin, nil })
		if err != nil {
			t.Fatal(err)
		}
		where, err := r.zoneFor(&google.Event{Start: c.start})
		if err != nil || (where == nil) != (c.want == "") || where != nil && where.String() != c.want {
			t.Errorf("%+v: %v, %v", c, where, err)
		}
	}
}
