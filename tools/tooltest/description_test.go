package tooltest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

// calendars is a module whose contract lists a few of Google's paths.
func calendars(method, path string, h tools.Handler[in, out]) tools.Module {
	tool := tools.Define(tools.Spec{
		Name: "acme_try", Title: "Try", Description: "Tries.", Can: "Try", Provider: "google", ReadOnly: method == "GET",
		Egress: []tools.Rule{{Method: method, Host: "www.googleapis.com", Path: path, Query: []string{"q"}}},
	}, h)
	return tools.Module{Name: "acme", Title: "Acme", Provider: "google", Tools: []tools.Tool{tool}}
}

const eventsPath = "/calendar/v3/calendars/{calendar}/events"

// What differs from Google's description is found: in the request, and in the answer.
func TestDescriptionFindsWhatDiffers(t *testing.T) {
	d := tooltest.GoogleCalendar(t, calendars("GET", eventsPath, nil))
	for name, c := range map[string]struct{ method, url, body, says string }{
		"good":                 {"GET", "https://www.googleapis.com/calendar/v3/calendars/primary/events?q=x&maxResults=5&alt=json", "", ""},
		"good body":            {"POST", "https://www.googleapis.com/calendar/v3/calendars/primary/events", `{"summary":"x","start":{"date":"2026-01-31"}}`, ""},
		"another host":         {"GET", "https://evil.example/calendar/v3/calendars/primary/events", "", "is not www.googleapis.com"},
		"another path":         {"GET", "https://www.googleapis.com/calendar/v3/calendars/primary/event", "", "no GET"},
		"another method":       {"PUT", "https://www.googleapis.com/calendar/v3/calendars/primary/events", "", "no PUT"},
		"no such parameter":    {"GET", "https://www.googleapis.com/calendar/v3/calendars/primary/events?query=x", "", `no query parameter "query"`},
		"wrong parameter":      {"GET", "https://www.googleapis.com/calendar/v3/calendars/primary/events?maxResults=many", "", "maxResults"},
		"not in the list":      {"GET", "https://www.googleapis.com/calendar/v3/calendars/primary/events?orderBy=name", "", "orderBy"},
		"no such field":        {"POST", "https://www.googleapis.com/calendar/v3/calendars/primary/events", `{"sumary":"x"}`, "sumary"},
		"wrong kind":           {"POST", "https://www.googleapis.com/calendar/v3/calendars/primary/events", `{"summary":1}`, "summary"},
		"wrong date":           {"POST", "https://www.googleapis.com/calendar/v3/calendars/primary/events", `{"start":{"date":"31.1.2026"}}`, "date"},
		"a body where none is": {"GET", "https://www.googleapis.com/calendar/v3/calendars/primary/events", `{}`, "body"},
		"no body":              {"POST", "https://www.googleapis.com/calendar/v3/calendars/primary/events", "", "body"},
	} {
		req, err := http.NewRequest(c.method, c.url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		err = d.Check(req, []byte(c.body))
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
	req, _ := http.NewRequest("GET", "https://www.googleapis.com/calendar/v3/calendars/primary/events", nil)
	for name, c := range map[string]struct {
		status     int
		body, says string
	}{
		"good":           {200, `{"kind":"calendar#events","items":[{"id":"e1"}]}`, ""},
		"any refusal":    {404, `{}`, ""},
		"an outage":      {503, `oops`, ""},
		"another status": {201, `{}`, "status 201"},
		"no such field":  {200, `{"item":[]}`, "item"},
		"wrong kind":     {200, `{"items":{}}`, "items"},
	} {
		resp := &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {"application/json"}}}
		err := d.CheckAnswer(req, resp, []byte(c.body))
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

func TestDescriptionKnowsGitHub(t *testing.T) {
	rules := []tools.Rule{
		{Method: "GET", Host: "api.github.com", Path: "/repos/{owner}/{name}/contents/{file}"},
		{Method: "GET", Host: "api.github.com", Path: "/search/issues", Query: []string{"q", "per_page"}},
	}
	tool := tools.Define(tools.Spec{
		Name: "acme_try", Title: "Try", Description: "Tries.", Can: "Try", Provider: "github", ReadOnly: true, Egress: rules,
	}, tools.Handler[in, out](nil))
	d := tooltest.GitHub(t, tools.Module{Name: "acme", Title: "Acme", Provider: "github", Tools: []tools.Tool{tool}})
	if d == nil {
		t.Skip("left out: GitHub's description (npm ci --prefix testdata/node)")
	}
	for _, r := range rules {
		if err := d.CheckRule(r); err != nil {
			t.Error(err)
		}
	}
	rules[1].Query = []string{"q", "size"}
	if err := d.CheckRule(rules[1]); err == nil || !strings.Contains(err.Error(), "size") {
		t.Error(err)
	}
	req, _ := http.NewRequest("GET", "https://api.github.com/repos/o/r/contents/a/b/c.go?ref=main", nil)
	if err := d.Check(req, nil); err != nil {
		t.Error(err)
	}
}
