package oauthflow

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// replacement is a token of another account than the connected ones. It waits,
// sealed, until the person says what becomes of it.
type replacement struct {
	pending
	Old     []string // the connected accounts' ids
	Account store.Account
	Token   parked
}

type replaceData struct {
	Provider, New, Client, Path, Key string
	Uses                             string // what the client uses now, or ""
	Old                              []accountView
}

func (f *Flow) askReplace(ctx context.Context, w http.ResponseWriter, r *http.Request, s identity.Session, k store.Keyring, p Provider, all store.Accounts, rep replacement) error {
	data := replaceData{
		Provider: p.title, New: rep.Account.Label, Client: f.clientName(ctx, rep.Client),
		Path: "/connections/" + p.name + "/replace", Key: newKey(),
	}
	if now, known := all.For(rep.Client); known {
		data.Uses = label(now)
	}
	for _, info := range all.Infos {
		shared, err := k.Shared(ctx, p.name, info.Account.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		data.Old = append(data.Old, accountView{ID: info.Account.ID, Label: label(info), Shared: shared})
	}
	if err := f.parked.Put(ctx, data.Key, digest(s), shortLife, rep); err != nil {
		return err
	}
	if err := f.takeBackParked(ctx, s, p, data.Key, rep); err != nil {
		return err
	}
	f.show(w, r, http.StatusOK, view{Title: "Add this account, or replace one?", Name: "replace", SignedIn: s.Name(), Data: data})
	return nil
}

// replace is the person's answer. Keeping all as it was revokes the new token: nobody
// wants it. Replacing revokes the old account's: it is another account, so that even
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
			cause: f.refuse(r, s.Caller(), rep.Provider, "a replacement was confirmed from another browser session"),
		}
	}
	p, err := f.Providers.get(rep.Provider)
	if err != nil {
		return err
	}
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	switch old := r.PostFormValue("replace"); {
	case r.PostForm.Has("replace"):
		return f.putNew(ctx, w, r, s, k, p, rep, old)
	case r.PostFormValue("answer") == "add":
		return f.add(ctx, w, r, s, k, p, rep)
	}
	return f.keepOld(ctx, w, r, k, p, rep)
}

func (f *Flow) keepOld(ctx context.Context, w http.ResponseWriter, r *http.Request, k store.Keyring, p Provider, rep replacement) error {
	if err := k.Discard(ctx, rep.connection()); err != nil {
		f.Log.WarnContext(ctx, "an unwanted token could not be revoked", "provider", p.name, "error", err)
	}
	http.Redirect(w, r, "/connections", http.StatusSeeOther)
	return nil
}

// add files the new account beside the others. The client that asked for it uses it
// from then on, since that is what the person did it for.
func (f *Flow) add(ctx context.Context, w http.ResponseWriter, r *http.Request, s identity.Session, k store.Keyring, p Provider, rep replacement) error {
	token := rep.Token.token()
	if _, err := k.Put(ctx, store.Connection{Provider: p.name, Account: rep.Account, Token: token}); err != nil {
		return err
	}
	if rep.Client != "" {
		if err := k.Choose(ctx, p.name, rep.Account.ID, rep.Client); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if err := f.takeBack(ctx, k, s, p, rep.pending, rep.Account.ID); err != nil {
		return err
	}
	return f.connected(ctx, w, r, s, k, p, rep.ticket, rep.Account, token.Scopes, false)
}

// putNew files the new account in the place of old. The new one comes first, so that
// nothing is lost where this is cut short.
func (f *Flow) putNew(ctx context.Context, w http.ResponseWriter, r *http.Request, s identity.Session, k store.Keyring, p Provider, rep replacement, old string) error {
	all, err := k.Accounts(ctx, p.name)
	if err != nil {
		return err
	}
	if _, there := all.Of(old); !there || !slices.Contains(rep.Old, old) { // what the person saw is not what is there
		return &problem{kind: store.ErrConflict, path: "/connections", name: s.Name()}
	}
	token := rep.Token.token()
	if _, err := k.Put(ctx, store.Connection{Provider: p.name, Account: rep.Account, Token: token}); err != nil {
		return err
	}
	if err := k.Succeed(ctx, p.name, old, rep.Account.ID); err != nil {
		return err
	}
	unrevoked, err := f.forget(ctx, k, p.name, old)
	if err != nil {
		return err
	}
	if err := f.takeBack(ctx, k, s, p, rep.pending, rep.Account.ID); err != nil {
		return err
	}
	return f.connected(ctx, w, r, s, k, p, rep.ticket, rep.Account, token.Scopes, unrevoked)
}

// forget disconnects, and reports whether the provider failed to confirm that it
// revoked the token. A grant that isn't there is forgotten already.
func (f *Flow) forget(ctx context.Context, k store.Keyring, provider, account string) (unrevoked bool, err error) {
	err = k.Delete(ctx, provider, account)
	var unconfirmed *store.RevokeError
	if errors.As(err, &unconfirmed) {
		return true, nil
	}
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return false, err
}
