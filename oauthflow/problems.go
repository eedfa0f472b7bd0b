package oauthflow

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// What can go wrong, as far as a page tells people apart what to do.
var (
	errNotFound      = errors.New("no such page")
	errHost          = errors.New("a request for another host")
	errCrossOrigin   = errors.New("a form from another site")
	errNoTicket      = errors.New("the ticket is unknown, used or expired")
	errWrongPerson   = errors.New("the ticket is somebody else's")
	errNoFlow        = errors.New("nothing waits for this answer")
	errOtherBrowser  = errors.New("another browser session asked for this")
	errForgotten     = errors.New("the person was forgotten meanwhile")
	errHalfForgotten = errors.New("a forgetting is not complete")
	errMixedUp       = errors.New("the answer came to another provider's address")
	errIssuer        = errors.New("wrong issuer (RFC 9207)")
	errDenied        = errors.New("the person said no")
	errProviderSaid  = errors.New("the provider answered with an error")
	errSignIn        = errors.New("the sign-in failed")
	errTooMany       = errors.New("too many sign-ins begin")
	errNotSignedIn   = errors.New("the issuer answered the sign-in with no")
)

// problemPages is the one place where an error becomes a status and a page; text
// names a template in problems.html. The first match counts.
var problemPages = []struct {
	err         error
	status      int
	title, text string
}{
	{errNotFound, http.StatusNotFound, "There is no such page", "notfound"},
	{errNoProvider, http.StatusNotFound, "There is no such provider here", "noprovider"},
	{errHost, http.StatusMisdirectedRequest, "This server goes by another name", "host"},
	{errCrossOrigin, http.StatusForbidden, "This came from another site", "crossorigin"},
	{errTooMany, http.StatusTooManyRequests, "Too many sign-ins at once", "toomany"},
	{errNotSignedIn, http.StatusBadRequest, "You are not signed in", "signin"},
	{errSignIn, http.StatusBadGateway, "You are not signed in", "signin"},
	{errWrongPerson, http.StatusForbidden, "This link is for somebody else", "wrongperson"},
	{errNoTicket, http.StatusGone, "This link no longer works", "noticket"},
	{errNoFlow, http.StatusGone, "This answer was used already, or came too late", "noflow"},
	{errOtherBrowser, http.StatusForbidden, "This was not started here", "otherbrowser"},
	{errForgotten, http.StatusGone, "You were forgotten meanwhile", "forgotten"},
	{errHalfForgotten, http.StatusInternalServerError, "Not all of it is gone", "halfforgotten"},
	{errMixedUp, http.StatusBadRequest, "Something got mixed up", "mixedup"},
	{errIssuer, http.StatusBadRequest, "Something got mixed up", "mixedup"},
	{errDenied, http.StatusOK, "Nothing was connected", "denied"},
	{errProviderSaid, http.StatusBadGateway, "Nothing was connected", "providersaid"},
	{errProviderDown, http.StatusBadGateway, "The provider could not be reached", "providerdown"},
	{identity.ErrSignedOut, http.StatusUnauthorized, "You are signed out", "signedout"},
	{store.ErrConflict, http.StatusConflict, "Something changed in between", "conflict"},
	{nil, http.StatusInternalServerError, "That did not work", "internal"},
}

// A problem is one of the errors above with what its page fills in.
type problem struct {
	kind     error
	cause    error  // for the log; may be nil
	provider string // the provider's title
	path     string // the local path to go to for another try
	name     string // who is signed in
}

func (p *problem) Error() string {
	if p.cause == nil {
		return p.kind.Error()
	}
	return fmt.Sprintf("%v: %v", p.kind, p.cause)
}

func (p *problem) Unwrap() []error { return []error{p.kind, p.cause} }

// A handler is an http.Handler that leaves its errors to the adapter.
type handler func(http.ResponseWriter, *http.Request) error

// adapt makes h an http.Handler: an error becomes its page.
func (f *Flow) adapt(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			f.fail(w, r, err)
		}
	})
}

// fail logs err, by the route's pattern: the URL may hold a ticket or a code.
func (f *Flow) fail(w http.ResponseWriter, r *http.Request, err error) {
	said := &problem{}
	errors.As(err, &said)
	for _, p := range problemPages {
		if p.err != nil && !errors.Is(err, p.err) {
			continue
		}
		level := slog.LevelInfo
		if p.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		f.Log.Log(r.Context(), level, "a page refused", "page", r.Pattern, "status", p.status, "error", err)
		f.show(w, r, p.status, view{Title: p.title, Name: "problem", SignedIn: said.name, Data: problemData{
			Text: p.text, Provider: said.provider, Path: said.path, Public: f.PublicURL,
		}})
		return
	}
}

type problemData struct{ Text, Provider, Path, Public string }
