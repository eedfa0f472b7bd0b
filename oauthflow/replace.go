package oauthflow

import (
	"context"
	"errors"
	"net/http"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// replacement is a token of another account than the connected one. It waits,
// sealed, until the person says which of the two they want.
type replacement struct {
	pending
	Old     string // the connected account's id
	Account store.Account
	Token   parked
}

type replaceData struct{ Provider, Old, New, Path, Key string }

func (f *Flow) askReplace(ctx context.Context, w http.ResponseWriter, r *http.Request, s identity.Session, p Provider, now store.Info, rep replacement) error {
	key := newKey()
	if err := f.parked.Put(ctx, key, digest(s), shortLife, rep); err != nil {
		return err
	}
	if err := f.takeBackParked(ctx, s, p, key, rep); err != nil {
		return err
	}
	f.show(w, r, http.StatusOK, view{
		Title: "Replace the connected account?", Name: "replace", SignedIn: s.Name(),
		Data: replaceData{p.title, now.Account.Label, rep.Account.Label, "/connections/" + p.name + "/replace", key},
	})
	return nil
}

// replace is the person's answer. Saying no revokes the new token: nobody wants
// it. Saying yes revokes the old account's: it is another account, so that even
// Google's revocation, which ends a whole grant, leaves the new one alone.
func (f *Flow) replace(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	item, err := f.parked.Take(r.Context(), r.PostFormValue("key"))
	if errors.Is(err, store.ErrNotFound) {
		return &problem{kind: errNoFlow, path: "/connections", name: s.Name()}
	} else if err != nil {
		return err
	}
	rep := item.Value
	if item.Owner != digest(s) || rep.Session != s.ID() || rep.Provider != r.PathValue("provider") {
		return &problem{
			kind: errOtherBrowser, path: "/connections", name: s.Name(),
			cause: f.refuse(r, s.Caller(), rep.ticket, "a replacement was confirmed from another browser session"),
		}
	}
	p, err := f.Providers.get(rep.Provider)
	if err != nil {
		return err
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	if r.PostFormValue("answer") != "replace" {
		return f.keepOld(ctx, w, r, p, rep)
	}
	return f.putNew(ctx, w, r, s, p, rep)
}

func (f *Flow) keepOld(ctx context.Context, w http.ResponseWriter, r *http.Request, p Provider, rep replacement) error {
	if err := f.Providers.Revoke(ctx, p.name, rep.Token.token()); err != nil {
		f.Log.WarnContext(ctx, "an unwanted token could not be revoked", "provider", p.name, "error", err)
	}
	http.Redirect(w, r, "/connections", http.StatusSeeOther)
	return nil
}

func (f *Flow) putNew(ctx context.Context, w http.ResponseWriter, r *http.Request, s identity.Session, p Provider, rep replacement) error {
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	now, err := had(ctx, k, p.name)
	if err != nil {
		return err
	}
	if now.Account.ID != rep.Old { // what the person saw is not what is there
		return &problem{kind: store.ErrConflict, path: "/connections", name: s.Name()}
	}
	unrevoked, err := f.forget(ctx, k, p.name)
	if err != nil {
		return err
	}
	token := rep.Token.token()
	if _, err := k.Put(ctx, store.Connection{Provider: p.name, Account: rep.Account, Token: token}); err != nil {
		return err
	}
	if err := f.takeBack(ctx, k, s, p, rep.pending); err != nil {
		return err
	}
	return f.connected(ctx, w, r, s, p, rep.ticket, rep.Account, token.Scopes, unrevoked)
}

// forget disconnects, and reports whether the provider failed to confirm that it
// revoked the token. A grant that isn't there is forgotten already.
func (f *Flow) forget(ctx context.Context, k store.Keyring, provider string) (unrevoked bool, err error) {
	err = k.Delete(ctx, provider)
	var unconfirmed *store.RevokeError
	if errors.As(err, &unconfirmed) {
		return true, nil
	}
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return false, err
}
