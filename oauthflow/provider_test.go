package oauthflow

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

func bare(t *testing.T, change func(*Settings)) (github, google Provider) {
	s := Settings{ClientID: "id", ClientSecret: "secret"}
	if change != nil {
		change(&s)
	}
	return must(GitHub(s))(t), must(Google(s))(t)
}

func TestMissing(t *testing.T) {
	github, google := bare(t, nil)
	app, _ := bare(t, func(s *Settings) { s.App = true })
	p, apps := NewProviders(nil, github, google), NewProviders(nil, app)
	for _, c := range []struct {
		of                       *Providers
		provider                 string
		granted, needed, missing []string
	}{
		{p, "github", []string{"repo"}, []string{"public_repo", "repo:status", "repo"}, nil},
		{p, "github", []string{"public_repo"}, []string{"repo"}, []string{"repo"}},
		{p, "github", []string{"user"}, []string{"read:user", "user:email"}, nil},
		{p, "github", []string{"admin:org"}, []string{"read:org"}, nil},
		{p, "github", []string{"read:org"}, []string{"admin:org", "read:org"}, []string{"admin:org"}},
		{p, "github", nil, []string{"repo"}, []string{"repo"}},
		{p, "github", nil, nil, nil},
		{p, "google", []string{googleCalendar}, []string{readEvents, writeEvents, googleCalendar + ".freebusy"}, nil},
		{p, "google", []string{writeEvents}, []string{readEvents}, nil},
		{p, "google", []string{writeEvents}, []string{googleCalendar + ".readonly"}, []string{googleCalendar + ".readonly"}},
		{p, "google", []string{googleCalendar + ".readonly"}, []string{readEvents, writeEvents}, []string{writeEvents}},
		{p, "google", []string{googleScope + "userinfo.email"}, []string{"email"}, nil},
		{p, "google", []string{"email"}, []string{googleScope + "userinfo.email", "profile"}, []string{"profile"}},
		{apps, "github", nil, []string{"repo"}, nil},
		{p, "gitlab", []string{"api"}, []string{"api"}, []string{"api"}},
	} {
		if diff := cmp.Diff(c.missing, c.of.Missing(c.provider, c.granted, c.needed)); diff != "" {
			t.Errorf("%s %q for %q (-want +got):\n%s", c.provider, c.granted, c.needed, diff)
		}
	}
}

// Each permission is asked for, and so shown, once, under whatever name it was
// granted; what a granted one covers isn't asked for again.
func TestAsk(t *testing.T) {
	github, google := bare(t, nil)
	for _, c := range []struct {
		of                    Provider
		needed, granted, want []string
	}{
		{google, []string{writeEvents}, []string{googleScope + "userinfo.email", "openid", readEvents}, []string{"openid", "email", readEvents, writeEvents}},
		{google, []string{readEvents}, []string{"openid", writeEvents}, []string{"openid", "email", writeEvents}},
		{google, []string{googleScope + "userinfo.email"}, nil, []string{"openid", "email"}},
		{github, []string{"repo"}, []string{"read:org"}, []string{"read:org", "repo"}},
		{github, []string{"public_repo"}, []string{"repo"}, []string{"repo"}},
	} {
		if diff := cmp.Diff(c.want, c.of.ask(c.needed, c.granted)); diff != "" {
			t.Errorf("%q after %q (-want +got):\n%s", c.needed, c.granted, diff)
		}
	}
	shown := google.inWords([]string{"email", googleScope + "userinfo.email", readEvents}, nil)
	if len(shown) != 2 {
		t.Errorf("one permission is shown twice: %v", shown)
	}
}

func TestProvidersAreWhereTheyAre(t *testing.T) {
	github, google := bare(t, nil)
	want := endpoints{
		authorize: "https://github.com/login/oauth/authorize", token: "https://github.com/login/oauth/access_token",
		revoke: "https://api.github.com/applications/id/token", userinfo: "https://api.github.com/user",
		issuer: "https://github.com/login/oauth",
	}
	if github.endpoints != want {
		t.Errorf("GitHub: %+v", github.endpoints)
	}
	want = endpoints{
		authorize: "https://accounts.google.com/o/oauth2/v2/auth", token: "https://oauth2.googleapis.com/token",
		revoke: "https://oauth2.googleapis.com/revoke", userinfo: "https://openidconnect.googleapis.com/v1/userinfo",
		issuer: "https://accounts.google.com",
	}
	if google.endpoints != want {
		t.Errorf("Google: %+v", google.endpoints)
	}
	if urls := NewProviders(nil, github, google).BaseURLs(); len(urls) != 0 {
		t.Errorf("base URLs: %v", urls)
	}
	github, google = bare(t, func(s *Settings) { s.OAuthURL, s.APIURL = "https://ghe.example/", "https://ghe.example/api/v3/" })
	if github.endpoints.userinfo != "https://ghe.example/api/v3/user" || github.endpoints.token != "https://ghe.example/login/oauth/access_token" {
		t.Errorf("GitHub Enterprise Server: %+v", github.endpoints)
	}
	urls := NewProviders(nil, github, google).BaseURLs()
	if diff := cmp.Diff(map[string]string{"api.github.com": "https://ghe.example/api/v3", "www.googleapis.com": "https://ghe.example/api/v3"}, urls); diff != "" {
		t.Error(diff)
	}
	for _, p := range []Provider{github, google} {
		if p.authStyle == oauth2.AuthStyleAutoDetect {
			t.Errorf("%s: the authentication style is found out by sending a code twice", p.title)
		}
	}
}

// An operator hears of all mistakes at once.
func TestSettingsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		s    Settings
		says []string
	}{
		"nothing":         {Settings{}, []string{"client id"}},
		"no secret":       {Settings{ClientID: "x"}, []string{"client secret"}},
		"half moved":      {Settings{ClientID: "x", ClientSecret: "y", OAuthURL: "https://a.example"}, []string{"both, or neither"}},
		"http":            {Settings{ClientID: "x", ClientSecret: "y", OAuthURL: "http://a.example", APIURL: "https://a.example"}, []string{"must be https"}},
		"two, and more":   {Settings{ClientID: "x", OAuthURL: "http://a.example", APIURL: "a.example"}, []string{"client secret", "must be https", "is not a URL"}},
		"a password":      {Settings{ClientID: "x", ClientSecret: "y", OAuthURL: "https://u:p@a.example", APIURL: "https://a.example"}, []string{"is not a URL"}},
		"almost loopback": {Settings{ClientID: "x", ClientSecret: "y", OAuthURL: "http://127.0.0.1.a.example", APIURL: "http://localhost.a.example"}, []string{"must be https"}},
	} {
		for _, make := range []func(Settings) (Provider, error){GitHub, Google} {
			_, err := make(c.s)
			for _, part := range c.says {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %v doesn't say %q", name, err, part)
				}
			}
		}
	}
	if _, err := GitHub(Settings{ClientID: "x", ClientSecret: "y", OAuthURL: "http://127.0.0.1:1", APIURL: "http://localhost:1"}); err != nil {
		t.Errorf("loopback: %v", err)
	}
}

func TestDiscovery(t *testing.T) {
	var doc map[string]any
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		writeJSON(w, http.StatusOK, doc)
	}))
	t.Cleanup(server.Close)
	good := func() map[string]any {
		return map[string]any{
			"issuer": server.URL, "authorization_endpoint": server.URL + "/a", "token_endpoint": server.URL + "/t",
			"revocation_endpoint": server.URL + "/r", "userinfo_endpoint": server.URL + "/u", "authorization_response_iss_parameter_supported": true,
		}
	}
	_, google := bare(t, func(s *Settings) { s.OAuthURL, s.APIURL = server.URL, server.URL })
	for name, value := range map[string]any{
		"issuer": "https://evil.example", "token_endpoint": "http://evil.example/t", "userinfo_endpoint": nil, "revocation_endpoint": "/r",
	} {
		doc = good()
		doc[name] = value
		if _, err := google.at(t.Context(), http.DefaultClient); err == nil {
			t.Errorf("%s may be %v", name, value)
		}
	}
	for issuer, same := range map[string]bool{server.URL + "/other": false, server.URL + "/": true} {
		_, google := bare(t, func(s *Settings) { s.OAuthURL, s.APIURL = server.URL, server.URL })
		doc = good()
		doc["issuer"] = issuer
		if _, err := google.at(t.Context(), http.DefaultClient); (err == nil) != same {
			t.Errorf("issuer %s: %v", issuer, err)
		}
	}
	doc, asked = good(), 0
	for range 3 {
		got, err := google.at(t.Context(), http.DefaultClient)
		want := endpoints{server.URL + "/a", server.URL + "/t", server.URL + "/r", server.URL + "/u", server.URL, true}
		if err != nil || got != want {
			t.Errorf("%+v %v", got, err)
		}
	}
	if asked != 1 {
		t.Errorf("the document was fetched %d times", asked)
	}
}

// What tools need has words for people.
func TestScopesHaveWords(t *testing.T) {
	github, google := bare(t, nil)
	for _, p := range []Provider{github, google} {
		for _, v := range p.inWords(slices.Concat(p.always, []string{"strange"}), nil) {
			if v.Words == "" || (v.Words == "Permission "+v.Scope) != (v.Scope == "strange") {
				t.Errorf("%s: %q is %q", p.title, v.Scope, v.Words)
			}
		}
	}
}
