package mcpserver

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/mark3labs/mcp-go/mcp"
)

// succeeded is a tool's structured result, with the same JSON as text for clients
// that don't know structured results.
func succeeded(out string) *mcp.CallToolResult {
	return &mcp.CallToolResult{
		Content:           []mcp.Content{mcp.NewTextContent(out)},
		StructuredContent: json.RawMessage(out),
	}
}

// failed is a tool's error, a sentence that a model can act on.
func failed(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{mcp.NewTextContent(text)}, IsError: true}
}

// broken is an error of ours: its text goes to the log only.
func (s *server) broken(tool string, err error) *mcp.CallToolResult {
	id := s.report("call failed", err, "tool", tool)
	return failed("Something went wrong here. Try again later; its id in the server's log is " + id + ".")
}

// doubt is what a failed call adds where it may have changed something already.
func doubt(wrote bool) string {
	if !wrote {
		return ""
	}
	return " Part of it may already have been done: check before calling it again."
}

// report logs err under a fresh id, which is all that the other side gets to see.
func (s *server) report(message string, err error, more ...any) string {
	id := rand.Text()[:10]
	s.Log.Error(message, append(more, "id", id, "error", withoutQueries(fmt.Sprint(err)))...)
	return id
}

var queries = regexp.MustCompile(`\?[^\s"']+`)

// withoutQueries drops the queries of URLs: net/http puts whole URLs into errors,
// and a query holds what people search for.
func withoutQueries(text string) string { return queries.ReplaceAllString(text, "?…") }

func size(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }
