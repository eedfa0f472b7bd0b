package identity

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSessionRoundTrip(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	b := i.browser(nil)
	in := signIn(t, i, b, s)
	cookie, err := b.Seal(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.Open(cookie)
	if err != nil {
		t.Fatal(err)
	}
	isAlice(t, i, out)
	if out.ID() != in.ID() || !out.Caller().ExpiresAt().Equal(i.Now().Add(12*time.Hour)) || !out.Caller().IssuedAt().Equal(i.Now()) {
		t.Errorf("%+v became %+v", in, out)
	}
	if again := signIn(t, i, b, s); again.ID() == in.ID() {
		t.Error("a second sign-in has the first one's id")
	}
	for _, word := range []string{"alice", "Alice", in.ID()} {
		sealed, _ := base64.RawURLEncoding.DecodeString(cookie)
		if strings.Contains(string(sealed), word) {
			t.Errorf("the cookie shows %q", word)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	b := i.browser(nil)
	cookie, err := b.Seal(signIn(t, i, b, s))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := aead(t, "a").Encrypt([]byte(`{"issuer":"`+i.URL+`","subject":"alice","id":"x","issued":1800000000,"expires":1900000000}`), []byte("latchkey browser session v2"))
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (Session, error){
		"nothing":        func() (Session, error) { return b.Open("") },
		"garbage":        func() (Session, error) { return b.Open("garbage") },
		"cut short":      func() (Session, error) { return b.Open(cookie[:len(cookie)-4]) },
		"a bit changed":  func() (Session, error) { return b.Open(flip(cookie)) },
		"padded":         func() (Session, error) { return b.Open(cookie + "=") },
		"another format": func() (Session, error) { return b.Open(base64.RawURLEncoding.EncodeToString(foreign)) },
		"another key": func() (Session, error) {
			return i.browser(func(c *BrowserConfig) { c.Seal = aead(t, "b") }).Open(cookie)
		},
		"another issuer": func() (Session, error) {
			return i.browser(func(c *BrowserConfig) { c.Issuer += "/" }).Open(cookie)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := open(); !errors.Is(err, ErrSignedOut) || !out.Caller().IsZero() {
				t.Errorf("session %+v, error %v, want ErrSignedOut", out, err)
			}
		})
	}
}

func flip(s string) string {
	other := "A"
	if s[20] == 'A' {
		other = "B"
	}
	return s[:20] + other + s[21:]
}

func TestSessionEnds(t *testing.T) {
	s := es256("")
	for _, life := range []time.Duration{0, time.Hour} {
		i := newIssuer(t, s.jwk(nil))
		b := i.browser(func(c *BrowserConfig) { c.Life = life })
		cookie, err := b.Seal(signIn(t, i, b, s))
		if err != nil {
			t.Fatal(err)
		}
		shorter := i.browser(func(c *BrowserConfig) { c.Life = time.Minute })
		end := life
		if end == 0 {
			end = 12 * time.Hour
		}
		i.advance(end - time.Second)
		if _, err := b.Open(cookie); err != nil {
			t.Errorf("a second before its end: %v", err)
		}
		if _, err := shorter.Open(cookie); !errors.Is(err, ErrSignedOut) {
			t.Errorf("error %v where sessions are shorter now, want ErrSignedOut", err)
		}
		i.advance(time.Second)
		if _, err := b.Open(cookie); !errors.Is(err, ErrSignedOut) {
			t.Errorf("error %v at its end, want ErrSignedOut", err)
		}
		i.advance(-end - time.Minute)
		if _, err := b.Open(cookie); !errors.Is(err, ErrSignedOut) {
			t.Errorf("error %v before its beginning, want ErrSignedOut", err)
		}
	}
}

func TestSealNeedsASession(t *testing.T) {
	i := newIssuer(t)
	if cookie, err := i.browser(nil).Seal(Session{}); err == nil {
		t.Errorf("nobody's session was sealed: %q", cookie)
	}
}
