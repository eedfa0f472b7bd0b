package calendar

import (
	"context"
	"net/http"
	"strings"

	google "google.golang.org/api/calendar/v3"

	"github.com/latchkey-mcp/latchkey/tools"
)

func quickAdd() tools.Tool {
	return tools.Define(tools.Spec{
		Name:  "calendar_quick_add",
		Title: "Quick add",
		Description: "Create an event from a sentence that Google reads; check the answer. " +
			"Not if time or guests are known: calendar_create_event.",
		Can:      "Create events in your calendars from a sentence",
		Provider: provider,
		Scopes:   []string{google.CalendarEventsScope},
		Egress:   []tools.Rule{rule(http.MethodPost, events+"/quickAdd", "text", "sendUpdates")},
	}, addQuickly)
}

type quickInput struct {
	Calendar       string `json:"calendar,omitempty" jsonschema:"default primary"`
	Text           string `json:"text" jsonschema:"like Tea on 31 January 3pm"`
	IdempotencyKey string `json:"idempotency_key,omitempty" jsonschema:"makes a retry safe" pattern:"^[\\w.-]{1,64}$"`
}

type quickOutput struct {
	written
	Summary string `json:"summary"`
}

func addQuickly(ctx context.Context, api *http.Client, in quickInput) (quickOutput, error) {
	if strings.TrimSpace(in.Text) == "" || len(in.Text) > 1000 {
		return quickOutput{}, told("text must be a sentence of at most 1000 bytes, like: Tea tomorrow at 3pm.")
	}
	d, err := newDesk(ctx, api, in.Calendar, "none")
	if err != nil {
		return quickOutput{}, err
	}
	made, err := d.service.Events.QuickAdd(d.calendar, in.Text).SendUpdates(d.updates).Context(ctx).Do()
	if err != nil {
		return quickOutput{}, explain(err, about{calendar: d.calendar, writes: true})
	}
	if made == nil || made.Id == "" {
		return quickOutput{}, unanswered(about{writes: true})
	}
	return quickOutput{of(made, nil), clip(made.Summary, 300)}, nil
}
