package authserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/latchkey-mcp/latchkey/oauthflow/page"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

const (
	loginCookie = "authserver-login"
	loginLife   = 10 * time.Minute
)

// A login is a sign-in that is under way at the upstream issuer, kept under its
// state. Browser is the login cookie of the browser that began it.
type login struct {
	Browser  string
	Nonce    string
	Verifier string // PKCE
	Query    string // the authorization request to go back to
}

// upstream is the OpenID provider at which people sign in. It is safe for
// concurrent use.
type upstream struct {
	cfg      Upstream
	callback string
	http     *http.Client
	now      func() time.Time
	logins   store.Table[login]

	flight   singleflight.Group
	provider atomic.Pointer[oidc.Provider] // once it has been discovered
}

func newUpstream(u Upstream, cfg Config) *upstream {
	return &upstream{
		cfg: u, callback: cfg.Issuer + "/authorize/upstream", http: cfg.HTTPClient, now: cfg.Now,
		logins: store.NewTable[login](cfg.Vault, "authserver upstream login"),
	}
}

// discover reads the issuer's metadata once; what failed is tried again next time.
func (u *upstream) discover(ctx context.Context) (*oidc.Provider, error) {
	if p := u.provider.Load(); p != nil {
		return p, nil
	}
	found, err, _ := u.flight.Do("", func() (any, error) {
		// The provider keeps the context for fetching keys later.
		return oidc.NewProvider(u.with(context.WithoutCancel(ctx)), u.cfg.Issuer)
	})
	if err != nil {
		// go-oidc's error holds the whole answer, whatever page that was.
		return nil, fmt.Errorf("OpenID discovery of %s: %.120q", u.cfg.Issuer, err.Error())
	}
	p := found.(*oidc.Provider)
	u.provider.Store(p)
	return p, nil
}

func (u *upstream) with(ctx context.Context) context.Context { return oidc.ClientContext(ctx, u.http) }

func (u *upstream) oauth(p *oidc.Provider) *oauth2.Config {
	endpoint := p.Endpoint()
	endpoint.AuthStyle = authStyle(p) // never by trial: a code works once
	return &oauth2.Config{
		ClientID: u.cfg.ClientID, ClientSecret: u.cfg.ClientSecret, Endpoint: endpoint,
		RedirectURL: u.callback, Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
}

// upstreamMetadata is what of OpenID discovery matters beside go-oidc's own.
type upstreamMetadata struct {
	Methods  []string `json:"token_endpoint_auth_methods_supported"`
	SendsIss bool     `json:"authorization_response_iss_parameter_supported"`
}

func metadataOf(p *oidc.Provider) upstreamMetadata {
	var m upstreamMetadata
	_ = p.Claims(&m) // what can't be read counts as not said
	return m
}

// authStyle is client_secret_basic, the default of OpenID discovery, unless the
// issuer has only client_secret_post.
func authStyle(p *oidc.Provider) oauth2.AuthStyle {
	methods := metadataOf(p).Methods
	if slices.Contains(methods, methodPost) && !slices.Contains(methods, methodBasic) {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// goUpstream begins a sign-in: state, nonce and PKCE, kept for this browser only.
func (s *Server) goUpstream(w http.ResponseWriter, r *http.Request, query url.Values) error {
	if !s.logins.Allow(r) {
		return &pageError{http.StatusTooManyRequests, "Too many sign-ins at once", "Wait a minute, then try again."}
	}
	p, err := s.upstream.discover(r.Context())
	if err != nil {
		s.log.ErrorContext(r.Context(), "sign-in", "error", err)
		return &pageError{http.StatusBadGateway, "The sign-in service doesn't answer",
			"Nothing was changed. Try again in a minute; if it stays like this, tell whoever runs this server."}
	}
	anew := asksWho(query)
	begun := login{Browser: s.loginBrowser(r), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Query: withoutPrompt(query).Encode()}
	state := rand.Text()
	if err := s.upstream.logins.Put(r.Context(), state, identity.Digest{}, loginLife, begun); err != nil {
		return err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(begun.Nonce), oauth2.S256ChallengeOption(begun.Verifier)}
	if anew {
		options = append(options, oauth2.SetAuthURLParam("prompt", s.upstream.switchPrompt()))
	}
	http.SetCookie(w, page.Cookie(s.public, loginCookie, begun.Browser, int(loginLife.Seconds())))
	return redirect(w, s.upstream.oauth(p).AuthCodeURL(state, options...))
}

// switchPrompt is the prompt that makes the upstream provider let another person
// sign in. Each knows "login" (OpenID Connect Core, section 3.1.2.1) but Google,
// which refuses it and has "select_account".
func (u *upstream) switchPrompt() string {
	if u.cfg.Issuer == "https://accounts.google.com" {
		return "select_account"
	}
	return "login"
}

// loginBrowser names r's browser: by the cookie that it has from another tab's
// sign-in, or anew.
func (s *Server) loginBrowser(r *http.Request) string {
	if name := s.loginCookie(r); len(name) == len(rand.Text()) {
		return name
	}
	return rand.Text()
}

func (s *Server) loginCookie(r *http.Request) string {
	cookie, err := r.Cookie(page.CookieName(s.public, loginCookie))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// upstreamCallback ends a sign-in. The state is used up whatever comes of it.
func (s *Server) upstreamCallback(w http.ResponseWriter, r *http.Request) error {
	if s.upstream == nil {
		return &pageError{http.StatusNotFound, "There is nothing here", "People sign in on this server itself. Start from your app."}
	}
	query := r.URL.Query()
	item, err := s.upstream.logins.Take(r.Context(), query.Get("state"))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	begun := item.Value
	if err != nil || subtle.ConstantTimeCompare([]byte(begun.Browser), []byte(s.loginCookie(r))) != 1 {
		return &pageError{http.StatusForbidden, "This sign-in is over",
			"It took too long, was used already, or began in another browser. Go back to your app and connect again from there."}
	}
	subject, name, err := s.upstream.identify(r.Context(), query, begun)
	if err != nil {
		s.log.WarnContext(r.Context(), "sign-in failed upstream", "error", err)
		return s.show(w, http.StatusForbidden, page.Page{Title: "You are not signed in"}, "again", "/authorize?"+begun.Query)
	}
	back, err := authorizeQuery(begun.Query)
	if err != nil {
		return err
	}
	s.log.InfoContext(r.Context(), "signed in", "subject", subject)
	return s.start(w, subject, name, back)
}

// identify redeems the code and verifies the ID token (OpenID Connect Core,
// section 3.1.3.7). Its errors carry neither.
func (u *upstream) identify(ctx context.Context, query url.Values, begun login) (subject, name string, err error) {
	p, err := u.discover(ctx)
	if err != nil {
		return "", "", err
	}
	iss := query.Get("iss") // RFC 9207
	if iss != u.cfg.Issuer && (iss != "" || metadataOf(p).SendsIss) {
		return "", "", errors.New("the answer is from another issuer")
	}
	if query.Get("code") == "" {
		return "", "", errors.New("the issuer sent no code")
	}
	raw, err := u.redeem(ctx, p, query.Get("code"), begun.Verifier)
	if err != nil {
		return "", "", err
	}
	token, err := p.Verifier(&oidc.Config{ClientID: u.cfg.ClientID, Now: u.now}).Verify(u.with(ctx), raw)
	if err != nil {
		return "", "", fmt.Errorf("ID token: %w", err)
	}
	if token.Subject == "" || subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(begun.Nonce)) != 1 {
		return "", "", errors.New("ID token: wrong nonce, or no subject")
	}
	if !authorized(token, u.cfg.ClientID) {
		return "", "", errors.New("ID token: for another client")
	}
	// Not token.Issuer: go-oidc lets Google leave out the scheme, and one person
	// must not become two.
	return upstreamSubject(u.cfg.Issuer, token.Subject), displayName(token), nil
}

// authorized is the rule for azp: it is us where it is there, and it must be there
// where we are not the only audience (OpenID Connect Core, section 3.1.3.7).
func authorized(token *oidc.IDToken, clientID string) bool {
	var claims struct {
		Party *string `json:"azp"`
	}
	if token.Claims(&claims) != nil {
		return false
	}
	if claims.Party == nil {
		return len(token.Audience) == 1
	}
	return *claims.Party == clientID
}

func (u *upstream) redeem(ctx context.Context, p *oidc.Provider, code, verifier string) (rawIDToken string, err error) {
	token, err := u.oauth(p).Exchange(u.with(ctx), code, oauth2.VerifierOption(verifier))
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) { // its text holds the whole answer
		return "", fmt.Errorf("the issuer refused the code: %q", refused.ErrorCode)
	}
	if err != nil {
		return "", errors.New("the issuer's token endpoint doesn't answer as it should")
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return "", errors.New("the issuer sent no ID token")
	}
	return raw, nil
}

// upstreamSubject is a person's subject here: a hash over the upstream issuer and
// its subject, each with its length before it, so that no two people at any two
// issuers can ever be the same.
func upstreamSubject(issuer, subject string) string {
	h := sha256.New()
	for _, part := range []string{issuer, subject} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// displayName is for pages only; nothing is decided by it.
func displayName(token *oidc.IDToken) string {
	var claims struct {
		Name     string `json:"name"`
		Username string `json:"preferred_username"`
		Email    string `json:"email"`
	}
	_ = token.Claims(&claims) // what can't be read is left empty
	for _, name := range []string{claims.Name, claims.Username, claims.Email} {
		if name = cleanName(name); name != "" {
			return name
		}
	}
	return cleanName(token.Subject)
}
