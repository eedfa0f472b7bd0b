-- A person may have several accounts of a provider, so the account's id is part of a
-- grant's key. It was in clear before, at the start of what is sealed: a format byte,
-- a length (32 bits, big endian) and the id. What is damaged gets the id "".

-- +goose Up
DROP TRIGGER grant_added;
DROP TRIGGER grant_changed;
DROP TRIGGER grant_removed;
ALTER TABLE grants RENAME TO grants_before;
ALTER TABLE marks RENAME TO marks_before;

CREATE TABLE grants (
	owner    BLOB    NOT NULL,
	provider TEXT    NOT NULL,
	account  TEXT    NOT NULL,
	version  INTEGER NOT NULL,
	sealed   BLOB    NOT NULL,
	updated  INTEGER NOT NULL,
	PRIMARY KEY (owner, provider, account)
) STRICT;
CREATE INDEX grants_by_account ON grants (provider, account);

CREATE TABLE marks (
	owner    BLOB    NOT NULL,
	provider TEXT    NOT NULL,
	account  TEXT    NOT NULL,
	version  INTEGER NOT NULL,
	PRIMARY KEY (owner, provider, account)
) STRICT, WITHOUT ROWID;

-- The length of an id fits into its last two bytes; SQL reads them as four hex digits.
INSERT INTO grants (owner, provider, account, version, sealed, updated)
SELECT owner, provider,
	CASE WHEN hex(substr(sealed, 1, 3)) = '010000' AND length(sealed) >= 5 + n
		THEN CAST(substr(sealed, 6, n) AS TEXT) ELSE '' END,
	version, sealed, updated
FROM (SELECT *,
	4096 * (instr('0123456789ABCDEF', substr(hex(sealed), 7, 1)) - 1) +
	256 * (instr('0123456789ABCDEF', substr(hex(sealed), 8, 1)) - 1) +
	16 * (instr('0123456789ABCDEF', substr(hex(sealed), 9, 1)) - 1) +
	(instr('0123456789ABCDEF', substr(hex(sealed), 10, 1)) - 1) AS n
	FROM grants_before);

-- An account that is removed leaves no id behind: its mark moves up that of the
-- account "", the floor, at or below which no grant of that owner and provider is ever
-- added. All marks from before become floors too.
INSERT INTO marks (owner, provider, account, version)
SELECT owner, provider, '', version FROM marks_before;
INSERT INTO marks (owner, provider, account, version)
SELECT owner, provider, account, m.version
FROM grants JOIN marks_before m USING (owner, provider) WHERE account <> '';

DROP TABLE grants_before;
DROP TABLE marks_before;

-- +goose StatementBegin
CREATE TRIGGER grant_added AFTER INSERT ON grants BEGIN
	INSERT INTO marks (owner, provider, account, version)
	SELECT new.owner, new.provider, new.account, max(new.version, coalesce(max(version), 0))
	FROM marks WHERE owner = new.owner AND provider = new.provider AND account = ''
	ON CONFLICT DO UPDATE SET version = max(version, excluded.version);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER grant_changed AFTER UPDATE OF version ON grants BEGIN
	INSERT INTO marks (owner, provider, account, version) VALUES (new.owner, new.provider, new.account, new.version)
	ON CONFLICT DO UPDATE SET version = max(version, excluded.version);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER grant_removed AFTER DELETE ON grants BEGIN
	INSERT INTO marks (owner, provider, account, version)
	SELECT old.owner, old.provider, '', max(old.version + 1, coalesce(max(version), 0))
	FROM marks WHERE owner = old.owner AND provider = old.provider AND account = old.account
	ON CONFLICT DO UPDATE SET version = max(version, excluded.version);
	DELETE FROM marks WHERE owner = old.owner AND provider = old.provider AND account = old.account AND account <> '';
END;
-- +goose StatementEnd

-- So that the clients that a person uses are found without reading all their entries.
DROP INDEX audit_by_owner;
CREATE INDEX audit_by_owner ON audit (owner, client);
