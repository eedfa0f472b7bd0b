package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

type statements struct {
	getGrant, accountGrants, listGrants, addGrant, swapGrant, deleteGrant, markGrant, sharedGrant *sql.Stmt

	addRecord, getRecord, listRecords, takeRecord, swapRecord, deleteRecords, sweepRecords *sql.Stmt

	addHead, moveHead, dropHead, followEntry, addEntry, addSeveral, dropEntries, heads, entries *sql.Stmt

	addTail, moveTail, dropTail, longTail, ownStretch, dropOwned, ownEntries, ownClients *sql.Stmt

	fix *sql.Stmt

	countSealed, scanGrants, scanRecords, resealGrant, resealRecord, refix *sql.Stmt
}

const grantColumns = `account, grants.version, coalesce(marks.version, 0), sealed, updated`

// A prepared is a statement, and the pool that runs it.
type prepared struct {
	stmt **sql.Stmt
	on   *sql.DB
	text string
}

func (db *DB) prepare(ctx context.Context) error {
	s := &db.stmt
	for _, p := range append(append(db.auditStatements(), db.ownedStatements()...), []prepared{
		{&s.getGrant, db.points, `SELECT ` + grantColumns + ` FROM grants LEFT JOIN marks USING (owner, provider, account)
			WHERE owner = ? AND provider = ? AND account = ?`},
		{&s.accountGrants, db.points, `SELECT ` + grantColumns + ` FROM grants LEFT JOIN marks USING (owner, provider, account)
			WHERE owner = ? AND provider = ? ORDER BY account`},
		{&s.listGrants, db.reader, `SELECT ` + grantColumns + `, provider FROM grants LEFT JOIN marks USING (owner, provider, account)
			WHERE owner = ? ORDER BY provider, account`},
		// Nothing is written at or below the mark, which each write moves up (see
		// the migration).
		{&s.addGrant, db.writer, `INSERT INTO grants (owner, provider, account, version, sealed, updated)
			SELECT ?1, ?2, ?3, ?4, ?5, ?6
			WHERE NOT EXISTS (SELECT 1 FROM marks WHERE owner = ?1 AND provider = ?2 AND account IN (?3, '') AND version >= ?4)
			ON CONFLICT DO NOTHING`},
		{&s.swapGrant, db.writer, `UPDATE grants SET version = ?1, sealed = ?2, updated = ?3
			WHERE owner = ?4 AND provider = ?5 AND account = ?6 AND version = ?7
			AND NOT EXISTS (SELECT 1 FROM marks WHERE owner = ?4 AND provider = ?5 AND account = ?6 AND version >= ?1)`},
		{&s.markGrant, db.reader, `SELECT coalesce(max(version), 0) FROM marks
			WHERE owner = ? AND provider = ? AND account IN (?, '')`},
		{&s.deleteGrant, db.writer, `DELETE FROM grants WHERE owner = ? AND provider = ? AND account = ? AND version = ?`},
		{&s.sharedGrant, db.reader, `SELECT EXISTS (SELECT 1 FROM grants WHERE provider = ? AND account = ? AND owner <> ?)`},

		// What expired is not found, and so doesn't stand in the way either.
		{&s.addRecord, db.writer, `INSERT INTO records (kind, key, owner, expires, version, data)
			VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (kind, key) DO UPDATE SET owner = excluded.owner, expires = excluded.expires,
				version = excluded.version, data = excluded.data
			WHERE records.expires > 0 AND records.expires <= ?`},
		{&s.getRecord, db.reader, `SELECT owner, expires, version, data FROM records
			WHERE kind = ? AND key = ? AND (expires = 0 OR expires > ?)`},
		{&s.listRecords, db.reader, `SELECT key, owner, expires, version, data FROM records
			WHERE kind = ? AND key > ? AND (expires = 0 OR expires > ?) ORDER BY key LIMIT ?`},
		{&s.takeRecord, db.writer, `DELETE FROM records
			WHERE kind = ? AND key = ? AND (expires = 0 OR expires > ?)
			RETURNING owner, expires, version, data`},
		{&s.swapRecord, db.writer, `UPDATE records SET owner = ?, expires = ?, version = version + 1, data = ?
			WHERE kind = ? AND key = ? AND version = ? AND (expires = 0 OR expires > ?)`},
		{&s.deleteRecords, db.writer, `DELETE FROM records WHERE owner = ?
			AND kind NOT IN (SELECT value FROM json_each(?))`},
		{&s.sweepRecords, db.writer, `DELETE FROM records WHERE expires > 0 AND expires <= ?`},

		// An update to the same value makes RETURNING give the row that is there.
		{&s.fix, db.writer, `INSERT INTO facts (name, value) VALUES (?, ?)
			ON CONFLICT (name) DO UPDATE SET value = facts.value RETURNING value`},

		{&s.countSealed, db.reader, `SELECT (SELECT count(*) FROM grants) +
			(SELECT count(*) FROM records WHERE expires = 0 OR expires > ?)`},
		{&s.scanGrants, db.reader, `SELECT owner, provider, account, version, sealed FROM grants
			WHERE (owner, provider, account) > (?, ?, ?) ORDER BY owner, provider, account LIMIT ?`},
		{&s.scanRecords, db.reader, `SELECT kind, key, owner, expires, version, data FROM records
			WHERE (kind, key) > (?, ?) AND (expires = 0 OR expires > ?) ORDER BY kind, key LIMIT ?`},
		{&s.resealGrant, db.writer, `UPDATE grants SET sealed = ?
			WHERE owner = ? AND provider = ? AND account = ? AND version = ? AND sealed = ?`},
		{&s.resealRecord, db.writer, `UPDATE records SET data = ?
			WHERE kind = ? AND key = ? AND version = ? AND data = ?`},
		{&s.refix, db.writer, `UPDATE facts SET value = ? WHERE name = ? AND value = ?`},
	}...) {
		if p.on == nil {
			continue // opened for reading only
		}
		var err error
		if *p.stmt, err = p.on.PrepareContext(ctx, p.text); err != nil {
			return err
		}
	}
	return nil
}

type grants struct{ db *DB }

// A reader is DB.query or DB.point.
type reader func(ctx context.Context, stmt *sql.Stmt, args []any, scan func(*sql.Rows) error) error

func (g grants) Get(ctx context.Context, owner identity.Digest, provider, account string) (store.Row, error) {
	list, err := g.rows(ctx, g.db.point, g.db.stmt.getGrant, store.Row{Owner: owner, Provider: provider}, owner[:], provider, account)
	if err == nil && len(list) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Row{}, err
	}
	return list[0], nil
}

func (g grants) Accounts(ctx context.Context, owner identity.Digest, provider string) ([]store.Row, error) {
	return g.rows(ctx, g.db.point, g.db.stmt.accountGrants, store.Row{Owner: owner, Provider: provider}, owner[:], provider)
}

func (g grants) List(ctx context.Context, owner identity.Digest) ([]store.Row, error) {
	return g.rows(ctx, g.db.query, g.db.stmt.listGrants, store.Row{Owner: owner}, owner[:])
}

// rows are those that read finds with stmt, with what row has already: the provider
// comes last where that isn't known.
func (g grants) rows(ctx context.Context, read reader, stmt *sql.Stmt, row store.Row, args ...any) ([]store.Row, error) {
	var list []store.Row
	var updated int64
	dest := []any{&row.Account, &row.Version, &row.Mark, &row.Sealed, &updated}
	if row.Provider == "" {
		dest = append(dest, &row.Provider)
	}
	err := read(ctx, stmt, args, func(rows *sql.Rows) error {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		row.Updated = moment(updated)
		list = append(list, row)
		return nil
	})
	return list, err
}

func (g grants) Put(ctx context.Context, row store.Row, ifVersion int64) error {
	if ifVersion == 0 {
		return swapped(g.db.exec(ctx, g.db.stmt.addGrant,
			row.Owner[:], row.Provider, row.Account, row.Version, row.Sealed, micros(row.Updated)))
	}
	return swapped(g.db.execWhere(ctx, g.db.lastRoom, g.db.stmt.swapGrant,
		row.Version, row.Sealed, micros(row.Updated), row.Owner[:], row.Provider, row.Account, ifVersion))
}

func (g grants) Delete(ctx context.Context, owner identity.Digest, provider, account string, ifVersion int64) error {
	return swapped(g.db.execWhere(ctx, g.db.lastRoom, g.db.stmt.deleteGrant, owner[:], provider, account, ifVersion))
}

func (g grants) Mark(ctx context.Context, owner identity.Digest, provider, account string) (int64, error) {
	var mark int64
	err := g.db.one(ctx, g.db.stmt.markGrant, []any{owner[:], provider, account}, &mark)
	return mark, err
}

func (g grants) Shared(ctx context.Context, owner identity.Digest, provider, account string) (bool, error) {
	var shared bool
	err := g.db.one(ctx, g.db.stmt.sharedGrant, []any{provider, account, owner[:]}, &shared)
	return shared, err
}

type records struct{ db *DB }

func (r records) Put(ctx context.Context, rec store.Record) error {
	return swapped(r.db.exec(ctx, r.db.stmt.addRecord,
		rec.Kind, rec.Key[:], rec.Owner[:], micros(rec.Expires), rec.Version, rec.Data, micros(r.db.now())))
}

func (r records) Get(ctx context.Context, kind string, key [sha256.Size]byte) (store.Record, error) {
	return r.read(ctx, r.db.one, r.db.stmt.getRecord, kind, key)
}

func (r records) Take(ctx context.Context, kind string, key [sha256.Size]byte) (store.Record, error) {
	return r.read(ctx, r.db.changeOne, r.db.stmt.takeRecord, kind, key)
}

// An asker is DB.one or DB.changeOne.
type asker func(ctx context.Context, stmt *sql.Stmt, args []any, dest ...any) error

func (r records) read(ctx context.Context, ask asker, stmt *sql.Stmt, kind string, key [sha256.Size]byte) (store.Record, error) {
	rec := store.Record{Kind: kind, Key: key}
	var owner []byte
	var expires int64
	err := ask(ctx, stmt, []any{kind, key[:], micros(r.db.now())}, &owner, &expires, &rec.Version, &rec.Data)
	if err != nil {
		return store.Record{}, err
	}
	copy(rec.Owner[:], owner)
	rec.Expires = moment(expires)
	return rec, nil
}

func (r records) List(ctx context.Context, kind string, after [sha256.Size]byte, limit int) ([]store.Record, error) {
	var list []store.Record
	args := []any{kind, after[:], micros(r.db.now()), limit}
	err := r.db.query(ctx, r.db.stmt.listRecords, args, func(rows *sql.Rows) error {
		rec := store.Record{Kind: kind}
		var key, owner []byte
		var expires int64
		if err := rows.Scan(&key, &owner, &expires, &rec.Version, &rec.Data); err != nil {
			return err
		}
		copy(rec.Key[:], key)
		copy(rec.Owner[:], owner)
		rec.Expires = moment(expires)
		list = append(list, rec)
		return nil
	})
	return list, err
}

func (r records) Replace(ctx context.Context, rec store.Record) error {
	return swapped(r.db.exec(ctx, r.db.stmt.swapRecord,
		rec.Owner[:], micros(rec.Expires), rec.Data, rec.Kind, rec.Key[:], rec.Version, micros(r.db.now())))
}

func (r records) DeleteByOwner(ctx context.Context, owner identity.Digest, keep ...string) error {
	kinds, err := json.Marshal(append([]string{}, keep...)) // never null
	if err != nil {
		return err
	}
	_, err = r.db.exec(ctx, r.db.stmt.deleteRecords, owner[:], string(kinds))
	return err
}

func (r records) Sweep(ctx context.Context, now time.Time) (int64, error) {
	return r.db.exec(ctx, r.db.stmt.sweepRecords, micros(now))
}
