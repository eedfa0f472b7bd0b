package calendar

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/api/googleapi"

	"github.com/latchkey-mcp/latchkey/tools"
)

// listFault is err as a sentence, if it is Google's answer; errors of the
// transport stay as they are, for who made the client.
func listFault(err error, in listInput) error {
	answer, ok := errors.AsType[*googleapi.Error](err)
	if !ok {
		return err
	}
	switch {
	case answer.Code >= http.StatusInternalServerError:
		return told("Google Calendar has a problem at the moment (status %d). Try again in a minute.", answer.Code)
	case answer.Code == http.StatusGone, answer.Code == http.StatusBadRequest && in.Cursor != "":
		return told("Google doesn't accept the cursor (any more): %s. Leave it out to begin at the first page.", reason(answer))
	}
	return fault(answer, in.Calendar)
}

// createFault is err as a sentence about the event in in.
func createFault(err error, in createInput) error {
	answer, ok := errors.AsType[*googleapi.Error](err)
	if !ok {
		return err
	}
	switch {
	case answer.Code >= http.StatusInternalServerError:
		return told("Google Calendar has a problem (status %d), and the outcome is unknown: look with calendar_list_events whether the event is there before you try again.", answer.Code)
	case answer.Code == http.StatusConflict:
		return told("Google says that this event is there already: look with calendar_list_events before you try again.")
	case answer.Code == http.StatusForbidden && has(answer, "requiredAccessLevel", "forbidden", "forbiddenForNonOrganizer"):
		return told("The connected account may read the calendar %q but not write to it. Use the calendar primary, or ask its owner for access.", in.Calendar)
	}
	return fault(answer, in.Calendar)
}

// fault explains what all of Google's addresses answer alike.
func fault(answer *googleapi.Error, calendar string) error {
	switch {
	case has(answer, "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded", "calendarUsageLimitsExceeded"),
		answer.Code == http.StatusTooManyRequests:
		return told("Google's limit on requests is used up for the moment. Wait %s, then send fewer requests.", wait(answer))
	case answer.Code == http.StatusUnauthorized:
		return told("Google doesn't accept the connected account's credential any more. Disconnect Google on the connections page and connect it again.")
	case answer.Code == http.StatusForbidden:
		return forbidden(answer)
	case answer.Code == http.StatusNotFound:
		return told("There is no calendar %q, or the connected account doesn't see it. Use primary, or the id in that calendar's settings.", calendar)
	case answer.Code == http.StatusGone:
		return told("This is gone at Google: %s. List the events again.", reason(answer))
	case answer.Code == http.StatusPreconditionFailed:
		return told("It was changed in the meantime. List the events again, then try again.")
	}
	return told("Google Calendar refuses (status %d): %s. Correct that and try again.", answer.Code, reason(answer))
}

// forbidden tells apart what the user, the operator and the calendar's owner can
// do something about.
func forbidden(answer *googleapi.Error) error {
	switch {
	case has(answer, "insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"):
		return told("The connection doesn't include what this tool needs. Ask the user to disconnect Google on the connections page, connect it again, and leave every box ticked.")
	case has(answer, "accessNotConfigured", "SERVICE_DISABLED"):
		return told("The Google Calendar API is switched off in this server's Google project. Only its operator can switch it on.")
	}
	return told("The connected account may not do that: %s. Use the calendar primary, or ask the calendar's owner for access.", reason(answer))
}

// has reports whether Google gives one of the reasons.
func has(answer *googleapi.Error, reasons ...string) bool {
	return slices.ContainsFunc(answer.Errors, func(item googleapi.ErrorItem) bool { return slices.Contains(reasons, item.Reason) }) ||
		slices.ContainsFunc(answer.Details, func(detail any) bool {
			fields, _ := detail.(map[string]any)
			text, _ := fields["reason"].(string)
			return slices.Contains(reasons, text)
		})
}

// reason is what Google says, short and on one line.
func reason(answer *googleapi.Error) string {
	text := strings.Trim(strings.Join(strings.Fields(answer.Message), " "), " .")
	if text == "" {
		return "it doesn't say why"
	}
	return clip(text, 300)
}

// wait is Retry-After in words, where it is a number of seconds.
func wait(answer *googleapi.Error) string {
	after := answer.Header.Get("Retry-After")
	if after == "" || len(after) > 5 || strings.Trim(after, "0123456789") != "" {
		return "a minute"
	}
	return after + " seconds"
}

func told(format string, args ...any) error {
	return &tools.Error{Message: fmt.Sprintf(format, args...)}
}
