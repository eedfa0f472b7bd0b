package sqlite

import (
	"context"
	"database/sql"

	"github.com/latchkey-mcp/latchkey/store"
)

type sealed struct{ db *DB }

func (s sealed) Count(ctx context.Context) (int64, error) {
	var n int64
	err := s.db.one(ctx, s.db.stmt.countSealed, []any{micros(s.db.now())}, &n)
	return n, err
}

func (s sealed) Grants(ctx context.Context, after store.Row, limit int) ([]store.Row, error) {
	var list []store.Row
	args := []any{after.Owner[:], after.Provider, after.Account, limit}
	err := s.db.query(ctx, s.db.stmt.scanGrants, args, func(rows *sql.Rows) error {
		var row store.Row
		var owner []byte
		err := rows.Scan(&owner, &row.Provider, &row.Account, &row.Version, &row.Sealed)
		copy(row.Owner[:], owner)
		list = append(list, row)
		return err
	})
	return list, err
}

func (s sealed) Records(ctx context.Context, after store.Record, limit int) ([]store.Record, error) {
	var list []store.Record
	args := []any{after.Kind, after.Key[:], micros(s.db.now()), limit}
	err := s.db.query(ctx, s.db.stmt.scanRecords, args, func(rows *sql.Rows) error {
		var rec store.Record
		var key, owner []byte
		var expires int64
		err := rows.Scan(&rec.Kind, &key, &owner, &expires, &rec.Version, &rec.Data)
		copy(rec.Key[:], key)
		copy(rec.Owner[:], owner)
		rec.Expires = moment(expires)
		list = append(list, rec)
		return err
	})
	return list, err
}

func (s sealed) ResealGrant(ctx context.Context, row store.Row, sealed []byte) error {
	return swapped(s.db.exec(ctx, s.db.stmt.resealGrant,
		sealed, row.Owner[:], row.Provider, row.Account, row.Version, row.Sealed))
}

func (s sealed) ResealRecord(ctx context.Context, r store.Record, data []byte) error {
	return swapped(s.db.exec(ctx, s.db.stmt.resealRecord, data, r.Kind, r.Key[:], r.Version, r.Data))
}

func (s sealed) Refix(ctx context.Context, name, value, next string) error {
	return swapped(s.db.exec(ctx, s.db.stmt.refix, next, name, value))
}
