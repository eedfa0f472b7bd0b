package sandbox

import "net/http"

// getCalendar is a calendar's own properties, which are the same for all who see it.
func (s *Sandbox) getCalendar(c *call) answer {
	if wrong := googleNeeds(c, calendarScope, calendarScope+".readonly", calendarScope+".calendars", calendarScope+".calendars.readonly"); wrong.status != 0 {
		return wrong
	}
	if _, wrong := parameters(c); wrong.status != 0 {
		return wrong
	}
	cal := s.own(c, c.PathValue("calendar"))
	if cal == nil {
		return googleNotFound()
	}
	return answer{status: http.StatusOK, body: object{"kind": "calendar#calendar", "etag": cal.etag(), "id": cal.ID,
		"summary": cal.Summary, "timeZone": cal.Zone, "conferenceProperties": meets()}}.with("ETag", cal.etag())
}

func (cal *calendar) etag() string { return `"` + TokenHash(cal.ID)[:16] + `"` }

func meets() object { return object{"allowedConferenceSolutionTypes": []string{"hangoutsMeet"}} }

func (s *Sandbox) calendarList(c *call) answer {
	if wrong := googleNeeds(c, calendarScope, calendarScope+".readonly", calendarScope+".calendarlist", calendarScope+".calendarlist.readonly"); wrong.status != 0 {
		return wrong
	}
	q, wrong := parameters(c, "maxResults", "minAccessRole", "pageToken", "showDeleted", "showHidden", "showOwnOrganizationOnly")
	if wrong.status != 0 {
		return wrong
	}
	items := []object{}
	for _, cal := range s.state.Calendars {
		if cal.Owner == c.token.Account {
			items = append(items, cal.entry())
		}
	}
	from, to, next, wrong := slicePage(q, len(items), 100, 250)
	if wrong.status != 0 {
		return wrong
	}
	out := object{"kind": "calendar#calendarList", "etag": `"list"`, "items": items[from:to]}
	if next != "" {
		out["nextPageToken"] = next
	} else {
		out["nextSyncToken"] = "sandbox-has-no-sync"
	}
	return answer{status: http.StatusOK, body: out}
}

func (cal *calendar) entry() object {
	o := object{"kind": "calendar#calendarListEntry", "etag": cal.etag(), "id": cal.ID,
		"summary": cal.Summary, "timeZone": cal.Zone, "accessRole": "owner", "selected": true,
		"colorId": "14", "backgroundColor": "#9fe1e7", "foregroundColor": "#000000",
		"defaultReminders":     []object{{"method": "popup", "minutes": 10}},
		"conferenceProperties": meets()}
	if cal.Primary {
		o["primary"] = true
	}
	return o
}
