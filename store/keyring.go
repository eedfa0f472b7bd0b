package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// Reasons of a NeedsConnect, after "needs connecting:".
const (
	notConnected = "not connected yet"
	notYet       = "the stored connection can't be read at the moment: try again in a minute"
	unreadable   = "the stored connection can't be read any more"
	rolledBack   = "the stored connection is an old copy that was put back"
	expired      = "it expired, and the provider gave no way to renew it"
	rejected     = "the provider no longer accepts it"
)

// A Keyring is one person's grants, and only theirs. Where they have several accounts
// of a provider, a method that names no account means the one that they chose for the
// client that this keyring is for.
type Keyring struct {
	vault  *Vault
	who    identity.Principal
	owner  identity.Digest
	client string
}

// Ready returns nil where the person has a usable grant for need, else
// *NeedsConnect. It releases nothing.
func (k Keyring) Ready(ctx context.Context, need Need) error {
	_, err := k.Usable(ctx, need)
	return err
}

// Usable is the person's grant that covers need, without secrets. The error is
// Ready's.
func (k Keyring) Usable(ctx context.Context, need Need) (Info, error) {
	g, err := k.load(ctx, need.Provider, "")
	if err != nil {
		return Info{}, err
	}
	return g.Info, k.covers(g, need)
}

// Grant releases a living access token for call, after recording it. It refreshes
// what is expired, and in the background what soon will be. Errors: *NeedsConnect,
// ErrUnavailable.
func (k Keyring) Grant(ctx context.Context, call Call) (Grant, error) {
	g, err := k.living(ctx, call)
	if err != nil {
		return Grant{}, k.refuse(ctx, call, err)
	}
	entry, err := k.recorded(ctx, call.entry(audit.Release))
	if err != nil {
		return Grant{}, err
	}
	k.vault.observe(Released, call.Provider)
	return Grant{Info: g.Info, Access: g.token.Access, Expiry: g.token.Expiry, entry: entry}, nil
}

// living is a grant that covers call, refreshed where it has to be.
func (k Keyring) living(ctx context.Context, call Call) (held, error) {
	g, err := k.load(ctx, call.Provider, call.Account)
	if err != nil {
		return held{}, err
	}
	if err := k.covers(g, call.Need); err != nil {
		return held{}, err
	}
	if !k.stale(g, call) {
		k.ahead(ctx, g)
		return g, nil
	}
	if g, err = k.refresh(ctx, g, call); err != nil {
		return held{}, err
	}
	return g, k.covers(g, call.Need)
}

// refuse records that call got no credential because the person must connect.
func (k Keyring) refuse(ctx context.Context, call Call, err error) error {
	var needs *NeedsConnect
	if !errors.As(err, &needs) {
		return err
	}
	k.vault.observe(Withheld, call.Provider)
	e := call.entry(audit.Refuse)
	e.Reason = needs.Reason
	if failed := k.record(ctx, e); failed != nil {
		return failed
	}
	return err
}

// load reads and opens the grant of that account, or with "" of the one that serves
// k's client; *NeedsConnect where there is none that opens.
func (k Keyring) load(ctx context.Context, provider, account string) (held, error) {
	row, err := k.row(ctx, provider, account)
	if errors.Is(err, ErrNotFound) {
		return held{}, &NeedsConnect{Provider: provider, Reason: notConnected}
	}
	if err != nil {
		return held{}, err
	}
	g, err := k.open(row)
	if errors.Is(err, errBehind) {
		return held{}, err
	}
	if err != nil {
		return held{}, &NeedsConnect{Provider: provider, Reason: whyNot(err)}
	}
	return g, nil
}

func (k Keyring) row(ctx context.Context, provider, account string) (Row, error) {
	if account == "" {
		return k.serving(ctx, provider)
	}
	return k.vault.backend.Grants().Get(ctx, k.owner, provider, account)
}

var errRolledBack = errors.New("the row is not of its highest version")

// open refuses a row that isn't of the highest version there was: a newer one, or a
// disconnect, came after it.
func (k Keyring) open(row Row) (held, error) {
	g, err := opened(k.vault.aead, k.who, row)
	if err != nil {
		return held{}, err
	}
	if row.Version != row.Mark {
		return held{}, errRolledBack
	}
	if g.Broken == "" && g.token.Refresh.IsZero() && g.token.over(k.vault.now()) {
		g.Broken = expired
	}
	g.Restored = g.Broken == "" && !g.token.Refresh.IsZero() && g.UpdatedAt.Before(k.vault.restored)
	return g, nil
}

// whyNot is the reason of a grant that open refused.
func whyNot(err error) string {
	switch {
	case errors.Is(err, errRolledBack):
		return rolledBack
	case errors.Is(err, errBehind):
		return notYet
	}
	return unreadable
}

// over reports whether the access token has expired at that time.
func (t Token) over(at time.Time) bool { return !t.Expiry.IsZero() && !at.Before(t.Expiry) }

func (k Keyring) covers(g held, need Need) error {
	if g.Broken != "" {
		return &NeedsConnect{Provider: g.Provider, Reason: g.Broken}
	}
	missing := k.vault.exchange.Missing(g.Provider, g.Scopes, need.Scopes)
	if len(missing) > 0 {
		return &NeedsConnect{
			Provider: g.Provider, Missing: missing,
			Reason: "the connection doesn't allow this yet (missing: " + strings.Join(missing, ", ") + ")",
		}
	}
	return nil
}

// Put files a connection and returns the grant's new version; ErrConflict. Beside
// other accounts of the provider it changes nothing for them or for who uses them.
func (k Keyring) Put(ctx context.Context, c Connection) (Info, error) {
	if c.Provider == "" || c.Account.ID == "" || c.Token.Access.IsZero() {
		return Info{}, errors.New("a connection needs a provider, an account and an access token")
	}
	g := held{token: c.Token, Info: Info{
		Provider: c.Provider, Account: c.Account, Scopes: c.Token.Scopes, ConnectedAt: k.vault.now(),
	}}
	if err := k.succeed(ctx, &g, c.IfVersion); err != nil {
		return Info{}, err
	}
	e := audit.Entry{Event: audit.Connect, Provider: c.Provider}
	if err := k.record(ctx, e); err != nil {
		return Info{}, err
	}
	if c.IfVersion == 0 {
		if err := k.settle(ctx, c.Provider); err != nil {
			return Info{}, err
		}
	}
	next, err := k.nextVersion(ctx, c.Provider, c.Account.ID)
	if err != nil {
		return Info{}, err
	}
	g, err = k.saveAs(ctx, g, c.IfVersion, next)
	return g.Info, err
}

// nextVersion is above all versions that the grant ever had. The first is random, so
// that a vault which was made anew doesn't repeat those of the one before.
func (k Keyring) nextVersion(ctx context.Context, provider, account string) (int64, error) {
	mark, err := k.vault.backend.Grants().Mark(ctx, k.owner, provider, account)
	if mark == 0 {
		mark = rand.Int64N(1 << 52)
	}
	return mark + 1, err
}

// succeed checks what g replaces, and takes over what stays the same: when it was
// connected, and the refresh token where the provider gave no new one (Google does so
// only at the first consent).
func (k Keyring) succeed(ctx context.Context, g *held, version int64) error {
	row, err := k.vault.backend.Grants().Get(ctx, k.owner, g.Provider, g.Account.ID)
	if errors.Is(err, ErrNotFound) && version == 0 {
		return nil
	}
	if errors.Is(err, ErrNotFound) || err == nil && row.Version != version {
		return ErrConflict
	}
	if err != nil {
		return err
	}
	old, err := k.open(row)
	if errors.Is(err, errBehind) {
		return err
	}
	if err != nil {
		return nil // nothing to take over
	}
	g.ConnectedAt = old.ConnectedAt
	if g.token.Refresh.IsZero() && old.Broken == "" {
		g.token.Refresh, g.token.RefreshExpiry = old.token.Refresh, old.token.RefreshExpiry
	}
	return nil
}

// save writes g in the place of version and wakes who waits for it.
func (k Keyring) save(ctx context.Context, g held, version int64) (held, error) {
	return k.saveAs(ctx, g, version, version+1)
}

// saveAs writes g as version next in the place of version (0: of none).
func (k Keyring) saveAs(ctx context.Context, g held, version, next int64) (held, error) {
	g.Version, g.UpdatedAt = next, k.vault.now().Truncate(time.Microsecond)
	row, err := sealed(k.vault.aead, k.who, g)
	if err != nil {
		return held{}, err
	}
	if err := k.vault.backend.Grants().Put(ctx, row, version); err != nil {
		return held{}, err
	}
	k.vault.bells.ring(slot{k.owner, g.Provider})
	return g, nil
}

// Info is the person's grant at provider, without secrets; ErrNotFound where there is
// none, *NeedsConnect where the person has to choose one. One that doesn't open any
// more is Broken, and all else of it but its account's id is unknown.
func (k Keyring) Info(ctx context.Context, provider string) (Info, error) {
	row, err := k.serving(ctx, provider)
	var needs *NeedsConnect
	if errors.As(err, &needs) && needs.Reason == notConnected {
		return Info{}, ErrNotFound
	}
	if err != nil {
		return Info{}, err
	}
	return k.info(row), nil
}

// List is all of the person's grants, without secrets, by provider and account.
func (k Keyring) List(ctx context.Context) ([]Info, error) {
	rows, err := k.vault.backend.Grants().List(ctx, k.owner)
	if err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(rows))
	for _, row := range rows {
		infos = append(infos, k.info(row))
	}
	return infos, nil
}

func (k Keyring) info(row Row) Info {
	g, err := k.open(row)
	if err != nil {
		return Info{
			Provider: row.Provider, Account: Account{ID: row.Account}, UpdatedAt: row.Updated, Version: row.Version,
			Broken: whyNot(err),
		}
	}
	return g.Info
}

func (k Keyring) record(ctx context.Context, e audit.Entry) error {
	_, err := k.recorded(ctx, e)
	return err
}

func (k Keyring) recorded(ctx context.Context, e audit.Entry) (audit.Ref, error) {
	e.Owner, e.Client = k.owner, k.client
	return k.vault.recorded(ctx, e)
}

func (c Call) entry(event audit.Event) audit.Entry {
	e := audit.Entry{Event: event, Tool: c.Tool, Provider: c.Provider, Rule: c.Rule}
	if c.Arguments != [len(c.Arguments)]byte{} {
		e.Arguments = hex.EncodeToString(c.Arguments[:])
	}
	return e
}

// Format keeps the person out of logs.
func (k Keyring) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[keyring]") }
