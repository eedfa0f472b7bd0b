package github_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/github"
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
	out.URL.Path = "/api/v3" + out.URL.Path
	out.Header.Set("Authorization", "Bearer "+c.token)
	return http.DefaultTransport.RoundTrip(out)
}

// alice is a function that calls tools as alice.
func alice(t *testing.T, app bool) func(name, arguments string) (json.RawMessage, error) {
	t.Helper()
	callback := "http://127.0.0.1/callback"
	us := sandbox.Client{ID: "id", Secret: "secret", RedirectURIs: []string{callback}}
	world, err := sandbox.New(sandbox.Config{GitHub: us, Google: us, GitHubApp: app})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(world.GitHub())
	t.Cleanup(server.Close)
	config := oauth2.Config{ClientID: "id", ClientSecret: "secret", RedirectURL: callback, Scopes: []string{"repo"}, Endpoint: oauth2.Endpoint{
		AuthURL: server.URL + "/login/oauth/authorize", TokenURL: server.URL + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams,
	}}
	verifier := oauth2.GenerateVerifier()
	landed, err := sandbox.Approve(t.Context(), config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)), "alice")
	if err != nil {
		t.Fatal(err)
	}
	token, err := config.Exchange(t.Context(), landed.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return func(name, arguments string) (json.RawMessage, error) {
		for _, tool := range github.Module().Tools {
			if tool.Spec().Name == name {
				client := &http.Client{Transport: connected{tool.Spec().Egress, base, token.AccessToken}}
				return tool.Call(t.Context(), client, json.RawMessage(arguments))
			}
		}
		t.Fatalf("no tool %s", name)
		return nil, nil
	}
}

func TestAtTheSandbox(t *testing.T) {
	as := alice(t, false)
	made, err := as("github_write_issue", `{"owner":"`+sandbox.AliceLogin+`","repo":"garden","title":"Prune the quince","labels":["urgent"]}`)
	if err != nil {
		t.Fatal(err)
	}
	var issue struct{ Number int }
	if err := json.Unmarshal(made, &issue); err != nil || issue.Number == 0 {
		t.Fatalf("%s: %v", made, err)
	}
	got, err := as("github_search_issues", `{"query":"quince","state":"open"}`)
	if err != nil || !strings.Contains(string(got), `"total":1,"issues":[{"repo":"`+sandbox.AliceLogin+`/garden"`) {
		t.Errorf("got %s, %v", got, err)
	}
	if strings.Contains(string(got), sandbox.DecoyMarker) {
		t.Errorf("the decoy's: %s", got)
	}
	if got, err = as("github_search_issues", `{"query":"is:open","per_page":1}`); err != nil || !strings.Contains(string(got), `"next_page":2`) {
		t.Errorf("got %s, %v", got, err)
	}
	result, err := as("github_write_issue", `{"owner":"`+sandbox.BobLogin+`","repo":"workshop","title":"x"}`)
	if told := message(t, result, err); !strings.Contains(told, "doesn't see it") {
		t.Errorf("got %q", told)
	}
}

func TestAtTheSandboxAsAnApp(t *testing.T) {
	as := alice(t, true)
	owner, name, _ := strings.Cut(sandbox.PublicRepo, "/")
	result, err := as("github_write_issue", `{"owner":"`+owner+`","repo":"`+name+`","title":"x"}`)
	if told := message(t, result, err); !strings.Contains(told, "https://github.com/settings/installations") {
		t.Errorf("got %q", told)
	}
	for _, kind := range []string{"issue", "pull_request"} {
		if _, err := as("github_search_issues", `{"query":"walnut","type":"`+kind+`"}`); err != nil {
			t.Error(err)
		}
	}
}
