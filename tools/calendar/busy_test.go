package calendar_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
)

// busyGoogle is a Google whose primary calendar is in Berlin, and which answers a
// question for busy times with answer after it compared the question with want.
func busyGoogle(t *testing.T, want, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/calendar/v3/calendars/primary" {
			berlinHere(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if got := strings.TrimSpace(string(body)); r.Method != http.MethodPost || r.URL.Path != "/calendar/v3/freeBusy" || err != nil || want != "" && got != want {
			t.Errorf("%s %s: %s, want %s", r.Method, r.URL, got, want)
		}
		io.WriteString(w, answer)
	}
}

const busyAnswer = `{"calendars":{
	"primary":{"busy":[{"start":"2026-03-30T08:00:00Z","end":"2026-03-30T09:00:00Z"},{"start":"2026-03-30T08:30:00Z","end":"2026-03-30T10:00:00Z"},null,
		{"start":"2026-03-28T23:00:00Z","end":"2026-03-29T22:00:00Z"}]},
	"bob@example.com":{"busy":[{"start":"2026-03-30T07:00:00Z","end":"2026-03-30T08:00:00Z"}]},
	"eve@example.com":{"errors":[{"domain":"global","reason":"notFound"}]}}}`

func TestFreeBusy(t *testing.T) {
	got, err := call(t, "calendar_free_busy", `{"calendars":["primary","bob@example.com","eve@example.com","who@example.com","primary"],"start":"2026-03-29","end":"2026-03-31"}`,
		busyGoogle(t, `{"items":[{"id":"primary"},{"id":"bob@example.com"},{"id":"eve@example.com"},{"id":"who@example.com"}],"timeMax":"2026-03-31T00:00:00+02:00","timeMin":"2026-03-29T00:00:00+01:00"}`, busyAnswer))
	want := `{"time_zone":"Europe/Berlin","busy":[{"calendar":"primary","times":["2026-03-29T00:00:00+01:00/2026-03-30T00:00:00+02:00","2026-03-30T10:00:00+02:00/2026-03-30T12:00:00+02:00"]},` +
		`{"calendar":"bob@example.com","times":["2026-03-30T09:00:00+02:00/2026-03-30T10:00:00+02:00"]}],"not_shared":["eve@example.com","who@example.com"]}`
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestFreeBusyDefaults(t *testing.T) {
	got, err := call(t, "calendar_free_busy", `{"time_zone":"Asia/Tokyo"}`,
		busyGoogle(t, `{"items":[{"id":"primary"}],"timeMax":"2027-01-22T08:00:00Z","timeMin":"2027-01-15T08:00:00Z"}`, `{"calendars":{"primary":{}}}`))
	if want := `{"time_zone":"Asia/Tokyo","busy":[]}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
	for _, tool := range []string{"calendar_free_busy", "calendar_find_time"} {
		result, err := call(t, tool, map[string]string{"calendar_free_busy": `{"start":"2026-07-31T09:00:00"}`, "calendar_find_time": `{"minutes":30,"start":"2026-07-31T09:00:00"}`}[tool], berlinHere)
		if got := message(t, result, err); !strings.Contains(got, `has no time zone. The calendar's is Europe/Berlin`) {
			t.Errorf("%s: got %q", tool, got)
		}
	}
}

// A calendar that Google failed to read is not one that isn't shared.
func TestFreeBusyFailure(t *testing.T) {
	for tool, arguments := range map[string]string{"calendar_free_busy": `{}`, "calendar_find_time": `{"minutes":30}`} {
		result, err := call(t, tool, arguments, busyGoogle(t, "", `{"calendars":{"primary":{"busy":[],"errors":[{"domain":"global","reason":"internalError"}]}}}`))
		if got := message(t, result, err); !strings.Contains(got, `doesn't say when "primary" is busy (internalError)`) {
			t.Errorf("%s: %q", tool, got)
		}
	}
}

// What passes the budget comes with the next cursor, each time once, although some of
// what was given is over by then.
func TestFreeBusyBudget(t *testing.T) {
	begin := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	var want []string
	google := func(from int) string {
		calendars := map[string]any{}
		for _, id := range []string{"a", "b"} {
			var busy []any
			for i := range 500 {
				if at := begin.Add(time.Duration(i) * time.Hour); i >= from || id != "a" {
					busy = append(busy, map[string]any{"start": at, "end": at.Add(time.Minute)})
				}
			}
			calendars[id] = map[string]any{"busy": busy}
		}
		text, _ := json.Marshal(map[string]any{"calendars": calendars})
		return string(text)
	}
	for _, id := range []string{"a", "b"} {
		for i := range 500 {
			want = append(want, id+" "+begin.Add(time.Duration(i)*time.Hour).Format(time.RFC3339))
		}
	}
	var got []string
	cursor, pages := "", 0
	for ; pages < 20; pages++ {
		const span = `"calendars":["a","b"],"start":"2026-01-05T00:00:00Z","end":"2026-01-30T00:00:00Z","time_zone":"UTC"`
		result, err := call(t, "calendar_free_busy", `{`+span+cursor+`}`, busyGoogle(t, "", google(pages*50)))
		var page struct {
			Busy []struct {
				Calendar string
				Times    []string
			}
			NextCursor string `json:"next_cursor"`
		}
		if err != nil || json.Unmarshal(result, &page) != nil || len(result) > tools.Budget {
			t.Fatalf("%d bytes, %v", len(result), err)
		}
		for _, b := range page.Busy {
			for _, text := range b.Times {
				start, _, _ := strings.Cut(text, "/")
				got = append(got, b.Calendar+" "+start)
			}
		}
		if page.NextCursor == "" {
			break
		}
		cursor = `,"cursor":"` + page.NextCursor + `"`
	}
	if diff := cmp.Diff(want, got); diff != "" || pages == 0 {
		t.Errorf("%d pages: %s", pages, diff)
	}
}

func TestFindTime(t *testing.T) {
	question := `{"items":[{"id":"primary"},{"id":"bob@example.com"},{"id":"eve@example.com"}],"timeMax":"2026-04-01T00:00:00+02:00","timeMin":"2026-03-29T00:00:00+01:00"}`
	arguments := `{"minutes":60,"attendees":["bob@example.com","primary","eve@example.com"],"start":"2026-03-29","end":"2026-04-01"%s}`
	for more, want := range map[string]string{
		``: `{"time_zone":"Europe/Berlin","slots":["2026-03-30T12:00:00+02:00/2026-03-30T13:00:00+02:00","2026-03-30T13:00:00+02:00/2026-03-30T14:00:00+02:00",` +
			`"2026-03-30T14:00:00+02:00/2026-03-30T15:00:00+02:00","2026-03-30T15:00:00+02:00/2026-03-30T16:00:00+02:00","2026-03-30T16:00:00+02:00/2026-03-30T17:00:00+02:00"],"not_shared":["eve@example.com"]}`,
		`,"day_start":"08:00","day_end":"12:00","days":["mon"]`: `{"time_zone":"Europe/Berlin","slots":["2026-03-30T08:00:00+02:00/2026-03-30T09:00:00+02:00"],"not_shared":["eve@example.com"]}`,
		`,"days":["sun"]`: `{"time_zone":"Europe/Berlin","slots":[],"not_shared":["eve@example.com"]}`,
		`,"limit":1`:      `{"time_zone":"Europe/Berlin","slots":["2026-03-30T12:00:00+02:00/2026-03-30T13:00:00+02:00"],"not_shared":["eve@example.com"]}`,
	} {
		got, err := call(t, "calendar_find_time", fmt.Sprintf(arguments, more), busyGoogle(t, question, busyAnswer))
		if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
			t.Errorf("%s: %v %s", more, err, diff)
		}
	}
	// Working hours are those of the zone that was asked for.
	got, err := call(t, "calendar_find_time", `{"minutes":60,"limit":1,"start":"2026-03-31T00:00:00Z","end":"2026-04-01T00:00:00Z","time_zone":"Asia/Tokyo"}`, busyGoogle(t, "", `{"calendars":{"primary":{"busy":[]}}}`))
	if want := `{"time_zone":"Asia/Tokyo","slots":["2026-03-31T09:00:00+09:00/2026-03-31T10:00:00+09:00"]}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}
