package authserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

const (
	accessLife = 15 * time.Minute
	idLife     = 5 * time.Minute
	maxForm    = 32 << 10
)

// invalidGrant is one text for every way in which a code or refresh token can be
// wrong: who guesses learns nothing.
var invalidGrant = &oauthError{http.StatusBadRequest, "invalid_grant", "the code or refresh token is wrong, over, or used already: sign in again"}

// token is the token endpoint (RFC 6749, section 3.2).
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	form, err := tokenForm(w, r)
	if err != nil {
		return err
	}
	c, err := s.authenticate(w, r, form)
	if err != nil {
		return err
	}
	if !s.ours(form["resource"]) {
		return badRequest("invalid_target", "the only resource here is "+s.cfg.Resource)
	}
	var answer map[string]any
	switch form.Get("grant_type") {
	case grantCode:
		answer, err = s.redeem(r.Context(), c, form)
	case grantRefresh:
		answer, err = s.refresh(r.Context(), c, form)
	case "":
		err = badRequest("invalid_request", "grant_type is missing")
	default:
		err = badRequest("unsupported_grant_type", "use authorization_code or refresh_token")
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

// tokenForm is the body: a form, in which nothing but resource is there twice.
// The query counts for nothing.
func tokenForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/x-www-form-urlencoded" {
		return nil, badRequest("invalid_request", "send application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, badRequest("invalid_request", "the form can't be read, or is larger than 32 KiB")
	}
	for name, values := range r.PostForm {
		if len(values) > 1 && name != "resource" {
			return nil, badRequest("invalid_request", name+" is there twice")
		}
	}
	return r.PostForm, nil
}

// authenticate is client authentication (RFC 6749, section 2.3). A client whose id
// is a URL is public, and what it gets is bound to that id: its document is not
// fetched again, so that a refresh doesn't depend on the client's web server.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, form url.Values) (client, error) {
	wrong := &oauthError{http.StatusUnauthorized, "invalid_client", "unknown client, or wrong client secret: register again"}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="token endpoint"`)
		var err1, err2 error
		user, err1 = url.QueryUnescape(user)
		password, err2 = url.QueryUnescape(password)
		if err1 != nil || err2 != nil || (id != "" && id != user) || secret != "" {
			return client{}, wrong
		}
		id, secret = user, password
	}
	c, err := client{ID: id, AuthMethod: methodNone}, error(nil)
	if !isDocumentID(id) {
		c, err = s.client(r.Context(), id)
	}
	if errors.Is(err, errUnknownClient) || err == nil && !c.knows(secret) {
		return client{}, wrong
	}
	w.Header().Del("WWW-Authenticate")
	return c, err
}

// redeem turns a code into tokens. The code is used up by the attempt, right or
// wrong; a second attempt revokes what the first one got (RFC 6749, section 4.1.2).
func (s *Server) redeem(ctx context.Context, c client, form url.Values) (map[string]any, error) {
	raw := form.Get("code")
	granted, err := s.use(ctx, raw)
	if err != nil {
		return nil, err
	}
	if !granted.redeemableBy(c, form) {
		return nil, invalidGrant
	}
	if counts, err := s.counts(ctx, granted.Subject, granted.SignedIn); err != nil {
		return nil, err
	} else if !counts {
		return nil, invalidGrant
	}
	answer, err := s.tokens(ctx, c, granted.Request.Scopes, granted.Subject)
	if err != nil {
		return nil, err
	}
	if c.pages {
		answer["id_token"], err = s.idToken(ctx, granted)
		return answer, err
	}
	if granted.Request.Refresh {
		answer["refresh_token"], err = s.startFamily(ctx, raw, granted)
	}
	return answer, err
}

// use marks a code as used: one user wins. The family that a code leads to can be
// told from the code alone, so that a replay revokes it even while the first use
// is still under way.
func (s *Server) use(ctx context.Context, raw string) (code, error) {
	item, err := s.codes.Get(ctx, raw)
	if errors.Is(err, store.ErrNotFound) { // never issued, or long over
		return code{}, refusal(s.revokeExisting(ctx, familyOf(raw)))
	}
	if err != nil {
		return code{}, err
	}
	replayed := item.Value.Used
	if !replayed {
		item.Value.Used = true
		err = s.codes.Replace(ctx, raw, item)
		replayed = errors.Is(err, store.ErrConflict)
	}
	if replayed {
		s.log.WarnContext(ctx, "authorization code used twice: tokens revoked", "client", item.Value.Request.ClientID)
		return code{}, refusal(s.revoke(ctx, familyOf(raw)))
	}
	return item.Value, err
}

// refusal is invalidGrant, unless the revocation that goes with it failed.
func refusal(revoked error) error {
	if revoked != nil {
		return fmt.Errorf("revoke a refresh family: %w", revoked)
	}
	return invalidGrant
}

// redeemableBy reports whether c, with that form, is whom the code was made for.
// OAuth 2.1 clients send no redirect_uri here, PKCE does its work; who sends one
// must send the same (section 10.2).
func (g code) redeemableBy(c client, form url.Values) bool {
	sameClient := g.Request.ClientID == c.ID
	sameRedirect := !form.Has("redirect_uri") || form.Get("redirect_uri") == g.Request.RedirectURI
	return sameClient && sameRedirect && verifies(form.Get("code_verifier"), g.Request.Challenge)
}

// verifies is PKCE S256 (RFC 7636, section 4.6).
func verifies(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	computed := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(computed), []byte(challenge)) == 1
}

// tokens is a token response (RFC 6749, section 5.1) with an access token.
func (s *Server) tokens(ctx context.Context, c client, scopes []string, subject string) (map[string]any, error) {
	access, err := s.accessToken(ctx, c, scopes, subject)
	return map[string]any{
		"access_token": access, "token_type": "Bearer",
		"expires_in": int(accessLife.Seconds()), "scope": strings.Join(scopes, " "),
	}, err
}

// accessToken is a JWT access token (RFC 9068). Our pages only want to know who
// signs in: what they get is no use at the resource.
func (s *Server) accessToken(ctx context.Context, c client, scopes []string, subject string) (string, error) {
	audience := s.cfg.Resource
	if c.pages {
		audience = s.cfg.Issuer
	}
	return s.signed(ctx, typeAccess, accessLife, map[string]any{
		"sub": subject, "aud": []string{audience}, "client_id": c.ID,
		"scope": strings.Join(scopes, " "), "jti": rand.Text(),
	})
}

// idToken tells our pages who has signed in (OpenID Connect Core, section 2).
func (s *Server) idToken(ctx context.Context, granted code) (string, error) {
	claims := map[string]any{
		"sub": granted.Subject, "aud": granted.Request.ClientID,
		"auth_time": granted.SignedIn.Unix(), "name": granted.Name,
	}
	if granted.Request.Nonce != "" {
		claims["nonce"] = granted.Request.Nonce
	}
	return s.signed(ctx, typeID, idLife, claims)
}

// signed adds issuer and times to claims and signs them with the current key.
func (s *Server) signed(ctx context.Context, typ string, life time.Duration, claims map[string]any) (string, error) {
	ring, err := s.keys.ring(ctx)
	if err != nil {
		return "", err
	}
	now := s.now()
	claims["iss"], claims["iat"], claims["exp"] = s.cfg.Issuer, now.Unix(), now.Add(life).Unix()
	return sign(ring.Current, typ, claims)
}

// narrowed is asked where it lies within granted (RFC 6749, section 6); granted
// where nothing is asked.
func narrowed(asked string, granted []string) ([]string, error) {
	names := strings.Fields(asked)
	if len(names) == 0 {
		return granted, nil
	}
	for _, name := range names {
		if !slices.Contains(granted, name) {
			return nil, badRequest("invalid_scope", "a refresh can't widen the scope: sign in again for more")
		}
	}
	return names, nil
}
