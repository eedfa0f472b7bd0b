package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// A Table keeps records of one kind as JSON of T, sealed, under a key of which
// only the hash is stored. It is safe for concurrent use.
type Table[T any] struct {
	vault *Vault
	kind  string
}

// An Item is one value of a Table, with what Replace needs.
type Item[T any] struct {
	Value   T
	Owner   identity.Digest
	Expires time.Time
	Version int64
}

// errUnopened is in the error of a record that is there and can't be read.
var errUnopened = errors.New("doesn't open")

// NewTable is the table of that kind in v.
func NewTable[T any](v *Vault, kind string) Table[T] { return Table[T]{v, kind} }

// Put adds value for ttl (0: for ever); owner may be zero. ErrConflict where the
// key exists.
func (t Table[T]) Put(ctx context.Context, key string, owner identity.Digest, ttl time.Duration, value T) error {
	item := Item[T]{Value: value, Owner: owner, Version: 1}
	if ttl > 0 {
		item.Expires = t.vault.now().Add(ttl)
	}
	r, err := t.record(t.hash(key), item)
	if err != nil {
		return err
	}
	return t.vault.backend.Records().Put(ctx, r)
}

// Get is the value under key; ErrNotFound.
func (t Table[T]) Get(ctx context.Context, key string) (Item[T], error) {
	r, err := t.vault.backend.Records().Get(ctx, t.kind, t.hash(key))
	return t.item(r, err)
}

// Take is the value under key, removed: one taker wins, others get ErrNotFound.
func (t Table[T]) Take(ctx context.Context, key string) (Item[T], error) {
	r, err := t.vault.backend.Records().Take(ctx, t.kind, t.hash(key))
	return t.item(r, err)
}

// Replace writes item back where nobody else has since it was read; ErrConflict.
func (t Table[T]) Replace(ctx context.Context, key string, item Item[T]) error {
	return t.replace(ctx, t.hash(key), item)
}

func (t Table[T]) replace(ctx context.Context, hash [sha256.Size]byte, item Item[T]) error {
	read := item.Version
	item.Version++ // which is what the record is sealed as
	r, err := t.record(hash, item)
	if err != nil {
		return err
	}
	r.Version = read
	return t.vault.backend.Records().Replace(ctx, r)
}

// ownedPage is how many records Owned reads at once.
const ownedPage = 100

// Owned is all that an owner has in the table. It reads through the table, which
// must be of a kind that is short-lived. What doesn't open is left out, and is the
// error; ErrNobody where owner is zero.
func (t Table[T]) Owned(ctx context.Context, owner identity.Digest) (items []Item[T], failed error) {
	if owner.IsZero() {
		return nil, ErrNobody
	}
	var after [sha256.Size]byte
	for {
		page, err := t.vault.backend.Records().List(ctx, t.kind, after, ownedPage)
		if err != nil {
			return items, err
		}
		for _, r := range page {
			after = r.Key
			if r.Owner != owner {
				continue
			}
			item, err := t.item(r, nil)
			if err != nil {
				failed = err
				continue
			}
			items = append(items, item)
		}
		if len(page) < ownedPage {
			return items, failed
		}
	}
}

func (t Table[T]) hash(key string) [sha256.Size]byte {
	return sha256.Sum256([]byte(t.kind + "\x00" + key))
}

func (t Table[T]) record(hash [sha256.Size]byte, item Item[T]) (Record, error) {
	plain, err := json.Marshal(item.Value)
	if err != nil {
		return Record{}, fmt.Errorf("a record of kind %s: %w", t.kind, err)
	}
	r := Record{
		Kind: t.kind, Key: hash, Owner: item.Owner, Expires: item.Expires.Truncate(time.Microsecond),
		Version: item.Version,
	}
	r.Data, err = t.vault.aead.Encrypt(plain, recordData(r))
	return r, err
}

func (t Table[T]) item(r Record, err error) (Item[T], error) {
	if err != nil {
		return Item[T]{}, err
	}
	plain, err := t.vault.aead.Decrypt(r.Data, recordData(r))
	if errors.Is(err, errBehind) {
		return Item[T]{}, err
	}
	if err != nil {
		return Item[T]{}, fmt.Errorf("a record of kind %s %w", t.kind, errUnopened)
	}
	item := Item[T]{Owner: r.Owner, Expires: r.Expires, Version: r.Version}
	if err := json.Unmarshal(plain, &item.Value); err != nil {
		return Item[T]{}, fmt.Errorf("a record of kind %s %w: it is not of this version of Latchkey", t.kind, errUnopened)
	}
	return item, nil
}

// recordData is the associated data of a record: all of its columns.
func recordData(r Record) []byte {
	expires := ""
	if !r.Expires.IsZero() {
		expires = strconv.FormatInt(r.Expires.UnixMicro(), 10)
	}
	return fields("latchkey record v1", r.Kind, string(r.Key[:]), string(r.Owner[:]), expires,
		strconv.FormatInt(r.Version, 10))
}
