package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
)

// Budget is how many bytes of JSON a tool's result may have. A model reads all of
// it, so a tool says less before it says more than that. Define's tools can't say
// more than slack bytes beyond it, which are for what stands around a list.
const (
	Budget = 32 << 10
	slack  = 4 << 10
)

// WriteCursor is state as an opaque cursor, for this caller and the other arguments
// of this call alone. state is encoded as JSON.
func WriteCursor(ctx context.Context, state any) (string, error) {
	plain, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	seal := Info(ctx).Seal
	if seal == nil {
		return "", errors.New("tools: no cursor outside of a call")
	}
	return seal(plain)
}

// ReadCursor fills state from a cursor that WriteCursor made; "" leaves it alone. A
// cursor of another caller or other arguments is a *Error.
func ReadCursor(ctx context.Context, cursor string, state any) error {
	if cursor == "" {
		return nil
	}
	open := Info(ctx).Open
	if open == nil {
		return errors.New("tools: no cursor outside of a call")
	}
	plain, err := open(cursor)
	if err != nil || json.Unmarshal(plain, state) != nil {
		return &Error{Message: "This cursor is not of this call: it goes with the arguments of the answer that it came from, all the same. " +
			"Repeat them, or leave the cursor out to begin at the first page."}
	}
	return nil
}

// Canonical is the arguments but those named, in one spelling: the same for every
// order of names, escape and white space. Arguments that aren't an object are left
// as they are, since no tool takes them.
func Canonical(arguments json.RawMessage, but ...string) json.RawMessage {
	var all map[string]any
	from := json.NewDecoder(bytes.NewReader(arguments))
	from.UseNumber() // two large numbers are not one
	if from.Decode(&all) != nil {
		return arguments
	}
	for _, name := range but {
		delete(all, name)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return arguments
	}
	return text
}

// Fit is how many items from list's start take at most budget bytes as JSON, and at
// least one of them where there is one: a caller that asks for the next never stands
// still.
func Fit[T any](list []T, budget int) int {
	for i, item := range list {
		text, err := json.Marshal(item)
		if err != nil {
			return i // the whole result will not encode either
		}
		if budget -= len(text) + 1; budget < 0 {
			return max(i, 1)
		}
	}
	return len(list)
}

// Wants reports whether a call whose argument fields lists what it is to answer wants
// this one; an empty list wants all.
func Wants(fields []string, field string) bool {
	return len(fields) == 0 || slices.Contains(fields, field)
}
