package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrateTries is for two processes that make one database at the same time: the
// later one finds the tables there, and then everything done.
const migrateTries = 5

func migrate(ctx context.Context, db *sql.DB) error {
	for try := 1; ; try++ {
		err := migrateOnce(ctx, db)
		var failed *driver.Error
		if err == nil || try == migrateTries || errors.As(err, &failed) && !passing(failed.Code()) {
			return err
		}
		time.Sleep(50 * time.Millisecond << (try - 1))
	}
}

// passing reports whether a fault may be another process's doing, and no operator's
// to mend.
func passing(code int) bool {
	return advice(code) == "" || code&0xff == sqlite3.SQLITE_BUSY || code&0xff == sqlite3.SQLITE_LOCKED
}

// migrateOnce has a provider of its own, since one that failed doesn't begin again.
func migrateOnce(ctx context.Context, db *sql.DB) error {
	provider, err := migrator(db)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return err
	}
	return tooNew(ctx, provider)
}

func migrator(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

// tooNew refuses a database that a later version of Latchkey has changed.
func tooNew(ctx context.Context, p *goose.Provider) error {
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("its version is %d and this program knows up to %d: use a newer Latchkey", current, target)
	}
	return nil
}

// readable refuses a database that this program can't read as it is.
func readable(ctx context.Context, db *sql.DB) error {
	var current int64
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&current); err != nil {
		return err
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	target, err := goose.NumericComponent(names[len(names)-1])
	if err != nil {
		return err
	}
	if current != target {
		return fmt.Errorf("its version is %d and this program's is %d: use the program that serves it, "+
			"or start this one on it once", current, target)
	}
	return nil
}
