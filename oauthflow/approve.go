package oauthflow

import (
	"context"
	"errors"
	"net/http"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/tools"
)

// ApproveLink is a link, PublicURL + "/approve/<ticket>", at which c decides on d: as
// long as they haven't, the same, for ten minutes at most.
func (f *Flow) ApproveLink(ctx context.Context, c identity.Caller, d store.Deed) (string, error) {
	k, err := f.Vault.Keyring(c)
	if err != nil {
		return "", err
	}
	ticket, err := k.Submit(ctx, d)
	if err != nil {
		return "", err
	}
	return f.PublicURL + "/approve/" + ticket, nil
}

// approveData is what the page of a deed shows.
type approveData struct {
	Who, Client, ClientID, Provider, Account string
	Title, Tool, Can                         string
	Arguments                                []tools.Argument
	Path                                     string
}

// submitted is the deed of the request's ticket, if it is s's own.
func (f *Flow) submitted(r *http.Request, s identity.Session, k store.Keyring) (store.Deed, error) {
	d, err := k.Submitted(r.Context(), r.PathValue("ticket"))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return d, &problem{kind: errNoTicket, name: s.Name()}
	case errors.Is(err, store.ErrOtherPerson):
		return d, f.wrongPerson(r, s, "", "an approval link was opened by somebody else than whom it is for")
	}
	return d, err
}

// approval shows what exactly a client wants to do. It changes nothing.
func (f *Flow) approval(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	d, err := f.submitted(r, s, k)
	if err != nil {
		return err
	}
	data, err := f.explained(r.Context(), k, d)
	if err != nil {
		return &problem{kind: errNoTicket, cause: err, name: s.Name()}
	}
	data.Who, data.Path = s.Name(), r.URL.EscapedPath()
	f.show(w, r, http.StatusOK, view{Title: "Approve this?", Name: "approve", SignedIn: s.Name(), Data: data})
	return nil
}

var errNoSuchDeed = errors.New("the tool or the account isn't there any more")

// explained is d in words: what is shown comes from what the approval is bound to.
func (f *Flow) explained(ctx context.Context, k store.Keyring, d store.Deed) (approveData, error) {
	all, err := k.Accounts(ctx, d.Provider)
	if err != nil {
		return approveData{}, err
	}
	info, connected := all.Of(d.Account)
	tool, known := f.tool(d.Tool)
	if !connected || !known {
		return approveData{}, errNoSuchDeed
	}
	spec := tool.Spec()
	data := approveData{
		Client: f.clientName(ctx, d.Client), ClientID: d.Client, Provider: f.title(d.Provider), Account: label(info),
		Title: spec.Title, Tool: spec.Name, Can: spec.Can,
	}
	data.Arguments, err = tool.Explain(d.Arguments)
	return data, err
}

func (f *Flow) tool(name string) (tools.Tool, bool) {
	for _, m := range f.Modules {
		for _, t := range m.Tools {
			if t.Spec().Name == name {
				return t, true
			}
		}
	}
	return tools.Tool{}, false
}

// decide is one of the page's two buttons. All but the one that says yes says no.
func (f *Flow) decide(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	d, err := f.submitted(r, s, k)
	if err != nil {
		return err
	}
	v := view{Title: "Not approved", Name: "declined", SignedIn: s.Name(), Data: approveData{Client: f.clientName(r.Context(), d.Client)}}
	yes := r.PostFormValue("answer") == "approve"
	if yes {
		v.Title, v.Name = "Approved", "approved"
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	if err := k.Decide(ctx, r.PathValue("ticket"), yes); errors.Is(err, store.ErrNotFound) {
		return &problem{kind: errNoTicket, name: s.Name()}
	} else if err != nil {
		return err
	}
	f.show(w, r, http.StatusOK, v)
	return nil
}

// A permitView is one client on the connections page, and when the person is asked
// before it writes.
type permitView struct{ ID, Name, Writing string }

func (f *Flow) permits(ctx context.Context, k store.Keyring, clients []string) ([]permitView, error) {
	var views []permitView
	for _, id := range clients {
		p, err := k.PermissionOf(ctx, id)
		if err != nil {
			return nil, err
		}
		views = append(views, permitView{id, f.clientName(ctx, id), string(p.Writing)})
	}
	return views, nil
}

// permit is the person's word on when they are asked before one client writes.
func (f *Flow) permit(w http.ResponseWriter, r *http.Request, s identity.Session) error {
	writing, client := store.Writing(r.PostFormValue("writing")), r.PostFormValue("client")
	switch writing {
	case store.AskToWrite, store.AskToDestroy, store.NeverAsk:
	default:
		return &problem{kind: errNotFound, name: s.Name()}
	}
	k, err := f.Vault.Keyring(s.Caller())
	if err != nil {
		return err
	}
	err = k.SetPermission(r.Context(), client, func(p *store.Permission) { p.Writing = writing })
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return &problem{kind: store.ErrConflict, cause: err, path: "/connections", name: s.Name()}
	}
	if err != nil {
		return err
	}
	if _, err := f.session(r); err != nil { // forgotten meanwhile: nothing is to stay
		return errors.Join(err, k.DropPermission(context.WithoutCancel(r.Context()), client))
	}
	http.Redirect(w, r, "/connections", http.StatusSeeOther)
	return nil
}
