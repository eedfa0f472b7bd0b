package oauthflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/latchkey-mcp/latchkey/store"
	"golang.org/x/oauth2"
)

// Custom is an operator's description of a provider that Latchkey knows nothing of:
// any OAuth 2.0 server with PKCE (RFC 7636), and an address that says whose an access
// token is. Its people connect and disconnect as anywhere; tools for it are a module's.
type Custom struct {
	Name  string `json:"name"`  // in URLs and modules: "slack"
	Title string `json:"title"` // for people: "Slack"

	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	// ClientAuth is how the client authenticates at the token endpoint:
	// "client_secret_basic", which is the default, or "client_secret_post".
	ClientAuth string `json:"client_authentication"`

	AuthorizeURL string            `json:"authorize_url"`
	TokenURL     string            `json:"token_url"`
	RevokeURL    string            `json:"revoke_url"` // RFC 7009; "" where there is none
	RemoveURL    string            `json:"remove_url"` // where people remove an app themselves; "" where unknown
	Issuer       string            `json:"issuer"`     // what iss must be in its responses (RFC 9207); "" where it sends none
	Parameters   map[string]string `json:"parameters"` // further ones of the authorization request

	// AccountURL answers, for a bearer, JSON in which AccountID and AccountLabel are
	// the paths of a lasting id and of a name for people: "sub", "user.email".
	AccountURL   string `json:"account_url"`
	AccountID    string `json:"account_id"`
	AccountLabel string `json:"account_label"`

	APIURL string `json:"api_url"` // base of its API: "https://slack.com"
	// APIHost is the public host that a module's contracts name, where the API is
	// somewhere else: a server of one's own, a proxy, a stand-in.
	APIHost string `json:"api_host"`

	Scopes    []string            `json:"scopes"` // that are always asked for
	Words     map[string]string   `json:"scope_words"`
	Implies   map[string][]string `json:"scope_implies"`   // scopes that a scope includes
	Separator string              `json:"scope_separator"` // between scopes: " ", which is the default, or ","
}

var (
	customName = regexp.MustCompile(`^[a-z][a-z0-9]{0,31}$`)
	publicHost = regexp.MustCompile(`^([a-z0-9-]+\.)+[a-z][a-z0-9-]*$`)
	takenHosts = []string{"api.github.com", "www.googleapis.com"}
	// fixedParameters are the flow's own, which no setting may replace.
	fixedParameters = []string{
		"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "state", "scope",
		"code_challenge", "code_challenge_method", "nonce", "request", "request_uri",
	}
)

// Provider checks c, and is the provider that it describes. Of one that Latchkey knows,
// name and client are enough.
func (c Custom) Provider() (Provider, error) {
	c = c.completed()
	if err := c.check(); err != nil {
		return Provider{}, err
	}
	style := oauth2.AuthStyleInHeader
	if c.ClientAuth == "client_secret_post" {
		style = oauth2.AuthStyleInParams
	}
	dead := c.Title + " says that the access expired or was revoked"
	host, api := hostOf(c.APIURL), strings.TrimRight(c.APIURL, "/")
	if c.APIHost != "" {
		host = c.APIHost
	}
	return Provider{
		name: c.Name, title: c.Title, clientID: c.ClientID, clientSecret: c.ClientSecret,
		endpoints: endpoints{
			authorize: c.AuthorizeURL, token: c.TokenURL, revoke: c.RevokeURL, userinfo: c.AccountURL,
			issuer: c.Issuer, issRequired: c.Issuer != "",
		},
		authStyle: style, params: maps.Clone(c.Parameters), always: slices.Clone(c.Scopes),
		apiHost: host, apiURL: api, moved: c.APIHost != "" && api != "https://"+c.APIHost,
		words: maps.Clone(c.Words), implies: maps.Clone(c.Implies), separator: c.Separator, dead: map[string]string{"invalid_grant": dead}, removeURL: c.RemoveURL,
		account: c.account, revoke: revokeToken,
	}, nil
}

// check says all that is wrong with c, and quotes no secret.
func (c Custom) check() error {
	var wrong []error
	add := func(text string, args ...any) { wrong = append(wrong, fmt.Errorf(text, args...)) }
	if !customName.MatchString(c.Name) || c.Name == "github" || c.Name == "google" {
		add("name must be small letters and digits, and not github or google")
	}
	for field, value := range map[string]string{
		"title": c.Title, "client_id": c.ClientID, "client_secret": c.ClientSecret, "account_id": c.AccountID, "account_label": c.AccountLabel,
	} {
		if strings.TrimSpace(value) == "" {
			add("%s is missing", field)
		}
	}
	if !slices.Contains([]string{"", "client_secret_basic", "client_secret_post"}, c.ClientAuth) {
		add("client_authentication must be client_secret_basic or client_secret_post")
	}
	if !slices.Contains([]string{"", " ", ","}, c.Separator) {
		add("scope_separator must be a space or a comma")
	}
	switch {
	case c.APIHost != "" && !publicHost.MatchString(c.APIHost):
		add("api_host must be a plain host name, like slack.com")
	case slices.Contains(takenHosts, c.APIHost):
		add("api_host can't be %s: that provider's tokens would be sent to api_url", c.APIHost)
	}
	for name := range c.Parameters {
		if slices.Contains(fixedParameters, name) {
			add("parameters can't set %s, which is the flow's own", name)
		}
	}
	wrong = append(wrong, c.checkURLs()...)
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(wrong...)
}

func (c Custom) checkURLs() (wrong []error) {
	for field, raw := range map[string]string{
		"authorize_url": c.AuthorizeURL, "token_url": c.TokenURL, "account_url": c.AccountURL, "api_url": c.APIURL,
	} {
		wrong = append(wrong, checkURL(field, raw))
	}
	for field, raw := range map[string]string{"revoke_url": c.RevokeURL, "remove_url": c.RemoveURL} {
		if raw != "" {
			wrong = append(wrong, checkURL(field, raw))
		}
	}
	return slices.DeleteFunc(wrong, func(err error) bool { return err == nil })
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

// account asks AccountURL whose access is.
func (c Custom) account(ctx context.Context, client *http.Client, e endpoints, access string) (store.Account, error) {
	var answer map[string]any
	if err := getJSON(ctx, client, e.userinfo, access, &answer); err != nil {
		return store.Account{}, err
	}
	id := textAt(answer, c.AccountID)
	if id == "" {
		return store.Account{}, fmt.Errorf("%s's answer has no %s", c.Title, c.AccountID)
	}
	label := textAt(answer, c.AccountLabel)
	if label == "" {
		label = "account " + id
	}
	return store.Account{ID: id, Label: label}, nil
}

// textAt is the text or whole number at a path like "user.id", or "".
func textAt(answer map[string]any, path string) string {
	name, rest, deeper := strings.Cut(path, ".")
	switch v := answer[name].(type) {
	case map[string]any:
		if deeper {
			return textAt(v, rest)
		}
	case string:
		if !deeper {
			return v
		}
	case float64:
		// The range in which a float64 is one whole number.
		if n := int64(v); !deeper && float64(n) == v && n < 1<<53 && n > -1<<53 {
			text, _ := json.Marshal(n)
			return string(text)
		}
	}
	return ""
}

// revokeToken is RFC 7009, for the refresh token where there is one.
func revokeToken(ctx context.Context, p *Providers, own Provider, t store.Token) error {
	if own.endpoints.revoke == "" {
		return &store.Trouble{Answered: true, Err: errors.New(own.title + " has no revocation endpoint")}
	}
	token, hint := t.Refresh, "refresh_token"
	if token.IsZero() {
		token, hint = t.Access, "access_token"
	}
	form := url.Values{"token": {token.Reveal()}, "token_type_hint": {hint}}
	if own.authStyle == oauth2.AuthStyleInParams {
		form.Set("client_id", own.clientID)
		form.Set("client_secret", own.clientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, own.endpoints.revoke, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if own.authStyle == oauth2.AuthStyleInHeader { // RFC 6749, section 2.3.1
		req.SetBasicAuth(url.QueryEscape(own.clientID), url.QueryEscape(own.clientSecret))
	}
	status, body, err := send(p.client, req)
	switch {
	case err != nil:
		return err
	case status == http.StatusOK || status == http.StatusBadRequest && errorCode(body) == "invalid_token":
		return nil
	}
	return unconfirmed(own.title, status)
}
