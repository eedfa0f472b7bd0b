//go:build unix

package sqlite_test

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/latchkey-mcp/latchkey/store/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A disk is what SQLite writes to in one directory: it remembers every write and
// every flush, and fails when it is told to.
type disk struct {
	mu    sync.Mutex
	log   []diskOp
	names map[string]int // file numbers, by name
	sizes []int64        // of files, by number

	room     int64 // bytes by which files can still grow
	readOnly bool
	failing  bool
	failAt   int // this write fails, counted from 1; 0: none

	reserve  string // the backend's, which isn't written through SQLite
	reserved bool   // it holds its place
}

// plenty is room without an end.
const plenty = math.MaxInt64 / 2

// A diskOp is one thing that was asked of the disk. What isn't flushed may be
// there after a power loss, in part or not at all.
type diskOp struct {
	file  int
	data  []byte
	at    int64 // of data
	size  int64 // of a file that is cut; else -1
	name  string
	made  bool // name is file's from here on
	gone  bool // there is no such name any more
	flush int  // file's operations before that number are on the disk
	names int  // the directory's are
}

// A diskFile is a file that SQLite has open.
type diskFile struct {
	disk    *disk
	number  int
	newName bool // SQLite flushes the directory along with its first flush
}

// newDisk is under dir until the test ends.
func newDisk(t *testing.T, dir string) *disk {
	installLayer()
	d := &disk{
		names: map[string]int{}, room: plenty, sizes: []int64{0},
		reserve: filepath.Join(dir, sqlite.File+"-reserve"),
	}
	disks.Store(dir, d)
	t.Cleanup(func() { disks.Delete(dir) })
	return d
}

// set changes how the disk fails.
func (d *disk) set(change func(*disk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// now is the number of the next operation: all that was asked before has a lower one.
func (d *disk) now() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

// opening is with which flags a file is opened: those of a read-only file system
// where the disk is one.
func (d *disk) opening(flags int32) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.readOnly {
		flags = flags&^(sqlite3.SQLITE_OPEN_READWRITE|sqlite3.SQLITE_OPEN_CREATE) | sqlite3.SQLITE_OPEN_READONLY
	}
	return flags
}

func (d *disk) opened(name string, made bool, flags int32) *diskFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	number, known := d.names[name]
	if !known {
		number = len(d.sizes)
		d.names[name] = number
		d.sizes = append(d.sizes, 0)
		d.log = append(d.log, diskOp{file: number, size: -1, name: name, made: true})
	}
	journal := flags&(sqlite3.SQLITE_OPEN_WAL|sqlite3.SQLITE_OPEN_MAIN_JOURNAL) != 0
	return &diskFile{disk: d, number: number, newName: made && journal}
}

func (d *disk) deleted(name string, flushed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.names, name)
	op := diskOp{size: -1, name: name, gone: true}
	if d.log = append(d.log, op); flushed {
		d.log = append(d.log, diskOp{size: -1, names: len(d.log)})
	}
}

func (f *diskFile) write(at int64, data []byte) (code int32) {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	d.freed()
	growth := max(0, at+int64(len(data))-d.sizes[f.number])
	d.failAt--
	switch {
	case d.failing || d.failAt == 0:
		return sqlite3.SQLITE_IOERR_WRITE
	case d.room < growth:
		return sqlite3.SQLITE_FULL
	}
	d.room -= growth
	d.sizes[f.number] += growth
	d.log = append(d.log, diskOp{file: f.number, at: at, data: slices.Clone(data), size: -1})
	return sqlite3.SQLITE_OK
}

// fill makes the reserve where there is room.
func (d *disk) fill(f *os.File, size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.freed()
	if d.room < size {
		return &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	d.room, d.reserved = d.room-size, true
	return f.Truncate(size)
}

// freed looks whether the reserve was removed, and its place can be used; d.mu is held.
func (d *disk) freed() {
	if _, err := os.Stat(d.reserve); d.reserved && err != nil {
		d.room, d.reserved = d.room+sqlite.ReserveSize, false
	}
}

func (f *diskFile) truncate(size int64) (code int32) {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing {
		return sqlite3.SQLITE_IOERR_TRUNCATE
	}
	d.sizes[f.number] = size
	d.log = append(d.log, diskOp{file: f.number, size: size})
	return sqlite3.SQLITE_OK
}

// sync returns what to do when the flush is over: it counts for what was written
// before it began.
func (f *diskFile) sync() (over func()) {
	began := f.disk.now()
	return func() {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		op := diskOp{file: f.number, size: -1, flush: began}
		if f.newName {
			op.names, f.newName = began, false
		}
		f.disk.log = append(f.disk.log, op)
	}
}

// sector is what a disk writes whole or not at all.
const sector = 512

// after is what the disk may hold where the power went at an operation: by name,
// the content. keep is how likely each sector, each name and each size is to have
// got there without a flush.
func (d *disk) after(cut int, keep float64, rng *rand.Rand) map[string][]byte {
	log := d.log[:cut]
	flushed, names := map[int]int{}, 0
	for _, op := range log {
		flushed[op.file] = max(flushed[op.file], op.flush)
		names = max(names, op.names)
	}
	lucky := func() bool { return keep > 0 && rng.Float64() <= keep }
	there := map[string]int{}
	cached, held := map[int][]byte{}, map[int][]byte{}
	for i, op := range log {
		switch {
		case op.made && (i < names || lucky()):
			there[op.name] = op.file
		case op.gone && (i < names || lucky()):
			delete(there, op.name)
		}
		if op.size < 0 && len(op.data) == 0 {
			continue
		}
		if cached[op.file] = op.on(cached[op.file]); i < flushed[op.file] {
			held[op.file] = op.on(held[op.file])
			continue
		}
		held[op.file] = op.torn(cached[op.file], held[op.file], lucky)
	}
	content := map[string][]byte{}
	for name, file := range there {
		content[name] = held[file]
	}
	return content
}

// on is content after op, all of it.
func (op diskOp) on(content []byte) []byte {
	if op.size >= 0 {
		return resized(content, op.size)
	}
	content = resized(content, max(int64(len(content)), op.at+int64(len(op.data))))
	copy(content[op.at:], op.data)
	return content
}

// torn is what a disk that held that much holds after op, which isn't flushed: of
// each sector, what was there or what is in the cache.
func (op diskOp) torn(cached, held []byte, lucky func() bool) []byte {
	if op.size >= 0 {
		if lucky() {
			held = resized(held, op.size)
		}
		return held
	}
	for from := op.at / sector * sector; from < op.at+int64(len(op.data)); from += sector {
		if !lucky() {
			continue
		}
		to := min(from+sector, int64(len(cached)))
		held = resized(held, max(int64(len(held)), to))
		copy(held[from:to], cached[from:to])
	}
	return held
}

// resized has zeros where nothing was.
func resized(content []byte, size int64) []byte {
	if size <= int64(len(content)) {
		return content[:size:size]
	}
	return append(content, make([]byte, size-int64(len(content)))...)
}
