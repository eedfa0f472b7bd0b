package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A calendar is a calendar with its events.
type calendar struct {
	ID, Owner, Summary, Zone string
	Primary                  bool
	Events                   []*event
}

func (cal *calendar) location() *time.Location {
	l, err := time.LoadLocation(cal.Zone)
	if err != nil {
		return time.UTC
	}
	return l
}

// googleError is one error in the shape that all of Google's older APIs share.
func googleError(status int, message, reason string, extra object) answer {
	one := object{"message": message, "domain": "global", "reason": reason}
	for name, value := range extra {
		one[name] = value
	}
	e := object{"code": status, "message": message, "errors": []object{one}}
	switch status {
	case http.StatusUnauthorized:
		e["status"] = "UNAUTHENTICATED"
	case http.StatusForbidden:
		e["status"] = "PERMISSION_DENIED"
	}
	return answer{status: status, body: object{"error": e}}
}

func googleNotFound() answer { return googleError(http.StatusNotFound, "Not Found", "notFound", nil) }

func googleBad(message, reason string) answer {
	return googleError(http.StatusBadRequest, message, reason, nil)
}

// badParameter is Google's answer to a parameter that doesn't exist or is wrong.
func badParameter(name, message string) answer {
	return googleError(http.StatusBadRequest, message, "invalidParameter", object{"location": name, "locationType": "parameter"})
}

// googleAPI is what Google checks of every call.
func (s *Sandbox) googleAPI(h handler) http.Handler {
	return s.api(googleName, func(c *call) answer {
		if scheme, _, _ := strings.Cut(c.Header.Get("Authorization"), " "); c.token == nil || !strings.EqualFold(scheme, "Bearer") {
			return googleError(http.StatusUnauthorized, "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
				"authError", object{"location": "Authorization", "locationType": "header"}).
				with("WWW-Authenticate", `Bearer realm="https://accounts.google.com/", error="invalid_token"`)
		}
		return partial(c, h(c))
	}, googleFailing)
}

func googleFailing(status int) answer {
	if status == http.StatusTooManyRequests {
		return googleError(status, "Rate Limit Exceeded", "rateLimitExceeded", nil)
	}
	return googleError(status, "Backend Error", "backendError", nil)
}

// googleNeeds is the refusal of a token that has none of the scopes, with status 0
// for none.
func googleNeeds(c *call, anyOf ...string) answer {
	if c.token.has(anyOf...) {
		return answer{}
	}
	a := googleError(http.StatusForbidden, "Request had insufficient authentication scopes.", "insufficientPermissions", nil)
	a.body.(object)["error"].(object)["details"] = []object{{"@type": "type.googleapis.com/google.rpc.ErrorInfo",
		"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "domain": "googleapis.com"}}
	return a.with("WWW-Authenticate", `Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="`+strings.Join(anyOf, " ")+`"`)
}

// readsEvents and writesEvents are the refusals for want of a scope.
func readsEvents(c *call) answer {
	return googleNeeds(c, calendarScope, calendarScope+".readonly", calendarScope+".events", calendarScope+".events.readonly",
		calendarScope+".events.owned", calendarScope+".events.owned.readonly")
}

func writesEvents(c *call) answer {
	return googleNeeds(c, calendarScope, calendarScope+".events", calendarScope+".events.owned")
}

// parameters refuses query names other than names and those that every method
// has, and any that comes twice.
func parameters(c *call, names ...string) (url.Values, answer) {
	q, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return nil, googleBad("Bad Request", "badRequest")
	}
	for name, values := range q {
		if !slices.Contains(names, name) && !slices.Contains([]string{"alt", "fields", "prettyPrint", "quotaUser"}, name) {
			return nil, badParameter(name, "Invalid JSON payload received. Unknown name "+strconv.Quote(name)+": Cannot bind query parameter.")
		}
		if len(values) > 1 {
			return nil, badParameter(name, "The parameter "+name+" came more than once.")
		}
	}
	if alt := q.Get("alt"); alt != "" && alt != "json" {
		return nil, badParameter("alt", "Invalid value for alt: the sandbox has json only.")
	}
	return q, answer{}
}

// own is the calendar that the path or a body names, if it is the caller's.
func (s *Sandbox) own(c *call, id string) *calendar {
	for _, cal := range s.state.Calendars {
		if cal.Owner == c.token.Account && (cal.ID == id || id == "primary" && cal.Primary) {
			return cal
		}
	}
	return nil
}
