package calendar_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/calendar"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

// A diary is alice's calendar at the sandbox, on 10 March 2026.
type diary struct {
	t     *testing.T
	world *sandbox.Sandbox
	url   string
	kept  map[string]string // tokens by scopes
	// before may answer in Google's stead, with a status.
	before func(r *http.Request) int
}

const callback = "http://127.0.0.1/callback"

func newDiary(t *testing.T) *diary {
	t.Helper()
	world := tooltest.Sandbox(t, func(cfg *sandbox.Config) {
		cfg.Now = func() time.Time { return time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC) }
	})
	d := &diary{t: t, world: world, kept: map[string]string{}}
	google := world.Google()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.before != nil && strings.HasPrefix(r.URL.Path, "/calendar/") {
			if status := d.before(r); status != 0 {
				w.WriteHeader(status)
				io.WriteString(w, googleError(status, "backendError", "No."))
				return
			}
		}
		google.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// token is alice's for those scopes, and no others.
func (d *diary) token(scopes ...string) string {
	d.t.Helper()
	all := strings.Join(scopes, " ")
	if token, ok := d.kept[all]; ok {
		return token
	}
	config := oauth2.Config{ClientID: "id", ClientSecret: "secret", RedirectURL: callback, Scopes: scopes, Endpoint: oauth2.Endpoint{
		AuthURL: d.url + "/o/oauth2/v2/auth", TokenURL: d.url + "/token", AuthStyle: oauth2.AuthStyleInParams,
	}}
	verifier := oauth2.GenerateVerifier()
	landed, err := sandbox.Approve(d.t.Context(), config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)), "alice")
	if err != nil {
		d.t.Fatal(err)
	}
	token, err := config.Exchange(d.t.Context(), landed.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		d.t.Fatal(err)
	}
	d.kept[all] = token.AccessToken
	return token.AccessToken
}

// call calls a tool with its own scopes.
func (d *diary) call(name, arguments string) (json.RawMessage, error) {
	d.t.Helper()
	bench := tooltest.Bench{
		Module: calendar.Module(), Bases: map[string]string{"": d.url},
		Token: func(_ testing.TB, spec tools.Spec) string { return d.token(spec.Scopes...) },
	}
	return bench.Call(d.t, name, arguments)
}

// must is the answer of a call that works.
func (d *diary) must(name, arguments string) map[string]any {
	d.t.Helper()
	got, err := d.call(name, arguments)
	var out map[string]any
	if err != nil || json.Unmarshal(got, &out) != nil {
		d.t.Fatalf("%s%s: %s, %v", name, arguments, got, err)
	}
	return out
}

// refused is what the model is told of a call that fails; want are parts of it.
func (d *diary) refused(name, arguments string, want ...string) string {
	d.t.Helper()
	result, err := d.call(name, arguments)
	told := message(d.t, result, err)
	for _, part := range want {
		if !strings.Contains(told, part) {
			d.t.Errorf("%s%s: got %q, want %q", name, arguments, told, part)
		}
	}
	return told
}

// api is a request of the person's own, past the tools.
func (d *diary) api(method, path, body string) map[string]any {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.url+"/calendar/v3/calendars/primary/events"+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.token("https://www.googleapis.com/auth/calendar"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 || len(text) > 0 && json.Unmarshal(text, &out) != nil {
		d.t.Fatalf("%s %s: %d %s, %v", method, path, resp.StatusCode, text, err)
	}
	return out
}

// event is the event of that id, as Google has it.
func (d *diary) event(id string) map[string]any { return d.api("GET", "/"+id, "") }

// occurrences are when a series takes place, and with which title.
func (d *diary) occurrences(id string) (list []string) {
	d.t.Helper()
	for _, i := range d.api("GET", "/"+id+"/instances", "")["items"].([]any) {
		item := i.(map[string]any)
		start := item["start"].(map[string]any)
		at := fmt.Sprint(start["dateTime"])
		if start["date"] != nil {
			at = fmt.Sprint(start["date"])
		}
		list = append(list, at+" "+fmt.Sprint(item["summary"]))
	}
	return list
}

// addresses are those of an event's guests, as they answered.
func (d *diary) addresses(id string) (list []string) {
	d.t.Helper()
	guests, _ := d.event(id)["attendees"].([]any)
	for _, g := range guests {
		guest := g.(map[string]any)
		list = append(list, fmt.Sprint(guest["email"], " ", guest["responseStatus"]))
	}
	return list
}

// walks is a series on Mondays, four times, over the beginning of summer time.
func (d *diary) walks() {
	d.t.Helper()
	d.api("POST", "", `{"id":"hikes","summary":"Walk","location":"Woods","start":{"dateTime":"2026-03-16T09:00:00+01:00","timeZone":"Europe/Berlin"},
		"end":{"dateTime":"2026-03-16T10:00:00+01:00","timeZone":"Europe/Berlin"},"recurrence":["RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=4"],
		"attendees":[{"email":"carol@outside.example","responseStatus":"accepted","optional":true}],"reminders":{"useDefault":false}}`)
}

const second, third = "hikes_20260323T080000Z", "hikes_20260330T070000Z"
