package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/tools"
)

var update = flag.Bool("update", false, "rewrite testdata/tools")

// TestListBudget holds what every conversation pays for the tools: tools/list, in
// tokens of four bytes. Calendar and GitHub have a budget together, any other module
// one by the number of its tools.
func TestListBudget(t *testing.T) {
	const most, mostOfOne = 9000, 350
	size := 0
	for _, module := range allModules() {
		own := 0
		for _, tool := range module.Tools {
			own += listedSize(t, tool)
		}
		switch {
		case module.Name == "calendar" || module.Name == "github":
			size += own
		case own/4 > mostOfOne*len(module.Tools):
			t.Errorf("%s: its %d tools take %d tokens of tools/list, and may take %d each", module.Name, len(module.Tools), own/4, mostOfOne)
		}
	}
	if size/4 > most {
		t.Errorf("tools/list takes %d tokens, and may take %d", size/4, most)
	}
	t.Logf("tools/list takes %d tokens of %d", size/4, most)
}

// listedSize is how many bytes of tools/list the tool takes.
func listedSize(t *testing.T, tool tools.Tool) int {
	t.Helper()
	s := tool.Spec()
	text, err := json.Marshal(map[string]any{
		"name": s.Name, "title": s.Title, "description": s.Description,
		"inputSchema": tool.InputSchema(), "outputSchema": tool.OutputSchema(),
		"annotations": map[string]bool{
			"readOnlyHint": s.ReadOnly, "destructiveHint": s.Destructive, "idempotentHint": s.Idempotent, "openWorldHint": true,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(text) + 1
}

// TestGolden holds every registered tool to its golden file in testdata/tools, so
// that a change of what a client, a person or the audit record sees is read.
func TestGolden(t *testing.T) {
	for _, module := range allModules() {
		if err := module.Check(); err != nil {
			t.Fatal(err)
		}
		for _, tool := range module.Tools {
			compareTool(t, module, tool)
		}
	}
}

func compareTool(t *testing.T, module tools.Module, tool tools.Tool) {
	t.Helper()
	s := tool.Spec()
	if len(s.Description) > 300 {
		t.Errorf("%s: the description has %d bytes, which every conversation pays", s.Name, len(s.Description))
	}
	var got bytes.Buffer
	check(t, printJSON(&got, viewOf(module, tool)))
	compare(t, filepath.Join("..", "..", "testdata", "tools", s.Name+".json"), got.Bytes())
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
