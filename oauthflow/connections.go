package oauthflow

import (
	"net/http"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// A card is one provider on the connections page.
type card struct {
	Name, Title string
	Configured  bool
	Connected   bool
	Account     string
	Since       string // a day, as "23 November 2026"
	Broken      string
	Restored    bool // the provider may have ended it since a backup
	Scopes      []scopeView
	Tools       []toolView
}

// connections lists the providers, and what the person connected there.
func (f *Flow) connections(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	infos, err := k.List(r.Context())
	if err != nil {
		return err
	}
	f.show(w, r, http.StatusOK, view{Title: "Your connections", Name: "connections", SignedIn: s.Name(), Data: f.cards(infos)})
	return nil
}

// cards are the configured providers in their order, then what is still connected
// at others, so that people can disconnect it.
func (f *Flow) cards(infos []store.Info) []card {
	connected := map[string]store.Info{}
	for _, info := range infos {
		connected[info.Provider] = info
	}
	var cards []card
	for _, name := range f.Providers.order {
		p := f.Providers.byName[name]
		c := cardOf(connected[name], p)
		c.Name, c.Title, c.Configured, c.Tools = name, p.title, true, f.toolsWith(p, f.scopesOf(name))
		cards = append(cards, c)
		delete(connected, name)
	}
	for _, info := range infos {
		if _, left := connected[info.Provider]; left {
			c := cardOf(info, Provider{})
			c.Name, c.Title = info.Provider, info.Provider
			cards = append(cards, c)
		}
	}
	return cards
}

func cardOf(info store.Info, p Provider) card {
	if info.Version == 0 {
		return card{}
	}
	return card{
		Connected: true, Account: info.Account.Label, Since: info.ConnectedAt.Format("2 January 2006"),
		Broken: info.Broken, Restored: info.Restored, Scopes: p.inWords(info.Scopes, nil),
	}
}

// connectProvider is the connect button: a link for what all of the provider's
// tools need, to the same consent page that a client's link leads to.
func (f *Flow) connectProvider(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	name := r.PathValue("provider")
	path, err := f.connectPath(r.Context(), s.Caller(), "", store.Need{Provider: name, Scopes: f.scopesOf(name)})
	if err != nil {
		return err
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

type unrevokedData struct{ Provider, RemoveURL string }

// disconnect forgets the grant here and revokes it at the provider, under a
// deadline of its own: a closed tab doesn't leave it half done.
func (f *Flow) disconnect(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	name := r.PathValue("provider")
	unrevoked, err := f.forget(ctx, k, name)
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
