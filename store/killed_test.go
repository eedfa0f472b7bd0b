package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// Where a process is killed.
const (
	beforeTheProvider = "before" // it holds the lease; the provider has spent nothing
	afterTheProvider  = "after"  // the provider has answered; nothing is kept
	afterTheCommit    = "commit" // the caller has the token
)

const killedEnv = "LATCHKEY_TEST_KILLED"

// A task is what a process of this test is told.
type task struct {
	Dir, Issuer, Token, Provider, Die string
	Ahead                             time.Duration // of the real clock
}

// A wire is a provider in another process. It says where it is, and stops where
// it is to be killed.
type wire struct {
	url, die string
	now      func() time.Time
}

func (w wire) Refresh(ctx context.Context, _ string, t store.Token) (store.Token, error) {
	if w.die == beforeTheProvider {
		here("leased")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, nil)
	if err != nil {
		return store.Token{}, err
	}
	req.Header.Set("Refresh-Token", t.Refresh.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return store.Token{}, err
	}
	defer resp.Body.Close()
	var answer struct{ Access, Refresh, Refused string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return store.Token{}, err
	}
	if w.die == afterTheProvider {
		here("answered")
	}
	if answer.Refused != "" {
		return store.Token{}, &store.Refused{Reason: answer.Refused}
	}
	return store.Token{
		Access: store.NewSecret(answer.Access), Refresh: store.NewSecret(answer.Refresh), Expiry: w.now().Add(time.Hour),
	}, nil
}

func (wire) Revoke(context.Context, string, store.Token) error { return errors.New("not here") }

func (wire) Missing(string, []string, []string) []string { return nil }

// here says where this process is, and lets it be killed.
func here(where string) {
	fmt.Println("here " + where)
	time.Sleep(time.Minute)
}

// callOnce is the life of a process that is killed: one call.
func callOnce(t *testing.T, raw string) {
	var job task
	ok(t, json.Unmarshal([]byte(raw), &job))
	now := func() time.Time { return time.Now().Add(job.Ahead) }
	v, err := identity.NewVerifier(identity.VerifierConfig{Issuer: job.Issuer, Resource: storetest.Resource, Now: now})
	ok(t, err)
	caller, err := v.Verify(t.Context(), job.Token)
	ok(t, err)
	vault, _ := storetest.OpenIn(t, job.Dir, &storetest.Issuer{URL: job.Issuer, Now: now}, wire{job.Provider, job.Die, now})
	alice, err := vault.Keyring(caller)
	ok(t, err)
	grant, err := alice.Grant(t.Context(), store.Call{Need: github})
	ok(t, err)
	here(strconv.FormatInt(grant.Version, 10))
}

// Processes are killed at each moment of a refresh that matters. What was
// acknowledged is there; a token is lost only between the provider's answer and
// the commit, and the person is told so; and nothing else is ever used twice.
func TestKilledInARefresh(t *testing.T) {
	if raw := os.Getenv(killedEnv); raw != "" {
		callOnce(t, raw)
		return
	}
	kills := 51
	if testing.Short() {
		kills = 6
	}
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w := &world{t: t, dir: t.TempDir(), issuer: storetest.NewIssuer(t, now), provider: newProvider(now)}
	w.vault, w.db = storetest.OpenIn(t, w.dir, w.issuer, w.provider)
	url := w.overHTTP()
	alice, info := w.connect("alice")
	lost := 0
	for kill := range kills {
		ahead.Add(int64(2 * time.Hour)) // it has expired
		die := []string{beforeTheProvider, afterTheProvider, afterTheCommit}[kill%3]
		said := w.kill(task{
			Dir: w.dir, Issuer: w.issuer.URL, Token: w.issuer.Token("alice"), Provider: url, Die: die,
			Ahead: time.Duration(ahead.Load()),
		})
		ahead.Add(int64(time.Minute)) // a lease that nobody holds is over
		grant, err := w.grant(alice)
		switch die {
		case beforeTheProvider:
			ok(t, err)
			same(t, grant.Version, info.Version+1)
		case afterTheCommit:
			ok(t, err)
			same(t, strconv.FormatInt(grant.Version, 10), said)
		case afterTheProvider:
			needs(t, err, "an earlier renewal was cut short")
			lost++
			kept, err := alice.Info(t.Context(), "github")
			ok(t, err)
			c := w.connection("alice", w.provider.issue())
			c.IfVersion = kept.Version
			grant.Info, err = alice.Put(t.Context(), c)
			ok(t, err)
		}
		info = grant.Info
	}
	same(t, w.provider.reused, lost)
	same(t, w.check(), "ok")
}

// overHTTP is w's provider for other processes.
func (w *world) overHTTP() (url string) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var answer struct{ Access, Refresh, Refused string }
		t, err := w.provider.rotate(store.Token{Refresh: store.NewSecret(r.Header.Get("Refresh-Token"))})
		if err != nil {
			answer.Refused = "the provider revoked it"
		} else {
			answer.Access, answer.Refresh = t.Access.Reveal(), t.Refresh.Reveal()
		}
		_ = json.NewEncoder(rw).Encode(answer)
	}))
	w.t.Cleanup(server.Close)
	return server.URL
}

// kill runs job in a process of its own until it says where it is, and kills it.
func (w *world) kill(job task) (said string) {
	w.t.Helper()
	raw, err := json.Marshal(job)
	ok(w.t, err)
	self := exec.CommandContext(w.t.Context(), os.Args[0], "-test.run=^TestKilledInARefresh$")
	self.Env = append(os.Environ(), killedEnv+"="+string(raw))
	out, err := self.StdoutPipe()
	ok(w.t, err)
	ok(w.t, self.Start())
	lines := bufio.NewScanner(out)
	other := ""
	for said == "" && lines.Scan() {
		if _, err := fmt.Sscanf(lines.Text(), "here %s", &said); err != nil {
			other += lines.Text() + "\n"
		}
	}
	ok(w.t, self.Process.Kill())
	_ = self.Wait()
	if said == "" {
		w.t.Fatalf("the process ended by itself: %s", other)
	}
	return said
}

// check is SQLite's own word on the file.
func (w *world) check() (said string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, sqlite.File))
	ok(w.t, err)
	defer db.Close()
	ok(w.t, db.QueryRowContext(w.t.Context(), "PRAGMA quick_check").Scan(&said))
	return said
}
