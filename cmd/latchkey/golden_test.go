package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/tools"
)

var update = flag.Bool("update", false, "rewrite testdata/tools")

// golden is what a client, a person and the audit record see of a tool.
type golden struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Can         string          `json:"can"`
	Provider    string          `json:"provider"`
	ReadOnly    bool            `json:"read_only"`
	Destructive bool            `json:"destructive"`
	Idempotent  bool            `json:"idempotent"`
	Scopes      []string        `json:"scopes"`
	Egress      []string        `json:"egress"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output"`
}

func contractLines(contract []tools.Rule) (list []string) {
	for _, r := range contract {
		list = append(list, fmt.Sprintf("%s https://%s%s query %q", r.Method, r.Host, r.Path, r.Query))
	}
	return list
}

// TestGolden holds every registered tool to its golden file in testdata/tools, so
// that a change of what a client, a person or the audit record sees is read.
func TestGolden(t *testing.T) {
	for _, module := range allModules() {
		if err := module.Check(); err != nil {
			t.Fatal(err)
		}
		for _, tool := range module.Tools {
			compareTool(t, tool)
		}
	}
}

func compareTool(t *testing.T, tool tools.Tool) {
	t.Helper()
	s := tool.Spec()
	if len(s.Description) > 300 {
		t.Errorf("%s: the description has %d bytes, which every conversation pays", s.Name, len(s.Description))
	}
	got, err := json.MarshalIndent(golden{
		s.Name, s.Title, s.Description, s.Can, s.Provider, s.ReadOnly, s.Destructive, s.Idempotent,
		s.Scopes, contractLines(s.Egress), tool.InputSchema(), tool.OutputSchema(),
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, filepath.Join("..", "..", "testdata", "tools", s.Name+".json"), append(got, '\n'))
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (rewrite it with -update): %s", file, diff)
	}
}
