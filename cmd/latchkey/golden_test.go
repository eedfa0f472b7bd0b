package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/latchkey-mcp/latchkey/tools"
)

var update = flag.Bool("update", false, "rewrite testdata/tools")

// TestListBudget holds what every conversation pays for the tools: tools/list, in
// tokens of four bytes.
func TestListBudget(t *testing.T) {
	for _, fault := range overBudget(t, allModules()) {
		t.Error(fault)
	}
	mutant := acmeModule()
	spec := mutant.Tools[0].Spec()
	spec.Description = strings.Repeat("Long. ", 600)
	mutant.Tools[0] = tools.Define(spec, func(context.Context, *http.Client, struct{}) (_ struct{}, err error) { return })
	if len(overBudget(t, []tools.Module{mutant})) != 1 || len(overBudget(t, []tools.Module{acmeModule()})) != 0 {
		t.Error("a mutant is within the budget")
	}
}

// overBudget is what's too large: Calendar and GitHub have a budget together, any
// other module one by the number of its tools.
func overBudget(t *testing.T, modules []tools.Module) (faults []string) {
	t.Helper()
	const most, mostOfOne = 9000, 350
	together := 0
	for _, module := range modules {
		size := 0
		for _, tool := range module.Tools {
			size += listedSize(t, tool)
		}
		switch {
		case module.Name == "calendar" || module.Name == "github":
			together += size
		case size/4 > mostOfOne*len(module.Tools):
			faults = append(faults, fmt.Sprintf("%s: its %d tools take %d tokens of tools/list, and may take %d each",
				module.Name, len(module.Tools), size/4, mostOfOne))
		}
	}
	if together/4 > most {
		faults = append(faults, fmt.Sprintf("tools/list takes %d tokens, and may take %d", together/4, most))
	}
	t.Logf("tools/list takes %d tokens of %d", together/4, most)
	return faults
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
