package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/latchkey-mcp/latchkey/store"
)

// usageError means that the command line makes no sense.
type usageError struct{ error }

// report tells the operator about err, in one line a mistake, and returns the
// exit code.
func (p program) report(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(p.stderr, "latchkey:", strings.TrimSpace(err.Error()))
	if errors.As(err, &usageError{}) {
		return 2
	}
	return 1
}

// mistakes collects what is wrong with the settings, so that all of it is
// reported at once.
type mistakes []string

// add records that flag's value is wrong. text must not quote a secret.
func (m *mistakes) add(flag, text string, args ...any) {
	*m = append(*m, setting(flag)+": "+fmt.Sprintf(text, args...))
}

// err is nil where nothing is wrong.
func (m mistakes) err() error {
	switch len(m) {
	case 0:
		return nil
	case 1:
		return errors.New(m[0])
	}
	return fmt.Errorf("%d settings are wrong:\n  %s", len(m), strings.Join(m, "\n  "))
}

// setting names a flag and its environment variable, for errors.
func setting(flag string) string { return "--" + flag + " (" + envName(flag) + ")" }

func envName(flag string) string {
	return "LATCHKEY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// listenError says what to do where addr can't be had.
func listenError(addr string, err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use: stop what listens there, or choose another address with --listen", addr)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("not allowed to listen on %s: choose a port from 1024 up with --listen", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &dns):
		return fmt.Errorf("%s is no address of this computer: choose one with --listen", addr)
	}
	return fmt.Errorf("can't listen on %s: %w", addr, err)
}

// demoError says what to do where the demo's data belongs to another address, which
// is the demo's issuer.
func demoError(err error, dir string) error {
	if other, ok := errors.AsType[*store.OtherIssuer](err); ok {
		return fmt.Errorf("the data in %s belongs to a demo at %s: give it --listen %s again, or another directory with --data",
			dir, other.Kept, strings.TrimPrefix(other.Kept, "http://"))
	}
	return err
}

// dataError says what to do where the data directory can't be used.
func dataError(dir string, err error) error {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("can't write to the data directory %s (%w): make it writable, or choose another with --data", dir, err)
}
