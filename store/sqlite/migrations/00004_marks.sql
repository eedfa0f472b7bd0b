-- marks holds the highest version that each grant ever had, outside its row and for
-- good: a row of another version is an old copy that was put back. The triggers are
-- part of whatever statement writes a grant, so that no write can leave them out.

-- +goose Up
CREATE TABLE marks (
	owner    BLOB    NOT NULL,
	provider TEXT    NOT NULL,
	version  INTEGER NOT NULL,
	PRIMARY KEY (owner, provider)
) STRICT, WITHOUT ROWID;

INSERT INTO marks (owner, provider, version) SELECT owner, provider, version FROM grants;

-- +goose StatementBegin
CREATE TRIGGER grant_added AFTER INSERT ON grants BEGIN
	INSERT INTO marks (owner, provider, version) VALUES (new.owner, new.provider, new.version)
	ON CONFLICT DO UPDATE SET version = max(version, excluded.version);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER grant_changed AFTER UPDATE OF version ON grants BEGIN
	INSERT INTO marks (owner, provider, version) VALUES (new.owner, new.provider, new.version)
	ON CONFLICT DO UPDATE SET version = max(version, excluded.version);
END;
-- +goose StatementEnd

-- A removed grant's mark is above its last version.
-- +goose StatementBegin
CREATE TRIGGER grant_removed AFTER DELETE ON grants BEGIN
	INSERT INTO marks (owner, provider, version) VALUES (old.owner, old.provider, old.version + 1)
	ON CONFLICT DO UPDATE SET version = max(version, excluded.version);
END;
-- +goose StatementEnd
