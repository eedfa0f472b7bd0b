package github_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools/sandbox"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

// alice is a function that calls tools as alice, of an OAuth App or a GitHub App.
func alice(t *testing.T, app bool) func(name, arguments string) (json.RawMessage, error) {
	t.Helper()
	return signedIn(t, tooltest.Sandbox(t, func(cfg *sandbox.Config) { cfg.GitHubApp = app }))
}

// signedIn is alice's function at world.
func signedIn(t *testing.T, world *sandbox.Sandbox) func(name, arguments string) (json.RawMessage, error) {
	t.Helper()
	bench := tooltest.AtGitHub(t, module(), world, "alice")
	return func(name, arguments string) (json.RawMessage, error) {
		t.Helper()
		return bench.Call(t, name, arguments)
	}
}

func TestAtTheSandbox(t *testing.T) {
	as := alice(t, false)
	made, err := as("github_write_issue", `{"repo":"`+sandbox.AliceLogin+`/garden","title":"Prune the quince","labels":["urgent"]}`)
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
	result, err := as("github_write_issue", `{"repo":"`+sandbox.BobLogin+`/workshop","title":"x"}`)
	if told := message(t, result, err); !strings.Contains(told, "doesn't see it") {
		t.Errorf("got %q", told)
	}
}

func TestAtTheSandboxAsAnApp(t *testing.T) {
	as := alice(t, true)
	result, err := as("github_write_issue", `{"repo":"`+sandbox.PublicRepo+`","title":"x"}`)
	if told := message(t, result, err); !strings.Contains(told, "https://github.com/settings/installations") {
		t.Errorf("got %q", told)
	}
	for _, kind := range []string{"issue", "pull_request"} {
		if _, err := as("github_search_issues", `{"query":"walnut","type":"`+kind+`"}`); err != nil {
			t.Error(err)
		}
	}
}
