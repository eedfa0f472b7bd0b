package calendar_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/calendar"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

// connected is the transport of a bound client of alice's at the sandbox.
type connected struct {
	contract []tools.Rule
	base     *url.URL
	token    string
}

func (c connected) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, err := tools.Match(c.contract, req); err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.Host = c.base.Scheme, c.base.Host, ""
	out.Header.Set("Authorization", "Bearer "+c.token)
	return http.DefaultTransport.RoundTrip(out)
}

// alice is a function that calls tools as alice, with each tool's own scopes.
func alice(t *testing.T) func(name, arguments string) (json.RawMessage, error) {
	t.Helper()
	callback := "http://127.0.0.1/callback"
	us := sandbox.Client{ID: "id", Secret: "secret", RedirectURIs: []string{callback}}
	world, err := sandbox.New(sandbox.Config{GitHub: us, Google: us})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(world.Google())
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return func(name, arguments string) (json.RawMessage, error) {
		for _, tool := range calendar.Module().Tools {
			if tool.Spec().Name == name {
				token := connect(t, server.URL, callback, tool.Spec().Scopes)
				client := &http.Client{Transport: connected{tool.Spec().Egress, base, token}}
				return tool.Call(t.Context(), client, json.RawMessage(arguments))
			}
		}
		t.Fatalf("no tool %s", name)
		return nil, nil
	}
}

func connect(t *testing.T, server, callback string, scopes []string) string {
	t.Helper()
	config := oauth2.Config{ClientID: "id", ClientSecret: "secret", RedirectURL: callback, Scopes: append(scopes, "openid", "email"), Endpoint: oauth2.Endpoint{
		AuthURL: server + "/o/oauth2/v2/auth", TokenURL: server + "/token", AuthStyle: oauth2.AuthStyleInParams,
	}}
	verifier := oauth2.GenerateVerifier()
	landed, err := sandbox.Approve(t.Context(), config.AuthCodeURL("state", oauth2.AccessTypeOffline, oauth2.ApprovalForce, oauth2.S256ChallengeOption(verifier)), "alice")
	if err != nil {
		t.Fatal(err)
	}
	token, err := config.Exchange(t.Context(), landed.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
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
	for _, want := range []string{`"start":"2040-03-01T09:00:00+01:00"`, `"start":"2040-03-02","end":"2040-03-03","all_day":true`, `"time_zone":"Europe/Berlin"`} {
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
