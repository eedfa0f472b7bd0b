package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

// existing opens a file that is there, and makes none. In a backup nothing may change.
const (
	existing  = "mode=rw&_pragma=busy_timeout(5000)"
	immutable = "mode=ro&immutable=1"
)

// Exists reports whether there is a database in dir.
func Exists(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, File))
	return err == nil
}

// Backup writes the database in dir, which may be in use, as of one moment to a new
// file that only its owner can read. It writes all of it or, where it fails or ctx
// ends, nothing. fs.ErrExist where file exists.
func Backup(ctx context.Context, dir, file string) error {
	return newFile(file, func(temp string) error {
		path, err := filepath.Abs(filepath.Join(dir, File))
		if err != nil {
			return err
		}
		db, err := pool(path, existing, 1)
		if err != nil {
			return err
		}
		defer db.Close()
		if _, err := db.ExecContext(ctx, "VACUUM INTO ?", temp); err != nil {
			return (&DB{path: path}).explain(err)
		}
		return check(ctx, temp)
	})
}

// Restore puts a backup where a database of this program will be looked for. The
// caller has dir's lock. It refuses where there is a database or a part of one, and
// what is damaged or no vault; then dir is as it was. The vault will know that it was
// restored, at now.
func Restore(ctx context.Context, dir, file string, now time.Time) error {
	path := filepath.Join(dir, File)
	for _, name := range []string{path, path + "-wal", path + "-shm", path + "-journal"} {
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("%s is there already: move it away, or restore into another directory with --data", name)
		}
	}
	return newFile(path, func(temp string) error {
		if err := copyFile(temp, file); err != nil {
			return err
		}
		if err := check(ctx, temp); err != nil {
			return fmt.Errorf("backup %s: %w: nothing was restored; try an older one", file, err)
		}
		return stamp(ctx, temp, now)
	})
}

// stamp notes in the file at path that it was restored.
func stamp(ctx context.Context, path string, now time.Time) error {
	db, err := pool(path, existing, 1)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `INSERT INTO facts (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, store.RestoredFact, now.UTC().Format(time.RFC3339))
	return errors.Join(err, db.Close())
}

// newFile has fill write a file beside path, flushes it and gives it its name. It
// never overwrites one.
func newFile(path string, fill func(temp string) error) error {
	path, err := filepath.Abs(path) // what SQLite takes for a path and nothing else
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s: %w: choose another name", path, fs.ErrExist)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".latchkey-*") // mode 0600 from the start
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	temp := f.Name()
	defer os.Remove(temp)
	if err := f.Close(); err != nil {
		return err
	}
	if err := fill(temp); err != nil {
		return err
	}
	if err := flush(temp); err != nil {
		return err
	}
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w: choose another name", path, fs.ErrExist)
	} else if err != nil {
		return err
	}
	return flush(filepath.Dir(path))
}

func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// check refuses a file that is damaged, no vault, or of a later version of Latchkey.
func check(ctx context.Context, path string) error {
	db, err := pool(path, immutable, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	var said string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&said); err != nil || said != "ok" {
		return errors.Join(ctx.Err(), errors.New("it is damaged, or no database"))
	}
	var issuer string
	err = db.QueryRowContext(ctx, "SELECT value FROM facts WHERE name = 'issuer'").Scan(&issuer)
	if err != nil {
		return errors.New("it is no vault of Latchkey's")
	}
	return knownVersion(ctx, db)
}

// knownVersion is tooNew without a change to the file.
func knownVersion(ctx context.Context, db *sql.DB) error {
	provider, err := migrator(db)
	if err != nil {
		return err
	}
	return tooNew(ctx, provider)
}
