package oauthflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/latchkey-mcp/latchkey/store"
	"golang.org/x/oauth2"
)

// GitHub is github.com or GitHub Enterprise Server.
func GitHub(s Settings) (Provider, error) {
	if err := s.check("GitHub"); err != nil {
		return Provider{}, err
	}
	site := or(s.OAuthURL, "https://github.com")
	api := or(s.APIURL, "https://api.github.com")
	return Provider{
		name: "github", title: "GitHub",
		clientID: s.ClientID, clientSecret: s.ClientSecret,
		endpoints: endpoints{
			authorize: site + "/login/oauth/authorize", token: site + "/login/oauth/access_token",
			revoke: api + "/applications/" + url.PathEscape(s.ClientID) + githubRevokePath(s.RevokeGrant), userinfo: api + "/user",
			issuer: site + "/login/oauth",
		},
		authStyle: oauth2.AuthStyleInParams,
		another:   map[string]string{"prompt": "select_account"}, hint: "login",
		apiHost: "api.github.com", apiURL: api, moved: s.APIURL != "",
		scopeless: s.App,
		implies:   githubImplies, words: githubWords, dead: githubDead,
		expired:   "GitHub ends an app's access after six months without use",
		removeURL: site + githubRemovePath(s.App),
		account:   githubAccount, revoke: githubRevoke,
	}, nil
}

func githubRevokePath(grant bool) string {
	if grant {
		return "/grant"
	}
	return "/token"
}

func githubRemovePath(app bool) string {
	if app {
		return "/settings/apps/authorizations"
	}
	return "/settings/applications"
}

// githubImplies is GitHub's table of normalized scopes.
var githubImplies = map[string][]string{
	"repo":             {"repo:status", "repo_deployment", "public_repo", "repo:invite", "security_events"},
	"user":             {"read:user", "user:email", "user:follow"},
	"project":          {"read:project"},
	"admin:org":        {"write:org", "manage_runners:org"},
	"write:org":        {"read:org"},
	"admin:repo_hook":  {"write:repo_hook"},
	"write:repo_hook":  {"read:repo_hook"},
	"admin:public_key": {"write:public_key"},
	"write:public_key": {"read:public_key"},
	"admin:gpg_key":    {"write:gpg_key"},
	"write:gpg_key":    {"read:gpg_key"},
	"write:packages":   {"read:packages"},
	"write:discussion": {"read:discussion"},
}

var githubWords = map[string]string{
	"repo":          "Read and change your repositories, private ones too (GitHub has no narrower permission for private repositories)",
	"public_repo":   "Read and change your public repositories",
	"repo:status":   "Read and set commit statuses",
	"read:user":     "Read your profile",
	"user:email":    "Read your e-mail addresses",
	"user":          "Read and change your profile",
	"read:org":      "Read which organizations and teams you are in",
	"notifications": "Read your notifications and mark them as read",
	"workflow":      "Change GitHub Actions workflow files",
	"gist":          "Create and change gists",
	"read:project":  "Read your projects",
	"project":       "Read and change your projects",
}

// githubDead are GitHub's own error codes beside RFC 6749's.
var githubDead = map[string]string{
	"bad_refresh_token": "GitHub says that the access expired or was revoked",
	"invalid_grant":     "GitHub says that the access expired or was revoked",
}

// githubAccount is GET /user: the id stays when the login changes.
func githubAccount(ctx context.Context, c *http.Client, e endpoints, access string) (store.Account, error) {
	var user struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
	}
	if err := getJSON(ctx, c, e.userinfo, access, &user); err != nil {
		return store.Account{}, err
	}
	if user.ID == 0 || user.Login == "" {
		return store.Account{}, errors.New("the account has no id")
	}
	return store.Account{ID: strconv.FormatInt(user.ID, 10), Label: "@" + user.Login}, nil
}

// githubRevoke deletes the token, or the grant that it belongs to. GitHub finds an app's authorization by a living
// access token only, so that an expired one is refreshed first. A refusal of that
// is no confirmation: an earlier try may have renewed the credential and got no
// further, and then a newer one lives.
func githubRevoke(ctx context.Context, p *Providers, own Provider, t store.Token) error {
	if !t.Refresh.IsZero() && !t.Expiry.IsZero() && !p.now().Before(t.Expiry) {
		fresh, err := p.Refresh(ctx, own.name, t)
		if err != nil {
			return fmt.Errorf("%w: the credential can't be renewed, so GitHub can't be asked to end it", errProviderDown)
		}
		t = fresh
	}
	return githubDelete(ctx, p.client, own, t)
}

func githubDelete(ctx context.Context, c *http.Client, own Provider, t store.Token) error {
	body, err := json.Marshal(map[string]string{"access_token": t.Access.Reveal()})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, own.endpoints.revoke, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(own.clientID, own.clientSecret)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("Content-Type", "application/json")
	status, _, err := send(c, req)
	switch {
	case err != nil:
		return err
	case status == http.StatusNoContent || status == http.StatusNotFound: // 404: it knows no such token any more
		return nil
	}
	return unconfirmed("GitHub", status)
}
