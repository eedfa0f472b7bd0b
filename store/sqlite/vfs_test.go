//go:build unix

package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"unsafe"

	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite's own file layer, with what is below it watched or failing where a test
// has put a disk under a directory. It is the default layer of this test program,
// so that the backend under test is opened exactly as it always is.

var disks sync.Map // *disk, by its directory

var installLayer = sync.OnceFunc(func() {
	db, err := sql.Open("sqlite", ":memory:") // which initializes SQLite
	if err == nil {
		err = db.Ping()
	}
	if err != nil {
		panic(err)
	}
	defer db.Close()
	install(sqlite3.Xsqlite3_vfs_find, sqlite3.Xsqlite3_vfs_register)
})

// kept are the functions that only SQLite refers to.
var kept []any

// install puts our layer before the one that is there: its own functions, but for
// some that look at the disk first. T is the translated C library's state of a
// thread, which the functions only hand on.
func install[T any](find func(*T, uintptr) uintptr, register func(*T, uintptr, int32) int32) {
	type (
		openFunc     = func(tls *T, vfs, name, file uintptr, flags int32, out uintptr) int32
		deleteFunc   = func(tls *T, vfs, name uintptr, syncDir int32) int32
		writeFunc    = func(tls *T, file, from uintptr, n int32, at int64) int32
		truncateFunc = func(tls *T, file uintptr, size int64) int32
		syncFunc     = func(tls *T, file uintptr, flags int32) int32
		closeFunc    = func(tls *T, file uintptr) int32
	)
	tls := new(T)
	layer := outside(*(*sqlite3.Tsqlite3_vfs)(pointer(find(tls, 0))))
	watched := map[uintptr]*sqlite3.Tsqlite3_io_methods{} // by where theirs are
	theirOpen, theirDelete := function[openFunc](layer.FxOpen), function[deleteFunc](layer.FxDelete)

	watch := func(on *sqlite3.Tsqlite3_io_methods) {
		theirWrite, theirTruncate := function[writeFunc](on.FxWrite), function[truncateFunc](on.FxTruncate)
		theirSync, theirClose := function[syncFunc](on.FxSync), function[closeFunc](on.FxClose)
		on.FxWrite = address(func(tls *T, file, from uintptr, n int32, at int64) int32 {
			data := unsafe.Slice((*byte)(pointer(from)), n)
			f := openFile(file)
			if code := f.write(at, data); code != sqlite3.SQLITE_OK {
				return code
			}
			return theirWrite(tls, file, from, n, at)
		})
		on.FxTruncate = address(func(tls *T, file uintptr, size int64) int32 {
			if code := openFile(file).truncate(size); code != sqlite3.SQLITE_OK {
				return code
			}
			return theirTruncate(tls, file, size)
		})
		on.FxSync = address(func(tls *T, file uintptr, flags int32) int32 {
			synced := openFile(file).sync()
			code := theirSync(tls, file, flags)
			if code == sqlite3.SQLITE_OK {
				synced()
			}
			return code
		})
		on.FxClose = address(func(tls *T, file uintptr) int32 {
			openFiles.Delete(file)
			return theirClose(tls, file)
		})
	}
	layer.FxOpen = address(func(tls *T, vfs, name, file uintptr, flags int32, out uintptr) int32 {
		d, path := diskUnder(name)
		if d == nil {
			return theirOpen(tls, vfs, name, file, flags, out)
		}
		opening.Lock() // a second opener must not take the file for one that wasn't there before
		defer opening.Unlock()
		flags = d.opening(flags)
		_, err := os.Stat(path)
		code := theirOpen(tls, vfs, name, file, flags, out)
		if code != sqlite3.SQLITE_OK {
			return code
		}
		methods := &(*sqlite3.Tsqlite3_file)(pointer(file)).FpMethods
		if watched[*methods] == nil {
			on := outside(*(*sqlite3.Tsqlite3_io_methods)(pointer(*methods)))
			watch(on)
			watched[*methods] = on
		}
		*methods = uintptr(unsafe.Pointer(watched[*methods]))
		openFiles.Store(file, d.opened(filepath.Base(path), err != nil, flags))
		return code
	})
	layer.FxDelete = address(func(tls *T, vfs, name uintptr, syncDir int32) int32 {
		code := theirDelete(tls, vfs, name, syncDir)
		if d, path := diskUnder(name); d != nil && code == sqlite3.SQLITE_OK {
			d.deleted(filepath.Base(path), syncDir != 0)
		}
		return code
	})
	name := outside([16]byte{'u', 'n', 'd', 'e', 'r', ' ', 't', 'e', 's', 't'})
	layer.FzName = uintptr(unsafe.Pointer(name))
	if code := register(tls, uintptr(unsafe.Pointer(layer)), 1); code != sqlite3.SQLITE_OK {
		panic(code)
	}
}

var (
	opening   sync.Mutex
	openFiles sync.Map // *diskFile, by the address of SQLite's own
)

func openFile(file uintptr) *diskFile {
	f, _ := openFiles.Load(file)
	return f.(*diskFile)
}

// diskUnder is the disk that a test has put under a file, or nil.
func diskUnder(name uintptr) (d *disk, path string) {
	if name == 0 {
		return nil, ""
	}
	var text []byte
	for at := name; *(*byte)(pointer(at)) != 0; at++ {
		text = append(text, *(*byte)(pointer(at)))
	}
	path = string(text)
	if found, ok := disks.Load(filepath.Dir(path)); ok {
		d = found.(*disk)
	}
	return d, path
}

// outside is a copy of v in memory that isn't Go's, as translated C wants it.
func outside[V any](v V) *V {
	page, err := syscall.Mmap(-1, 0, int(unsafe.Sizeof(v)), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	copied := (*V)(unsafe.Pointer(&page[0]))
	*copied = v
	return copied
}

// pointer is for memory that isn't Go's.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// function is the one at address, as translated C calls it.
func function[F any](address uintptr) F {
	return *(*F)(unsafe.Pointer(&struct{ uintptr }{address}))
}

// address is where translated C finds f.
func address[F any](f F) uintptr {
	kept = append(kept, &f)
	return *(*uintptr)(unsafe.Pointer(&f))
}
