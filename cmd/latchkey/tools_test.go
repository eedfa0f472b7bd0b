package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/tools"
)

func toolNames(modules []tools.Module, keep func(tools.Spec) bool) (names []string) {
	for _, m := range modules {
		for _, t := range m.Tools {
			if keep(t.Spec()) {
				names = append(names, t.Spec().Name)
			}
		}
	}
	return names
}

func every(tools.Spec) bool { return true }

// What is denied isn't served, whatever is allowed, and with --read-only nothing
// that could change anything is.
func TestChosenTools(t *testing.T) {
	all := slices.DeleteFunc(allModules(), func(m tools.Module) bool { return m.Provider != "github" && m.Provider != "google" })
	reads := func(s tools.Spec) bool { return s.ReadOnly }
	github := func(s tools.Spec) bool { return s.Provider == "github" }
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"all":                   {nil, toolNames(all, every)},
		"read-only":             {[]string{"--read-only"}, toolNames(all, reads)},
		"a module":              {[]string{"--allow-tool", "github"}, toolNames(all, github)},
		"two tools":             {[]string{"--allow-tool", "calendar_list_events,github_write_issue"}, []string{"calendar_list_events", "github_write_issue"}},
		"read-only wins":        {[]string{"--read-only", "--allow-tool", "github_write_issue", "--allow-tool", "calendar_list_events"}, []string{"calendar_list_events"}},
		"denying wins":          {[]string{"--allow-tool", "github", "--deny-tool", "github_write_issue"}, toolNames(all, func(s tools.Spec) bool { return github(s) && s.Name != "github_write_issue" })},
		"denying a module wins": {[]string{"--allow-tool", "github_write_issue,calendar_list_events", "--deny-tool", "github"}, []string{"calendar_list_events"}},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, good, "LATCHKEY_GOOGLE_CLIENT_ID=g", "LATCHKEY_GOOGLE_CLIENT_SECRET=g")
			got, err := serveSettings(t, tt.args...)
			check(t, err)
			if diff := cmp.Diff(tt.want, toolNames(got.served(), every)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is left with --read-only sends nothing but GETs, and POSTs that only ask. Who
// calls one Safe says so here too, where it is looked at: read-only mode believes it.
func TestReadOnlyOnlyAsks(t *testing.T) {
	questions := []string{"POST https://www.googleapis.com/calendar/v3/freeBusy"}
	var m mistakes
	for _, module := range (toolFlags{ReadOnly: "true"}).choose(allModules(), &m) {
		for _, tool := range module.Tools {
			for _, r := range tool.Spec().Egress {
				asks := slices.Contains(questions, r.Method+" https://"+r.Host+r.Path)
				if r.Safe != asks || r.Method != "GET" && !asks {
					t.Errorf("%s sends %s", tool.Spec().Name, r)
				}
			}
		}
	}
	check(t, m.err())
}

// The kind of app decides what is asked of a person at GitHub.
func TestAppKinds(t *testing.T) {
	for kind, wrong := range map[string]func(tools.Spec) bool{
		"oauth-app": func(s tools.Spec) bool {
			own, others := map[string][]string{"github_context": nil, "github_list_notifications": {"notifications"}}[s.Name]
			if !others {
				own = []string{"repo"}
			}
			return s.Provider == "github" && !slices.Equal(s.Scopes, own)
		},
		"github-app": func(s tools.Spec) bool {
			return s.Name == "github_list_notifications" || s.Provider == "github" && len(s.Scopes) > 0
		},
		"oauth-app-public": func(s tools.Spec) bool {
			return slices.Contains(s.Scopes, "repo") || !s.ReadOnly && s.Provider == "github" && !slices.Equal(s.Scopes, []string{"public_repo"})
		},
	} {
		environment(t, good)
		got, err := serveSettings(t, "--github-app-kind", kind)
		check(t, err)
		if names := toolNames(got.Modules, wrong); len(names) > 0 || (kind == "github-app") != got.GitHub.App {
			t.Errorf("%s: %q, %v", kind, names, got.GitHub.App)
		}
	}
	if n := len(toolNames(allModules(), func(s tools.Spec) bool { return slices.Equal(s.Scopes, []string{"repo"}) })); n == 0 {
		t.Error("no tool needs repo")
	}
}

func TestToolsCommand(t *testing.T) {
	out, stderr, code := latchkey("tools", "--json")
	var list []toolView
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list) != len(toolNames(allModules(), every)) {
		t.Fatalf("%d tools, code %d, %v, %s", len(list), code, err, stderr)
	}
	i := slices.IndexFunc(list, func(v toolView) bool { return v.Name == "github_write_issue" })
	if v := list[i]; !v.Destructive || v.Module != "github" || !slices.Contains(v.Egress, "POST https://api.github.com/repos/{owner}/{repo}/issues") ||
		!json.Valid(v.Input) || !json.Valid(v.Output) || len(v.Scopes) == 0 {
		t.Errorf("%+v", v)
	}
	out, _, code = latchkey("tools", "--read-only")
	for _, part := range []string{"github_search_issues: ", "\n  reads\n", "sends: GET https://api.github.com/search/issues?q&", "github scopes: repo", "takes: {",
		"sends: POST https://www.googleapis.com/calendar/v3/freeBusy?fields&alt&prettyPrint (changes nothing)"} {
		if !strings.Contains(out, part) || code != 0 {
			t.Errorf("no %q in\n%s", part, out)
		}
	}
	if strings.Contains(out, "github_write_issue") || strings.Contains(out, "writes") {
		t.Error(out)
	}
	if _, stderr, code := latchkey("tools", "--deny-tool", "slack"); code != 1 || !strings.Contains(stderr, `there is no tool or module "slack"`) {
		t.Errorf("%d %s", code, stderr)
	}
}
