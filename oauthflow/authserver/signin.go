package authserver

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
)

// askWho lets a person say who they are: a page with made-up people in the demo,
// the upstream issuer otherwise.
func (s *Server) askWho(w http.ResponseWriter, r *http.Request, query url.Values, c client) error {
	if s.upstream != nil {
		return s.goUpstream(w, r, query)
	}
	return s.show(w, http.StatusOK, page.Page{Title: "Who are you?"}, "signin", map[string]any{
		"People": s.cfg.People, "Client": c.title(), "Pages": c.pages, "Request": query.Encode(),
	})
}

// signIn signs a made-up person in. It exists in the demo only.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	person := r.PostForm.Get("person")
	if !slices.Contains(s.cfg.People, person) {
		return &pageError{http.StatusForbidden, "Nobody here has that name",
			"Go back and choose one of the people that the page lists."}
	}
	query, err := authorizeQuery(r.PostForm.Get("request"))
	if err != nil {
		return err
	}
	s.log.InfoContext(r.Context(), "signed in", "subject", person)
	return s.start(w, person, person, query)
}
