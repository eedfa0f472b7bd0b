package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-mcp/latchkey/store/audit"
)

// Writing says before which calls a person wants to be asked.
type Writing string

// What there is to choose from. Anything else counts as AskToWrite.
const (
	AskToWrite   Writing = "ask"         // before each call of a tool that isn't read-only
	AskToDestroy Writing = "destructive" // before each call of a destructive tool; the default
	NeverAsk     Writing = "allow"
)

// A Permission is what a person lets one client do. It belongs to the client's id,
// never to a name. The zero value asks before every write.
type Permission struct {
	Writing Writing `json:"writing"`
}

// Asks reports whether the person wants to be asked before a call that writes.
func (p Permission) Asks(destructive bool) bool {
	switch p.Writing {
	case NeverAsk:
		return false
	case AskToDestroy:
		return destructive
	}
	return true
}

// errClient is for methods that a client's own keyring doesn't have: what a client may
// do, and what is approved, its person says in a browser.
var errClient = errors.New("only a browser session can do that")

func (k Keyring) permissions() Table[Permission] {
	return NewTable[Permission](k.vault, "permission")
}

func (k Keyring) permissionKey(client string) string {
	return string(fields(string(k.owner[:]), client))
}

// Permission is what the person lets this keyring's client do. One that doesn't open
// asks before every write: nobody can tell what it said.
func (k Keyring) Permission(ctx context.Context) (Permission, error) {
	return k.PermissionOf(ctx, k.client)
}

// PermissionOf is Permission for a client that Clients lists.
func (k Keyring) PermissionOf(ctx context.Context, client string) (Permission, error) {
	item, err := k.permission(ctx, client)
	if errors.Is(err, errUnopened) {
		return Permission{AskToWrite}, nil
	}
	return item.Value, err
}

func (k Keyring) permission(ctx context.Context, client string) (Item[Permission], error) {
	item, err := k.permissions().Get(ctx, k.permissionKey(client))
	if errors.Is(err, ErrNotFound) {
		return Item[Permission]{Value: Permission{AskToDestroy}}, nil
	}
	return item, err
}

// SetPermission changes what client may do, for a browser's keyring. ErrNotFound where
// it isn't one of Clients. It is recorded first.
func (k Keyring) SetPermission(ctx context.Context, client string, change func(*Permission)) error {
	if k.client != "" {
		return errClient
	}
	known, err := k.Clients(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(known, client) {
		return ErrNotFound
	}
	err = ErrConflict
	for try := 0; errors.Is(err, ErrConflict) && try < chooseTries; try++ {
		err = k.trySetPermission(ctx, client, change)
	}
	return err
}

func (k Keyring) trySetPermission(ctx context.Context, client string, change func(*Permission)) error {
	item, err := k.permission(ctx, client)
	if errors.Is(err, errUnopened) {
		if err := k.DropPermission(ctx, client); err != nil {
			return err
		}
		item = Item[Permission]{Value: Permission{AskToWrite}}
	} else if err != nil {
		return err
	}
	change(&item.Value)
	if err := k.recordFor(ctx, client, audit.Entry{Event: audit.Permit, Reason: item.Value.words()}); err != nil {
		return err
	}
	if item.Version == 0 {
		return k.permissions().Put(ctx, k.permissionKey(client), k.owner, 0, item.Value)
	}
	return k.permissions().Replace(ctx, k.permissionKey(client), item)
}

// DropPermission has the default hold for client again.
func (k Keyring) DropPermission(ctx context.Context, client string) error {
	_, err := k.permissions().Take(ctx, k.permissionKey(client))
	if errors.Is(err, ErrNotFound) || errors.Is(err, errUnopened) {
		return nil
	}
	return err
}

// words are the reason of a Permit entry.
func (p Permission) words() string {
	switch p.Writing {
	case NeverAsk:
		return "writes without asking"
	case AskToDestroy:
		return "asks before destructive writes"
	}
	return fmt.Sprintf("asks before every write (%.20q)", string(p.Writing))
}

// recordFor is record for what concerns that client of the person's.
func (k Keyring) recordFor(ctx context.Context, client string, e audit.Entry) error {
	_, err := k.recordedFor(ctx, client, e)
	return err
}

func (k Keyring) recordedFor(ctx context.Context, client string, e audit.Entry) (audit.Ref, error) {
	e.Owner, e.Client = k.owner, client
	return k.vault.recorded(ctx, e)
}
