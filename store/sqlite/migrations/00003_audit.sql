-- +goose Up

-- Entries from before there were chains. They stay, as they are, without proof.
ALTER TABLE audit RENAME TO audit_unchained;
DROP INDEX audit_by_owner;

-- The audit package says what hash and mark are. There is no column that hash,
-- the next entry's hash or the chain's head doesn't cover.
CREATE TABLE audit (
	chain     TEXT    NOT NULL,
	seq       INTEGER NOT NULL,
	time      INTEGER NOT NULL,
	event     TEXT    NOT NULL,
	owner     BLOB    NOT NULL,
	client    TEXT    NOT NULL,
	tool      TEXT    NOT NULL,
	provider  TEXT    NOT NULL,
	rule      TEXT    NOT NULL,
	arguments TEXT    NOT NULL,
	reason    TEXT    NOT NULL,
	of        TEXT    NOT NULL,
	hash      BLOB    NOT NULL,
	mark      BLOB    NOT NULL,
	PRIMARY KEY (chain, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_by_owner ON audit (owner);

CREATE TABLE audit_heads (
	chain TEXT    NOT NULL PRIMARY KEY,
	seq   INTEGER NOT NULL,
	mark  BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
