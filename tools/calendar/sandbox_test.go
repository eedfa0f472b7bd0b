package calendar_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools/calendar"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

// alice is a function that calls tools as alice, with each tool's own scopes.
func alice(t *testing.T) func(name, arguments string) (json.RawMessage, error) {
	t.Helper()
	bench := tooltest.AtGoogle(t, calendar.Module(), tooltest.Sandbox(t, nil), "alice")
	return func(name, arguments string) (json.RawMessage, error) {
		t.Helper()
		return bench.Call(t, name, arguments)
	}
}

func TestAtTheSandbox(t *testing.T) {
	as := alice(t)
	_, err := as("calendar_create_event", `{"summary":"Prune the quince","start":"2040-03-01T09:00:00","end":"2040-03-01T10:00:00","time_zone":"Europe/Berlin"}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = as("calendar_create_event", `{"summary":"Quince day","start":"2040-03-02","end":"2040-03-03"}`); err != nil {
		t.Fatal(err)
	}
	got, err := as("calendar_list_events", `{"query":"quince","start":"2040-03-01","end":"2040-03-04","time_zone":"Europe/Berlin"}`)
	for _, want := range []string{`"start":"2040-03-01T09:00:00+01:00"`, `"start":"2040-03-02","end":"2040-03-03"`, `"time_zone":"Europe/Berlin"`} {
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
	if strings.Contains(string(got), sandbox.DecoyMarker) {
		t.Errorf("the decoy's: %s", got)
	}
	result, err := as("calendar_list_events", `{"calendars":["`+sandbox.BobEmail+`"]}`)
	if told := message(t, result, err); !strings.Contains(told, "doesn't see it") {
		t.Errorf("got %q", told)
	}
}

// Two calendars' events come merged in order, on pages of any size the same.
func TestPagesAtTheSandbox(t *testing.T) {
	as := alice(t)
	const garden = "c_garden7a1f@group.calendar.google.com"
	read := func(limit int) (list []string) {
		cursor := ""
		for range 200 {
			got, err := as("calendar_list_events", fmt.Sprintf(`{"calendars":["primary","%s"],"start":"2020-01-01","limit":%d%s}`, garden, limit, cursor))
			var page struct {
				Events     []struct{ Calendar, Summary, Start string }
				NextCursor string `json:"next_cursor"`
			}
			if err != nil || json.Unmarshal(got, &page) != nil || len(page.Events) > limit {
				t.Fatalf("got %s, %v", got, err)
			}
			for _, e := range page.Events {
				list = append(list, e.Start[:10]+" "+e.Calendar+" "+e.Summary)
			}
			if page.NextCursor == "" {
				return list
			}
			cursor = `,"cursor":"` + page.NextCursor + `"`
		}
		t.Fatal("no end")
		return nil
	}
	whole := read(100)
	for _, want := range []string{"primary Stand-up", garden + " Plant the winter garlic"} {
		if !strings.Contains(strings.Join(whole, "\n"), want) {
			t.Errorf("no %s in %v", want, whole)
		}
	}
	days := slices.Clone(whole)
	for i, line := range days {
		days[i] = line[:10]
	}
	if !slices.IsSorted(days) || len(whole) < 60 {
		t.Errorf("not in order: %v", whole)
	}
	for _, limit := range []int{7, 20} {
		if diff := cmp.Diff(whole, read(limit)); diff != "" {
			t.Errorf("by %d: %s", limit, diff)
		}
	}
}

// Every tool that reads, with the least scopes, as the sandbox checks them.
func TestReadingAtTheSandbox(t *testing.T) {
	as := alice(t)
	const garden = "c_garden7a1f@group.calendar.google.com"
	got, err := as("calendar_list_events", `{"query":"stand-up","limit":1}`)
	var found struct {
		Events []struct {
			ID     string
			Series string `json:"recurring_event_id"`
		}
	}
	if err != nil || json.Unmarshal(got, &found) != nil || len(found.Events) != 1 || found.Events[0].Series == "" {
		t.Fatalf("got %s, %v", got, err)
	}
	instance, series := found.Events[0].ID, found.Events[0].Series
	for _, c := range []struct{ tool, arguments, want string }{
		{"calendar_context", `{}`, `"time_zone":"Europe/Berlin"`},
		{"calendar_list_calendars", `{}`, `{"id":"` + garden + `","summary":"Garden","time_zone":"Europe/Berlin","access":"owner"}`},
		{"calendar_get_event", `{"event":"` + instance + `"}`, `"recurring_event_id":"` + series + `","etag":"`},
		{"calendar_get_event", `{"event":"` + series + `"}`, `"recurrence":["RRULE:FREQ=DAILY;COUNT=60"]`},
		{"calendar_list_instances", `{"event":"` + series + `"}`, `"id":"` + instance + `","summary":"Stand-up"`},
		{"calendar_list_instances", `{"event":"` + series + `","start":"2020-01-01","end":"2020-01-02"}`, `"instances":[],"untrusted"`},
		{"calendar_free_busy", `{"calendars":["primary","` + garden + `","` + sandbox.BobEmail + `"]}`, `"not_shared":["` + sandbox.BobEmail + `"]`},
		{"calendar_free_busy", `{}`, `{"calendar":"primary","times":["`},
		{"calendar_find_time", `{"minutes":45,"attendees":["` + garden + `"],"start":"2040-03-01","end":"2040-03-02"}`, `"slots":["2040-03-01T09:00:00+01:00/2040-03-01T09:45:00+01:00"`},
	} {
		got, err := as(c.tool, c.arguments)
		if err != nil || !strings.Contains(string(got), c.want) || strings.Contains(strings.ToLower(string(got)), sandbox.DecoyMarker) {
			t.Errorf("%s%s: got %s, %v; want %s", c.tool, c.arguments, got, err, c.want)
		}
	}
	// All instances, by pages of Google's that are shorter than the series.
	seen, cursor := 0, ""
	for range 9 {
		got, err := as("calendar_list_instances", `{"event":"`+series+`"`+cursor+`}`)
		var page struct {
			Instances  []json.RawMessage
			NextCursor string `json:"next_cursor"`
		}
		if err != nil || json.Unmarshal(got, &page) != nil {
			t.Fatalf("got %s, %v", got, err)
		}
		if seen += len(page.Instances); page.NextCursor == "" {
			break
		}
		cursor = `,"cursor":"` + page.NextCursor + `"`
	}
	if seen != 60 {
		t.Errorf("%d instances", seen)
	}
}

// A time that was found is free, and what is then put there is busy.
func TestFindTimeAtTheSandbox(t *testing.T) {
	as := alice(t)
	const arguments = `{"minutes":60,"start":"2040-03-05","end":"2040-03-06","limit":20}`
	before, err := as("calendar_find_time", arguments)
	if err != nil || strings.Count(string(before), "/2040") != 8 {
		t.Fatalf("got %s, %v", before, err)
	}
	if _, err := as("calendar_create_event", `{"summary":"a","start":"2040-03-05T09:30:00+01:00","end":"2040-03-05T15:00:00+01:00"}`); err != nil {
		t.Fatal(err)
	}
	after, err := as("calendar_find_time", arguments)
	want := `"slots":["2040-03-05T15:00:00+01:00/2040-03-05T16:00:00+01:00","2040-03-05T16:00:00+01:00/2040-03-05T17:00:00+01:00"]`
	if err != nil || !strings.Contains(string(after), want) {
		t.Errorf("got %s, %v", after, err)
	}
	if _, err := as("calendar_create_event", `{"summary":"b","start":"2040-03-05","end":"2040-03-06"}`); err != nil {
		t.Fatal(err)
	}
	if got, err := as("calendar_find_time", arguments); err != nil || !strings.Contains(string(got), `"slots":[]`) {
		t.Errorf("beside an all-day event: %s, %v", got, err)
	}
}

// readers are the tools that read, with arguments that reach Google.
func readers(event string) map[string]string {
	return map[string]string{
		"calendar_context": `{}`, "calendar_list_calendars": `{}`, "calendar_list_events": `{}`, "calendar_get_event": `{"event":"` + event + `"}`,
		"calendar_list_instances": `{"event":"` + event + `"}`, "calendar_free_busy": `{}`, "calendar_find_time": `{"minutes":30}`,
	}
}

// What goes wrong at Google is a sentence from each tool, and never claims that
// something may have happened.
func TestTroubleAtTheSandbox(t *testing.T) {
	world := tooltest.Sandbox(t, nil)
	bench := tooltest.AtGoogle(t, calendar.Module(), world, "bob")
	as := func(name, arguments string) (json.RawMessage, error) { return bench.Call(t, name, arguments) }
	for tool, arguments := range readers("none") {
		for status, want := range map[int]string{429: "It ends in 1 seconds", 503: "Try again in a minute"} {
			world.Fail(1, status)
			result, err := as(tool, arguments)
			if got := message(t, result, err); !strings.Contains(got, want) || strings.Contains(got, "outcome") {
				t.Errorf("%s: %d: %q", tool, status, got)
			}
			world.Fail(0, 0)
		}
	}
	for tool, arguments := range map[string]string{
		"calendar_get_event": `{"event":"none"}`, "calendar_list_instances": `{"event":"none"}`, "calendar_list_events": `{"calendars":["` + sandbox.AliceEmail + `"]}`,
	} {
		result, err := as(tool, arguments)
		if got := message(t, result, err); !strings.Contains(got, "or the connected account doesn't see it") {
			t.Errorf("%s: %q", tool, got)
		}
	}
	world.Revoke(sandbox.BobEmail)
	for tool, arguments := range readers("none") {
		result, err := as(tool, arguments)
		if got := message(t, result, err); !strings.Contains(got, "doesn't accept the connected account's credential any more") {
			t.Errorf("%s: %q", tool, got)
		}
	}
}

// A connection without a tool's scope is told apart from all other refusals.
func TestMissingScopes(t *testing.T) {
	for tool, arguments := range readers("a") {
		result, err := call(t, tool, arguments, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, googleError(403, "insufficientPermissions", "Request had insufficient authentication scopes."))
		})
		if got := message(t, result, err); !strings.Contains(got, "every box ticked") {
			t.Errorf("%s: %q", tool, got)
		}
		result, err = call(t, tool, arguments, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `null`) })
		if got := message(t, result, err); !strings.Contains(got, "didn't answer as it should") {
			t.Errorf("%s: %q", tool, got)
		}
	}
}
