package calendar_test

import (
	"encoding/json"
	"strings"
	"testing"

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
	result, err := as("calendar_list_events", `{"calendar":"`+sandbox.BobEmail+`"}`)
	if told := message(t, result, err); !strings.Contains(told, "doesn't see it") {
		t.Errorf("got %q", told)
	}
}

func TestPagesAtTheSandbox(t *testing.T) {
	as := alice(t)
	seen, cursor := 0, ""
	for range 100 {
		got, err := as("calendar_list_events", `{"limit":2`+cursor+`}`)
		var answer struct {
			Events     []struct{ ID string }
			NextCursor string `json:"next_cursor"`
		}
		if err != nil || json.Unmarshal(got, &answer) != nil || len(answer.Events) > 2 {
			t.Fatalf("got %s, %v", got, err)
		}
		if seen += len(answer.Events); answer.NextCursor == "" {
			break
		}
		cursor = `,"cursor":"` + answer.NextCursor + `"`
	}
	if seen < 3 {
		t.Errorf("%d events in all pages", seen)
	}
}
