package oauthflow

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

type forgetData struct {
	Who, Issuer string
	BuiltIn     bool // the issuer is our own
	Connections []forgetView
	Key         string
}

// A forgetView is one connected account.
type forgetView struct {
	Title, Account string
	Shared         bool // somebody else here has connected it too
}

// askForget says what will go and what stays. It forgets nothing.
func (f *Flow) askForget(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	infos, err := k.List(r.Context())
	if err != nil {
		return err
	}
	key, err := f.forgetKey(s)
	if err != nil {
		return err
	}
	issuer := s.Caller().Principal().Issuer()
	data := forgetData{Who: s.Name(), Issuer: issuer, BuiltIn: issuer == f.PublicURL, Key: key}
	for _, info := range infos {
		shared, err := k.Shared(r.Context(), info.Provider, info.Account.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		data.Connections = append(data.Connections, forgetView{f.title(info.Provider), info.Account.Label, shared})
	}
	f.show(w, r, http.StatusOK, view{Title: "Forget me?", Name: "forget", SignedIn: s.Name(), Data: data})
	return nil
}

// forgetKey is the right to confirm, sealed for the session: on a full disk nothing
// could be kept. It works once, because what it confirms ends the session.
func (f *Flow) forgetKey(s identity.Session) (string, error) {
	until := strconv.FormatInt(f.Now().Add(shortLife).Unix(), 10)
	sealed, err := f.forgets.Encrypt([]byte(until), []byte(s.ID()))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// confirms reports whether key is s's own and not too old.
func (f *Flow) confirms(key string, s identity.Session) bool {
	sealed, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		return false
	}
	until, err := f.forgets.Decrypt(sealed, []byte(s.ID()))
	if err != nil {
		return false
	}
	unix, err := strconv.ParseInt(string(until), 10, 64)
	return err == nil && f.Now().Unix() < unix
}

// title is what people call a provider, also one that is not configured any more.
func (f *Flow) title(provider string) string {
	if p, err := f.Providers.get(provider); err == nil {
		return p.title
	}
	return provider
}

// forgetMe is the yes to askForget, in the same browser session. What of it failed
// doesn't keep the rest from happening.
func (f *Flow) forgetMe(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	if !f.confirms(r.PostFormValue("key"), s) {
		return &problem{kind: errNoFlow, path: "/connections", name: s.Name()}
	}
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	unrevoked, err := k.Forget(r.Context(), func(ctx context.Context) ([]store.Connection, error) {
		return f.waiting(ctx, s)
	})
	f.forgetCookies(w)
	if err != nil {
		return &problem{kind: errHalfForgotten, cause: err}
	}
	var data []unrevokedData
	for _, name := range unrevoked {
		p, _ := f.Providers.get(name)
		data = append(data, unrevokedData{f.title(name), p.removeURL})
	}
	f.show(w, r, http.StatusOK, view{Title: "You are forgotten here", Name: "forgotten", Data: data})
	return nil
}

// forgetCookies leaves the browser as a sign-out does: the issuer is to ask who it is.
func (f *Flow) forgetCookies(w http.ResponseWriter) {
	http.SetCookie(w, page.Cookie(f.public, sessionCookie, "", -1))
	http.SetCookie(w, page.Cookie(f.public, signedOutCookie, "1", int(signedOutLife.Seconds())))
}

// waiting is the person's tokens that wait for their answer.
func (f *Flow) waiting(ctx context.Context, s identity.Session) ([]store.Connection, error) {
	items, err := f.parked.Owned(ctx, digest(s))
	var list []store.Connection
	for _, item := range items {
		list = append(list, item.Value.connection())
	}
	return list, err
}

func (rep replacement) connection() store.Connection {
	return store.Connection{Provider: rep.Provider, Account: rep.Account, Token: rep.Token.token()}
}

// overtaken reports whether the person was forgotten since they went to the provider.
// Who asks has written what must then be taken back: either the forgetting has seen
// it, or this sees the forgetting.
func (f *Flow) overtaken(ctx context.Context, s identity.Session, wait pending) (bool, error) {
	at, err := f.Vault.Forgotten(ctx, digest(s))
	return !at.IsZero() && !at.Equal(wait.Forgotten), err
}

// takeBack disconnects what was just connected where the person was forgotten
// meanwhile.
func (f *Flow) takeBack(ctx context.Context, k store.Keyring, s identity.Session, p Provider, wait pending, account string) error {
	if gone, err := f.overtaken(ctx, s, wait); err != nil || !gone {
		return err
	}
	if _, err := f.forget(ctx, k, p.name, account); err != nil {
		return err
	}
	return &problem{kind: errForgotten, provider: p.title}
}

// takeBackParked is takeBack for a token that waits under key. Where another took it
// from there, it is theirs to take back.
func (f *Flow) takeBackParked(ctx context.Context, s identity.Session, p Provider, key string, rep replacement) error {
	if gone, err := f.overtaken(ctx, s, rep.pending); err != nil || !gone {
		return err
	}
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	if _, err := f.parked.Take(ctx, key); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var unconfirmed *store.RevokeError
	if err := k.Discard(ctx, rep.connection()); err != nil && !errors.As(err, &unconfirmed) {
		return err
	}
	return &problem{kind: errForgotten, provider: p.title}
}
