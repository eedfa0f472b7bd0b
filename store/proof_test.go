package store_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// This file is what the proofs with real processes share: a process of the test
// binary with a vault on a database that others use as well.

// workerEnv holds a job in a process that a proof has started.
const workerEnv = "LATCHKEY_TEST_WORKER"

// Where a process is killed on purpose, when not at random.
const (
	beforeTheProvider = "before" // it holds the lease; the provider has spent nothing
	afterTheProvider  = "after"  // the provider has answered; nothing is kept
	afterTheCommit    = "commit" // the new token is kept; nobody has it
)

// A job is what a worker is told.
type job struct {
	Proof, Dir, Issuer, Provider string
	ID                           int // of the process, from 1
	Clock                        clock
	Die                          string // where it says "here", and stands still
	Callers                      int
}

// A clock runs from a moment on, so many times as fast as the real one. It is the
// same in all processes.
type clock struct {
	Real, Shown time.Time
	Haste       int
}

func (c clock) now() time.Time {
	return c.Shown.Add(time.Duration(c.Haste) * time.Since(c.Real))
}

// leap is the same clock, put forward.
func (c clock) leap(d time.Duration) clock {
	c.Shown = c.Shown.Add(d)
	return c
}

// A worker is a vault in a process of its own, and everybody's verified callers.
type worker struct {
	*testing.T
	job
	vault   *store.Vault
	callers []func() store.Keyring
	clock   atomic.Pointer[clock]
	asked   atomic.Int32 // refreshes that the provider answered
}

// working is the life of a process that a proof has started; false in all others.
func working(t *testing.T, live func(*worker)) bool {
	raw := os.Getenv(workerEnv)
	if raw == "" {
		return false
	}
	w := &worker{T: t}
	ok(t, json.Unmarshal([]byte(raw), &w.job))
	w.clock.Store(&w.job.Clock)
	ok(t, os.Setenv(workerEnv, ""))
	w.vault, _ = storetest.OpenIn(t, w.Dir, &storetest.Issuer{URL: w.Issuer, Now: w.now}, wire{w})
	w.meet()
	live(w)
	return true
}

func (w *worker) now() time.Time { return w.clock.Load().now() }

// meet has each person's token verified when it is wanted first.
func (w *worker) meet() {
	raw, err := os.ReadFile(filepath.Join(w.Dir, "people"))
	ok(w, err)
	v, err := identity.NewVerifier(identity.VerifierConfig{Issuer: w.Issuer, Resource: storetest.Resource, Now: w.now})
	ok(w, err)
	for token := range strings.FieldsSeq(string(raw)) {
		w.callers = append(w.callers, sync.OnceValue(func() store.Keyring {
			caller, err := v.Verify(w.Context(), token)
			ok(w, err)
			k, err := w.vault.Keyring(caller)
			ok(w, err)
			return k
		}))
	}
}

// say is one line to the proof, whole or not at all.
func say(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

// dies reports whether this is where the process is to be killed.
func (w *worker) dies(where string) {
	if w.Die == where && w.asked.Load() > 0 {
		say("here")
		select {}
	}
}

// A wire is the provider, which is in the proof's own process.
type wire struct{ *worker }

func (w wire) Refresh(ctx context.Context, _ string, t store.Token) (store.Token, error) {
	w.dies(beforeTheProvider)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Provider, nil)
	if err != nil {
		return store.Token{}, err
	}
	req.Header.Set("Process", fmt.Sprint(w.ID))
	req.Header.Set("Refresh-Token", t.Refresh.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return store.Token{}, err
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return store.Token{}, err
	}
	w.dies(afterTheProvider)
	w.asked.Add(1)
	return a.token(w.now())
}

func (wire) Revoke(context.Context, string, store.Token) error { return errors.New("not here") }

func (wire) Missing(string, []string, []string) []string { return nil }

// A process is a worker, seen from the proof.
type process struct {
	t      testing.TB
	id     int
	die    string // where it stands still
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer
	ready  chan struct{} // it has said so
	here   chan struct{} // it stands where it is to be killed
	ended  chan struct{} // all that it said was heard
}

// start runs a worker. heard gets each of its lines but "ready" and "here", in
// order.
func start(t testing.TB, j job, heard func(p *process, line string)) *process {
	t.Helper()
	raw, err := json.Marshal(j)
	ok(t, err)
	p := &process{
		t: t, id: j.ID, die: j.Die, cmd: exec.Command(os.Args[0], "-test.run=^"+j.Proof+"$"),
		ready: make(chan struct{}), here: make(chan struct{}), ended: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), workerEnv+"="+string(raw))
	p.cmd.Stderr = &p.stderr
	p.stdin, err = p.cmd.StdinPipe()
	ok(t, err)
	out, err := p.cmd.StdoutPipe()
	ok(t, err)
	ok(t, p.cmd.Start())
	go p.listen(out, heard)
	return p
}

func (p *process) listen(out io.Reader, heard func(*process, string)) {
	defer close(p.ended)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch line := lines.Text(); line {
		case "ready":
			close(p.ready)
		case "here":
			select {
			case <-p.here:
			default:
				close(p.here)
			}
		default:
			heard(p, line)
		}
	}
}

// wait is until c, or until the process ends, which is a fault.
func (p *process) wait(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-p.ended:
		_ = p.cmd.Wait()
		p.t.Errorf("process %d ended by itself: %s", p.id, p.stderr.String())
		return false
	}
}

// kill is SIGKILL, and hearing the rest.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Errorf("process %d ended before it was killed: %v", p.id, err)
	}
	p.over()
}

// over waits for the end. A worker writes to stderr only what is a fault: what an
// operator would read in the log, or the race detector's word.
func (p *process) over() {
	<-p.ended
	_ = p.cmd.Wait()
	p.stdin.Close()
	if p.stderr.Len() > 0 {
		p.t.Errorf("process %d: %s", p.id, p.stderr.String())
	}
}

// people is a directory for a database, with a long-lived token of each person's.
func people(t *testing.T, issuer *storetest.Issuer, n int) (dir string, callers []identity.Caller) {
	t.Helper()
	dir = t.TempDir()
	var tokens []string
	for i := range n {
		claims := issuer.Claims(fmt.Sprintf("person-%04d", i))
		claims["exp"] = issuer.Now().AddDate(10, 0, 0).Unix()
		tokens = append(tokens, issuer.Sign(nil, claims))
		caller, err := issuer.Verifier().Verify(t.Context(), tokens[i])
		ok(t, err)
		callers = append(callers, caller)
	}
	ok(t, os.WriteFile(filepath.Join(dir, "people"), []byte(strings.Join(tokens, "\n")), 0o600))
	return dir, callers
}

// visit opens the vault in this process for as long as f looks at everybody's keyring.
func visit(t *testing.T, dir string, issuer *storetest.Issuer, ex store.Exchange, callers []identity.Caller,
	f func(person int, k store.Keyring)) {
	t.Helper()
	vault, _ := storetest.OpenIn(t, dir, issuer, ex)
	for person, caller := range callers {
		k, err := vault.Keyring(caller)
		ok(t, err)
		f(person, k)
	}
	ok(t, vault.Close())
}

// verified fails the test where the audit record is not as it was written.
func verified(t *testing.T, dir string, db *sqlite.DB) {
	t.Helper()
	keys, err := store.KeysFromFile(filepath.Join(dir, "key"))
	ok(t, err)
	storetest.VerifyAuditWith(t, db, store.AuditSeal(keys))
}
