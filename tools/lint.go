package tools

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// allowed are the arguments that name a person or an account although the caller's
// own credential acts: by tool, with the reason.
var allowed = map[string]map[string]string{
	"github_list_commits": {
		"author": "a filter of what the caller may read anyway",
	},
	"github_write_issue": {
		"assignees": "whom the issue is given to; it is written as the caller",
	},
	"calendar_create_event": {
		"attendees": "whom the caller invites; the event is made in the caller's own calendar",
	},
	"calendar_update_event": {
		"add_attendees":    "whom the caller invites; the caller's own access to the event decides",
		"remove_attendees": "whom the caller uninvites; the caller's own access to the event decides",
	},
	"calendar_find_time": {
		"attendees": "whose busy times are asked for; what others share with the caller decides",
	},
}

// everywhere are such arguments that any tool may have, at the top.
var everywhere = map[string]string{
	KeyArgument: "names one try of the caller's own call, and is kept for that caller, client and tool alone: it opens nothing",
}

// snakeCase leaves one spelling, so that a look-alike letter hides nothing.
var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// roots name, as part of a longer name too ("userid"), who acts or with what.
var roots = []string{
	"user", "account", "behalf", "impersonat", "token", "credential", "mail", "subject",
	"login", "tenant", "session", "principal", "password", "passwd", "secret", "identity",
	"persona", "delegat", "sudo", "auth", "bearer", "cookie", "apikey", "owner", "attendee",
	"assignee", "reviewer", "member", "person", "people", "profile", "connection", "installation",
	"grant", "actor", "runas", "actas", "actingas",
}

// words name the same, where only the whole word does.
var words = []string{"as", "who", "whom", "whose", "me", "sub", "uid", "jwt", "key", "keys", "acting", "iss", "issuer", "caller", "client"}

// LintSchema says what is wrong with a tool's input schema: an argument, at any
// depth, that selects whose credential acts; an object that isn't closed; an
// argument without a description; a keyword behind which any of these could hide.
// It reads the schema as a client would get it.
func LintSchema(tool string, schema json.RawMessage) []string {
	return append(lintShape(schema, true), lintNames(tool, schema)...)
}

// lintNames finds the arguments that select whose credential acts.
func lintNames(tool string, schema json.RawMessage) []string {
	var faults []string
	walk(schema, "", func(path string, node map[string]json.RawMessage) {
		for _, name := range sortedNames(node["properties"]) {
			at := join(path, name)
			if !snakeCase.MatchString(name) {
				faults = append(faults, fmt.Sprintf("argument %q is not in snake case", at))
			}
			if !excepted(tool, at) && selectsWho(name) {
				faults = append(faults, fmt.Sprintf("argument %q selects whose credential acts", at))
			}
		}
	})
	return faults
}

func excepted(tool, at string) bool {
	_, here := allowed[tool][at]
	_, anywhere := everywhere[at]
	return here || anywhere
}

// selectsWho reports whether name, in any spelling, says who acts.
func selectsWho(name string) bool {
	parts := split(name)
	joined := strings.Join(parts, "")
	return slices.ContainsFunc(parts, func(p string) bool { return slices.Contains(words, p) }) ||
		slices.ContainsFunc(roots, func(r string) bool { return strings.Contains(joined, r) })
}

// split is name's words in lower case: "onBehalf_of" is on, behalf, of.
func split(name string) []string {
	var spaced strings.Builder
	var before rune
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r):
			spaced.WriteRune(' ')
		case unicode.IsUpper(r) && unicode.IsLower(before):
			spaced.WriteRune(' ')
			spaced.WriteRune(unicode.ToLower(r))
		default:
			spaced.WriteRune(unicode.ToLower(r))
		}
		before = r
	}
	return strings.Fields(spaced.String())
}

// keywords are those that the lint sees through. Others ($ref, anyOf,
// patternProperties, …) could bring in an argument that it doesn't see.
var keywords = []string{
	"$schema", "type", "title", "description", "properties", "required", "additionalProperties",
	"items", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
	"uniqueItems", "pattern", "format", "default", "examples",
}

// lintShape finds open objects, untyped values, keywords that hide others and,
// where described is set, properties without a description.
func lintShape(schema json.RawMessage, described bool) []string {
	var faults []string
	walk(schema, "", func(path string, node map[string]json.RawMessage) {
		faults = append(faults, lintNode(path, node)...)
		if described && path != "" && !strings.HasSuffix(path, "[]") && text(node["description"]) == "" {
			faults = append(faults, fmt.Sprintf("argument %q has no description", path))
		}
	})
	return faults
}

func lintNode(path string, node map[string]json.RawMessage) []string {
	var faults []string
	for _, keyword := range slices.Sorted(maps.Keys(node)) {
		if !slices.Contains(keywords, keyword) {
			faults = append(faults, fmt.Sprintf("%q: the keyword %q can hide arguments", path, keyword))
		}
	}
	kind := text(node["type"])
	switch {
	case path == "" && kind != "object":
		faults = append(faults, "the schema is not an object")
	case kind == "object" && string(node["additionalProperties"]) != "false":
		faults = append(faults, fmt.Sprintf("%q: the object is not closed", path))
	case kind == "array" && node["items"] == nil:
		faults = append(faults, fmt.Sprintf("%q: the list's items have no schema", path))
	case kind == "":
		faults = append(faults, fmt.Sprintf("%q: exactly one type is needed", path))
	}
	return faults
}

// walk visits the schema and every schema below properties and items. A node that
// is no object (true, false) is visited as an empty one, which is a fault.
func walk(schema json.RawMessage, path string, visit func(string, map[string]json.RawMessage)) {
	var node map[string]json.RawMessage
	if json.Unmarshal(schema, &node) != nil {
		node = nil
	}
	visit(path, node)
	properties := object(node["properties"])
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		walk(properties[name], join(path, name), visit)
	}
	if items, ok := node["items"]; ok {
		walk(items, path+"[]", visit)
	}
}

func object(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func sortedNames(raw json.RawMessage) []string { return slices.Sorted(maps.Keys(object(raw))) }

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
