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

// An about is what a request was about, for the sentence that explains a refusal.
type about struct {
	calendar, event string
	paged           bool // the request went on from a cursor
	writes          bool
	keyed           bool // the write can be repeated: it has an id of ours
}

// status is the one of Google's answer, or 0 for an err that is none.
func status(err error) int {
	if answer, ok := errors.AsType[*googleapi.Error](err); ok {
		return answer.Code
	}
	return 0
}

// explain is err as a sentence, if it is Google's answer; errors of the transport
// stay as they are, for who made the client.
func explain(err error, a about) error {
	answer, ok := errors.AsType[*googleapi.Error](err)
	if !ok {
		return err
	}
	switch {
	case answer.Code >= http.StatusInternalServerError:
		return broken(answer, a)
	case limited(answer):
		return told("Google's limit on requests is used up. It ends %s; then send fewer requests.", ending(answer))
	case answer.Code == http.StatusUnauthorized:
		return told("Google doesn't accept the connected account's credential any more. Disconnect Google on the connections page and connect it again.")
	case a.paged && (answer.Code == http.StatusGone || answer.Code == http.StatusBadRequest):
		return told("Google doesn't accept the cursor (any more): %s. Leave it out to begin at the first page.", reason(answer))
	case answer.Code == http.StatusForbidden:
		return forbidden(answer, a)
	}
	return refused(answer, a)
}

// broken is for a Google that failed.
func broken(answer *googleapi.Error, a about) error {
	if a.keyed {
		return told("Google Calendar has a problem (status %d), and the outcome is unknown. Call again in a minute with the same arguments and idempotency_key: that makes no second event.", answer.Code)
	}
	if a.writes {
		return told("Google Calendar has a problem (status %d), and the outcome is unknown: look with calendar_list_events whether it happened before you try again.", answer.Code)
	}
	return told("Google Calendar has a problem at the moment (status %d). Try again in a minute.", answer.Code)
}

// unanswered is for a good answer with nothing in it.
func unanswered(a about) error {
	if a.keyed {
		return told("Google Calendar didn't answer as it should, and the outcome is unknown. Call again with the same arguments and idempotency_key: that makes no second event.")
	}
	if a.writes {
		return told("Google Calendar didn't answer as it should, and the outcome is unknown: look with calendar_list_events whether it happened before you try again.")
	}
	return told("Google Calendar didn't answer as it should. Try again in a minute.")
}

// refused is for what the arguments can do something about.
func refused(answer *googleapi.Error, a about) error {
	switch answer.Code {
	case http.StatusNotFound:
		if a.event != "" {
			return told("There is no event %q in the calendar %q, or the connected account doesn't see it. Look for its id with calendar_list_events.", a.event, a.calendar)
		}
		return told("There is no calendar %q, or the connected account doesn't see it. calendar_list_calendars gives the ids of those that it sees.", a.calendar)
	case http.StatusGone:
		return told("This is gone at Google: %s. List the events again.", reason(answer))
	case http.StatusConflict:
		return told("Google says that this event is there already: look with calendar_list_events before you try again.")
	case http.StatusPreconditionFailed:
		return told("The event was changed in the meantime. Read it again with calendar_get_event, and use the etag that it gives.")
	}
	return told("Google Calendar refuses (status %d): %s. Correct that and try again.", answer.Code, reason(answer))
}

// forbidden tells apart what the user, the operator and the calendar's owner can
// do something about.
func forbidden(answer *googleapi.Error, a about) error {
	switch {
	case has(answer, "forbiddenForNonOrganizer"):
		return told("Only its organizer may change the event %q for everybody. calendar_respond answers the invitation.", a.event)
	case a.writes && has(answer, "requiredAccessLevel", "forbidden"):
		return told("The connected account may read the calendar %q but not write to it. Use the calendar primary, or ask its owner for access.", a.calendar)
	case has(answer, "notACalendarUser"):
		return told("The connected Google account has no calendar. Ask the user to open Google Calendar once, or to connect another account.")
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

// limited reports whether a limit on requests is the reason.
func limited(answer *googleapi.Error) bool {
	return answer.Code == http.StatusTooManyRequests ||
		has(answer, "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded", "calendarUsageLimitsExceeded")
}

// ending is when a limit ends: by Retry-After, where it is a number of seconds.
func ending(answer *googleapi.Error) string {
	after := answer.Header.Get("Retry-After")
	switch {
	case after != "" && len(after) <= 5 && strings.Trim(after, "0123456789") == "":
		return "in " + after + " seconds"
	case has(answer, "dailyLimitExceeded"):
		return "at midnight Pacific time"
	case has(answer, "calendarUsageLimitsExceeded"):
		return "some hours from now"
	}
	return "in about a minute"
}

func told(format string, args ...any) error {
	return &tools.Error{Message: fmt.Sprintf(format, args...)}
}
