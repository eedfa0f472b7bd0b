package identity

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"
)

// sessionContext is the associated data of every sealed session: it names what
// the bytes are, and their version.
const sessionContext = "latchkey browser session v1"

// maxCookie is the longest cookie value that is opened, in bytes.
const maxCookie = 4 << 10

// A Session is one signed-in browser. Its Caller has no client and no scopes.
type Session struct {
	caller Caller
	id     string
	name   string
}

// Caller is who is signed in.
func (s Session) Caller() Caller { return s.caller }

// ID is the session's random identifier, new at each sign-in; what must come back
// to the same browser is bound to it.
func (s Session) ID() string { return s.id }

// Name is what the ID token calls the person (name, preferred_username or e-mail,
// else the subject): for showing on pages, never for a decision.
func (s Session) Name() string { return s.name }

// sealedSession is a session inside its cookie, times in Unix seconds.
type sealedSession struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Issued  int64  `json:"issued"`
	Expires int64  `json:"expires"`
}

// start is a session under an ID that nobody had before, so that nothing bound to
// an earlier one survives a sign-in.
func (b *Browser) start(p Principal, name string) Session {
	issued := b.cfg.Now().Truncate(time.Second)
	c := Caller{principal: p, issuedAt: issued, expiresAt: issued.Add(b.cfg.Life)}
	return Session{caller: c, id: rand.Text(), name: name}
}

// Seal is s as a cookie value.
func (b *Browser) Seal(s Session) (string, error) {
	if s.caller.IsZero() || s.id == "" {
		return "", errors.New("there is no session to seal")
	}
	plain, err := json.Marshal(sealedSession{
		Issuer: s.caller.principal.issuer, Subject: s.caller.principal.subject, ID: s.id, Name: s.name,
		Issued: s.caller.issuedAt.Unix(), Expires: s.caller.expiresAt.Unix(),
	})
	if err != nil {
		return "", err
	}
	sealed, err := b.cfg.Seal.Encrypt(plain, []byte(sessionContext))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open is the session in a cookie value that Seal made; ErrSignedOut where it is
// missing, forged, of another issuer, or over.
func (b *Browser) Open(cookie string) (Session, error) {
	sealed, ok := decodeSegment(cookie)
	if !ok || len(cookie) > maxCookie {
		return Session{}, ErrSignedOut
	}
	plain, err := b.cfg.Seal.Decrypt(sealed, []byte(sessionContext))
	if err != nil {
		return Session{}, ErrSignedOut
	}
	var in sealedSession
	if err := json.Unmarshal(plain, &in); err != nil {
		return Session{}, ErrSignedOut
	}
	if in.Issuer != b.cfg.Issuer || in.Subject == "" || in.ID == "" || !b.within(in) {
		return Session{}, ErrSignedOut
	}
	return in.session(), nil
}

// within reports whether the session runs now. A life that was shortened since
// holds for sessions that are older, too.
func (b *Browser) within(in sealedSession) bool {
	now, issued := b.cfg.Now(), time.Unix(in.Issued, 0)
	return !now.Before(issued.Add(-skew)) &&
		now.Before(time.Unix(in.Expires, 0)) && now.Before(issued.Add(b.cfg.Life))
}

func (in sealedSession) session() Session {
	return Session{id: in.ID, name: in.Name, caller: Caller{
		principal: Principal{issuer: in.Issuer, subject: in.Subject},
		issuedAt:  time.Unix(in.Issued, 0), expiresAt: time.Unix(in.Expires, 0),
	}}
}
