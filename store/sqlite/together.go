package sqlite

import (
	"context"
	"database/sql"
	"sync"
)

// mostTogether bounds a commit, and so how long it keeps other processes waiting.
const mostTogether = 64

// A change is what one write does, with the statements that on gives it. It may run
// several times; only the last counts.
type change func(ctx context.Context, on func(*sql.Stmt) *sql.Stmt) error

// writes are those that wait for the writer. Those that come while a commit is on its
// way share the next one, and one flush of the disk: each is then as durable when it
// returns as if it had come alone, and none waits for more to come.
type writes struct {
	mu    sync.Mutex
	queue []*waiting
	busy  bool // somebody writes
}

type waiting struct {
	ctx  context.Context
	do   change
	err  error
	done chan struct{}
}

// together makes the change, perhaps along with others, and returns once it is durable.
// It ends when ctx does, because who is before it in the queue has an earlier deadline.
func (db *DB) together(ctx context.Context, do change) error {
	w := &waiting{ctx: ctx, do: do, done: make(chan struct{})}
	db.writes.mu.Lock()
	db.writes.queue = append(db.writes.queue, w)
	if !db.writes.busy {
		db.writes.busy = true
		go db.write()
	}
	db.writes.mu.Unlock()
	<-w.done
	return w.err
}

// write goes on until nobody waits. Where several can't be written together, each is
// on its own: its error is then its own, and so is the room that it may find.
func (db *DB) write() {
	for list := db.writes.take(); len(list) > 0; list = db.writes.take() {
		failed := len(list) == 1 || db.inOne(list) != nil
		for _, w := range list {
			if failed {
				w.err = w.do(w.ctx, func(s *sql.Stmt) *sql.Stmt { return s })
			}
			close(w.done)
		}
	}
}

// take is who is next.
func (ws *writes) take() []*waiting {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	n := min(len(ws.queue), mostTogether)
	list := ws.queue[:n:n]
	ws.queue = ws.queue[n:]
	ws.busy = n > 0
	return list
}

// inOne makes all changes in one transaction, or none of them, within the first one's
// time.
func (db *DB) inOne(list []*waiting) error {
	ctx := list[0].ctx
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	// Single statements have no deadline, for which the driver would start a goroutine
	// each: once the transaction has the lock, they wait for nothing.
	free := context.WithoutCancel(ctx)
	on := func(s *sql.Stmt) *sql.Stmt { return tx.StmtContext(free, s) }
	for _, w := range list {
		if err := w.do(free, on); err != nil {
			return err
		}
	}
	return tx.Commit()
}
