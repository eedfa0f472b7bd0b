package oauthflow

import (
	"context"
	"net/http"
	"slices"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// A card is one provider on the connections page.
type card struct {
	Name, Title string
	Configured  bool
	Accounts    []accountView
	Unchosen    bool // the person has to say which of several is the default
	Clients     []clientView
	Tools       []toolView
}

// Several reports whether there is something to choose from.
func (c card) Several() bool { return len(c.Accounts) > 1 }

type connectionsData struct {
	Cards   []card
	Clients []permitView
}

// connections lists the providers, what the person connected there, and when their
// clients ask.
func (f *Flow) connections(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	seen, err := k.Clients(r.Context())
	if err != nil {
		return err
	}
	cards, err := f.cards(r.Context(), k, seen)
	if err != nil {
		return err
	}
	permits, err := f.permits(r.Context(), k, seen)
	if err != nil {
		return err
	}
	f.show(w, r, http.StatusOK, view{
		Title: "Your connections", Name: "connections", SignedIn: s.Name(), Data: connectionsData{cards, permits},
	})
	return nil
}

// cards are the configured providers in their order, then those at which something is
// still connected, so that people can disconnect it.
func (f *Flow) cards(ctx context.Context, k store.Keyring, seen []string) ([]card, error) {
	infos, err := k.List(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.Clone(f.Providers.order)
	for _, info := range infos {
		if !slices.Contains(names, info.Provider) {
			names = append(names, info.Provider)
		}
	}
	var cards []card
	for _, name := range names {
		all, err := k.Accounts(ctx, name)
		if err != nil {
			return nil, err
		}
		cards = append(cards, f.card(ctx, name, all, seen))
	}
	return cards, nil
}

func (f *Flow) card(ctx context.Context, name string, all store.Accounts, seen []string) card {
	c := card{Name: name, Title: name}
	p, configured := f.Providers.byName[name]
	if configured {
		c.Title, c.Configured, c.Tools = p.title, true, f.toolsWith(p, f.scopesOf(name))
	}
	for _, info := range all.Infos {
		v := p.accountView(info)
		v.Default = len(all.Infos) > 1 && info.Account.ID == all.Default
		c.Accounts = append(c.Accounts, v)
	}
	c.Unchosen = c.Several() && all.Default == ""
	c.Clients = f.clients(ctx, all, seen)
	return c
}

// connectProvider is the connect button: a link for what all of the provider's
// tools need, to the same consent page that a client's link leads to.
func (f *Flow) connectProvider(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	name, account := r.PathValue("provider"), r.PostFormValue("account")
	path, err := f.connectPath(r.Context(), s.Caller(), ticket{
		Provider: name, Scopes: f.scopesOf(name), Account: account, Another: r.PostFormValue("another") != "",
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

type unrevokedData struct{ Provider, RemoveURL string }

// disconnect forgets the grant here and revokes it at the provider, under a
// deadline of its own: a closed tab doesn't leave it half done. The form names the
// account, so that it can't be another than the person saw.
func (f *Flow) disconnect(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	name, account := r.PathValue("provider"), r.PostFormValue("account")
	if r.PostFormValue("sure") == "" {
		if asked, err := f.askShared(w, r, s, k, name, account); asked || err != nil {
			return err
		}
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	unrevoked, err := f.forget(ctx, k, name, account)
	if err != nil {
		return err
	}
	if !unrevoked {
		http.Redirect(w, r, "/connections", http.StatusSeeOther)
		return nil
	}
	data := unrevokedData{Provider: name}
	if p, err := f.Providers.get(name); err == nil {
		data = unrevokedData{p.title, p.removeURL}
	}
	f.show(w, r, http.StatusOK, view{Title: "Disconnected here, not confirmed there", Name: "unrevoked", SignedIn: s.Name(), Data: data})
	return nil
}
