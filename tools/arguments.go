package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
)

// maxDepth bounds the nesting of arguments.
const maxDepth = 16

// decode checks arguments against s and puts them into in. The check runs on a
// reading of our own, because encoding/json takes the last of duplicate names and
// matches names without regard to case: two readers of one text must not differ.
func (s schema) decode(arguments json.RawMessage, in any) error {
	if text := bytes.TrimSpace(arguments); len(text) == 0 || string(text) == "null" {
		arguments = json.RawMessage("{}")
	}
	value, err := readStrictly(arguments)
	if err != nil {
		return &Error{Message: "The arguments are refused: " + err.Error() + "."}
	}
	if s.resolved.Validate(value) != nil {
		where, why := s.fault(value)
		return &Error{Message: "The arguments are refused: " + where + " " + why + "."}
	}
	if err := json.Unmarshal(arguments, in); err != nil {
		return &Error{Message: "The arguments are refused: " + misfit(err) + "."}
	}
	return nil
}

// misfit explains what the schema allows and Go's type doesn't: 1.0 or 1e30 where
// a whole number is expected.
func misfit(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return fmt.Sprintf("%q must be a plain whole number", wrong.Field)
	}
	return "a value doesn't fit its type"
}

// readStrictly reads exactly one JSON value: valid UTF-8, no duplicate names,
// nothing after it, bounded depth.
func readStrictly(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("they are not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	value, err := readValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is text after the JSON value")
	}
	return value, nil
}

func readValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("they are nested too deeply")
	}
	token, err := d.Token()
	if err != nil {
		return nil, errors.New("they are not valid JSON")
	}
	switch token {
	case json.Delim('{'):
		return readObject(d, depth)
	case json.Delim('['):
		return readArray(d, depth)
	}
	return token, nil
}

func readObject(d *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errors.New("they are not valid JSON")
		}
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("%s is there twice", quoted(name))
		}
		if object[name], err = readValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	return object, end(d)
}

func readArray(d *json.Decoder, depth int) (any, error) {
	array := []any{}
	for d.More() {
		value, err := readValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	return array, end(d)
}

func end(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return errors.New("they are not valid JSON")
	}
	return nil
}

// quoted is a name from outside, short enough to repeat.
func quoted(name string) string {
	const most = 64
	if len(name) > most {
		return fmt.Sprintf("%.64q…", name)
	}
	return fmt.Sprintf("%q", name)
}

// fault says where value breaks s, and what is expected there. It only explains:
// whether value is right is for the validator to say.
func (s schema) fault(value any) (where, why string) {
	where, why = explain(s.root, value, "")
	if why == "" {
		return "a value", "doesn't fit the schema"
	}
	if where == "" {
		return "the whole", why
	}
	return where, why
}

func explain(s *jsonschema.Schema, value any, at string) (where, why string) {
	switch v := value.(type) {
	case map[string]any:
		if s.Type == "object" {
			return explainObject(s, v, at)
		}
	case []any:
		if s.Type == "array" {
			return explainArray(s, v, at)
		}
	}
	if accepts(s, value) {
		return at, ""
	}
	return at, "must be " + expected(s)
}

func explainObject(s *jsonschema.Schema, object map[string]any, at string) (where, why string) {
	for _, name := range s.Required {
		if _, ok := object[name]; !ok {
			return join(at, name), "is missing: it must be " + expected(s.Properties[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		property := s.Properties[name]
		if property == nil {
			return join(at, name), "is not an argument: " + known(s)
		}
		if where, why := explain(property, object[name], join(at, name)); why != "" {
			return where, why
		}
	}
	return at, ""
}

func explainArray(s *jsonschema.Schema, array []any, at string) (where, why string) {
	if (s.MaxItems != nil && len(array) > *s.MaxItems) || (s.MinItems != nil && len(array) < *s.MinItems) {
		return at, "must be " + expected(s)
	}
	for i, item := range array {
		if where, why := explain(s.Items, item, fmt.Sprintf("%s[%d]", at, i)); why != "" {
			return where, why
		}
	}
	return at, ""
}

// accepts asks the validator about one value alone.
func accepts(s *jsonschema.Schema, value any) bool {
	resolved, err := s.CloneSchemas().Resolve(nil)
	return err == nil && resolved.Validate(value) == nil
}

func join(at, name string) string {
	if len(name) > 64 {
		name = strings.ToValidUTF8(name[:64], "") + "…"
	}
	if at == "" {
		return name
	}
	return at + "." + name
}

func known(s *jsonschema.Schema) string {
	if len(s.PropertyOrder) == 0 {
		return "there are none"
	}
	return "there is only " + strings.Join(s.PropertyOrder, ", ")
}

// expected describes s: "text of 1 to 256 characters".
func expected(s *jsonschema.Schema) string {
	switch {
	case s.Enum != nil:
		return "one of " + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(s.Enum)), ", "), "[]")
	case s.Type == "string":
		return "text" + span(s.MinLength, s.MaxLength, "characters") + shape(s)
	case s.Type == "integer":
		return "a whole number" + span(s.Minimum, s.Maximum, "")
	case s.Type == "number":
		return "a number" + span(s.Minimum, s.Maximum, "")
	case s.Type == "array":
		return "a list" + span(s.MinItems, s.MaxItems, "items")
	case s.Type == "boolean":
		return "true or false"
	}
	return "an object"
}

func span[N int | float64](least, most *N, unit string) string {
	switch {
	case least != nil && most != nil:
		return strings.TrimRight(fmt.Sprintf(" of %v to %v %s", *least, *most, unit), " ")
	case most != nil:
		return strings.TrimRight(fmt.Sprintf(" of at most %v %s", *most, unit), " ")
	case least != nil:
		return strings.TrimRight(fmt.Sprintf(" of at least %v %s", *least, unit), " ")
	}
	return ""
}

func shape(s *jsonschema.Schema) string {
	if s.Pattern == "" {
		return ""
	}
	return " that matches " + s.Pattern
}
