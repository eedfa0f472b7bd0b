package main

import (
	"fmt"
	"io"
	"net/http"
	_ "net/http/pprof"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// probeEnv names the address at which a process under measurement tells about
// itself.
const probeEnv = "LATCHKEY_TEST_PROBE"

// probed is command with a probe beside it.
func probed(command func()) func() {
	return func() {
		http.HandleFunc("GET /mallocs", func(w http.ResponseWriter, _ *http.Request) {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Fprint(w, m.Mallocs)
		})
		http.HandleFunc("GET /cpu", func(w http.ResponseWriter, _ *http.Request) {
			used, err := usedCPU()
			exitOn(err)
			fmt.Fprint(w, used.Microseconds())
		})
		go func() { panic(http.ListenAndServe(os.Getenv(probeEnv), nil)) }()
		command()
	}
}

// profileUnder keeps a CPU profile of l's server while l runs, in the directory
// that BENCH_PROFILE names, if it names one.
func (l *load) profileUnder(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("BENCH_PROFILE")
	if dir == "" {
		return
	}
	done := make(chan error, 1)
	go func() {
		res, err := http.Get("http://" + l.server.probe + "/debug/pprof/profile?seconds=8")
		if err == nil {
			defer res.Body.Close()
			var f *os.File
			if f, err = os.Create(filepath.Join(dir, name+".cpu")); err == nil {
				_, err = io.Copy(f, res.Body)
			}
		}
		done <- err
	}()
	for {
		select {
		case err := <-done:
			check(t, err)
			return
		default:
			l.run(t, 500)
		}
	}
}
