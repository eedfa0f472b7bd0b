package oauthflow

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-mcp/latchkey/store"
	"golang.org/x/oauth2"
)

// Google is Google's accounts and APIs.
func Google(s Settings) (Provider, error) {
	if err := s.check("Google"); err != nil {
		return Provider{}, err
	}
	p := Provider{
		name: "google", title: "Google",
		clientID: s.ClientID, clientSecret: s.ClientSecret,
		endpoints: endpoints{
			authorize: "https://accounts.google.com/o/oauth2/v2/auth",
			token:     "https://oauth2.googleapis.com/token",
			revoke:    "https://oauth2.googleapis.com/revoke",
			userinfo:  "https://openidconnect.googleapis.com/v1/userinfo",
			issuer:    "https://accounts.google.com",
		},
		authStyle: oauth2.AuthStyleInParams,
		// A refresh token comes only with offline access and consent; scopes that
		// were granted before stay.
		params:  map[string]string{"access_type": "offline", "prompt": "consent", "include_granted_scopes": "true"},
		another: map[string]string{"prompt": "select_account consent"},
		hint:    "login_hint",
		always:  []string{"openid", "email"},
		apiHost: "www.googleapis.com", apiURL: or(s.APIURL, "https://www.googleapis.com"), moved: s.APIURL != "",
		implies: googleImplies, words: googleWords, dead: googleDead, expired: testingMode,
		unused: "Google ends an access that was not used for six months", because: googleBecause,
		removeURL: "https://myaccount.google.com/connections",
		account:   googleAccount, revoke: googleRevoke,
	}
	if s.OAuthURL != "" {
		p.discovery = &discovery{issuer: or(s.OAuthURL, "")}
	}
	return p, nil
}

const (
	googleScope    = "https://www.googleapis.com/auth/"
	googleCalendar = googleScope + "calendar"
)

// googleImplies says which calendar scopes allow what others do. E-mail and
// profile have two names each.
var googleImplies = map[string][]string{
	googleCalendar: {
		googleCalendar + ".readonly", googleCalendar + ".events", googleCalendar + ".settings.readonly",
		googleCalendar + ".calendarlist", googleCalendar + ".calendars", googleCalendar + ".acls", googleCalendar + ".app.created",
	},
	googleCalendar + ".readonly": {
		googleCalendar + ".events.readonly", googleCalendar + ".freebusy", googleCalendar + ".calendarlist.readonly",
		googleCalendar + ".calendars.readonly", googleCalendar + ".settings.readonly", googleCalendar + ".acls.readonly",
	},
	googleCalendar + ".events":          {googleCalendar + ".events.readonly", googleCalendar + ".events.owned"},
	googleCalendar + ".events.readonly": {googleCalendar + ".events.owned.readonly", googleCalendar + ".events.public.readonly", googleCalendar + ".events.freebusy"},
	googleCalendar + ".events.owned":    {googleCalendar + ".events.owned.readonly"},
	googleCalendar + ".calendarlist":    {googleCalendar + ".calendarlist.readonly"},
	googleCalendar + ".calendars":       {googleCalendar + ".calendars.readonly"},
	googleCalendar + ".acls":            {googleCalendar + ".acls.readonly"},
	"email":                             {googleScope + "userinfo.email"},
	googleScope + "userinfo.email":      {"email"},
	"profile":                           {googleScope + "userinfo.profile"},
	googleScope + "userinfo.profile":    {"profile"},
}

var googleWords = map[string]string{
	"openid":                            "Know which Google account this is",
	"email":                             "See your e-mail address, to show which account is connected",
	googleScope + "userinfo.email":      "See your e-mail address, to show which account is connected",
	googleScope + "userinfo.profile":    "See your name and picture",
	googleCalendar:                      "See, change, share and delete all your calendars",
	googleCalendar + ".readonly":        "See all your calendars and events",
	googleCalendar + ".events":          "See, create, change and delete events on all your calendars",
	googleCalendar + ".events.readonly": "See events on all your calendars",
	googleCalendar + ".events.owned":    "See, create, change and delete events on calendars that you own",
	googleCalendar + ".freebusy":        "See when you are busy",

	googleCalendar + ".calendarlist.readonly": "See the list of your calendars",
	googleCalendar + ".calendars.readonly":    "See the title and time zone of your calendars",
}

// testingMode is what Google doesn't say in its answer, and what people run into.
const testingMode = "Google ended the access at its time, as it does after 7 days while the Google Cloud project's publishing status is “Testing”"

var googleDead = map[string]string{
	"invalid_grant": "Google says that the access expired or was revoked (Google also ends it after 7 days " +
		"while the Google Cloud project's publishing status is “Testing”)",
}

// googleBecause are words of Google's descriptions that say more than the code.
var googleBecause = map[string]string{
	"password": "Google ended the access because the account's password was changed",
	"rapt":     "your Google Workspace asks for a new sign-in from time to time, and the time is up",
	"deleted":  "Google says that the account was deleted",
}

// googleAccount is the userinfo endpoint (OpenID Connect Core, section 5.3).
func googleAccount(ctx context.Context, c *http.Client, e endpoints, access string) (store.Account, error) {
	var user struct {
		Sub   string `json:"sub"`
		Email string `json:"email"`
	}
	if err := getJSON(ctx, c, e.userinfo, access, &user); err != nil {
		return store.Account{}, err
	}
	if user.Sub == "" {
		return store.Account{}, errors.New("the account has no id")
	}
	label := user.Email
	if label == "" { // the person may have unticked it
		label = "account " + user.Sub
	}
	return store.Account{ID: user.Sub, Label: label}, nil
}

// googleRevoke is RFC 7009. It ends the whole grant of this account, all of its
// tokens, which is why nothing but a disconnect calls it.
func googleRevoke(ctx context.Context, p *Providers, own Provider, t store.Token) error {
	e, err := own.at(ctx, p.client)
	if err != nil {
		return err
	}
	token := t.Refresh
	if token.IsZero() {
		token = t.Access
	}
	form := url.Values{"token": {token.Reveal()}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.revoke, strings.NewReader(form))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := send(p.client, req)
	switch {
	case err != nil:
		return err
	case status == http.StatusOK || status == http.StatusBadRequest && errorCode(body) == "invalid_token":
		return nil // invalid_token: it is dead already
	}
	return unconfirmed("Google", status)
}
