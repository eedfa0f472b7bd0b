package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	calendarScope      = "https://www.googleapis.com/auth/calendar"
	emailScope         = "https://www.googleapis.com/auth/userinfo.email"
	profileScope       = "https://www.googleapis.com/auth/userinfo.profile"
	googleAccessLife   = time.Hour
	googleRefreshIdle  = 183 * 24 * time.Hour
	googleRevokedToken = "Token has been expired or revoked."
)

// googleScopeText is what the consent page says of a scope; ok is false for one
// that the sandbox's Google doesn't have.
func googleScopeText(scope string) (text string, ok bool) {
	switch scope {
	case "openid":
		return "Know who you are", true
	case emailScope:
		return "See your e-mail address", true
	case profileScope:
		return "See your name and picture", true
	case calendarScope:
		return "See, change, share and delete all calendars", true
	case calendarScope + ".readonly":
		return "See all calendars and their events", true
	case calendarScope + ".events":
		return "See and change events on all calendars", true
	case calendarScope + ".events.readonly":
		return "See events on all calendars", true
	case calendarScope + ".events.owned":
		return "See and change events on calendars you own", true
	case calendarScope + ".events.owned.readonly":
		return "See events on calendars you own", true
	case calendarScope + ".calendarlist":
		return "See and change the list of your calendars", true
	case calendarScope + ".calendarlist.readonly":
		return "See the list of your calendars", true
	case calendarScope + ".freebusy":
		return "See when you are busy", true
	case calendarScope + ".events.freebusy":
		return "See when calendars that you have access to are busy", true
	case calendarScope + ".calendars.readonly":
		return "See the title, zone and other properties of your calendars", true
	}
	return "", false
}

// googleNormal splits a scope parameter; Google renames email and profile.
func googleNormal(parameter string) []string {
	var scopes []string
	for _, scope := range strings.Fields(parameter) {
		switch scope {
		case "email":
			scope = emailScope
		case "profile":
			scope = profileScope
		}
		scopes = append(scopes, scope)
	}
	return sorted(scopes)
}

// signIn says whether scope is about who the person is; those can't be unticked.
func signIn(scope string) bool {
	return scope == "openid" || scope == emailScope || scope == profileScope
}

func googleDiscovery(c *call) answer {
	return answer{status: http.StatusOK, body: object{
		"issuer":                                         c.base,
		"authorization_endpoint":                         c.base + "/o/oauth2/v2/auth",
		"token_endpoint":                                 c.base + "/token",
		"revocation_endpoint":                            c.base + "/revoke",
		"userinfo_endpoint":                              c.base + "/v1/userinfo",
		"jwks_uri":                                       c.base + "/oauth2/v3/certs",
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"RS256"},
		"scopes_supported":                               []string{"openid", "email", "profile"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_post", "client_secret_basic"},
		"claims_supported":                               []string{"aud", "email", "email_verified", "exp", "iat", "iss", "name", "sub"},
		"code_challenge_methods_supported":               []string{"S256"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"authorization_response_iss_parameter_supported": true,
	}}
}

// googleRequest checks an authorization request; ok says that redirect_uri is
// good and that the person may be asked.
func (s *Sandbox) googleRequest(c *call, q url.Values) (ok bool, wrong answer) {
	page := func(status int, title, text string) (bool, answer) {
		return false, errorPage(status, googleName, title, text)
	}
	for name, values := range q {
		if len(values) > 1 && name != "granted" {
			return page(http.StatusBadRequest, "invalid_request", "OAuth 2 parameters can only have a single value: "+name)
		}
	}
	switch {
	case q.Get("client_id") != s.cfg.Google.ID:
		return page(http.StatusUnauthorized, "invalid_client", "The OAuth client was not found.")
	case !slices.Contains(s.cfg.Google.RedirectURIs, q.Get("redirect_uri")):
		return page(http.StatusBadRequest, "redirect_uri_mismatch", "The redirect_uri is not registered for this client.")
	case q.Get("response_type") != "code":
		return page(http.StatusBadRequest, "unsupported_response_type", "The response_type must be code.")
	case strings.TrimSpace(q.Get("scope")) == "":
		return page(http.StatusBadRequest, "invalid_request", "Missing required parameter: scope")
	case badChallenge(q):
		return page(http.StatusBadRequest, "invalid_request", "The code_challenge must be S256.")
	case !slices.Contains([]string{"", "online", "offline"}, q.Get("access_type")):
		return page(http.StatusBadRequest, "invalid_request", "Invalid parameter value for access_type: it is online or offline.")
	}
	for _, scope := range googleNormal(q.Get("scope")) {
		if _, known := googleScopeText(scope); !known {
			return page(http.StatusBadRequest, "invalid_scope", "Some requested scopes were invalid: "+scope)
		}
	}
	return s.googlePrompt(c, q)
}

// googlePrompt checks the prompt parameter.
func (s *Sandbox) googlePrompt(c *call, q url.Values) (ok bool, wrong answer) {
	for _, prompt := range strings.Fields(q.Get("prompt")) {
		switch prompt {
		case "consent", "select_account":
		case "none":
			return false, googleRedirect(c, q, url.Values{"error": {"interaction_required"}})
		default:
			return false, errorPage(http.StatusBadRequest, googleName, "invalid_request", "Invalid parameter value for prompt: "+prompt)
		}
	}
	return true, answer{}
}

// googleRedirect answers with state and RFC 9207's iss.
func googleRedirect(c *call, q, result url.Values) answer {
	result.Set("iss", c.base)
	if q.Has("state") {
		result.Set("state", q.Get("state"))
	}
	return redirect(q.Get("redirect_uri"), result)
}

func (s *Sandbox) googleAuthorize(c *call) answer {
	q := c.URL.Query()
	if ok, wrong := s.googleRequest(c, q); !ok {
		return wrong
	}
	view := consent{Provider: googleName, Client: "Latchkey", Parameters: q}
	for _, scope := range googleNormal(q.Get("scope")) {
		text, _ := googleScopeText(scope)
		if signIn(scope) {
			view.Fixed = append(view.Fixed, text)
		} else {
			view.Optional = append(view.Optional, scopeBox{"scope-" + scope[strings.LastIndex(scope, "/")+1:], scope, text})
		}
	}
	for _, p := range people() {
		view.People = append(view.People, choice{ID: p.Key, Account: p.Email, Text: "Continue as " + p.Name + " (" + p.Email + ")"})
	}
	return consentPage(view)
}

// googleDecide is the press of a button on the page.
func (s *Sandbox) googleDecide(c *call) answer {
	q := c.form()
	if ok, wrong := s.googleRequest(c, q); !ok {
		return wrong
	}
	p, ok := personByEmail(q.Get("account"))
	scopes := slices.DeleteFunc(googleNormal(q.Get("scope")), func(scope string) bool {
		return !signIn(scope) && !slices.Contains(q["granted"], scope)
	})
	if !ok || len(scopes) == 0 {
		return googleRedirect(c, q, url.Values{"error": {"access_denied"}})
	}
	if q.Get("include_granted_scopes") == "true" {
		scopes = sorted(append(scopes, s.granted(googleName, p.Email)...))
	}
	raw := s.newCode(code{Provider: googleName, Client: s.cfg.Google.ID, Account: p.Email,
		Redirect: q.Get("redirect_uri"), Challenge: q.Get("code_challenge"), Nonce: q.Get("nonce"), Scopes: scopes,
		Offline: q.Get("access_type") == "offline" && slices.Contains(strings.Fields(q.Get("prompt")), "consent")})
	return googleRedirect(c, q, url.Values{"code": {raw}, "scope": {strings.Join(scopes, " ")}})
}

func oauthError(status int, name, description string) answer {
	return answer{status: status, body: object{"error": name, "error_description": description}}
}

func (s *Sandbox) googleToken(c *call) answer {
	form := c.form()
	id, secret := c.credentials(form)
	switch {
	case id != s.cfg.Google.ID:
		return oauthError(http.StatusUnauthorized, "invalid_client", "The OAuth client was not found.")
	case !s.cfg.Google.authenticates(id, secret):
		return oauthError(http.StatusUnauthorized, "invalid_client", "Unauthorized")
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		return s.googleRedeem(c, form)
	case "refresh_token":
		return s.googleRefresh(c, form)
	}
	return oauthError(http.StatusBadRequest, "unsupported_grant_type", "Invalid grant_type: "+form.Get("grant_type"))
}

func (s *Sandbox) googleRedeem(c *call, form url.Values) answer {
	granted, wrong := s.redeem(googleName, form)
	switch wrong {
	case unknown:
		return oauthError(http.StatusBadRequest, "invalid_grant", "Bad Request")
	case wrongRedirect:
		return oauthError(http.StatusBadRequest, "redirect_uri_mismatch", "Bad Request")
	case missingVerifier:
		return oauthError(http.StatusBadRequest, "invalid_grant", "Missing code verifier.")
	case wrongVerifier:
		return oauthError(http.StatusBadRequest, "invalid_grant", "Invalid code verifier.")
	}
	c.who = granted.Account
	t := token{Provider: googleName, Client: granted.Client, Account: granted.Account, Scopes: granted.Scopes, Family: random()}
	out := s.googleTokens(t, granted.Offline)
	if slices.Contains(granted.Scopes, "openid") {
		signed, err := s.idToken(c.base, granted)
		if err != nil {
			return text(http.StatusInternalServerError, "The sandbox can't sign: "+err.Error())
		}
		out["id_token"] = signed
	}
	return answer{status: http.StatusOK, body: out}
}

// googleRefresh rotates the refresh token. One that comes a second time was
// stolen or raced, and ends its whole family (RFC 9700, section 4.14).
func (s *Sandbox) googleRefresh(c *call, form url.Values) answer {
	old := s.refresh(googleName, form.Get("refresh_token"))
	if old == nil {
		return oauthError(http.StatusBadRequest, "invalid_grant", googleRevokedToken)
	}
	c.who = old.Account
	if old.Spent {
		s.drop(func(t *token) bool { return t.Family == old.Family })
		return oauthError(http.StatusBadRequest, "invalid_grant", googleRevokedToken)
	}
	next := *old
	if scope := form.Get("scope"); scope != "" {
		next.Scopes = googleNormal(scope)
		for _, asked := range next.Scopes {
			if !old.has(asked) {
				return oauthError(http.StatusBadRequest, "invalid_scope", "The scope was not granted: "+asked)
			}
		}
	}
	old.Spent = true
	return answer{status: http.StatusOK, body: s.googleTokens(next, true)}
}

// googleTokens issues an access token, and a refresh token if one is due.
func (s *Sandbox) googleTokens(t token, offline bool) object {
	now := s.cfg.Now()
	access := t
	access.Refresh, access.Expires = false, now.Add(googleAccessLife)
	out := object{"access_token": s.issue("ya29.a0", access), "expires_in": 3599, "token_type": "Bearer",
		"scope": strings.Join(t.Scopes, " ")}
	if offline {
		refresh := t
		refresh.Refresh, refresh.Expires = true, now.Add(googleRefreshIdle)
		out["refresh_token"] = s.issue("1//0", refresh)
	}
	return out
}

// googleRevoke ends all that the token's owner gave to the client, whichever of
// its tokens came.
func (s *Sandbox) googleRevoke(c *call) answer {
	raw := c.form().Get("token")
	if raw == "" {
		raw = c.URL.Query().Get("token")
	}
	t := s.access(googleName, raw)
	if t == nil {
		t = s.refresh(googleName, raw)
	}
	if t == nil {
		return oauthError(http.StatusBadRequest, "invalid_token", "Token expired or revoked")
	}
	c.who = t.Account
	s.dropGrant(googleName, t.Client, t.Account)
	return answer{status: http.StatusOK, body: object{}}
}
