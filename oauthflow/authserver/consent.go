package authserver

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
	"github.com/latchkey-mcp/latchkey/store"
)

const consentLife = 10 * time.Minute

// A consent is a question that a person is looking at: one request, in one
// session. It is kept under the ticket in the form, and used up by the answer.
type consent struct {
	Session string
	Request request
}

// askConsent asks every time: anybody can register any name, and any program on
// the computer can listen on loopback.
func (s *Server) askConsent(w http.ResponseWriter, r *http.Request, c client, req request, who session) error {
	ticket := rand.Text()
	err := s.consents.Put(r.Context(), ticket, s.owner(who.Subject), consentLife, consent{who.ID, req})
	if err != nil {
		return err
	}
	p := page.Page{
		Title: "Allow this app?", SignedIn: who.Name,
		FormTargets: []string{req.RedirectURI},
	}
	return s.show(w, http.StatusOK, p, "consent", map[string]any{
		"Ticket": ticket, "Client": c.title(), "ClientID": c.ID, "Host": c.host(),
		"Redirect": redirectLabel(req.RedirectURI), "Who": who.Name,
		"Scopes": inPlainWords(req), "Local": siteOf(req.RedirectURI) == "", "Switch": switchLink(r.URL.Query()),
	})
}

// switchLink is the same request, asking who it is first.
func switchLink(query url.Values) string {
	query.Set("prompt", "login")
	return "/authorize?" + query.Encode()
}

// decide takes the answer: the ticket must be unused, and of this very session.
func (s *Server) decide(w http.ResponseWriter, r *http.Request) error {
	over := &pageError{http.StatusForbidden, "This question is over",
		"It was answered already, took too long, or was asked of somebody else. Go back to your app and connect again from there."}
	who, ok := s.session(r)
	if !ok {
		return over
	}
	item, err := s.consents.Take(r.Context(), r.PostForm.Get("ticket"))
	if errors.Is(err, store.ErrNotFound) {
		return over
	}
	if err != nil {
		return err
	}
	asked := item.Value
	if subtle.ConstantTimeCompare([]byte(asked.Session), []byte(who.ID)) != 1 {
		s.log.WarnContext(r.Context(), "consent of another session", "subject", who.Subject, "client", asked.Request.ClientID)
		return over
	}
	if r.PostForm.Get("answer") != "allow" {
		s.log.InfoContext(r.Context(), "consent denied", "subject", who.Subject, "client", asked.Request.ClientID)
		return s.fail(w, asked.Request, &oauthError{code: "access_denied", description: "the person said no"})
	}
	s.log.InfoContext(r.Context(), "consent given", "subject", who.Subject, "client", asked.Request.ClientID)
	if err := s.keep(r.Context(), asked.Request.ClientID); err != nil {
		return err
	}
	return s.grant(r.Context(), w, asked.Request, who)
}

var plainWords = map[string]string{
	"tools:read":  "Use the tools that read: look at what is in the accounts you connected",
	"tools:write": "Use the tools that change things in the accounts you connected",
}

// inPlainWords is what a yes to req allows. It is the refresh token that keeps an
// app connected: who registered for it gets one, with or without offline_access.
func inPlainWords(req request) []string {
	words := make([]string, 0, len(req.Scopes))
	for _, scope := range req.Scopes {
		if scope == scopeOffline {
			continue
		}
		text, ok := plainWords[scope]
		if !ok {
			text = scope
		}
		words = append(words, text)
	}
	if req.Refresh {
		words = append(words, "Stay connected while you are away")
	}
	return words
}
