package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/latchkey-mcp/latchkey/store/sqlite"
)

// A vandal writes to the database file itself, around every trigger and rule.
type vandal struct {
	w  *world
	db *sql.DB
}

// A sheet is a table's columns and rows, as they are in the file.
type sheet struct {
	table   string
	columns []string
	rows    [][]any
}

// open is the file itself, until the end of the test.
func (w *world) open() *sql.DB {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, sqlite.File)+"?_pragma=synchronous(off)")
	ok(w.t, err)
	w.t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	return db
}

// vandalise takes the triggers out, so that what a vandal writes stays as it is.
func (w *world) vandalise() *vandal {
	w.t.Helper()
	v := &vandal{w, w.open()}
	for _, name := range v.texts("SELECT name FROM sqlite_schema WHERE type = 'trigger'") {
		v.exec("DROP TRIGGER " + name)
	}
	return v
}

func (v *vandal) exec(statement string, args ...any) {
	v.w.t.Helper()
	_, err := v.db.ExecContext(v.w.t.Context(), statement, args...)
	ok(v.w.t, err)
}

func (v *vandal) texts(query string, args ...any) (list []string) {
	v.w.t.Helper()
	rows, err := v.db.QueryContext(v.w.t.Context(), query, args...)
	ok(v.w.t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		ok(v.w.t, rows.Scan(&text))
		list = append(list, text)
	}
	ok(v.w.t, rows.Err())
	return list
}

// read is the table as it is now.
func (v *vandal) read(table string) sheet {
	v.w.t.Helper()
	s := sheet{table: table, columns: v.texts("SELECT name FROM pragma_table_info(?)", table)}
	rows, err := v.db.QueryContext(v.w.t.Context(), "SELECT "+strings.Join(s.columns, ", ")+" FROM "+table)
	ok(v.w.t, err)
	defer rows.Close()
	for rows.Next() {
		row := make([]any, len(s.columns))
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		ok(v.w.t, rows.Scan(into...))
		s.rows = append(s.rows, row)
	}
	ok(v.w.t, rows.Err())
	return s
}

// write makes the table hold just these rows; of two with one key, the later.
func (v *vandal) write(s sheet) {
	v.w.t.Helper()
	tx, err := v.db.BeginTx(v.w.t.Context(), nil)
	ok(v.w.t, err)
	defer tx.Rollback()
	_, err = tx.Exec("DELETE FROM " + s.table)
	ok(v.w.t, err)
	places := strings.TrimSuffix(strings.Repeat("?, ", len(s.columns)), ", ")
	insert, err := tx.Prepare(fmt.Sprintf("INSERT OR REPLACE INTO %s (%s) VALUES (%s)", s.table, strings.Join(s.columns, ", "), places))
	ok(v.w.t, err)
	for _, row := range s.rows {
		_, err = insert.Exec(row...)
		ok(v.w.t, err)
	}
	ok(v.w.t, tx.Commit())
}

// alignMarks makes every mark that of the row beside it.
func (v *vandal) alignMarks(marks sheet) {
	v.w.t.Helper()
	columns := strings.Join(marks.columns, ", ")
	v.exec("DELETE FROM marks")
	v.exec(fmt.Sprintf("INSERT OR REPLACE INTO marks (%s) SELECT %s FROM grants", columns, columns))
}

// A change is one thing that a vandal does to a table: the cells of some columns of
// one row are those of another row, or of the same at an earlier time. Where both are
// in the table, they may also change places.
type change struct {
	into, from int // rows of now, and of all that ever were
	columns    []int
	exchange   bool
}

// each calls try with s after every possible change. past has all rows that the table
// ever had, first those that it has. most is how many columns change at once, beside
// all of them.
func (s sheet) each(past [][]any, most int, try func(c change, changed sheet)) {
	for into := range s.rows {
		for from := range past {
			if from == into {
				continue
			}
			for _, columns := range sets(len(s.columns), most) {
				c := change{into: into, from: from, columns: columns}
				try(c, s.with(c, past))
				if from < len(s.rows) && into < from {
					c.exchange = true
					try(c, s.with(c, past))
				}
			}
		}
	}
}

func (s sheet) with(c change, past [][]any) sheet {
	rows := slices.Clone(s.rows)
	into := slices.Clone(rows[c.into])
	for _, i := range c.columns {
		into[i] = past[c.from][i]
	}
	if c.exchange {
		other := slices.Clone(rows[c.from])
		for _, i := range c.columns {
			other[i] = rows[c.into][i]
		}
		rows[c.from] = other
	}
	// Last, so that it is there where two rows now have one key.
	rows = append(slices.Delete(rows, c.into, c.into+1), into)
	return sheet{s.table, s.columns, rows}
}

func sets(columns, most int) (list [][]int) {
	for mask := 1; mask < 1<<columns; mask++ {
		var set []int
		for i := range columns {
			if mask&(1<<i) != 0 {
				set = append(set, i)
			}
		}
		if len(set) <= most || len(set) == columns {
			list = append(list, set)
		}
	}
	return list
}

// holds reports whether the sheet has a row that is like one of rows in the columns
// of those names.
func (s sheet) holds(rows [][]any, names ...string) bool {
	return slices.ContainsFunc(s.rows, func(mine []any) bool {
		return slices.ContainsFunc(rows, func(row []any) bool {
			return !slices.ContainsFunc(names, func(name string) bool {
				i := slices.Index(s.columns, name)
				return fmt.Sprint(mine[i]) != fmt.Sprint(row[i])
			})
		})
	})
}
