package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

const auditColumns = `chain, seq, time, event, owner, client, tool, provider, rule, arguments, reason, of, hash, mark`

// auditRow is the parameters of a row. They have no numbers, which the driver would
// look up as names.
const auditRow = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// severalRows go into the record with one statement, where there are so many.
const severalRows = 8

func (db *DB) auditStatements() []prepared {
	s := &db.stmt
	return []prepared{
		{&s.addHead, db.writer, `INSERT INTO audit_heads (chain, seq, mark) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`},
		{&s.moveHead, db.writer, `UPDATE audit_heads SET seq = ?, mark = ? WHERE chain = ? AND seq = ? AND mark = ?`},
		{&s.dropHead, db.writer, `DELETE FROM audit_heads WHERE chain = ? AND seq = ? AND mark = ?`},
		{&s.dropEntries, db.writer, `DELETE FROM audit WHERE chain = ?`},
		// Only after the entry that it was hashed with.
		{&s.followEntry, db.writer, `INSERT INTO audit (` + auditColumns + `)
			SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14
			WHERE ?2 = 1 OR EXISTS (SELECT 1 FROM audit WHERE chain = ?1 AND seq = ?2 - 1 AND hash = ?15)
			ON CONFLICT DO NOTHING`},
		// After one that the same transaction has added.
		{&s.addEntry, db.writer, `INSERT INTO audit (` + auditColumns + `)
			VALUES ` + auditRow + ` ON CONFLICT DO NOTHING`},
		{&s.addSeveral, db.writer, `INSERT INTO audit (` + auditColumns + `)
			VALUES ` + strings.Repeat(auditRow+", ", severalRows-1) + auditRow + ` ON CONFLICT DO NOTHING`},
		// The names of chains are found in the index, one by one: a full scan of a
		// long record would take seconds.
		{&s.heads, db.reader, `WITH RECURSIVE chains (chain) AS (
				SELECT min(chain) FROM audit UNION ALL
				SELECT (SELECT min(chain) FROM audit WHERE chain > chains.chain) FROM chains WHERE chain IS NOT NULL),
			named (chain) AS (SELECT chain FROM chains WHERE chain IS NOT NULL UNION SELECT chain FROM audit_heads)
			SELECT named.chain, coalesce(h.seq, 0), coalesce(h.mark, x'')
			FROM named LEFT JOIN audit_heads h ON h.chain = named.chain ORDER BY named.chain`},
		{&s.entries, db.reader, `SELECT ` + auditColumns + ` FROM audit WHERE chain = ? AND seq > ? ORDER BY seq LIMIT ?`},
	}
}

type auditTable struct{ db *DB }

// Append is one transaction, and so one flush to the disk, however many rows. It
// comes after the reserve.
func (a auditTable) Append(ctx context.Context, from, to audit.Head, rows []audit.Row) error {
	if err := a.db.keepReserve(); err != nil {
		return err
	}
	return a.Replace(ctx, audit.Head{}, from, to, rows)
}

// Replace is one transaction too; gone may be the zero Head.
func (a auditTable) Replace(ctx context.Context, gone, from, to audit.Head, rows []audit.Row) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.db.limit)
	defer cancel()
	err := a.db.findRoom(ctx, func() error {
		conn, err := a.db.writer.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		// Single rows have no deadline, for which the driver would start a goroutine
		// each: once the transaction has the lock, they wait for nothing.
		free := context.WithoutCancel(ctx)
		tx, err := conn.BeginTx(free, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := a.write(free, tx, from, to, rows); err != nil {
			return err
		}
		if err := a.drop(ctx, tx, gone); err != nil {
			return err
		}
		return tx.Commit()
	})
	if err == nil {
		a.own(ctx, from, to)
	}
	if errors.Is(err, audit.ErrMoved) {
		return err
	}
	return a.db.explain(err)
}

func (a auditTable) write(ctx context.Context, tx *sql.Tx, from, to audit.Head, rows []audit.Row) error {
	if err := a.move(ctx, tx, from, to); err != nil {
		return err
	}
	if _, err := tx.StmtContext(ctx, a.db.stmt.addTail).ExecContext(ctx, to.Chain, from.Seq); err != nil {
		return err
	}
	values := append(auditValues(nil, rows[:1]), from.Hash)
	if err := touched(tx.StmtContext(ctx, a.db.stmt.followEntry).ExecContext(ctx, values...)); err != nil {
		return err
	}
	several, one := tx.StmtContext(ctx, a.db.stmt.addSeveral), tx.StmtContext(ctx, a.db.stmt.addEntry)
	for rows = rows[1:]; len(rows) > 0; {
		stmt, n := one, 1
		if len(rows) >= severalRows {
			stmt, n = several, severalRows
		}
		values = auditValues(values[:0], rows[:n])
		result, err := stmt.ExecContext(ctx, values...)
		if err := touchedRows(int64(n), result, err); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// auditValues appends those of auditColumns, row by row.
func auditValues(values []any, rows []audit.Row) []any {
	for i := range rows {
		r := &rows[i]
		values = append(values, r.Chain, r.Seq, micros(r.Time), string(r.Event), r.Owner[:], r.Client, r.Tool,
			r.Provider, r.Rule, r.Arguments, r.Reason, string(r.Of), r.Hash, blob(r.Mark))
	}
	return values
}

func (a auditTable) move(ctx context.Context, tx *sql.Tx, from, to audit.Head) error {
	if from.Seq == 0 {
		return touched(tx.StmtContext(ctx, a.db.stmt.addHead).ExecContext(ctx, to.Chain, to.Seq, to.Mark))
	}
	return touched(tx.StmtContext(ctx, a.db.stmt.moveHead).ExecContext(ctx, to.Seq, to.Mark, from.Chain, from.Seq, from.Mark))
}

func (a auditTable) drop(ctx context.Context, tx *sql.Tx, gone audit.Head) error {
	if gone.Seq == 0 {
		return nil
	}
	err := touched(tx.StmtContext(ctx, a.db.stmt.dropHead).ExecContext(ctx, gone.Chain, gone.Seq, gone.Mark))
	for _, stmt := range []*sql.Stmt{a.db.stmt.dropTail, a.db.stmt.dropOwned, a.db.stmt.dropEntries} {
		if err == nil {
			_, err = tx.StmtContext(ctx, stmt).ExecContext(ctx, gone.Chain)
		}
	}
	return err
}

// blob is b, which the driver would take for NULL where it is nil.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// touched turns anything but one row touched into audit.ErrMoved.
func touched(result sql.Result, err error) error { return touchedRows(1, result, err) }

func touchedRows(want int64, result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != want {
		return errors.Join(audit.ErrMoved, err)
	}
	return nil
}

func (a auditTable) Heads(ctx context.Context) ([]audit.Head, error) {
	var list []audit.Head
	err := a.db.query(ctx, a.db.stmt.heads, nil, func(rows *sql.Rows) error {
		var h audit.Head
		if err := rows.Scan(&h.Chain, &h.Seq, &h.Mark); err != nil {
			return err
		}
		list = append(list, h)
		return nil
	})
	return list, err
}

func (a auditTable) Rows(ctx context.Context, chain string, after int64, n int) ([]audit.Row, error) {
	return a.db.auditRows(ctx, a.db.stmt.entries, chain, after, n)
}

func (a auditTable) Clients(ctx context.Context, owner identity.Digest, n int) ([]string, error) {
	var list []string
	err := a.db.query(ctx, a.db.stmt.ownClients, []any{owner[:], n}, func(rows *sql.Rows) error {
		var client string
		err := rows.Scan(&client)
		list = append(list, client)
		return err
	})
	return list, err
}

func (db *DB) auditRows(ctx context.Context, stmt *sql.Stmt, args ...any) ([]audit.Row, error) {
	var list []audit.Row
	err := db.query(ctx, stmt, args, func(rows *sql.Rows) error {
		var r audit.Row
		var at int64
		var owner []byte
		err := rows.Scan(&r.Chain, &r.Seq, &at, &r.Event, &owner, &r.Client, &r.Tool, &r.Provider, &r.Rule,
			&r.Arguments, &r.Reason, &r.Of, &r.Hash, &r.Mark)
		if err != nil {
			return err
		}
		r.Time = moment(at)
		if copy(r.Owner[:], owner) != len(r.Owner) || len(owner) != len(r.Owner) {
			r.Hash = nil // it is no Row, and must not pass for one
		}
		list = append(list, r)
		return nil
	})
	return list, err
}

// AuditEntries is an owner's part of the audit record, in the order of the chains
// and within them oldest first.
func (db *DB) AuditEntries(ctx context.Context, owner identity.Digest) ([]audit.Entry, error) {
	rows, err := db.auditRows(ctx, db.stmt.ownEntries, owner[:])
	var list []audit.Entry
	for _, r := range rows {
		list = append(list, r.Entry)
	}
	return list, err
}
