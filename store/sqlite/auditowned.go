package sqlite

import (
	"context"

	"github.com/latchkey-mcp/latchkey/store/audit"
)

const (
	// shortTails is how many entries may be outside audit_owned, in all chains
	// together, before some are taken in: looking through them takes a reader about
	// ten milliseconds.
	shortTails = 8192
	// longestStretch bounds the time that taking in keeps writers waiting.
	longestStretch = 2 * shortTails
)

// ownedStatements find an owner's entries by audit_owned and in the tails.
func (db *DB) ownedStatements() []prepared {
	s := &db.stmt
	const tails = ` FROM audit_tails t CROSS JOIN audit a ON a.chain = t.chain AND a.seq > t.seq WHERE a.owner = ?1`
	return []prepared{
		// In each commit, which changes a page only where the chain has no tail yet.
		{&s.addTail, db.writer, `INSERT INTO audit_tails (chain, seq) VALUES (?, ?) ON CONFLICT DO NOTHING`},
		{&s.moveTail, db.writer, `UPDATE audit_tails SET seq = ? WHERE chain = ?`},
		{&s.dropTail, db.writer, `DELETE FROM audit_tails WHERE chain = ?`},
		{&s.longTail, db.writer, `WITH tails AS (
				SELECT chain, t.seq, h.seq AS head, h.seq - t.seq AS n FROM audit_tails t JOIN audit_heads h USING (chain))
			SELECT chain, seq, head FROM tails WHERE (SELECT sum(n) FROM tails) >= ? ORDER BY n DESC LIMIT 1`},
		{&s.ownStretch, db.writer, `INSERT INTO audit_owned (owner, client, chain, last, seqs)
			SELECT owner, client, chain, max(seq), json_group_array(seq) FROM audit
			WHERE chain = ? AND seq > ? AND seq <= ? GROUP BY owner, client`},
		{&s.dropOwned, db.writer, `DELETE FROM audit_owned WHERE chain = ?1
			AND (owner, client) IN (SELECT owner, client FROM audit WHERE chain = ?1)`},
		{&s.ownEntries, db.reader, `SELECT ` + auditColumns + ` FROM (
				SELECT a.* FROM audit_owned o CROSS JOIN json_each(o.seqs) s
				CROSS JOIN audit a ON a.chain = o.chain AND a.seq = s.value WHERE o.owner = ?1 AND a.owner = ?1
				UNION ALL SELECT a.*` + tails + `) ORDER BY chain, seq`},
		// From one client to the next, like the names of chains.
		{&s.ownClients, db.reader, `WITH RECURSIVE clients (client) AS (
				SELECT min(client) FROM audit_owned WHERE owner = ?1 AND client <> '' UNION ALL
				SELECT (SELECT min(client) FROM audit_owned WHERE owner = ?1 AND client > clients.client)
				FROM clients WHERE client IS NOT NULL LIMIT ?2)
			SELECT client FROM clients WHERE client IS NOT NULL
			UNION SELECT a.client` + tails + ` AND a.client <> '' ORDER BY 1 LIMIT ?2`},
	}
}

// own takes the longest tails into audit_owned after every shortTails entries of a
// chain, and where one begins. A tail that can't be taken in, say on a full disk, stays
// one: an owner's entries are then found more slowly, and it is tried again.
func (a auditTable) own(ctx context.Context, from, to audit.Head) {
	if from.Seq > 0 && from.Seq/shortTails == to.Seq/shortTails {
		return
	}
	for range 2 { // more than has come since the last time
		if err := a.ownLongest(ctx); err != nil {
			return
		}
	}
}

// ownLongest takes in a stretch of the longest tail, unless they are all short.
func (a auditTable) ownLongest(ctx context.Context) error {
	tx, err := a.db.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var chain string
	var seq, head int64
	if err := tx.StmtContext(ctx, a.db.stmt.longTail).QueryRowContext(ctx, shortTails).Scan(&chain, &seq, &head); err != nil {
		return err
	}
	end := min(head, seq+longestStretch)
	if _, err := tx.StmtContext(ctx, a.db.stmt.ownStretch).ExecContext(ctx, chain, seq, end); err != nil {
		return err
	}
	if end == head {
		_, err = tx.StmtContext(ctx, a.db.stmt.dropTail).ExecContext(ctx, chain)
	} else {
		_, err = tx.StmtContext(ctx, a.db.stmt.moveTail).ExecContext(ctx, end, chain)
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}
