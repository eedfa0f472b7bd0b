package authserver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

const (
	sessionCookie = "authserver"
	sessionLife   = 12 * time.Hour // counted from the sign-in, used or not
)

// A session is one person signed in at the authorization server in one browser.
// It lives sealed in a cookie.
type session struct {
	ID       string // new at each sign-in; consent tickets are bound to it
	Subject  string
	Name     string // for pages and ID tokens
	SignedIn time.Time
}

// session is who is signed in where r comes from.
func (s *Server) session(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(page.CookieName(s.public, sessionCookie))
	if err != nil {
		return session{}, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return session{}, false
	}
	plain, err := s.seal.Decrypt(sealed, []byte(s.cfg.Issuer))
	if err != nil {
		return session{}, false
	}
	var who session
	if json.Unmarshal(plain, &who) != nil || who.Subject == "" {
		return session{}, false
	}
	return who, s.welcome(r.Context(), who)
}

// welcome reports whether the session still counts: it isn't over, a made-up person
// still exists, and nobody had themselves forgotten since. The cookie is sealed and
// in no table, so that nothing else can end it in another browser.
func (s *Server) welcome(ctx context.Context, who session) bool {
	age := s.now().Sub(who.SignedIn)
	if age < 0 || age >= sessionLife || !s.exists(who.Subject) {
		return false
	}
	counts, err := s.counts(ctx, who.Subject, who.SignedIn)
	if err != nil {
		s.log.ErrorContext(ctx, "a session could not be checked", "error", err)
	}
	return err == nil && counts
}

// owner is whose records those on subject are.
func (s *Server) owner(subject string) identity.Digest {
	return identity.OwnerOf(s.cfg.Issuer, subject)
}

// counts reports whether what began at that time is still good: the person had
// nothing forgotten since.
func (s *Server) counts(ctx context.Context, subject string, began time.Time) (bool, error) {
	at, err := s.cfg.Vault.Forgotten(ctx, s.owner(subject))
	return err == nil && (at.IsZero() || began.After(at)), err
}

// start signs subject in under a new session id, and goes back to the
// authorization request that asked for it.
func (s *Server) start(w http.ResponseWriter, subject, name string, query url.Values) error {
	plain, err := json.Marshal(session{ID: rand.Text(), Subject: subject, Name: name, SignedIn: s.now()})
	if err != nil {
		return err
	}
	sealed, err := s.seal.Encrypt(plain, []byte(s.cfg.Issuer))
	if err != nil {
		return err
	}
	value := base64.RawURLEncoding.EncodeToString(sealed)
	http.SetCookie(w, page.Cookie(s.public, sessionCookie, value, int(sessionLife.Seconds())))
	return redirect(w, "/authorize?"+withoutPrompt(query).Encode())
}

// withoutPrompt is query after the person has been asked. The request is checked
// anew, from the start, when it comes back.
func withoutPrompt(query url.Values) url.Values {
	query.Del("prompt")
	return query
}
