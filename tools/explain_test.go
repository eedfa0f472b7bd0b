package tools

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type explained struct {
	Title  string   `json:"title" jsonschema:"the title" maxLength:"200"`
	Body   *string  `json:"body,omitempty" jsonschema:"Markdown"`
	Number int      `json:"number,omitempty" jsonschema:"which one"`
	Labels []string `json:"labels,omitempty" jsonschema:"all of them"`
	Files  []struct {
		Path string `json:"path" jsonschema:"where"`
	} `json:"files,omitempty" jsonschema:"what to write"`
	When *struct {
		Start string `json:"start,omitempty" jsonschema:"from"`
	} `json:"when,omitempty" jsonschema:"the time"`
}

func explainedTool() Tool {
	return Define(Spec{
		Name: "test_explain", Title: "t", Description: "d", Can: "c", Provider: "p",
		Egress: []Rule{{Method: "POST", Host: "h.test", Path: "/x"}},
	}, func(context.Context, *http.Client, explained) (struct{}, error) { return struct{}{}, nil })
}

func TestExplain(t *testing.T) {
	got, err := explainedTool().Explain(json.RawMessage(`{
		"files": [{"path":"a"},{"path":"b"}], "labels": ["one\nline","two"], "number": 12345678901234567, "body": "",
		"title": "a\u202eb\r\u2028\u200bc\n d\te \ud800", "when": {"start":"now"}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Argument{
		{"title", "the title", "a⟨U+202E⟩b⟨U+000D⟩⟨U+2028⟩⟨U+200B⟩c\n d\te ⟨U+FFFD⟩"},
		{"body", "Markdown", "(empty text)"},
		{"number", "which one", "12345678901234567"},
		{"labels", "all of them", "• one\n  line\n• two"},
		{"files[1].path", "where", "a"},
		{"files[2].path", "where", "b"},
		{"when.start", "from", "now"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, err = explainedTool().Explain(json.RawMessage(`{"title":"x","labels":[],"files":[],"when":{}}`))
	want = []Argument{
		{"title", "the title", "x"}, {"labels", "all of them", "(an empty list)"},
		{"files", "what to write", "(an empty list)"}, {"when", "the time", "(nothing)"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// What means the same to a handler is written alike, and nothing else is.
func TestCheckedArguments(t *testing.T) {
	tool := explainedTool()
	checked := func(arguments string) string {
		out, err := tool.Checked(json.RawMessage(arguments))
		if err != nil {
			return "refused: " + err.Error()
		}
		return string(out)
	}
	one := checked(`{"title":"x","number":9007199254740993}`)
	if again := checked("\n{ \"number\" : 9007199254740993,\n\"title\":\"\\u0078\" } "); again != one {
		t.Errorf("%s and %s", one, again)
	}
	for _, other := range []string{
		`{"title":"x","number":9007199254740992}`, `{"title":"x"}`, `{"title":"X","number":9007199254740993}`,
		`{"title":"x ","number":9007199254740993}`,
	} {
		if checked(other) == one {
			t.Errorf("%s is taken for %s", other, one)
		}
	}
	for _, wrong := range []string{
		``, `{}`, `{"title":"x","title":"y"}`, `{"title":"x","Title":"y"}`, `{"title":"x","else":1}`, `[]`, `{"title":"x"} {}`,
		`{"title":"x","number":1.5}`, `{"title":"x","labels":null}`,
	} {
		if got := checked(wrong); !strings.HasPrefix(got, "refused: The arguments are refused") {
			t.Errorf("%s: %s", wrong, got)
		}
		if got, err := tool.Explain(json.RawMessage(wrong)); err == nil {
			t.Errorf("%s is explained as %v", wrong, got)
		}
	}
}
