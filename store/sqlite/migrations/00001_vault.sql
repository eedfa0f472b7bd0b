-- Times are microseconds since 1970, UTC; 0 means none.

-- +goose Up
CREATE TABLE grants (
	owner    BLOB    NOT NULL,
	provider TEXT    NOT NULL,
	version  INTEGER NOT NULL,
	sealed   BLOB    NOT NULL,
	updated  INTEGER NOT NULL,
	PRIMARY KEY (owner, provider)
) STRICT;

CREATE TABLE records (
	kind    TEXT    NOT NULL,
	key     BLOB    NOT NULL,
	owner   BLOB    NOT NULL,
	expires INTEGER NOT NULL,
	version INTEGER NOT NULL,
	data    BLOB    NOT NULL,
	PRIMARY KEY (kind, key)
) STRICT;
CREATE INDEX records_by_owner ON records (owner, kind);
CREATE INDEX records_by_expiry ON records (expires) WHERE expires > 0;

CREATE TABLE audit (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	time      INTEGER NOT NULL,
	event     TEXT    NOT NULL,
	owner     BLOB    NOT NULL,
	client    TEXT    NOT NULL,
	tool      TEXT    NOT NULL,
	provider  TEXT    NOT NULL,
	rule      TEXT    NOT NULL,
	arguments TEXT    NOT NULL,
	reason    TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_by_owner ON audit (owner, id);

CREATE TABLE facts (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
