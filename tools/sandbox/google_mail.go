package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// A Mail is what Google would have sent to guests because of one write.
type Mail struct {
	Method string // of the request: POST, PATCH or DELETE
	Event  string // the event's id
	To     []string
}

// Mails are those that would have been sent, oldest first.
func (s *Sandbox) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// mail notes whom Google tells of a write: by sendUpdates the guests, those of
// before too, and the organizer of a guest's answer, but never the calendar itself.
func (s *Sandbox) mail(c *call, cal *calendar, e *event, before object) {
	updates := c.URL.Query().Get("sendUpdates")
	guests := append(guestsOf(e.Body), guestsOf(before)...)
	if organizer := cal.organizer(e); organizer != cal.ID {
		guests = []string{organizer}
	}
	slices.Sort(guests)
	to := slices.DeleteFunc(slices.Compact(guests), func(address string) bool {
		return address == cal.ID || updates == "externalOnly" && strings.HasSuffix(address, "@sandbox.example")
	})
	if updates == "" || updates == "none" || len(to) == 0 {
		return
	}
	if len(s.mails) >= maxLog {
		s.mails = slices.Clone(s.mails[maxLog/2:])
	}
	s.mails = append(s.mails, Mail{Method: c.Method, Event: e.ID, To: to})
}

func guestsOf(body object) (addresses []string) {
	list, _ := body["attendees"].([]any)
	for _, a := range list {
		guest, _ := a.(object)
		if address, ok := guest["email"].(string); ok {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// extras settles in body, before it joins what was there, what Google handles only
// when a parameter says so: conferences and attachments.
func (s *Sandbox) extras(c *call, body, before object) answer {
	q := c.URL.Query()
	if q.Get("supportsAttachments") != "true" {
		delete(body, "attachments")
	}
	delete(body, "attendeesOmitted")
	wanted, given := body["conferenceData"]
	delete(body, "conferenceData")
	if !given || q.Get("conferenceDataVersion") != "1" {
		return answer{}
	}
	if wanted == nil {
		body["conferenceData"], body["hangoutLink"] = nil, nil
		return answer{}
	}
	return meet(body, wanted, before)
}

// meet makes a Google Meet for body, unless it was asked for before.
func meet(body object, wanted any, before object) answer {
	data, _ := wanted.(object)
	request, _ := data["createRequest"].(object)
	key, _ := request["conferenceSolutionKey"].(object)
	id, _ := request["requestId"].(string)
	if id == "" || key["type"] != "hangoutsMeet" {
		return googleBad("Invalid conference type value.", "invalid")
	}
	was, _ := before["conferenceData"].(object)
	if old, _ := was["createRequest"].(object); old["requestId"] == id {
		return answer{}
	}
	code := strings.Map(func(r rune) rune { return 'a' + r%26 }, TokenHash(id)[:10])
	code = code[:3] + "-" + code[3:7] + "-" + code[7:]
	link := "https://meet.google.com/" + code
	body["hangoutLink"] = link
	body["conferenceData"] = object{
		"createRequest":      object{"requestId": id, "conferenceSolutionKey": object{"type": "hangoutsMeet"}, "status": object{"statusCode": "success"}},
		"entryPoints":        []any{object{"entryPointType": "video", "uri": link, "label": strings.TrimPrefix(link, "https://")}},
		"conferenceSolution": object{"key": object{"type": "hangoutsMeet"}, "name": "Google Meet", "iconUri": link + "/icon.png"},
		"conferenceId":       code,
	}
	return answer{}
}

// quickAdd understands a date, a time of day and "tomorrow"; the rest is the title.
func (s *Sandbox) quickAdd(c *call) answer {
	if wrong := mayWrite(c, "text", "sendUpdates"); wrong.status != 0 {
		return wrong
	}
	text := strings.TrimSpace(c.URL.Query().Get("text"))
	switch {
	case text == "":
		return googleError(http.StatusBadRequest, "Missing required parameter: text", "required", object{"location": "text", "locationType": "parameter"})
	case len(c.body) > 0:
		return googleBad("Parse Error: quickAdd has no body.", "parseError")
	}
	cal := s.own(c, c.PathValue("calendar"))
	if cal == nil {
		return googleNotFound()
	}
	id, _ := s.eventID(cal, object{})
	return s.add(c, cal, id, quickly(text, s.cfg.Now().In(cal.location())))
}
