package oauthflow

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"golang.org/x/oauth2"
)

// ticket is what a connect link stands for. Its owner is whom it is for.
type ticket struct {
	Client   string
	Provider string
	Scopes   []string
	Account  string // the id of the one to connect again, or ""
	Another  bool   // whether it is for one that isn't connected yet
}

// pending is a person at a provider. Its owner is who went there.
type pending struct {
	ticket
	Session  string // the browser session that went there
	Verifier string // PKCE
	Asked    []string
	// Forgotten is when the person was last forgotten by then, or zero.
	Forgotten time.Time
}

// ConnectLink makes a single-use link, PublicURL + "/connect/<ticket>", at which c
// can connect what need says, within ten minutes. It asks for what all of the
// provider's reading tools need too, so that a person is asked once for reading, and
// once more for writing.
func (f *Flow) ConnectLink(ctx context.Context, c identity.Caller, need store.Need) (string, error) {
	path, err := f.connectPath(ctx, c, ticket{Client: c.ClientID(), Provider: need.Provider, Scopes: f.withReading(need)})
	if err != nil {
		return "", err
	}
	return f.PublicURL + path, nil
}

// withReading are need's scopes, and those of the provider's tools that only read.
func (f *Flow) withReading(need store.Need) []string {
	all := slices.Clone(need.Scopes)
	for _, s := range f.specs(need.Provider) {
		for _, scope := range s.Scopes {
			if s.ReadOnly && !slices.Contains(all, scope) {
				all = append(all, scope)
			}
		}
	}
	return all
}

func (f *Flow) connectPath(ctx context.Context, c identity.Caller, t ticket) (string, error) {
	if c.IsZero() {
		return "", store.ErrNobody
	}
	if _, err := f.Providers.get(t.Provider); err != nil {
		return "", err
	}
	key := newKey()
	if err := f.tickets.Put(ctx, key, c.Principal().Digest(), shortLife, t); err != nil {
		return "", err
	}
	return "/connect/" + key, nil
}

// ticketOf is the request's ticket, if it is s's own.
func (f *Flow) ticketOf(r *http.Request, s identity.Session) (ticket, Provider, error) {
	item, err := f.tickets.Get(r.Context(), r.PathValue("ticket"))
	if errors.Is(err, store.ErrNotFound) {
		return ticket{}, Provider{}, &problem{kind: errNoTicket, name: s.Name()}
	} else if err != nil {
		return ticket{}, Provider{}, err
	}
	if item.Owner != digest(s) {
		return ticket{}, Provider{}, f.wrongPerson(r, s, item.Value.Provider, "a connect link was opened by somebody else than whom it is for")
	}
	p, err := f.Providers.get(item.Value.Provider)
	return item.Value, p, err
}

// wrongPerson records that s opened somebody else's link. Its page names nobody
// but who is signed in.
func (f *Flow) wrongPerson(r *http.Request, s identity.Session, provider, reason string) error {
	return &problem{
		kind: errWrongPerson, name: s.Name(), path: signInPath(r.URL.EscapedPath(), true),
		cause: f.refuse(r, s.Caller(), provider, reason),
	}
}

// refuse writes a refusal into the audit record.
func (f *Flow) refuse(r *http.Request, who identity.Caller, provider, reason string) error {
	return f.Vault.Refuse(r.Context(), who, audit.Entry{Provider: provider, Reason: reason})
}

// asking is what a ticket comes to for the person who opened it.
type asking struct {
	ticket    ticket
	provider  Provider
	endpoints endpoints
	accounts  store.Accounts // what is connected
	now       store.Info     // of that, what it is about: the zero Info where that is new
}

// scopes are what the person is sent to the provider with.
func (a asking) scopes() []string { return a.provider.ask(a.ticket.Scopes, a.now.Scopes) }

// about is the grant that t is about, or the zero Info.
func (t ticket) about(all store.Accounts) store.Info {
	var now store.Info
	if t.Account != "" {
		now, _ = all.Of(t.Account)
	} else if !t.Another {
		now, _ = all.For(t.Client)
	}
	return now
}

// which are the parameters that lead to the right account at the provider, where there
// are several to choose from.
func (a asking) which() map[string]string {
	if a.ticket.Another {
		return a.provider.another
	}
	if len(a.accounts.Infos) < 2 || a.now.Account.Label == "" || a.provider.hint == "" {
		return nil
	}
	return map[string]string{a.provider.hint: strings.TrimPrefix(a.now.Account.Label, "@")}
}

// asks reads all of it and spends nothing, so that a prefetch, a provider that is
// down or somebody else can't use up a link.
func (f *Flow) asks(r *http.Request, s identity.Session) (asking, error) {
	t, p, err := f.ticketOf(r, s)
	if err != nil {
		return asking{}, err
	}
	e, err := p.at(r.Context(), f.Providers.client)
	if err != nil {
		return asking{}, &problem{kind: errProviderDown, cause: err, provider: p.title, path: r.URL.EscapedPath(), name: s.Name()}
	}
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return asking{}, err
	}
	all, err := k.Accounts(r.Context(), p.name)
	return asking{t, p, e, all, t.about(all)}, err
}

// consentData is what the consent page shows.
type consentData struct {
	Who, Client, Provider string
	Accounts              []string // connected now
	Again                 string   // of those, the one that it is about, if there are several
	Choose                bool     // whether the client waits for a choice among those
	Scopes                []scopeView
	Scopeless             bool
	Cans                  []string // what the tools do, each once
	Path                  string
}

// consent shows what a connect link asks for. It changes nothing.
func (f *Flow) consent(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	a, err := f.asks(r, s)
	if err != nil {
		return err
	}
	p, scopes := a.provider, a.scopes()
	f.show(w, r, http.StatusOK, view{
		Title: "Connect " + p.title, Name: "consent", SignedIn: s.Name(), FormTargets: []string{a.endpoints.authorize},
		Data: consentData{
			Who: s.Name(), Client: f.clientName(r.Context(), a.ticket.Client), Provider: p.title,
			Accounts: labels(a.accounts.Infos), Again: a.again(), Choose: a.unchosen(),
			Scopes: p.inWords(scopes, a.now.Scopes), Scopeless: p.scopeless, Cans: cans(f.toolsWith(p, scopes)), Path: r.URL.EscapedPath(),
		},
	})
	return nil
}

// cans is what tools do with an account, each thing once.
func cans(list []toolView) (lines []string) {
	for _, t := range list {
		if !slices.Contains(lines, t.Can) {
			lines = append(lines, t.Can)
		}
	}
	return lines
}

// again is what the page calls the account that it is about.
func (a asking) again() string {
	if len(a.accounts.Infos) < 2 || a.now.Version == 0 {
		return ""
	}
	return label(a.now)
}

// unchosen reports whether it isn't known which of several accounts the client uses:
// to connect one again doesn't help then, but to choose one does.
func (a asking) unchosen() bool {
	_, known := a.accounts.For(a.ticket.Client)
	return a.ticket.Client != "" && len(a.accounts.Infos) > 1 && !known
}

// start spends the ticket and sends the person to the provider.
func (f *Flow) start(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	a, err := f.asks(r, s)
	if err != nil {
		return err
	}
	_, err = f.tickets.Take(r.Context(), r.PathValue("ticket"))
	if errors.Is(err, store.ErrNotFound) {
		return &problem{kind: errNoTicket, name: s.Name()}
	} else if err != nil {
		return err
	}
	forgotten, err := f.Vault.Forgotten(r.Context(), digest(s))
	if err != nil {
		return err
	}
	state := newKey()
	wait := pending{
		ticket: a.ticket, Session: s.ID(), Verifier: oauth2.GenerateVerifier(), Asked: a.scopes(), Forgotten: forgotten,
	}
	if err := f.pending.Put(r.Context(), state, digest(s), shortLife, wait); err != nil {
		return err
	}
	to := a.provider.authorizeURL(a.endpoints, f.redirectURI(a.provider), state, wait.Verifier, wait.Asked, a.which())
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// redirectURI is each provider's own, so that no answer can be taken for another
// provider's (RFC 9700, section 4.4.2.2).
func (f *Flow) redirectURI(p Provider) string { return f.PublicURL + "/callback/" + p.name }
