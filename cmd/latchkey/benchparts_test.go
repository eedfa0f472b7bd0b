package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// A part of a call, or the floor below it.
type part struct {
	each int // times a round
	do   func(i int) error
}

// spent is what one time of p takes of the processor, in microseconds, and how many
// objects it allocates.
func (p part) spent(t *testing.T) (cpu, allocations float64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := ownCPU(t)
	for i := range p.each {
		check(t, p.do(i))
	}
	cpu = float64(ownCPU(t)-start) / 1e3 / float64(p.each)
	runtime.ReadMemStats(&after)
	return cpu, float64(after.Mallocs-before.Mallocs) / float64(p.each)
}

// ownCPU is the processor time that this process has taken.
func ownCPU(t *testing.T) time.Duration {
	t.Helper()
	used, err := usedCPU()
	check(t, err)
	return used
}

func usedCPU() (time.Duration, error) {
	var use syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	return time.Duration(use.Utime.Nano() + use.Stime.Nano()), err
}

// compare holds a part against its floor, in turns.
func (f *figures) compare(t *testing.T, name string, of, floor part) {
	t.Helper()
	var cpus, floors, allocations, floorAllocations []float64
	for range rounds {
		c, a := floor.spent(t)
		floors, floorAllocations = append(floors, c), append(floorAllocations, a)
		c, a = of.spent(t)
		cpus, allocations = append(cpus, c), append(allocations, a)
	}
	cpu, below := median(cpus), median(floors)
	t.Logf("%s: %.1f µs and %.0f allocations, floor %.1f µs and %.0f", name, cpu, median(allocations), below, median(floorAllocations))
	f.add(t, name, cpu/below, 0)
	f.add(t, name+"_allocations", median(allocations)/max(1, median(floorAllocations)), 0)
}

// benchParts compares what a call is made of with the least that each part needs.
func (w *benchWorld) benchParts(t *testing.T, f *figures) {
	tokens, verifier := w.verifier(t)
	raw := w.rawSignature(t)
	f.compare(t, "verify_first", part{400, tokens.next}, part{2000, raw})
	f.compare(t, "verify_again", part{20_000, func(int) error {
		_, err := verifier.Verify(t.Context(), tokens.list[0])
		return err
	}}, part{2000, raw})
	open, bare := w.opener(t, verifier)
	f.compare(t, "open_grant", part{4000, open}, part{4000, bare})
	one, crowd, insert := w.appender(t)
	f.compare(t, "append_audit", part{200, one}, part{200, insert})
	f.compare(t, "append_audit_64_at_once", part{3000, crowd}, part{200, insert})
}

// unseen are tokens, each of which is verified once.
type unseen struct {
	list   []string
	used   int
	verify func(string) error
}

func (u *unseen) next(int) error {
	u.used++
	return u.verify(u.list[u.used])
}

func (w *benchWorld) verifier(t *testing.T) (*unseen, *identity.Verifier) {
	t.Helper()
	v, err := identity.NewVerifier(identity.VerifierConfig{Issuer: w.issuer, Resource: storetest.Resource})
	check(t, err)
	u := &unseen{verify: func(token string) error {
		_, err := v.Verify(context.Background(), token)
		return err
	}}
	for i := range 400*rounds + 1 {
		u.list = append(u.list, w.token(i, storetest.Resource))
	}
	check(t, u.verify(u.list[0]))
	return u, v
}

// rawSignature checks one signature, no more.
func (w *benchWorld) rawSignature(t *testing.T) func(int) error {
	t.Helper()
	sum := sha256.Sum256([]byte("floor"))
	signature, err := ecdsa.SignASN1(rand.Reader, w.key, sum[:])
	check(t, err)
	return func(int) error {
		if !ecdsa.VerifyASN1(&w.key.PublicKey, sum[:], signature) {
			t.Error("a wrong signature")
		}
		return nil
	}
}

// opener reads and opens grants, and beside it reads rows of the same length on
// such a connection as the vault reads on.
func (w *benchWorld) opener(t *testing.T, v *identity.Verifier) (open, bare func(int) error) {
	t.Helper()
	const some = 100
	dir := w.fill(t, some, 8*time.Hour)
	vault, _ := storetest.OpenFilled(t, dir, filepath.Join(dir, "keys.json"), w.issuer)
	var keyrings []func() error
	for i := range some {
		caller, err := v.Verify(t.Context(), w.token(i, storetest.Resource))
		check(t, err)
		keyring, err := vault.Keyring(caller)
		check(t, err)
		keyrings = append(keyrings, func() error {
			info, err := keyring.Info(t.Context(), "github")
			if err == nil && info.Broken != "" {
				t.Error(info.Broken)
			}
			return err
		})
	}
	f := floor{File: filepath.Join(t.TempDir(), "floor.db"), Key: make([]byte, 32), Public: w.point(t)}
	f.fill(t, some)
	check(t, f.open())
	var owners [some][sha256.Size]byte
	for i := range owners {
		owners[i] = sha256.Sum256([]byte(subject(i)))
	}
	open = func(i int) error { return keyrings[i%some]() }
	bare = func(i int) error {
		var sealed []byte
		return f.read.QueryRowContext(context.Background(), owners[i%some][:], "github").Scan(&sealed)
	}
	return open, bare
}

// appender appends to an audit record, alone and 64 at the same time, and beside it
// inserts a like row, durably.
func (w *benchWorld) appender(t *testing.T) (one, crowd, insert func(int) error) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir(), nil)
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	log := storetest.NewLog(db, nil)
	owner := sha256.Sum256([]byte("alice"))
	e := audit.Entry{
		Event: audit.Release, Owner: owner, Client: "client-0123456789", Tool: benchTool, Provider: "github",
		Rule: "GET /search/issues", Arguments: "0123456789012345678901234567890123456789012345678901234567890123",
	}
	one = func(int) error {
		e := e
		e.Time = time.Now()
		_, err := log.Append(e)
		return err
	}
	return one, atOnce(64, one), bareInsert(t)
}

// bareInsert is a durable insert of a row like an audit entry, no more.
func bareInsert(t *testing.T) func(int) error {
	t.Helper()
	raw, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	check(t, err)
	t.Cleanup(func() { _ = raw.Close() })
	raw.SetMaxOpenConns(1)
	_, err = raw.Exec("CREATE TABLE entries (id INTEGER PRIMARY KEY, time INTEGER, owner BLOB, text BLOB); CREATE INDEX own ON entries (owner)")
	check(t, err)
	add, err := raw.Prepare("INSERT INTO entries (time, owner, text) VALUES (?, ?, ?)")
	check(t, err)
	text := bytes.Repeat([]byte("x"), 200)
	owner := sha256.Sum256([]byte("alice"))
	return func(int) error {
		_, err := add.Exec(time.Now().UnixMicro(), owner[:], text)
		return err
	}
}

// atOnce is do, by so many at the same time: it starts one and waits for another.
func atOnce(many int, do func(int) error) func(int) error {
	done := make(chan error, many)
	under := 0
	return func(i int) (err error) {
		if under == many {
			err = <-done
			under--
		}
		under++
		go func() { done <- do(i) }()
		return err
	}
}
