package tooltest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
)

// GitHub is GitHub's description of what module sends, which npm's @octokit/openapi
// brings. Where that isn't installed it is nil, and in CI the test fails.
func GitHub(t testing.TB, module tools.Module) *Description {
	t.Helper()
	return kept("github", module, func() *Description { return gitHub(t, module) })
}

func gitHub(t testing.TB, module tools.Module) *Description {
	t.Helper()
	file := filepath.Join(root(t), "testdata", "node", "node_modules", "@octokit", "openapi", "generated", "api.github.com.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("GitHub's description is missing: npm ci --prefix testdata/node")
		}
		t.Log("left out: GitHub's description (npm ci --prefix testdata/node)")
		return nil
	}
	doc, err := load(raw, contracted(module, ""))
	if err != nil {
		t.Fatal(err)
	}
	// GitHub answers null where an issue has no body, and describes it so elsewhere.
	if found := doc.Components.Schemas["issue-search-result-item"]; found != nil {
		found.Value.Properties["body"].Value.Nullable = true
	}
	return &Description{host: "api.github.com", doc: doc}
}

const calendarPrefix = "/calendar/v3"

// GoogleCalendar is Google's description of what module sends, which is beside its
// client library.
func GoogleCalendar(t testing.TB, module tools.Module) *Description {
	t.Helper()
	return kept("google", module, func() *Description { return googleCalendar(t, module) })
}

// loaded are the descriptions that were read, since the reading takes a while.
var loaded sync.Map

// kept is made the first time that a module's description is asked for.
func kept(provider string, module tools.Module, made func() *Description) *Description {
	key := provider
	for _, t := range module.Tools {
		key += fmt.Sprintf(" %s %v", t.Spec().Name, t.Spec().Egress)
	}
	if d, ok := loaded.Load(key); ok {
		return d.(*Description)
	}
	d := made()
	loaded.Store(key, d)
	return d
}

func googleCalendar(t testing.TB, module tools.Module) *Description {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "calendar", "v3", "calendar-api.json"))
	if err != nil {
		t.Fatal(err)
	}
	open, err := fromDiscovery(raw)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := load(open, contracted(module, calendarPrefix))
	if err != nil {
		t.Fatal(err)
	}
	return &Description{host: "www.googleapis.com", prefix: calendarPrefix, doc: doc}
}

// root is where go.mod is.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

// A discovered is Google's discovery document (developers.google.com/discovery), as
// far as it says what may be sent.
type discovered struct {
	Parameters map[string]*discoveredSchema
	Schemas    map[string]*discoveredSchema
	Resources  map[string]struct{ Methods map[string]discoveredMethod }
}

type discoveredMethod struct {
	Path, HTTPMethod  string
	Parameters        map[string]*discoveredSchema
	Request, Response *discoveredSchema
}

type discoveredSchema struct {
	Ref                  string `json:"$ref"`
	Type, Format         string
	Pattern              string
	Minimum, Maximum     string
	Enum                 []string
	Properties           map[string]*discoveredSchema
	AdditionalProperties *discoveredSchema
	Items                *discoveredSchema
	Required, Repeated   bool
	Location             string
}

// fromDiscovery is a discovery document as OpenAPI 3.0. Objects are closed: Google
// ignores what it doesn't know, and a misspelt field would go unnoticed.
func fromDiscovery(raw []byte) ([]byte, error) {
	var in discovered
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	schemas := map[string]any{}
	for name, s := range in.Schemas {
		schemas[name] = s.open()
	}
	paths := map[string]map[string]any{}
	for _, resource := range in.Resources {
		for _, m := range resource.Methods {
			path := "/" + m.Path
			if paths[path] == nil {
				paths[path] = map[string]any{}
			}
			operation, err := m.operation(in.Parameters)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", m.HTTPMethod, m.Path, err)
			}
			paths[path][strings.ToLower(m.HTTPMethod)] = operation
		}
	}
	return json.Marshal(map[string]any{
		"openapi": "3.0.3", "info": map[string]string{"title": "Google", "version": "v3"},
		"paths": paths, "components": map[string]any{"schemas": schemas},
	})
}

func (m discoveredMethod) operation(common map[string]*discoveredSchema) (map[string]any, error) {
	var parameters []any
	for _, list := range []map[string]*discoveredSchema{m.Parameters, common} {
		for name, p := range list {
			one := map[string]any{"name": name, "in": p.Location, "required": p.Required, "schema": p.open()}
			if p.Location != "path" && p.Location != "query" {
				return nil, fmt.Errorf("parameter %s is in %q", name, p.Location)
			}
			if p.Repeated {
				one["schema"] = map[string]any{"type": "array", "items": p.open()}
			}
			parameters = append(parameters, one)
		}
	}
	done := map[string]any{"description": "done"}
	operation := map[string]any{"parameters": parameters, "responses": map[string]any{"200": done}}
	if m.Response == nil {
		operation["responses"] = map[string]any{"200": done, "204": done}
	} else {
		done["content"] = content(m.Response)
	}
	if m.Request != nil {
		operation["requestBody"] = map[string]any{"required": true, "content": content(m.Request)}
	}
	return operation, nil
}

func content(s *discoveredSchema) map[string]any {
	return map[string]any{"application/json": map[string]any{"schema": s.open()}}
}

// open is s as OpenAPI has it.
func (s *discoveredSchema) open() map[string]any {
	if s.Ref != "" {
		return map[string]any{"$ref": "#/components/schemas/" + s.Ref}
	}
	out := map[string]any{}
	if s.Type != "any" {
		out["type"] = s.Type
	}
	if s.Enum != nil {
		out["enum"] = s.Enum
	}
	if s.Pattern != "" {
		out["pattern"] = s.Pattern
	}
	if s.Format == "date" { // a date-time may lack its offset, where there is a time zone beside it
		out["format"] = s.Format
	}
	for name, text := range map[string]string{"minimum": s.Minimum, "maximum": s.Maximum} {
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			out[name] = n
		}
	}
	if s.Items != nil {
		out["items"] = s.Items.open()
	}
	if s.Type == "object" {
		s.openObject(out)
	}
	return out
}

func (s *discoveredSchema) openObject(out map[string]any) {
	properties := map[string]any{}
	for name, p := range s.Properties {
		properties[name] = p.open()
	}
	out["properties"] = properties
	out["additionalProperties"] = false
	if s.AdditionalProperties != nil {
		out["additionalProperties"] = s.AdditionalProperties.open()
	}
}
