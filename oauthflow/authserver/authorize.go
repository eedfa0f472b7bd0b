package authserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
)

const (
	maxQuery = 8 << 10
	codeLife = time.Minute
)

// challengeS256 is base64url(SHA-256) (RFC 7636, section 4.2).
var challengeS256 = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// A request is an authorization request whose every part has been checked.
type request struct {
	ClientID    string
	RedirectURI string
	State       string
	Nonce       string
	Challenge   string // S256
	Scopes      []string
	Refresh     bool // the client registered for refresh tokens
}

// A code is what an authorization code stands for. Used codes stay until they
// expire, so that a second use is seen for what it is.
type code struct {
	Request  request
	Subject  string
	Name     string
	SignedIn time.Time
	Used     bool
}

// authorize is the authorization endpoint (RFC 6749, section 3.1). It has no side
// effect beyond tickets and, for our own pages, a code.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) error {
	query, err := authorizeQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	c, redirectURI, err := s.trust(r, query)
	if err != nil {
		return err
	}
	// From here on the redirect URI is the client's own: it may learn of errors.
	req, err := s.parse(query, c, redirectURI)
	var wrong *oauthError
	if errors.As(err, &wrong) {
		s.log.InfoContext(r.Context(), "authorization refused", "client", c.ID, "error", wrong.code)
		return s.refuse(w, c, request{RedirectURI: redirectURI, State: query.Get("state")}, wrong)
	}
	if err != nil {
		return err
	}
	who, ok := s.session(r)
	if !ok || asksWho(query) {
		return s.askWho(w, r, query, c)
	}
	if c.pages {
		return s.grant(r.Context(), w, req, who)
	}
	return s.askConsent(w, r, c, req, who)
}

// authorizeQuery parses the query; nothing but resource may be there twice
// (RFC 6749, section 3.1).
func authorizeQuery(raw string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil || len(raw) > maxQuery {
		return nil, badLink("The link is damaged or too long.")
	}
	for name, values := range query {
		if len(values) > 1 && name != "resource" {
			return nil, badLink("The link says one thing twice.")
		}
		if !utf8.ValidString(strings.Join(values, "")) {
			return nil, badLink("The link is damaged.")
		}
	}
	return query, nil
}

func badLink(why string) error {
	return &pageError{http.StatusBadRequest, "This link doesn't work",
		why + " Go back to your app and connect again from there; if it stays like this, the app needs a fix."}
}

// trust finds the client and checks the redirect URI. Until then nothing is sent
// anywhere: errors are pages.
func (s *Server) trust(r *http.Request, query url.Values) (client, string, error) {
	id := query.Get("client_id")
	if isDocumentID(id) && !s.documents.known(id) && !s.lookUps.Allow(r) {
		return client{}, "", &pageError{http.StatusTooManyRequests, "Too many apps at once", "Wait a minute, then go back to your app and connect again from there."}
	}
	c, err := s.client(r.Context(), id)
	if errors.Is(err, errUnknownClient) {
		return c, "", &pageError{http.StatusBadRequest, "This app is unknown here",
			"It asked under a name that doesn't work (" + err.Error() + "). Remove this server from the app, add it again, and connect from there."}
	}
	if err != nil {
		return c, "", err
	}
	redirectURI := query.Get("redirect_uri")
	if redirectURI == "" && len(c.RedirectURIs) == 1 {
		redirectURI = c.RedirectURIs[0]
	}
	if !c.redirects(redirectURI) {
		return c, "", badLink("The app wants the answer sent to an address that it never registered, so nothing was sent.")
	}
	return c, redirectURI, nil
}

// parse checks all that is left. Its *oauthError may go to the client.
func (s *Server) parse(query url.Values, c client, redirectURI string) (request, error) {
	req := request{
		ClientID: c.ID, RedirectURI: redirectURI, State: query.Get("state"),
		Nonce: query.Get("nonce"), Challenge: query.Get("code_challenge"),
		Refresh: slices.Contains(c.GrantTypes, grantRefresh),
	}
	if err := checkShape(query); err != nil {
		return req, err
	}
	if !s.ours(query["resource"]) {
		return req, badRequest("invalid_target", "the only resource here is "+s.cfg.Resource)
	}
	var err error
	req.Scopes, err = s.grantable(query.Get("scope"), c)
	return req, err
}

func checkShape(query url.Values) error {
	switch {
	case query.Has("request"):
		return badRequest("request_not_supported", "request objects are not supported")
	case query.Has("request_uri"):
		return badRequest("request_uri_not_supported", "request objects are not supported")
	case query.Get("response_type") == "":
		return badRequest("invalid_request", "response_type is missing: use code")
	case query.Get("response_type") != responseCode:
		return badRequest("unsupported_response_type", "only the response_type code is supported")
	case query.Get("response_mode") != "" && query.Get("response_mode") != "query":
		return badRequest("invalid_request", "only the response_mode query is supported")
	case query.Get("code_challenge_method") != "S256":
		return badRequest("invalid_request", "PKCE is required: code_challenge_method must be S256")
	case !challengeS256.MatchString(query.Get("code_challenge")):
		return badRequest("invalid_request", "PKCE is required: code_challenge must be 43 base64url characters")
	case slices.Contains(prompts(query), "none"):
		return badRequest("login_required", "a person has to be asked: leave out prompt=none")
	}
	return nil
}

// asksWho reports whether the client wants the person to sign in anew.
func asksWho(query url.Values) bool {
	prompt := prompts(query)
	return slices.Contains(prompt, "login") || slices.Contains(prompt, "select_account")
}

func prompts(query url.Values) []string { return strings.Fields(query.Get("prompt")) }

// ours reports whether every resource asked for is ours (RFC 8707). There is only
// one, so that a client that names none means that one. Of a URL, scheme and host
// have no case; all else is compared as it is.
func (s *Server) ours(resources []string) bool {
	path, ok := strings.CutPrefix(s.cfg.Resource, s.cfg.Issuer)
	return !slices.ContainsFunc(resources, func(r string) bool {
		origin, under := strings.CutSuffix(r, path)
		sameOrigin := ok && under && strings.EqualFold(origin, s.cfg.Issuer)
		return r != s.cfg.Resource && !sameOrigin
	})
}

// grantable is what of asked can be granted, in our order: unknown scopes are
// dropped (RFC 6749, section 3.3), and who names none gets all of the resource's.
// Our pages get openid alone, and nobody else does.
func (s *Server) grantable(asked string, c client) ([]string, error) {
	offered := append(slices.Clone(s.cfg.Scopes), scopeOffline)
	if c.pages {
		offered = []string{scopeOpenID}
	} else if strings.TrimSpace(asked) == "" {
		return slices.Clone(s.cfg.Scopes), nil
	}
	names := strings.Fields(asked)
	granted := slices.DeleteFunc(offered, func(scope string) bool { return !slices.Contains(names, scope) })
	if len(granted) == 0 {
		return nil, badRequest("invalid_scope", "none of these scopes exist here: ask for "+strings.Join(s.cfg.Scopes, " "))
	}
	return granted, nil
}

// grant makes a code and sends it to the client.
func (s *Server) grant(ctx context.Context, w http.ResponseWriter, req request, who session) error {
	value := rand.Text() + rand.Text()
	err := s.codes.Put(ctx, value, s.owner(who.Subject), codeLife, code{
		Request: req, Subject: who.Subject, Name: who.Name, SignedIn: who.SignedIn,
	})
	if err != nil {
		return fmt.Errorf("authorization code: %w", err)
	}
	return s.answer(w, req, url.Values{"code": {value}})
}

// refuse answers a request that no person has seen yet. Anybody can register any
// site, so that sending a browser there by itself would make an open redirector of
// us (RFC 9700, section 4.11.2): a page asks first, but where the answer stays on
// the person's computer.
func (s *Server) refuse(w http.ResponseWriter, c client, req request, e *oauthError) error {
	site := siteOf(req.RedirectURI)
	if c.pages || site == "" {
		return s.fail(w, req, e)
	}
	return s.show(w, http.StatusBadRequest, page.Page{Title: "This request can't be answered"}, "refused", map[string]any{
		"Client": c.title(), "Why": e.description, "Site": site, "Back": s.answerURL(req, e.values()),
	})
}

// fail sends an error to the client (RFC 6749, section 4.1.2.1).
func (s *Server) fail(w http.ResponseWriter, req request, e *oauthError) error {
	return s.answer(w, req, e.values())
}

func (e *oauthError) values() url.Values {
	return url.Values{"error": {e.code}, "error_description": {e.description}}
}

func (s *Server) answer(w http.ResponseWriter, req request, params url.Values) error {
	return redirect(w, s.answerURL(req, params))
}

// answerURL is where an answer goes; every answer says who sends it (RFC 9207).
func (s *Server) answerURL(req request, params url.Values) string {
	params.Set("iss", s.cfg.Issuer)
	if req.State != "" {
		params.Set("state", req.State)
	}
	return withParameters(req.RedirectURI, params)
}
