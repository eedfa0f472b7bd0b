package oauthflow

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// An accountView is one connected account on a page.
type accountView struct {
	ID, Label string
	Since     string // a day, as "23 November 2026"; "" where it isn't known
	Broken    string
	Restored  bool // the provider may have ended it since a backup
	Scopes    []scopeView
	Default   bool // of several
	Shared    bool // somebody else here has connected it too
}

// A clientView is one client on the connections page, and which account it uses.
type clientView struct {
	ID, Name string
	Account  string // the id of the one that was chosen for it, or ""
	Gone     bool   // that one is not connected any more
	Uses     string
}

func (p Provider) accountView(info store.Info) accountView {
	v := accountView{ID: info.Account.ID, Label: label(info), Broken: info.Broken, Restored: info.Restored, Scopes: p.inWords(info.Scopes, nil)}
	if !info.ConnectedAt.IsZero() {
		v.Since = info.ConnectedAt.Format("2 January 2006")
	}
	return v
}

// label is what an account is called: one that can't be read has its id alone.
func label(info store.Info) string {
	if info.Account.Label != "" {
		return info.Account.Label
	}
	return "account " + info.Account.ID
}

func labels(infos []store.Info) []string {
	var list []string
	for _, info := range infos {
		list = append(list, label(info))
	}
	return list
}

func ids(infos []store.Info) []string {
	var list []string
	for _, info := range infos {
		list = append(list, info.Account.ID)
	}
	return list
}

// clients are those for which there is something to choose or to tell at a provider:
// where there are several accounts all of seen, else those whose own is gone.
func (f *Flow) clients(ctx context.Context, all store.Accounts, seen []string) []clientView {
	names := slices.Collect(maps.Keys(all.Clients))
	if len(all.Infos) > 1 {
		names = append(names, seen...)
	}
	slices.Sort(names)
	var views []clientView
	for _, id := range slices.Compact(names) {
		chosen := all.Clients[id]
		_, there := all.Of(chosen)
		if there && len(all.Infos) < 2 {
			continue
		}
		v := clientView{ID: id, Name: f.clientName(ctx, id), Account: chosen, Gone: chosen != "" && !there}
		if now, known := all.For(id); known {
			v.Uses = label(now)
		}
		views = append(views, v)
	}
	return views
}

func choosePath(provider string) string { return "/connections/" + provider + "/choose" }

// longestClientID is as long as a client id may be here: a URL, at most.
const longestClientID = 2048

// choose is the person's word on which account serves one client, or with an empty
// client all of those without one of their own.
func (f *Flow) choose(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	account, client := r.PostFormValue("account"), r.PostFormValue("client")
	if len(client) > longestClientID {
		return &problem{kind: errNotFound, name: s.Name()}
	}
	err = k.Choose(r.Context(), r.PathValue("provider"), account, client)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return &problem{kind: store.ErrConflict, cause: err, path: "/connections", name: s.Name()}
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/connections", http.StatusSeeOther)
	return nil
}

type sharedData struct{ Name, Provider, ID, Label string }

// askShared asks once more where somebody else here has connected the account too,
// and reports whether it did.
func (f *Flow) askShared(w http.ResponseWriter, r *http.Request, s identity.Session, k store.Keyring, provider, account string) (bool, error) {
	shared, err := k.Shared(r.Context(), provider, account)
	if errors.Is(err, store.ErrNotFound) || err == nil && !shared {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	all, err := k.Accounts(r.Context(), provider)
	if err != nil {
		return false, err
	}
	data := sharedData{Name: provider, Provider: provider, ID: account}
	if info, there := all.Of(account); there {
		data.Label = label(info)
	}
	if p, err := f.Providers.get(provider); err == nil {
		data.Provider = p.title
	}
	f.show(w, r, http.StatusOK, view{Title: "Somebody else uses this account too", Name: "shared", SignedIn: s.Name(), Data: data})
	return true, nil
}
