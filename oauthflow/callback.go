package oauthflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// callback takes a provider's answer. What waited for it is spent first, whatever
// comes of it; every check comes before the token request.
func (f *Flow) callback(w http.ResponseWriter, r *http.Request) error {
	item, err := f.pending.Take(r.Context(), r.FormValue("state"))
	if errors.Is(err, store.ErrNotFound) {
		return &problem{kind: errNoFlow, path: "/connections"}
	} else if err != nil {
		return err
	}
	s, err := f.sameBrowser(r, item)
	if err != nil {
		return err
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	p, err := f.answering(ctx, r, item.Value)
	if err != nil {
		return &problem{kind: err, provider: p.title, path: "/connections", name: s.Name()}
	}
	token, account, err := f.Providers.redeem(ctx, p, f.redirectURI(p), r.FormValue("code"), item.Value.Verifier, item.Value.Asked)
	if err != nil {
		return &problem{kind: errProviderDown, cause: err, provider: p.title, path: "/connections", name: s.Name()}
	}
	return f.file(ctx, w, r, s, p, item.Value, token, account)
}

// sameBrowser is the request's session, if it is the one that asked: the same
// browser session, and the same person.
func (f *Flow) sameBrowser(r *http.Request, item store.Item[pending]) (identity.Session, error) {
	s, err := f.session(r)
	if err != nil && !errors.Is(err, identity.ErrSignedOut) {
		return identity.Session{}, err
	}
	if err == nil && s.ID() == item.Value.Session && digest(s) == item.Owner {
		return s, nil
	}
	return identity.Session{}, &problem{
		kind: errOtherBrowser, path: "/connections", name: s.Name(),
		cause: f.refuse(r, s.Caller(), item.Value.Provider, "a provider's answer came to another browser session"),
	}
}

// answering is the provider whose answer this is, if it is the one that was asked
// and the answer is a code.
func (f *Flow) answering(ctx context.Context, r *http.Request, wait pending) (Provider, error) {
	p, err := f.Providers.get(wait.Provider)
	if err != nil {
		return p, err
	}
	if r.PathValue("provider") != p.name {
		return p, errMixedUp
	}
	e, err := p.at(ctx, f.Providers.client)
	if err != nil {
		return p, err
	}
	q := r.URL.Query()
	if err := e.checkIssuer(q); err != nil {
		return p, err
	}
	switch code := q.Get("error"); {
	case code == "access_denied":
		return p, errDenied
	case code != "" || q.Get("code") == "":
		return p, fmt.Errorf("%w: %s", errProviderSaid, plain(code))
	}
	return p, nil
}

// file puts the token into the person's vault, unless only other accounts are there.
func (f *Flow) file(ctx context.Context, w http.ResponseWriter, r *http.Request, s identity.Session, p Provider, wait pending, token store.Token, account store.Account) error {
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	for range 3 { // a refresh of the old grant may come in between
		all, err := k.Accounts(ctx, p.name)
		if err != nil {
			return err
		}
		now, again := all.Of(account.ID)
		if !again && len(all.Infos) > 0 {
			return f.askReplace(ctx, w, r, s, k, p, all, replacement{wait, ids(all.Infos), account, park(token)})
		}
		_, err = k.Put(ctx, store.Connection{Provider: p.name, Account: account, Token: token, IfVersion: now.Version})
		if err == nil {
			if err := f.takeBack(ctx, k, s, p, wait, account.ID); err != nil {
				return err
			}
			return f.connected(ctx, w, r, s, k, p, wait.ticket, account, token.Scopes, false)
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return &problem{kind: store.ErrConflict, path: "/connections", name: s.Name()}
}

// connectedData is what the page after a connect shows.
type connectedData struct {
	Provider, Account, Client string
	Missing                   []scopeView
	Again                     string // a new link, where something is missing
	Unrevoked                 string // where to remove the replaced account's access, or ""
	Uses                      usesData
}

// usesData says which of several accounts serves the client that asked, and what the
// others are.
type usesData struct {
	Path, Client string // the client's id; "" where a page of ours asked
	Several      bool
	Account      string // "" where it isn't known
	Others       []accountView
}

// uses is what there is to say and to choose, now that an account was connected.
func (f *Flow) uses(ctx context.Context, k store.Keyring, provider, client string) (usesData, error) {
	all, err := k.Accounts(ctx, provider)
	if err != nil || len(all.Infos) < 2 {
		return usesData{}, err
	}
	data := usesData{Path: choosePath(provider), Client: client, Several: true}
	now, known := all.For(client)
	if known {
		data.Account = label(now)
	}
	for _, info := range all.Infos {
		if !known || info.Account.ID != now.Account.ID {
			data.Others = append(data.Others, accountView{ID: info.Account.ID, Label: label(info)})
		}
	}
	return data, nil
}

// connected says what was connected, and what the person unticked of what is
// needed.
func (f *Flow) connected(ctx context.Context, w http.ResponseWriter, r *http.Request, s identity.Session, k store.Keyring, p Provider, t ticket, account store.Account, granted []string, unrevoked bool) error {
	uses, err := f.uses(ctx, k, p.name, t.Client)
	if err != nil {
		return err
	}
	data := connectedData{Uses: uses, Provider: p.title, Account: account.Label, Client: f.clientName(ctx, t.Client)}
	title := p.title + " is connected"
	if missing := p.missing(granted, t.Scopes); len(missing) > 0 {
		again, err := f.connectPath(ctx, s.Caller(), ticket{Client: t.Client, Provider: p.name, Scopes: t.Scopes, Account: account.ID})
		if err != nil {
			return err
		}
		title = p.title + " is connected, but something is missing"
		data.Missing, data.Again = p.inWords(missing, nil), again
	}
	if unrevoked {
		data.Unrevoked = p.removeURL
	}
	f.show(w, r, http.StatusOK, view{Title: title, Name: "connected", SignedIn: s.Name(), Data: data})
	return nil
}
