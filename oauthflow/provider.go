package oauthflow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"golang.org/x/oauth2"
)

// Settings are what an operator says of a provider.
type Settings struct {
	ClientID, ClientSecret string
	// OAuthURL and APIURL replace the provider's own base URLs: GitHub Enterprise
	// Server, a proxy, an emulator. "" means the provider's own; only both or
	// neither, or one installation's tokens would be sent to the other's API.
	// For Google, a set OAuthURL is an issuer whose discovery document names the
	// endpoints.
	OAuthURL, APIURL string
	// App says that a GitHub client is a GitHub App, whose user tokens carry
	// permissions instead of scopes.
	App bool
	// RevokeGrant has GitHub end all that the account ever gave the client, wherever
	// that was used, instead of the one token that is disconnected.
	RevokeGrant bool
}

// A Provider is where people have accounts: its endpoints, and its ways. It is
// data, made by GitHub and Google, and is not changed afterwards.
type Provider struct {
	name, title            string // "github", "GitHub"
	clientID, clientSecret string

	endpoints endpoints
	discovery *discovery // where set, endpoints come from there instead
	authStyle oauth2.AuthStyle
	params    map[string]string // further parameters of the authorization request
	another   map[string]string // those that have the person choose an account there
	hint      string            // the one that names an account by its label, or ""
	always    []string          // scopes that are asked for beside those of the tools
	separator string            // between scopes, where it isn't RFC 6749's space

	apiHost string // the public API host that tools name
	apiURL  string // where that API is, without a trailing slash
	moved   bool   // whether apiURL is a setting

	scopeless bool                // tokens carry no scopes: none are asked for or compared
	implies   map[string][]string // scopes that a scope includes
	words     map[string]string   // scopes in plain words
	dead      map[string]string   // token endpoint errors that mean a dead credential, for people
	expired   string              // the same where the refresh token's own time was up
	unused    string              // the same where it was last used half a year ago
	because   map[string]string   // the same by a word in the provider's own sentence
	removeURL string              // where people remove an application's access themselves

	account func(ctx context.Context, c *http.Client, e endpoints, access string) (store.Account, error)
	revoke  func(ctx context.Context, p *Providers, own Provider, t store.Token) error
}

// Name is what tools and URLs call the provider: "github".
func (p Provider) Name() string { return p.name }

// APIHost is the host that contracts name for the provider's API, wherever that is.
func (p Provider) APIHost() string {
	return strings.TrimSuffix(strings.ToLower(p.apiHost), ":443")
}

// endpoints are the URLs of one OAuth server.
type endpoints struct {
	authorize, token, revoke, userinfo string

	// issuer is what iss in an authorization response must be, where there is one;
	// issRequired says that there must be (RFC 9207, sections 2.4 and 3).
	issuer      string
	issRequired bool
}

// Providers are the configured providers; it is the vault's Exchange. It is safe
// for concurrent use.
type Providers struct {
	// Now is the clock that expiry times are counted from; nil means time.Now.
	// It is set before first use.
	Now func() time.Time

	client *http.Client
	order  []string
	byName map[string]Provider
}

// NewProviders is the set of list. client reaches the providers; nil means one
// with timeouts. Redirects are never followed: they would carry a credential to
// wherever they point.
func NewProviders(client *http.Client, list ...Provider) *Providers {
	p := &Providers{client: noRedirects(client), byName: map[string]Provider{}}
	for _, one := range list {
		if _, there := p.byName[one.name]; !there {
			p.order = append(p.order, one.name)
		}
		p.byName[one.name] = one
	}
	return p
}

// noRedirects is a copy of client, or of one with a timeout, that returns
// redirects instead of following them.
func noRedirects(client *http.Client) *http.Client {
	if client == nil {
		client = &http.Client{Timeout: 20 * time.Second}
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// errNoProvider is in the error for a provider that isn't configured.
var errNoProvider = errors.New("no such provider is configured")

func (p *Providers) get(name string) (Provider, error) {
	one, ok := p.byName[name]
	if !ok {
		return Provider{}, fmt.Errorf("%w: %q", errNoProvider, name)
	}
	return one, nil
}

func (p *Providers) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// BaseURLs maps public API hosts to the configured base URLs. A provider at its
// own public API isn't in it.
func (p *Providers) BaseURLs() map[string]string {
	urls := map[string]string{}
	for _, one := range p.byName {
		if one.moved {
			urls[one.apiHost] = one.apiURL
		}
	}
	return urls
}

// Missing implements store.Exchange. For an unknown provider all are missing.
func (p *Providers) Missing(provider string, granted, needed []string) []string {
	one, err := p.get(provider)
	if err != nil {
		return slices.Clone(needed)
	}
	return one.missing(granted, needed)
}

func (p Provider) missing(granted, needed []string) []string {
	if p.scopeless {
		return nil
	}
	var missing []string
	for _, scope := range needed {
		if !p.covers(granted, scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// covers follows the table of implied scopes as far as it leads; visited stops it
// at scopes that imply each other.
func (p Provider) covers(granted []string, scope string) bool {
	visited := map[string]bool{}
	todo := slices.Clone(granted)
	for len(todo) > 0 {
		one := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if one == scope {
			return true
		}
		if !visited[one] {
			visited[one] = true
			todo = append(todo, p.implies[one]...)
		}
	}
	return false
}

// same reports whether a and b are two names of one scope: each implies the other.
func (p Provider) same(a, b string) bool {
	return p.covers([]string{a}, b) && p.covers([]string{b}, a)
}

// ask is which scopes a person is sent to the provider with: what is always asked,
// what they granted before (a step-up must not lose it), and what is needed now.
// What those before it cover isn't asked for, and so a scope with two names
// (Google's e-mail) is there once.
func (p Provider) ask(needed, granted []string) []string {
	if p.scopeless {
		return nil
	}
	var all []string
	for _, scope := range slices.Concat(p.always, granted, needed) {
		if !p.covers(all, scope) {
			all = append(all, scope)
		}
	}
	return all
}

// at is the provider's endpoints, discovered where that is how they are known.
func (p Provider) at(ctx context.Context, c *http.Client) (endpoints, error) {
	if p.discovery == nil {
		return p.endpoints, nil
	}
	return p.discovery.get(ctx, c)
}

// config is x/oauth2's view of the provider. The style of authentication is fixed:
// finding it out would send a one-time code twice.
func (p Provider) config(e endpoints, redirect string, scopes []string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.clientID, ClientSecret: p.clientSecret,
		Endpoint:    oauth2.Endpoint{AuthURL: e.authorize, TokenURL: e.token, AuthStyle: p.authStyle},
		RedirectURL: redirect, Scopes: scopes,
	}
}

// authorizeURL is where a person is sent (RFC 6749, section 4.1.1; RFC 7636), with
// more parameters than those of all requests.
func (p Provider) authorizeURL(e endpoints, redirect, state, verifier string, scopes []string, more map[string]string) string {
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier)}
	for _, params := range []map[string]string{p.params, more} {
		for name, value := range params {
			options = append(options, oauth2.SetAuthURLParam(name, value))
		}
	}
	if p.separator != "" && len(scopes) > 0 {
		scopes = []string{strings.Join(scopes, p.separator)}
	}
	return p.config(e, redirect, scopes).AuthCodeURL(state, options...)
}

// checkIssuer is RFC 9207, section 2.4, over an authorization response.
func (e endpoints) checkIssuer(response url.Values) error {
	iss := response["iss"]
	if len(iss) == 0 && !e.issRequired {
		return nil
	}
	if len(iss) != 1 || iss[0] != e.issuer {
		return errIssuer
	}
	return nil
}

// check says what about an operator's settings is wrong, all of it at once.
func (s Settings) check(title string) error {
	var wrong []error
	if s.ClientID == "" || s.ClientSecret == "" {
		wrong = append(wrong, fmt.Errorf("%s needs a client id and a client secret", title))
	}
	if (s.OAuthURL == "") != (s.APIURL == "") {
		wrong = append(wrong, fmt.Errorf("%s: set the OAuth URL and the API URL both, or neither: "+
			"else one installation's tokens would be sent to the other", title))
	}
	for _, raw := range []string{s.OAuthURL, s.APIURL} {
		if raw != "" {
			wrong = append(wrong, checkURL(title, raw))
		}
	}
	return errors.Join(wrong...)
}

// checkURL refuses what a credential must not be sent to: anything but https, or
// http on this machine.
func checkURL(title, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// It isn't quoted: what is wrong may be that a password is in it.
		return fmt.Errorf("%s: that is not a URL like https://example.com, without a user, a query or a fragment", title)
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s: %q must be https (http is for this machine only)", title, raw)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// or is setting without a trailing slash, or the provider's own.
func or(setting, own string) string {
	if setting == "" {
		return own
	}
	return strings.TrimRight(setting, "/")
}

// discovery is the endpoints that an issuer's OpenID discovery document names,
// fetched on first use and then kept: a document that couldn't be had is asked
// for again.
type discovery struct {
	issuer string
	mu     sync.Mutex
	found  endpoints
}

func (d *discovery) get(ctx context.Context, c *http.Client) (endpoints, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found != (endpoints{}) {
		return d.found, nil
	}
	found, err := d.fetch(ctx, c)
	if err != nil {
		return endpoints{}, fmt.Errorf("%w: the discovery document of %s: %w", errProviderDown, d.issuer, err)
	}
	d.found = found
	return found, nil
}

func (d *discovery) fetch(ctx context.Context, c *http.Client) (endpoints, error) {
	var doc struct {
		Issuer   string `json:"issuer"`
		Auth     string `json:"authorization_endpoint"`
		Token    string `json:"token_endpoint"`
		Revoke   string `json:"revocation_endpoint"`
		Userinfo string `json:"userinfo_endpoint"`
		SendsIss bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := getJSON(ctx, c, d.issuer+"/.well-known/openid-configuration", "", &doc); err != nil {
		return endpoints{}, err
	}
	if strings.TrimRight(doc.Issuer, "/") != d.issuer { // OpenID Connect Discovery, section 4.3
		return endpoints{}, errors.New("it names another issuer")
	}
	found := endpoints{
		authorize: doc.Auth, token: doc.Token, revoke: doc.Revoke, userinfo: doc.Userinfo,
		issuer: doc.Issuer, issRequired: doc.SendsIss,
	}
	for _, raw := range []string{found.authorize, found.token, found.revoke, found.userinfo} {
		if err := checkURL("endpoint", raw); err != nil {
			return endpoints{}, err
		}
	}
	return found, nil
}

// origin is scheme, host and port of raw (RFC 6454), or "".
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
