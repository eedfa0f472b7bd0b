package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	githubAppLife     = 8 * time.Hour
	githubRefreshLife = 184 * 24 * time.Hour
	githubErrorURI    = "/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/"
)

// githubContainer is the scope that contains scope, "" where none does, and
// whether GitHub knows scope at all.
func githubContainer(scope string) (container string, known bool) {
	switch scope {
	case "public_repo", "repo:status", "repo_deployment", "repo:invite", "security_events":
		return "repo", true
	case "read:user", "user:email", "user:follow":
		return "user", true
	case "read:org":
		return "write:org", true
	case "write:org":
		return "admin:org", true
	case "read:project":
		return "project", true
	case "repo", "user", "admin:org", "project", "gist", "notifications", "workflow", "delete_repo":
		return "", true
	}
	return "", false
}

// githubNormal is what GitHub grants of a scope parameter: it silently leaves out
// what it doesn't know and what another scope contains.
func githubNormal(parameter string) []string {
	asked := strings.FieldsFunc(parameter, func(r rune) bool { return r == ' ' || r == ',' })
	contained := func(scope string) bool {
		for container, _ := githubContainer(scope); container != ""; container, _ = githubContainer(container) {
			if slices.Contains(asked, container) {
				return true
			}
		}
		return false
	}
	return sorted(slices.DeleteFunc(asked, func(scope string) bool {
		_, known := githubContainer(scope)
		return !known || contained(scope)
	}))
}

// githubRequest checks an authorization request. redirectURI is "" where the
// answer is a page of GitHub's own.
func (s *Sandbox) githubRequest(c *call, q url.Values) (redirectURI string, wrong answer) {
	client := s.cfg.GitHub
	if q.Get("client_id") != client.ID {
		return "", errorPage(http.StatusNotFound, githubName, "No such application",
			"No OAuth application is registered under this client_id.")
	}
	redirectURI = q.Get("redirect_uri")
	if redirectURI == "" {
		redirectURI = client.RedirectURIs[0]
	}
	if !slices.Contains(client.RedirectURIs, redirectURI) {
		return "", errorPage(http.StatusBadRequest, githubName, "redirect_uri_mismatch",
			"The redirect_uri is not associated with this application.")
	}
	if badChallenge(q) {
		return "", redirect(redirectURI, url.Values{"error": {"invalid_request"},
			"error_description": {"The code_challenge must be S256."}, "state": q["state"]})
	}
	return redirectURI, answer{}
}

func (s *Sandbox) githubAuthorize(c *call) answer {
	q := c.URL.Query()
	if redirectURI, wrong := s.githubRequest(c, q); redirectURI == "" {
		return wrong
	}
	view := consent{Provider: githubName, Client: "Latchkey", Parameters: q}
	for _, p := range people() {
		view.People = append(view.People, choice{ID: p.Key, Account: p.Login, Text: "Authorize as " + p.Name + " (@" + p.Login + ")"})
	}
	if s.cfg.GitHubApp {
		view.Fixed = []string{"Act on your behalf, with the permissions of the app"}
	} else {
		view.Fixed = githubNormal(q.Get("scope"))
	}
	return consentPage(view)
}

// githubDecide is the press of a button on the page.
func (s *Sandbox) githubDecide(c *call) answer {
	q := c.form()
	redirectURI, wrong := s.githubRequest(c, q)
	if redirectURI == "" {
		return wrong
	}
	p, ok := personByLogin(q.Get("account"))
	if !ok {
		return redirect(redirectURI, url.Values{"error": {"access_denied"},
			"error_description": {"The user has denied your application access."}, "state": q["state"]})
	}
	raw := s.newCode(code{Provider: githubName, Client: s.cfg.GitHub.ID, Account: p.Login,
		Redirect: q.Get("redirect_uri"), Challenge: q.Get("code_challenge"), Scopes: s.githubGranted(q, p)})
	return redirect(redirectURI, url.Values{"code": {raw}, "state": q["state"]})
}

// githubGranted is what the token will have: nothing for an App; what the person
// granted before where the request names no scope.
func (s *Sandbox) githubGranted(q url.Values, p person) []string {
	switch {
	case s.cfg.GitHubApp:
		return nil
	case q.Get("scope") == "":
		return s.granted(githubName, p.Login)
	}
	return githubNormal(q.Get("scope"))
}

func (s *Sandbox) githubToken(c *call) answer {
	form := c.form()
	if id, secret := c.credentials(form); !s.cfg.GitHub.authenticates(id, secret) {
		return githubTokenError(c, "incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
	}
	switch form.Get("grant_type") {
	case "", "authorization_code":
		return s.githubRedeem(c, form)
	case "refresh_token":
		return s.githubRefresh(c, form)
	}
	return githubTokenError(c, "unsupported_grant_type", "The grant type is not supported.")
}

func (s *Sandbox) githubRedeem(c *call, form url.Values) answer {
	if uri := form.Get("redirect_uri"); uri != "" && !slices.Contains(s.cfg.GitHub.RedirectURIs, uri) {
		return githubTokenError(c, "redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application.")
	}
	granted, wrong := s.redeem(githubName, form)
	if wrong != "" {
		return githubTokenError(c, "bad_verification_code", "The code passed is incorrect or expired.")
	}
	c.who = granted.Account
	return githubTokenAnswer(c, s.githubTokens(token{Provider: githubName, Client: granted.Client,
		Account: granted.Account, Scopes: granted.Scopes, Family: random()}))
}

// githubRefresh spends the refresh token and ends its access token.
func (s *Sandbox) githubRefresh(c *call, form url.Values) answer {
	old := s.refresh(githubName, form.Get("refresh_token"))
	if old == nil || old.Spent {
		return githubTokenError(c, "bad_refresh_token", "The refresh token passed is incorrect or expired.")
	}
	c.who = old.Account
	next := *old
	old.Spent = true
	s.drop(func(t *token) bool { return t.Family == old.Family && !t.Refresh })
	return githubTokenAnswer(c, s.githubTokens(next))
}

// githubTokens issues what the client's kind gets, for the grant that t describes.
func (s *Sandbox) githubTokens(t token) url.Values {
	access, refresh := t, t
	access.Refresh, access.Expires = false, time.Time{}
	out := url.Values{"token_type": {"bearer"}, "scope": {strings.Join(t.Scopes, ",")}}
	if !s.cfg.GitHubApp {
		out.Set("access_token", s.issue("gho_", access))
		return out
	}
	now := s.cfg.Now()
	access.Expires = now.Add(githubAppLife)
	refresh.Refresh, refresh.Expires = true, now.Add(githubRefreshLife)
	out.Set("access_token", s.issue("ghu_", access))
	out.Set("refresh_token", s.issue("ghr_", refresh))
	out.Set("expires_in", "28800")
	out.Set("refresh_token_expires_in", "15897600")
	return out
}

// githubTokenError has status 200, as GitHub's has.
func githubTokenError(c *call, name, description string) answer {
	return githubTokenAnswer(c, url.Values{"error": {name}, "error_description": {description},
		"error_uri": {githubErrorURI + "#" + strings.ReplaceAll(name, "_", "-")}})
}

// githubTokenAnswer is a form, or JSON where the client asks for it.
func githubTokenAnswer(c *call, values url.Values) answer {
	if !strings.Contains(c.Header.Get("Accept"), "json") {
		return answer{status: http.StatusOK, body: []byte(values.Encode())}.
			with("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	out := map[string]any{}
	for name := range values {
		if strings.HasSuffix(name, "expires_in") {
			out[name] = json.Number(values.Get(name))
		} else {
			out[name] = values.Get(name)
		}
	}
	return answer{status: http.StatusOK, body: out}
}

// githubRevoke is DELETE /applications/{client}/token and …/grant: one token, or
// all that its account gave to the application.
func (s *Sandbox) githubRevoke(c *call) answer {
	id, secret, _ := c.BasicAuth()
	if !s.cfg.GitHub.authenticates(id, secret) {
		return githubError(http.StatusUnauthorized, "Bad credentials")
	}
	what := c.PathValue("what")
	if c.PathValue("client") != id || what != "token" && what != "grant" {
		return githubNotFound()
	}
	var in struct {
		AccessToken string `json:"access_token"`
	}
	if wrong := decodeStrict(c.body, &in, "access_token"); wrong != nil || in.AccessToken == "" {
		return githubInvalid(fieldError{Resource: "OauthAccess", Field: "access_token", Code: "missing_field"})
	}
	t := s.access(githubName, in.AccessToken)
	if t == nil {
		return githubNotFound()
	}
	c.who = t.Account
	if what == "grant" {
		s.dropGrant(githubName, id, t.Account)
	} else {
		s.drop(func(other *token) bool { return other.Family == t.Family })
	}
	return answer{status: http.StatusNoContent}
}
