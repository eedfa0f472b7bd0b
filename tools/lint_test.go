package tools_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
)

func schemaWith(property string) string {
	return fmt.Sprintf(`{"type":"object","additionalProperties":false,"properties":{%q:{"type":"string","description":"x"}}}`, property)
}

func nested(schema string) map[string]string {
	return map[string]string{
		"alone": schema,
		"in an object": `{"type":"object","additionalProperties":false,"properties":{"inner":` +
			strings.Replace(schema, `{`, `{"description":"x",`, 1) + `}}`,
		"in a list": `{"type":"object","additionalProperties":false,"properties":{"list":{"type":"array","description":"x","items":` + schema + `}}}`,
	}
}

// The mutants: each of these arguments would select whose credential acts.
func TestLintCatchesEveryMutant(t *testing.T) {
	for _, name := range []string{
		"user", "users", "user_id", "userId", "userid", "UserID", "user_name", "username", "target_user", "for_user",
		"account", "account_id", "accounts", "google_account", "on_behalf_of", "onBehalfOf", "onbehalfof", "impersonate",
		"impersonation_target", "token", "access_token", "accessToken", "credential", "credentials", "email", "user_email",
		"mail", "mailbox", "subject", "subject_token", "sub", "as", "act_as", "run_as", "runas", "login", "github_login",
		"tenant", "tenant_id", "session", "session_id", "principal", "principals", "password", "secret", "client_secret",
		"api_key", "apiKey", "key", "auth", "authorization", "identity", "delegate", "delegated_to", "sudo", "who", "whose",
		"me", "uid", "actor", "caller", "profile", "connection_id", "installation_id", "grant", "bearer", "cookie", "jwt",
		"owner", "attendees", "assignees", "reviewers", "member", "person", "issuer", "client_id",
		"us\u0435r_id", // a Cyrillic e
		"u_s_e_r",
	} {
		for where, schema := range nested(schemaWith(name)) {
			if faults := tools.LintSchema("github_try_things", json.RawMessage(schema)); len(faults) == 0 {
				t.Errorf("%s, %s: not caught", name, where)
			}
		}
	}
}

func TestLintAllowsPlainNames(t *testing.T) {
	for _, name := range []string{
		"query", "state", "page", "per_page", "repo", "number", "title", "body", "labels", "calendar", "cursor",
		"start", "end", "time_zone", "summary", "description", "location", "notify", "sort", "order", "all_day", "based_on",
	} {
		for where, schema := range nested(schemaWith(name)) {
			if faults := tools.LintSchema("github_try_things", json.RawMessage(schema)); len(faults) > 0 {
				t.Errorf("%s, %s: %q", name, where, faults)
			}
		}
	}
}

// The exceptions are for one place in a tool, and but for one are for one tool.
func TestLintExceptions(t *testing.T) {
	for _, c := range []struct {
		tool, schema string
		fine         bool
	}{
		{"calendar_create_event", schemaWith("attendees"), true},
		{"github_list_commits", schemaWith("author"), true},
		{"github_write_issue", schemaWith("author"), false},
		{"calendar_list_events", schemaWith("attendees"), false},
		{"calendar_create_event", schemaWith("owner"), false},
		{"calendar_create_event", nested(schemaWith("attendees"))["in an object"], false},
		{"calendar_create_event", schemaWith("attendees_id"), false},
		{"", schemaWith("owner"), false},
		{"github_try_things", schemaWith("idempotency_key"), true},
		{"github_try_things", nested(schemaWith("idempotency_key"))["in an object"], false},
		{"github_try_things", nested(schemaWith("idempotency_key"))["in a list"], false},
		{"github_try_things", schemaWith("idempotency_keys"), false},
		{"github_try_things", schemaWith("idempotencyKey"), false},
	} {
		if faults := tools.LintSchema(c.tool, json.RawMessage(c.schema)); (len(faults) == 0) != c.fine {
			t.Errorf("%s %s: %q", c.tool, c.schema, faults)
		}
	}
}

func TestLintShape(t *testing.T) {
	const hidden = `{"type":"string","description":"x"}`
	for schema, want := range map[string]string{
		``:                  "not an object",
		`true`:              "not an object",
		`{}`:                "not an object",
		`{"type":"string"}`: "not an object",
		`{"type":"object"}`: "not closed",
		`{"type":"object","additionalProperties":true}`:                                                                                                            "not closed",
		`{"type":"object","additionalProperties":{}}`:                                                                                                              "not closed",
		`{"type":["object","null"],"additionalProperties":false}`:                                                                                                  "not an object",
		`{"type":"object","additionalProperties":false,"patternProperties":{"^user":` + hidden + `}}`:                                                              "patternProperties",
		`{"type":"object","additionalProperties":false,"anyOf":[{"properties":{"user":` + hidden + `}}]}`:                                                          "anyOf",
		`{"type":"object","additionalProperties":false,"allOf":[]}`:                                                                                                "allOf",
		`{"type":"object","additionalProperties":false,"$ref":"#/$defs/x"}`:                                                                                        "$ref",
		`{"type":"object","additionalProperties":false,"$defs":{"x":` + schemaWith("user") + `}}`:                                                                  "$defs",
		`{"type":"object","additionalProperties":false,"unevaluatedProperties":{}}`:                                                                                "unevaluatedProperties",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"object","description":"x"}}}`:                                                    "not closed",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"}}}`:                                                                      "no description",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"description":"x"}}}`:                                                                    "type",
		`{"type":"object","additionalProperties":false,"properties":{"a":true}}`:                                                                                   "type",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"array","description":"x"}}}`:                                                     "no schema",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"array","description":"x","items":true}}}`:                                        "type",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"array","description":"x","items":{"type":"object"}}}}`:                           "not closed",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"array","description":"x","prefixItems":[],"items":{"type":"string"}}}}`:          "prefixItems",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"object","description":"x","additionalProperties":false,"properties":{"b":{}}}}}`: `"a.b"`,
	} {
		faults := strings.Join(tools.LintSchema("github_try_things", json.RawMessage(schema)), "\n")
		if !strings.Contains(faults, want) {
			t.Errorf("%s: got %q, want %q", schema, faults, want)
		}
	}
}
