package main

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The harness of the whole-program tests:
//
//	startDemo   the demo in this process: its URL, and its sandbox to look into
//	startServe  the server in this process, with any issuer and providers
//	visitor     one person's browser over HTTP: open, press, sees
//	mcpClient   one person's MCP client in one of three dialects: signIn, call, retry
//
// None of them fails a test by itself but the two starters: they return errors, so
// that scripts can use them too (see script_test.go).

// TestMain makes this binary serve as the command latchkey in scripts, and as the
// processes that benchmarks measure.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"latchkey": main, "latchkey-probed": probed(main), "latchkey-floor": probed(serveFloor),
	})
}

// A running is a demo or server in this process.
type running struct {
	*demo
	URL  string
	stop func() // what Ctrl-C does; waits for the end
}

// startDemo runs the demo on data (a new directory where it is "") until the test
// ends. adjust changes the config before the parts are made.
func startDemo(t testing.TB, data string, adjust ...func(*config)) *running {
	t.Helper()
	if data == "" {
		data = t.TempDir()
	}
	d, err := openDemo(t.Context(), "127.0.0.1:0", data, time.Now, testLog(t))
	check(t, err)
	for _, f := range adjust {
		f(&d.config)
	}
	return serveInTest(t, d)
}

// startServe runs what "latchkey serve" would with that config until the test
// ends. Public is filled in, and Data where it is "".
func startServe(t testing.TB, make func(public string) config) *running {
	t.Helper()
	l, err := listen(t.Context(), "127.0.0.1:0")
	check(t, err)
	cfg := make("http://" + l.Addr().String())
	cfg.Public, cfg.Log, cfg.Now = "http://"+l.Addr().String(), testLog(t), time.Now
	if cfg.Data == "" {
		cfg.Data = t.TempDir()
	}
	if cfg.Modules == nil {
		cfg.Modules = allModules()
	}
	lock, err := lockData(cfg.Data)
	check(t, err)
	return serveInTest(t, &demo{config: cfg, listener: l, lock: lock})
}

func serveInTest(t testing.TB, d *demo) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		err := d.serve(ctx, d.listener, func() { close(ready) })
		d.close()
		done <- err
	}()
	stopped := false
	stop := func() {
		cancel()
		if !stopped {
			stopped = true
			check(t, <-done)
		}
	}
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		t.Fatal("the server did not start: ", err)
	}
	return &running{d, d.Public, stop}
}

// testLog shows warnings and errors with the test's own output.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// freeLoopback is a loopback address that nobody listens on.
func freeLoopback() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// freeAddress is freeLoopback for tests.
func freeAddress(t testing.TB) string {
	t.Helper()
	addr, err := freeLoopback()
	check(t, err)
	return addr
}
