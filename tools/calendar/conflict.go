package calendar

import (
	"fmt"
	"slices"
	"strings"

	google "google.golang.org/api/calendar/v3"
)

// conflict says that an event isn't what it was: how it is now, in the fields that
// matter, and with which etag a change would be made to that.
func conflict(now *google.Event, fields []string) error {
	if len(fields) == 0 {
		fields = []string{"summary", "start", "end"}
	}
	var says []string
	for _, name := range fields {
		if text, ok := content(now, name); ok {
			says = append(says, fmt.Sprintf("%s %.120q", name, text))
		}
	}
	if now.Status == "cancelled" {
		return told("The event was deleted in the meantime. Nothing was changed.")
	}
	return told("The event was changed in the meantime, and nothing was written. Now it has %s (updated %s). If the change still fits, repeat it with etag %s.",
		strings.Join(says, ", "), now.Updated, now.Etag)
}

// fieldNames are the fields that content knows.
func fieldNames() []string {
	return []string{"summary", "start", "end", "location", "description", "attendees", "recurrence", "visibility", "status"}
}

// differing are the names of the fields in which a and b differ.
func differing(a, b *google.Event) []string {
	return slices.DeleteFunc(fieldNames(), func(name string) bool {
		was, _ := content(a, name)
		is, _ := content(b, name)
		return was == is
	})
}

// content is the field of that name as text.
func content(e *google.Event, name string) (string, bool) {
	switch name {
	case "summary":
		return clip(e.Summary, 100), true
	case "start":
		return at(e.Start, nil), true
	case "end":
		return at(e.End, nil), true
	case "location":
		return clip(e.Location, 100), true
	case "description":
		return clip(e.Description, 100), true
	case "recurrence":
		return clip(strings.Join(e.Recurrence, " "), 200), true
	case "visibility":
		return e.Visibility, true
	case "status":
		return e.Status, true
	case "attendees":
		var list []string
		for _, a := range e.Attendees {
			if a != nil {
				list = append(list, guest(a))
			}
		}
		return clip(strings.Join(list, ", "), 300), true
	}
	return "", false
}
