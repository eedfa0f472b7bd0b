package tooltest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
	"github.com/latchkey-mcp/latchkey/tools/tooltest"
)

type in struct {
	Text   string `json:"text,omitempty" jsonschema:"what to do"`
	Cursor string `json:"cursor,omitempty" jsonschema:"next_cursor of the answer before"`
}

type out struct {
	Text string `json:"text"`
}

func module(h func(ctx context.Context, api *http.Client, text, cursor string) (string, error)) tools.Module {
	tool := func(name string) tools.Tool {
		return tools.Define(tools.Spec{
			Name: name, Title: "Try", Description: "Tries.", Can: "Try", Provider: "acme", ReadOnly: true, Scopes: []string{"a"},
			Egress: []tools.Rule{
				{Method: "GET", Host: "api.acme.test", Path: "/things/{id}", Query: []string{"q"}},
				{Method: "GET", Host: "files.acme.test", Path: "/file"},
				{Method: "GET", Host: "api.acme.test", Path: "/logs/{id}", Redirects: []string{"store*.acme.test"}},
			},
		}, func(ctx context.Context, api *http.Client, in in) (out, error) {
			text, err := h(ctx, api, in.Text, in.Cursor)
			return out{text}, err
		})
	}
	return tools.Module{Name: "acme", Title: "Acme", Provider: "acme", Tools: []tools.Tool{tool("acme_try"), tool("acme_other")}}
}

func get(ctx context.Context, api *http.Client, url, _ string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := api.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.Request.Header.Get("Authorization") + string(text), err
}

func TestBenchHoldsTheContract(t *testing.T) {
	bench := tooltest.At(t, module(get), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL.EscapedPath(), " ", r.URL.RawQuery)
	}))
	for url, want := range map[string]string{
		"https://api.acme.test/things/a%20b?q=1": `{"text":"/things/a%20b q=1"}`,
		"https://api.acme.test/things/1?p=1":     "",
		"https://api.acme.test/other":            "",
		"https://evil.test/things/1":             "",
		"http://api.acme.test/things/1":          "",
	} {
		got, err := bench.Call(t, "acme_try", fmt.Sprintf(`{"text":%q}`, url))
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %s, %v", url, got, err)
		}
	}
}

// The credential is for the provider's host, and in nothing that a handler sees.
func TestBenchAttachesTheCredential(t *testing.T) {
	seen := map[string]string{}
	file := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen["file"] = r.Header.Get("Authorization") }))
	defer file.Close()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen[r.URL.Path] = r.Header.Get("Authorization")
		switch r.URL.Path {
		case "/base/things/file":
			http.Redirect(w, r, "https://files.acme.test/file", http.StatusFound)
		case "/base/things/moved":
			http.Redirect(w, r, "/base/things/here", http.StatusFound)
		}
	}))
	defer api.Close()
	bench := &tooltest.Bench{
		Module: module(get), Bases: map[string]string{"api.acme.test": api.URL + "/base", "files.acme.test": file.URL},
		Token: func(_ testing.TB, spec tools.Spec) string { return "token-of-" + spec.Scopes[0] },
	}
	for _, what := range []string{"file", "moved"} {
		got, err := bench.Call(t, "acme_try", `{"text":"https://api.acme.test/things/`+what+`"}`)
		if err != nil || string(got) != `{"text":""}` {
			t.Errorf("%s: got %s, %v", what, got, err)
		}
	}
	if seen["file"] != "" || seen["/base/things/here"] != "Bearer token-of-a" || seen["/base/things/file"] != "Bearer token-of-a" {
		t.Errorf("got %v", seen)
	}
	delete(bench.Bases, "files.acme.test")
	if _, err := bench.Call(t, "acme_try", `{"text":"https://files.acme.test/file"}`); err == nil {
		t.Error("a host that nothing stands in for answered")
	}
}

// What an answer redirects to is had without the credential, if the rule lists it.
func TestBenchFollowsRedirects(t *testing.T) {
	bench := tooltest.At(t, module(get), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/logs/1":
			http.Redirect(w, r, "https://store7.acme.test/log?sig=x", http.StatusFound)
		case "/logs/2":
			http.Redirect(w, r, "https://evil.test/log?sig=x", http.StatusFound)
		case "/log":
			fmt.Fprint(w, len(r.Header["Authorization"]), r.URL.RawQuery)
		}
	}))
	bench.Token = func(testing.TB, tools.Spec) string { return "token" }
	for url, want := range map[string]string{
		"https://api.acme.test/logs/1":           `{"text":"0sig=x"}`,
		"https://api.acme.test/logs/2":           "",
		"https://store7.acme.test/log?sig=x":     "",
		"https://api.acme.test/things/1?q=logs1": `{"text":""}`,
	} {
		got, err := bench.Call(t, "acme_try", fmt.Sprintf(`{"text":%q}`, url))
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %s, %v", url, got, err)
		}
	}
}

func TestBenchEndsWithTheHandler(t *testing.T) {
	var kept *http.Client
	bench := tooltest.At(t, module(func(_ context.Context, api *http.Client, _, _ string) (string, error) {
		kept = api
		return "", nil
	}), http.NotFoundHandler())
	if _, err := bench.Call(t, "acme_try", `{}`); err != nil {
		t.Fatal(err)
	}
	if text, err := get(t.Context(), kept, "https://api.acme.test/things/1", ""); err == nil {
		t.Errorf("got %s after the handler returned", text)
	}
}

func TestBenchSealsCursors(t *testing.T) {
	bench := tooltest.At(t, module(func(ctx context.Context, _ *http.Client, _, cursor string) (string, error) {
		var at int
		if err := tools.ReadCursor(ctx, cursor, &at); err != nil {
			return "", err
		}
		return tools.WriteCursor(ctx, at+1)
	}), http.NotFoundHandler())
	first, err := bench.Call(t, "acme_try", `{"text":"x"}`)
	var page out
	if err != nil || json.Unmarshal(first, &page) != nil {
		t.Fatalf("got %s, %v", first, err)
	}
	second, err := bench.Call(t, "acme_try", fmt.Sprintf(`{"cursor":%q,  "text":"x"}`, page.Text))
	if err != nil || string(second) == string(first) {
		t.Errorf("got %s, %v", second, err)
	}
	for name, c := range map[string][2]string{
		"other arguments": {"acme_try", fmt.Sprintf(`{"text":"y","cursor":%q}`, page.Text)},
		"another tool":    {"acme_other", fmt.Sprintf(`{"text":"x","cursor":%q}`, page.Text)},
		"nobody's":        {"acme_try", `{"text":"x","cursor":"AAAA"}`},
	} {
		result, err := bench.Call(t, c[0], c[1])
		if told := tooltest.Message(t, result, err); !strings.Contains(told, "not of this call") {
			t.Errorf("%s: got %q", name, told)
		}
	}
}

// A sandbox's token carries the tool's own scopes, so a tool that says too few fails.
func TestBenchAtTheSandbox(t *testing.T) {
	ask := func(scope, host, path string) tools.Module {
		tool := tools.Define(tools.Spec{
			Name: "acme_try", Title: "Try", Description: "Tries.", Can: "Try", Provider: "acme", ReadOnly: true, Scopes: []string{scope},
			Egress: []tools.Rule{{Method: "GET", Host: host, Path: path}},
		}, func(ctx context.Context, api *http.Client, _ in) (out, error) {
			text, err := get(ctx, api, "https://"+host+path, "")
			return out{text}, err
		})
		return tools.Module{Name: "acme", Title: "Acme", Provider: "acme", Tools: []tools.Tool{tool}}
	}
	world := tooltest.Sandbox(t, nil)
	got, err := tooltest.AtGitHub(t, ask("repo", "api.github.com", "/user"), world, "bob").Call(t, "acme_try", `{}`)
	if err != nil || !strings.Contains(string(got), sandbox.BobLogin) {
		t.Errorf("got %s, %v", got, err)
	}
	list := "/calendar/v3/users/me/calendarList"
	for scope, want := range map[string]string{
		"https://www.googleapis.com/auth/calendar.readonly": sandbox.AliceEmail,
		"https://www.googleapis.com/auth/calendar.freebusy": "insufficient",
	} {
		got, err = tooltest.AtGoogle(t, ask(scope, "www.googleapis.com", list), world, "alice").Call(t, "acme_try", `{}`)
		if err != nil || !strings.Contains(strings.ToLower(string(got)), want) {
			t.Errorf("%s: got %s, %v", scope, got, err)
		}
	}
}
