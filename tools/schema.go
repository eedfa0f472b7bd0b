package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// A schema is a Go struct's JSON Schema, ready to validate.
type schema struct {
	text     json.RawMessage
	root     *jsonschema.Schema
	resolved *jsonschema.Resolved
	plain    bool // what Go's encoder makes of the type fits, unless a null is in it
}

// newSchema infers the schema of the struct T, limits included.
func newSchema[T any]() (schema, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return schema{}, fmt.Errorf("%s is not a struct", t)
	}
	root, err := jsonschema.For[T](nil)
	if err != nil {
		return schema{}, err
	}
	if err := refine(root, t); err != nil {
		return schema{}, err
	}
	resolved, err := root.Resolve(nil)
	if err != nil {
		return schema{}, err
	}
	text, err := json.Marshal(root)
	return schema{text, root, resolved, isPlain(root, t)}, err
}

// brief is the schema's text without the lists of what is always there: a model
// reads what came, and pays for the schema in every conversation.
func (s schema) brief() (json.RawMessage, error) {
	root := s.root.CloneSchemas()
	optional(root)
	return json.Marshal(root)
}

func optional(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	s.Required = nil
	optional(s.Items)
	for _, property := range s.Properties {
		optional(property)
	}
}

// isPlain reports whether s asks no more of a value than its type t does: there are
// no limits, and no type of the tree encodes itself. Only a nil then doesn't fit.
func isPlain(s *jsonschema.Schema, t reflect.Type) bool {
	if s.Enum != nil || s.Pattern != "" || s.Format != "" || s.MinLength != nil || s.MaxLength != nil ||
		s.MinItems != nil || s.MaxItems != nil || s.Minimum != nil || s.Maximum != nil {
		return false
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return t.PkgPath() == "" // a named type may have methods
	case reflect.Slice:
		return s.Type == "array" && isPlain(s.Items, t.Elem())
	case reflect.Struct:
		return s.Type == "object" && plainFields(s, t)
	}
	return false
}

func plainFields(s *jsonschema.Schema, t reflect.Type) bool {
	if reflect.PointerTo(t).NumMethod() > 0 {
		return false
	}
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		property := s.Properties[name]
		if field.Anonymous || property == nil || !isPlain(property, field.Type) {
			return false
		}
	}
	return true
}

// refine walks s along t: it takes null out of the types, because a value is
// there or left out, and applies the limits in the fields' tags.
func refine(s *jsonschema.Schema, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	withoutNull(s)
	switch {
	case s.Type == "array":
		return refine(s.Items, t.Elem())
	case s.Type == "object" && t.Kind() == reflect.Struct:
		return refineFields(s, t)
	}
	return nil
}

func refineFields(s *jsonschema.Schema, t reflect.Type) error {
	if s.Properties == nil { // an empty struct: a closed object all the same
		s.Properties = map[string]*jsonschema.Schema{}
	}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		property := s.Properties[name]
		if field.Anonymous || !field.IsExported() || name == "-" {
			continue
		}
		if property == nil {
			return fmt.Errorf("field %s.%s needs a json tag", t, field.Name)
		}
		if err := refine(property, field.Type); err != nil {
			return err
		}
		if err := limit(property, field.Tag); err != nil {
			return fmt.Errorf("field %s.%s: %w", t, field.Name, err)
		}
	}
	return nil
}

func withoutNull(s *jsonschema.Schema) {
	if len(s.Types) == 2 && s.Types[0] == "null" {
		s.Type, s.Types = s.Types[1], nil
	}
}

// limit applies the tags that are named like JSON Schema's keywords.
func limit(s *jsonschema.Schema, tag reflect.StructTag) error {
	element := s
	if s.Type == "array" {
		element = s.Items
	}
	if enum, ok := tag.Lookup("enum"); ok {
		for value := range strings.SplitSeq(enum, ",") {
			element.Enum = append(element.Enum, value)
		}
	}
	element.Pattern = tag.Get("pattern")
	element.Format = tag.Get("format")
	return errors.Join(
		whole(tag, "minLength", &element.MinLength), whole(tag, "maxLength", &element.MaxLength),
		whole(tag, "minItems", &s.MinItems), whole(tag, "maxItems", &s.MaxItems),
		number(tag, "minimum", &element.Minimum), number(tag, "maximum", &element.Maximum),
	)
}

func whole(tag reflect.StructTag, key string, into **int) error {
	text, ok := tag.Lookup(key)
	if !ok {
		return nil
	}
	n, err := strconv.Atoi(text)
	*into = &n
	return err
}

func number(tag reflect.StructTag, key string, into **float64) error {
	text, ok := tag.Lookup(key)
	if !ok {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	*into = &n
	return err
}

// encode marshals a handler's result. A result that its own schema refuses is a
// fault in the tool, so the error is not one for the model.
func (s schema) encode(out any) (json.RawMessage, error) {
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("tools: marshal the result: %w", err)
	}
	if s.plain && !bytes.Contains(text, []byte("null")) {
		return text, nil
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("tools: read the result: %w", err)
	}
	if s.resolved.Validate(value) != nil {
		where, why := s.fault(value)
		return nil, fmt.Errorf("tools: the result breaks its own schema: %s %s", where, why)
	}
	return text, nil
}
