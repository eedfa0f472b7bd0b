package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Define makes a tool. Input and output schemas are inferred from In and Out,
// both structs: names and optionality from json tags, descriptions from
// jsonschema tags, limits from tags named like the JSON Schema keyword
// (minLength, maxLength, minimum, maximum, minItems, maxItems, enum with commas,
// pattern, format; on a slice the string limits are for its items). Every object
// is closed. An idempotency_key among the arguments makes the server do a repeated
// call once, so only a tool that writes may have it. A result that is larger than
// Budget allows is a *Error, never one that is cut. Define panics where the declaration is wrong, which is a programming
// error that every test sees.
func Define[In, Out any](s Spec, h Handler[In, Out]) Tool {
	if err := s.check(); err != nil {
		panic(fmt.Sprintf("tools: %q: %v", s.Name, err))
	}
	input, err := newSchema[In]()
	if err != nil {
		panic(fmt.Sprintf("tools: %s: input: %v", s.Name, err))
	}
	output, err := newSchema[Out]()
	if err != nil {
		panic(fmt.Sprintf("tools: %s: output: %v", s.Name, err))
	}
	results, err := output.brief()
	if err != nil {
		panic(fmt.Sprintf("tools: %s: output: %v", s.Name, err))
	}
	if faults := append(LintSchema(s.Name, input.text), lintShape(output.text, false)...); len(faults) > 0 {
		panic(fmt.Sprintf("tools: %s: %s", s.Name, strings.Join(faults, "; ")))
	}
	keyed, err := s.checkKey(input)
	if err != nil {
		panic(fmt.Sprintf("tools: %s: %v", s.Name, err))
	}
	return Tool{
		spec: s.clone(), input: input.text, output: results, keyed: keyed, call: caller(s.ReadOnly, input, output, h),
		arguments: input.root, check: checker[In](input),
	}
}

// checker is what caller does first.
func checker[In any](input schema) func(json.RawMessage) error {
	return func(arguments json.RawMessage) error {
		var in In
		return input.decode(arguments, &in)
	}
}

// caller puts the checks of arguments and result around h.
func caller[In, Out any](readOnly bool, input, output schema, h Handler[In, Out]) func(context.Context, *http.Client, json.RawMessage) (json.RawMessage, error) {
	return func(ctx context.Context, api *http.Client, arguments json.RawMessage) (json.RawMessage, error) {
		var in In
		if err := input.decode(arguments, &in); err != nil {
			return nil, err
		}
		out, err := h(ctx, api, in)
		if err != nil {
			return nil, err
		}
		text, err := output.encode(out)
		if err == nil && len(text) > Budget+slack {
			return nil, tooLarge(readOnly, len(text))
		}
		return text, err
	}
}

// tooLarge is for a result that its tool should have kept within the budget. A model
// must not repeat a write for it.
func tooLarge(readOnly bool, size int) *Error {
	fault := fmt.Errorf("tools: the result has %d bytes", size)
	if readOnly {
		return &Error{"The answer is too large, ask for less: fewer items, or a narrower question.", fault}
	}
	return &Error{"It is done, but the answer is too large to show. Don't call again: look at what it did, asking for less.", fault}
}

func (s Spec) clone() Spec {
	s.Scopes = slices.Clone(s.Scopes)
	s.Egress = slices.Clone(s.Egress)
	for i := range s.Egress {
		s.Egress[i].Query = slices.Clone(s.Egress[i].Query)
		s.Egress[i].Redirects = slices.Clone(s.Egress[i].Redirects)
	}
	return s
}

var toolName = regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`)

// check says what is wrong with the declaration.
func (s Spec) check() error {
	if !toolName.MatchString(s.Name) {
		return errors.New("the name must be snake case with the module first, like github_search_issues")
	}
	for field, text := range map[string]string{
		"Title": s.Title, "Description": s.Description, "Can": s.Can, "Provider": s.Provider,
	} {
		if strings.TrimSpace(text) == "" {
			return fmt.Errorf("%s is empty", field)
		}
	}
	if slices.Contains(s.Scopes, "") {
		return errors.New("an empty scope")
	}
	if err := s.checkEgress(); err != nil {
		return err
	}
	return s.checkAnnotations()
}

// checkKey reports whether the tool takes an idempotency_key.
func (s Spec) checkKey(input schema) (bool, error) {
	key := input.root.Properties[KeyArgument]
	switch {
	case key == nil && s.KeyedByProvider:
		return false, errors.New("KeyedByProvider, but it takes no " + KeyArgument)
	case key != nil && s.ReadOnly:
		return false, errors.New("ReadOnly, but it takes an " + KeyArgument)
	case key != nil && key.Type != "string":
		return false, errors.New(KeyArgument + " must be text")
	}
	return key != nil, nil
}

func (s Spec) checkEgress() error {
	if len(s.Egress) == 0 {
		return errors.New("no egress rules: a tool lists all that it may send")
	}
	for _, r := range s.Egress {
		if err := r.check(); err != nil {
			return fmt.Errorf("egress rule %q: %w", r, err)
		}
	}
	return nil
}

// checkAnnotations holds MCP's hints against the contract, which is what is true.
func (s Spec) checkAnnotations() error {
	reads := !slices.ContainsFunc(s.Egress, func(r Rule) bool { return !r.Reads() })
	switch {
	case s.ReadOnly && !reads:
		return errors.New("ReadOnly, but its contract can write")
	case !s.ReadOnly && reads:
		return errors.New("its contract only reads, so it must be ReadOnly")
	case s.ReadOnly && s.Destructive:
		return errors.New("ReadOnly and Destructive contradict each other")
	}
	return nil
}

// Check says what is wrong with the module: a tool whose name doesn't begin with
// the module's, whose provider is another, or that is there twice.
func (m Module) Check() error {
	if m.Name == "" || m.Title == "" || m.Provider == "" || len(m.Tools) == 0 {
		return fmt.Errorf("tools: module %q needs a name, a title, a provider and tools", m.Name)
	}
	seen := map[string]bool{}
	for _, t := range m.Tools {
		name := t.spec.Name
		if !strings.HasPrefix(name, m.Name+"_") {
			return fmt.Errorf("tools: %q is in module %q, so its name must begin with %q", name, m.Name, m.Name+"_")
		}
		if t.spec.Provider != m.Provider {
			return fmt.Errorf("tools: %q acts at %q, its module at %q", name, t.spec.Provider, m.Provider)
		}
		if seen[name] {
			return fmt.Errorf("tools: %q is defined twice", name)
		}
		seen[name] = true
	}
	return nil
}
