-- Which entries are whose. An index over audit changed a page for nearly every entry;
-- here they come in by stretches of a chain, each with one row for an owner and client,
-- which lists the numbers of theirs (JSON). audit_tails names the chains that have
-- entries after seq which aren't here yet.

-- +goose Up
DROP INDEX audit_by_owner;

CREATE TABLE audit_owned (
	owner  BLOB    NOT NULL,
	client TEXT    NOT NULL,
	chain  TEXT    NOT NULL,
	last   INTEGER NOT NULL,
	seqs   TEXT    NOT NULL,
	PRIMARY KEY (owner, client, chain, last)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_tails (
	chain TEXT    NOT NULL PRIMARY KEY,
	seq   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO audit_owned (owner, client, chain, last, seqs)
SELECT owner, client, chain, max(seq), json_group_array(seq) FROM audit GROUP BY owner, client, chain;
