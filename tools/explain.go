package tools

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
)

// An Argument is one value of a call as a person reads it.
type Argument struct {
	Name        string // "title", or within others "files[1].path"
	Description string // the schema's; may be ""
	Value       string // in full; what shows nothing is spelled out, as "⟨U+200B⟩"
}

// Checked is arguments as Call would take them, written in one way: names in their
// order, no white space. Those that Call would refuse are its *Error.
func (t Tool) Checked(arguments json.RawMessage) (json.RawMessage, error) {
	if err := t.check(arguments); err != nil {
		return nil, err
	}
	if text := bytes.TrimSpace(arguments); len(text) == 0 || string(text) == "null" {
		return json.RawMessage("{}"), nil
	}
	return Canonical(arguments), nil
}

// Explain is all of arguments, in the schema's order, for a person who is to say
// whether the call is made. Those that Call would refuse are its *Error.
func (t Tool) Explain(arguments json.RawMessage) ([]Argument, error) {
	checked, err := t.Checked(arguments)
	if err != nil {
		return nil, err
	}
	value, err := readNumbers(checked)
	if err != nil {
		return nil, err
	}
	object, _ := value.(map[string]any)
	return members(nil, "", t.arguments, object), nil
}

// readNumbers reads JSON with its numbers as they are written.
func readNumbers(text []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return value, d.Decode(&value)
}

// members adds an object's values to list. Each is in the schema, which is closed.
func members(list []Argument, at string, s *jsonschema.Schema, object map[string]any) []Argument {
	for _, name := range s.PropertyOrder {
		if value, there := object[name]; there {
			list = member(list, join(at, name), s.Properties[name], value)
		}
	}
	return list
}

func member(list []Argument, at string, s *jsonschema.Schema, value any) []Argument {
	switch v := value.(type) {
	case map[string]any:
		if len(v) > 0 {
			return members(list, at, s, v)
		}
	case []any:
		if len(v) > 0 && s.Items != nil && s.Items.Type == "object" {
			for i, item := range v {
				list = member(list, fmt.Sprintf("%s[%d]", at, i+1), s.Items, item)
			}
			return list
		}
	}
	return append(list, Argument{at, s.Description, written(value)})
}

// written is a value as text. Of a list each item has a mark before it, so that none
// looks like two.
func written(value any) string {
	switch v := value.(type) {
	case string:
		if v == "" {
			return "(empty text)"
		}
		return visible(v)
	case []any:
		items := make([]string, 0, len(v))
		for _, item := range v {
			items = append(items, "• "+strings.ReplaceAll(written(item), "\n", "\n  "))
		}
		if len(items) == 0 {
			return "(an empty list)"
		}
		return strings.Join(items, "\n")
	case map[string]any:
		return "(nothing)" // others are taken apart
	}
	return fmt.Sprint(value)
}

// visible is text with a name in the place of each character that a person wouldn't
// see: what Clean takes away, and the separators that break lines without being one.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		hidden := unicode.IsControl(r) && r != '\n' && r != '\t' || invisible(r) || r == utf8.RuneError ||
			unicode.In(r, unicode.Zl, unicode.Zp)
		if hidden {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
