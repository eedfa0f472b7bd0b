package authserver

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
)

// A handler answers a request, or returns what went wrong for its adapter to write.
type handler func(w http.ResponseWriter, r *http.Request) error

// A pageError is for a person: what happened, and what to do next.
type pageError struct {
	status      int
	title, text string
}

func (e *pageError) Error() string { return e.title }

// An oauthError is for a client: an error code of RFC 6749 (sections 4.1.2.1 and
// 5.2), RFC 7591 or RFC 8707. status is used where it is answered as JSON.
type oauthError struct {
	status            int
	code, description string
}

func (e *oauthError) Error() string { return e.code + ": " + e.description }

func badRequest(code, description string) error {
	return &oauthError{http.StatusBadRequest, code, description}
}

// browser writes h's errors as pages.
func (s *Server) browser(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		var known *pageError
		if !errors.As(err, &known) {
			s.log.ErrorContext(r.Context(), "authorization server", "path", r.URL.Path, "error", err)
			known = &pageError{http.StatusInternalServerError, "Something went wrong here",
				"Nothing was changed. Try again in a minute; if it stays like this, tell whoever runs this server."}
		}
		if err := s.show(w, known.status, page.Page{Title: known.title}, "error", known.text); err != nil {
			s.log.ErrorContext(r.Context(), "error page", "error", err)
		}
	})
}

// api writes h's errors as OAuth error JSON. Nothing that passes here is cached.
func (s *Server) api(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		err := h(w, r)
		if err == nil {
			return
		}
		var known *oauthError
		if !errors.As(err, &known) {
			s.log.ErrorContext(r.Context(), "authorization server", "path", r.URL.Path, "error", err)
			known = &oauthError{http.StatusInternalServerError, "server_error", "something went wrong here: try again in a minute"}
		}
		_ = writeJSON(w, known.status, map[string]string{"error": known.code, "error_description": known.description})
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, err = w.Write(b)
	return err
}
