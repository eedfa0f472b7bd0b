package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/latchkey-mcp/latchkey/store/audit"
)

const (
	chooseTries = 10  // against others who choose at the same time
	mostChoices = 100 // clients with an account of their own, at one provider
	// mostClients is how many Clients lists, by their ids. Some register anew each time
	// that they sign in, and what isn't listed can't be told to ask again.
	mostClients = 500
)

// unchosen is the reason where nobody can tell which account to use.
const unchosen = "which of several accounts to use has to be chosen on the connections page"

// A choice says which of a person's accounts at one provider serves whom, by their
// ids. It is written before there is a second account: where there are several and
// no choice that can be read, nobody guesses. Where there is one, it isn't read.
type choice struct {
	Default string            `json:"default"`
	Clients map[string]string `json:"clients,omitempty"` // by client id
}

// account is the one that serves client, of those that are connected: what was
// chosen for it, else the default; "" where that is gone too.
func (c choice) account(client string, connected func(account string) bool) string {
	if own, chosen := c.Clients[client]; chosen && connected(own) {
		return own
	}
	if connected(c.Default) {
		return c.Default
	}
	return ""
}

func (k Keyring) choices() Table[choice] { return NewTable[choice](k.vault, "accounts") }

func (k Keyring) choiceKey(provider string) string {
	return string(fields(string(k.owner[:]), provider))
}

// choice is the person's choice at provider. known says that it is there and opens;
// otherwise it is empty.
func (k Keyring) choice(ctx context.Context, provider string) (item Item[choice], known bool, err error) {
	item, err = k.choices().Get(ctx, k.choiceKey(provider))
	if errors.Is(err, ErrNotFound) || errors.Is(err, errUnopened) {
		return Item[choice]{}, false, nil
	}
	return item, err == nil, err
}

// serving is the row that serves this keyring's client, of those at provider;
// *NeedsConnect where there is none, or where nobody can tell which.
func (k Keyring) serving(ctx context.Context, provider string) (Row, error) {
	rows, err := k.vault.backend.Grants().Accounts(ctx, k.owner, provider)
	if err != nil {
		return Row{}, err
	}
	switch len(rows) {
	case 0:
		return Row{}, &NeedsConnect{Provider: provider, Reason: notConnected}
	case 1:
		return rows[0], nil
	}
	item, _, err := k.choice(ctx, provider)
	if err != nil {
		return Row{}, err
	}
	account := item.Value.account(k.client, func(id string) bool { return among(rows, id) >= 0 })
	if i := among(rows, account); i >= 0 {
		return rows[i], nil
	}
	return Row{}, &NeedsConnect{Provider: provider, Reason: unchosen}
}

// among is where the row of that account is; -1 where it isn't. No account is "".
func among(rows []Row, account string) int {
	return slices.IndexFunc(rows, func(row Row) bool { return account != "" && row.Account == account })
}

// Accounts are a person's grants at one provider, and which of them serves whom.
type Accounts struct {
	Infos []Info // by account id
	// Default is the id of the account that serves the clients without one of their
	// own; "" where none is connected, or where the person has to choose.
	Default string
	// Clients are the accounts' ids by client id, as chosen. An account that is not
	// connected any more serves nobody: the default does.
	Clients map[string]string
}

// Of is the grant of that account.
func (a Accounts) Of(account string) (Info, bool) {
	i := slices.IndexFunc(a.Infos, func(info Info) bool { return info.Account.ID == account })
	if i < 0 {
		return Info{}, false
	}
	return a.Infos[i], true
}

// For is the grant that serves client; none where nothing is connected, or where the
// person has to choose.
func (a Accounts) For(client string) (Info, bool) {
	c := choice{a.Default, a.Clients}
	if len(a.Infos) == 1 {
		return a.Infos[0], true
	}
	return a.Of(c.account(client, func(id string) bool { _, there := a.Of(id); return id != "" && there }))
}

// Accounts is all that the person has at provider, without secrets.
func (k Keyring) Accounts(ctx context.Context, provider string) (Accounts, error) {
	rows, err := k.vault.backend.Grants().Accounts(ctx, k.owner, provider)
	if err != nil {
		return Accounts{}, err
	}
	item, _, err := k.choice(ctx, provider)
	if err != nil {
		return Accounts{}, err
	}
	a := Accounts{Clients: item.Value.Clients}
	for _, row := range rows {
		a.Infos = append(a.Infos, k.info(row))
	}
	switch {
	case len(rows) == 1:
		a.Default = rows[0].Account
	case among(rows, item.Value.Default) >= 0:
		a.Default = item.Value.Default
	}
	return a, nil
}

// Choose has account serve client, or with client "" all clients without an account
// of their own. With account "" client has no account of its own any more.
// ErrNotFound where account isn't connected. It is recorded first.
func (k Keyring) Choose(ctx context.Context, provider, account, client string) error {
	rows, err := k.vault.backend.Grants().Accounts(ctx, k.owner, provider)
	if err != nil {
		return err
	}
	if among(rows, account) < 0 && (account != "" || client == "") {
		return ErrNotFound
	}
	if err := k.record(ctx, audit.Entry{Event: audit.Choose, Provider: provider, Reason: chose(account, client)}); err != nil {
		return err
	}
	if err := k.rechoose(ctx, provider, func(c *choice) error { return c.choose(account, client) }); err != nil {
		return err
	}
	return k.settle(ctx, provider) // all may be disconnected by now, and nothing is to stay
}

// chose is the reason of a Choose entry.
func chose(account, client string) string {
	switch {
	case client == "":
		return "which account serves all clients without one of their own"
	case account == "":
		return "no account of its own for client " + client
	}
	return "which account serves client " + client
}

func (c *choice) choose(account, client string) error {
	if client == "" {
		c.Default = account
		return nil
	}
	if account == "" {
		delete(c.Clients, client)
		return nil
	}
	if c.Clients == nil {
		c.Clients = map[string]string{}
	}
	c.Clients[client] = account
	if len(c.Clients) > mostChoices {
		return fmt.Errorf("at most %d clients can have an account of their own at a provider", mostChoices)
	}
	return nil
}

// Succeed has account serve all whom old served by choice, for who replaces one with
// the other.
func (k Keyring) Succeed(ctx context.Context, provider, old, account string) error {
	return k.rechoose(ctx, provider, func(c *choice) error {
		if c.Default == old {
			c.Default = account
		}
		for client, chosen := range c.Clients {
			if chosen == old {
				c.Clients[client] = account
			}
		}
		return nil
	})
}

// rechoose changes the choice as change says, and wakes who waits for it. One that
// doesn't open is made anew: nobody can tell what it said.
func (k Keyring) rechoose(ctx context.Context, provider string, change func(*choice) error) error {
	err := ErrConflict
	for try := 0; errors.Is(err, ErrConflict) && try < chooseTries; try++ {
		err = k.tryRechoose(ctx, provider, change)
	}
	if err == nil {
		k.vault.bells.ring(slot{k.owner, provider})
	}
	return err
}

func (k Keyring) tryRechoose(ctx context.Context, provider string, change func(*choice) error) error {
	item, known, err := k.choice(ctx, provider)
	if err != nil {
		return err
	}
	before := choice{item.Value.Default, maps.Clone(item.Value.Clients)}
	if err := change(&item.Value); err != nil {
		return err
	}
	if known && before.Default == item.Value.Default && maps.Equal(before.Clients, item.Value.Clients) {
		return nil
	}
	key := k.choiceKey(provider)
	if known {
		return k.choices().Replace(ctx, key, item)
	}
	if err := k.unchoose(ctx, provider); err != nil {
		return err
	}
	return k.choices().Put(ctx, key, k.owner, 0, item.Value)
}

// unchoose removes the choice, whether it opens or not.
func (k Keyring) unchoose(ctx context.Context, provider string) error {
	_, err := k.choices().Take(ctx, k.choiceKey(provider))
	if errors.Is(err, ErrNotFound) || errors.Is(err, errUnopened) {
		return nil
	}
	return err
}

// settle sees to it that the default is one of the accounts that there are: where it
// isn't, the one that was connected first becomes it. It is called before an account
// is added and after one was removed. Where there are several, what can't be read is
// left for the person to choose.
func (k Keyring) settle(ctx context.Context, provider string) error {
	rows, err := k.vault.backend.Grants().Accounts(ctx, k.owner, provider)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return k.unchoose(ctx, provider)
	}
	_, known, err := k.choice(ctx, provider)
	if err != nil || !known && len(rows) > 1 {
		return err
	}
	return k.rechoose(ctx, provider, func(c *choice) error {
		if among(rows, c.Default) < 0 {
			c.Default = k.first(rows)
		}
		return nil
	})
}

// first is the account that was connected first, of those that can be read.
func (k Keyring) first(rows []Row) string {
	var first held
	for _, row := range rows {
		g, err := k.open(row)
		if err == nil && (first.Account.ID == "" || g.ConnectedAt.Before(first.ConnectedAt)) {
			first = g
		}
	}
	if first.Account.ID == "" {
		return rows[0].Account
	}
	return first.Account.ID
}

// Shared reports whether somebody else here has connected that account too, and so
// may lose their access when this one is revoked. It doesn't say who, and only answers
// for what the person has connected: ErrNotFound.
func (k Keyring) Shared(ctx context.Context, provider, account string) (bool, error) {
	if _, err := k.vault.backend.Grants().Get(ctx, k.owner, provider, account); err != nil {
		return false, err
	}
	return k.vault.backend.Grants().Shared(ctx, k.owner, provider, account)
}

// Clients are the ids of clients that the person's entries in the audit record name,
// in their order, at most 50.
func (k Keyring) Clients(ctx context.Context) ([]string, error) {
	return k.vault.backend.Audit().Clients(ctx, k.owner, mostClients)
}
