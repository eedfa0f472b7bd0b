package oauthflow

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"golang.org/x/oauth2"
)

const (
	sessionCookie = "session"
	signinCookie  = "signin"
	// signedOutCookie outlives whatever session the issuer has in this browser.
	// While it is there, the issuer has to ask who it is: else the next person at
	// this computer would be signed in as the one who just signed out.
	signedOutCookie = "signedout"
	signedOutLife   = 30 * 24 * time.Hour
	// shortLife bounds everything that waits for a person: a ticket, a sign-in,
	// an answer of a provider.
	shortLife = 10 * time.Minute
)

// signedIn is the record that makes a sealed session cookie count: without it,
// signing out would only be a request to the browser.
type signedIn struct{ Since time.Time }

// signin is a sign-in that waits for the issuer's answer.
type signin struct{ Browser, Nonce, Verifier, Return string }

// session is who is signed in, or identity.ErrSignedOut.
func (f *Flow) session(r *http.Request) (identity.Session, error) {
	c, err := r.Cookie(page.CookieName(f.public, sessionCookie))
	if err != nil {
		return identity.Session{}, identity.ErrSignedOut
	}
	s, err := f.Browser.Open(c.Value)
	if err != nil {
		return identity.Session{}, err
	}
	kept, err := f.sessions.Get(r.Context(), s.ID())
	if errors.Is(err, store.ErrNotFound) || err == nil && kept.Owner != digest(s) {
		return identity.Session{}, identity.ErrSignedOut
	}
	if err != nil {
		return identity.Session{}, err
	}
	// Forgetting removes the record; this is for one that was put in that moment.
	at, err := f.Vault.Forgotten(r.Context(), digest(s))
	if err == nil && !at.IsZero() && !kept.Value.Since.After(at) {
		return identity.Session{}, identity.ErrSignedOut
	}
	return s, err
}

// withSession gives h the session. Without one a GET goes to the sign-in and comes
// back; a POST can't, and says so.
func (f *Flow) withSession(h func(http.ResponseWriter, *http.Request, identity.Session) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		s, err := f.session(r)
		if err == nil {
			return h(w, r, s)
		}
		if !errors.Is(err, identity.ErrSignedOut) {
			return err
		}
		if r.Method == http.MethodPost {
			return &problem{kind: identity.ErrSignedOut, path: signInPath(afterPost(r), false)}
		}
		http.Redirect(w, r, signInPath(r.URL.EscapedPath(), false), http.StatusSeeOther)
		return nil
	}
}

// afterPost is where a person can do again what a POST would have done.
func afterPost(r *http.Request) string {
	if r.PathValue("ticket") != "" {
		return r.URL.EscapedPath()
	}
	return "/connections"
}

// signInPath is our sign-in, coming back to path.
func signInPath(path string, switchPerson bool) string {
	q := url.Values{"return": {path}}
	if switchPerson {
		q.Set("switch", "1")
	}
	return "/signin?" + q.Encode()
}

// localPath is raw where it is a path on this site, else the connections page: no
// scheme, no host, nothing that a browser reads as one. Control characters, which
// browsers drop, are url.Parse's to refuse.
func localPath(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.IsAbs() || u.Host != "" || len(raw) > 1024 ||
		!strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//") || strings.Contains(raw, `\`) {
		return "/connections"
	}
	return raw
}

// signIn starts the OpenID code flow (OpenID Connect Core, section 3.1) with PKCE.
// Anybody can begin one and leave it, and each is kept for ten minutes.
func (f *Flow) signIn(w http.ResponseWriter, r *http.Request) error {
	if !f.limit.Allow(r) {
		return errTooMany
	}
	conf, err := f.issuer(r.Context())
	if err != nil {
		return err
	}
	state := newKey()
	in := signin{Browser: f.browserKey(r), Nonce: newKey(), Verifier: oauth2.GenerateVerifier(), Return: localPath(r.FormValue("return"))}
	if err := f.signins.Put(r.Context(), state, identity.Digest{}, shortLife, in); err != nil {
		return err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(in.Verifier), oauth2.SetAuthURLParam("nonce", in.Nonce)}
	if r.FormValue("switch") == "1" || f.signedOut(r) {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	http.SetCookie(w, page.Cookie(f.public, signinCookie, in.Browser, int(shortLife.Seconds())))
	http.Redirect(w, r, conf.AuthCodeURL(state, options...), http.StatusSeeOther)
	return nil
}

// signedOut reports whether somebody signed out in this browser, and nobody in since.
func (f *Flow) signedOut(r *http.Request) bool {
	_, err := r.Cookie(page.CookieName(f.public, signedOutCookie))
	return err == nil
}

// browserKey binds sign-ins to this browser. Two tabs that sign in at once share
// it, so that neither spoils the other.
func (f *Flow) browserKey(r *http.Request) string {
	c, err := r.Cookie(page.CookieName(f.public, signinCookie))
	if err == nil && len(c.Value) == len(newKey()) {
		return c.Value
	}
	return newKey()
}

// issuer is our client at the issuer, with client_secret_basic.
func (f *Flow) issuer(ctx context.Context) (*oauth2.Config, error) {
	authorization, token, err := f.Browser.Endpoints(ctx)
	if err != nil {
		return nil, &problem{kind: errSignIn, cause: err, path: "/connections"}
	}
	return &oauth2.Config{
		ClientID: f.ClientID, ClientSecret: f.ClientSecret,
		Endpoint:    oauth2.Endpoint{AuthURL: authorization, TokenURL: token, AuthStyle: oauth2.AuthStyleInHeader},
		RedirectURL: f.PublicURL + "/signin/callback",
		Scopes:      []string{"openid", "profile", "email"},
	}, nil
}

// signInCallback ends a sign-in. The record is spent whatever comes of it.
func (f *Flow) signInCallback(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in, err := f.signins.Take(r.Context(), q.Get("state"))
	if errors.Is(err, store.ErrNotFound) {
		return &problem{kind: errNoFlow, path: "/connections"}
	} else if err != nil {
		return err
	}
	c, err := r.Cookie(page.CookieName(f.public, signinCookie))
	if err != nil || subtle.ConstantTimeCompare([]byte(c.Value), []byte(in.Value.Browser)) != 1 {
		return &problem{kind: errOtherBrowser, path: "/connections"}
	}
	s, err := f.redeemSignIn(r.Context(), in.Value, q)
	if err != nil {
		return &problem{kind: errSignIn, cause: err, path: signInPath(in.Value.Return, false)}
	}
	if err := f.startSession(w, r, s); err != nil {
		return err
	}
	http.Redirect(w, r, in.Value.Return, http.StatusSeeOther)
	return nil
}

// checkSignInIssuer comes before all else that an answer says: the code or the
// error of another issuer is nobody's business here (RFC 9207, section 2.4).
func (f *Flow) checkSignInIssuer(ctx context.Context, q url.Values) error {
	issuer, sendsIss, err := f.Browser.Issuer(ctx)
	if err != nil {
		return err
	}
	if err := (endpoints{issuer: issuer, issRequired: sendsIss}).checkIssuer(q); err != nil {
		return fmt.Errorf("%w: %w", errNotSignedIn, err)
	}
	return nil
}

// redeemSignIn spends the code and verifies the ID token.
func (f *Flow) redeemSignIn(ctx context.Context, in signin, q url.Values) (identity.Session, error) {
	if err := f.checkSignInIssuer(ctx, q); err != nil {
		return identity.Session{}, err
	}
	if code := q.Get("error"); code != "" || q.Get("code") == "" {
		return identity.Session{}, fmt.Errorf("%w: %s", errNotSignedIn, plain(code))
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	conf, err := f.issuer(ctx)
	if err != nil {
		return identity.Session{}, err
	}
	answer, err := conf.Exchange(context.WithValue(ctx, oauth2.HTTPClient, f.client), q.Get("code"), oauth2.VerifierOption(in.Verifier))
	if err != nil {
		return identity.Session{}, tokenError("the issuer", err)
	}
	raw, _ := answer.Extra("id_token").(string)
	return f.Browser.SignIn(ctx, raw, in.Nonce)
}

// startSession keeps s, ends the session that this browser had, and sets the
// cookie: a session id never outlives a sign-in.
func (f *Flow) startSession(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	life := s.Caller().ExpiresAt().Sub(f.Now())
	if life <= 0 { // which a table takes as for ever
		return identity.ErrSignedOut
	}
	if err := f.sessions.Put(r.Context(), s.ID(), digest(s), life, signedIn{Since: f.Now()}); err != nil {
		return err
	}
	if err := f.endSession(r); err != nil {
		return err
	}
	sealed, err := f.Browser.Seal(s)
	if err != nil {
		return err
	}
	http.SetCookie(w, page.Cookie(f.public, sessionCookie, sealed, int(life.Seconds())))
	if f.signedOut(r) {
		http.SetCookie(w, page.Cookie(f.public, signedOutCookie, "", -1))
	}
	return nil
}

// endSession makes the request's own session worthless, wherever its cookie is.
func (f *Flow) endSession(r *http.Request) error {
	s, err := f.session(r)
	if errors.Is(err, identity.ErrSignedOut) {
		return nil
	} else if err != nil {
		return err
	}
	if _, err := f.sessions.Take(r.Context(), s.ID()); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// signOut answers with a page of its own: a redirect that leads to the issuer
// would be stopped by form-action.
func (f *Flow) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := f.endSession(r); err != nil {
		return err
	}
	http.SetCookie(w, page.Cookie(f.public, sessionCookie, "", -1))
	http.SetCookie(w, page.Cookie(f.public, signedOutCookie, "1", int(signedOutLife.Seconds())))
	f.show(w, r, http.StatusOK, view{Title: "You are signed out", Name: "signout", Data: signInPath("/connections", true)})
	return nil
}
