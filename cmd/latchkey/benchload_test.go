package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// A caller is one person's call, ready to be sent.
type caller struct {
	request []byte
	marker  []byte // which is in their answer and in nobody else's
}

const benchTool = "github_search_issues"

// callers are count people out of n, evenly spread, who call a tool of s in
// dialect d. A path other than /mcp is a floor's.
func (w *benchWorld) callers(t testing.TB, s *benchServer, d dialect, count, n int) []caller {
	t.Helper()
	list := make([]caller, count)
	for k := range list {
		i := k * (n / count)
		c := newMCPClient(s.url, d)
		c.token = w.token(i, s.url+"/mcp")
		if d != modern {
			check(t, c.initialize())
		}
		params := map[string]any{"name": benchTool, "arguments": map[string]any{"query": "season"}}
		list[k] = caller{request: wireOf(t, c, "tools/call", params), marker: []byte(marker(subject(i)))}
	}
	return list
}

// wireOf is c's request as it goes over the wire.
func wireOf(t testing.TB, c *mcpClient, method string, params map[string]any) []byte {
	t.Helper()
	req, err := c.newRequest(method, params)
	check(t, err)
	var wire bytes.Buffer
	check(t, req.Write(&wire))
	return wire.Bytes()
}

// connections is how many callers call at the same time.
const connections = 16

// A load calls a server: each connection the next person, as soon as the answer
// before is there.
type load struct {
	server  *benchServer
	callers []caller
	wires   []*wire
	next    atomic.Int64
}

func newLoad(t testing.TB, s *benchServer, callers []caller) *load {
	t.Helper()
	l := &load{server: s, callers: callers}
	for range connections {
		w, err := s.wire()
		check(t, err)
		t.Cleanup(func() { _ = w.conn.Close() })
		l.wires = append(l.wires, w)
	}
	return l
}

// run makes so many calls and says how long they took.
func (l *load) run(t testing.TB, calls int) time.Duration {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(calls))
	failed := make(chan error, len(l.wires))
	start := time.Now()
	for _, w := range l.wires {
		go func() {
			var err error
			for err == nil && left.Add(-1) >= 0 {
				err = w.call(l.callers[int(l.next.Add(1))%len(l.callers)])
			}
			failed <- err
		}()
	}
	for range l.wires {
		check(t, <-failed)
	}
	return time.Since(start)
}

// cost is the server's processor time a call, over so many calls.
func (l *load) cost(t testing.TB, calls int) time.Duration {
	t.Helper()
	before := l.server.cpu(t)
	l.run(t, calls)
	return (l.server.cpu(t) - before) / time.Duration(calls)
}

// allocations is how many objects the server allocates a call.
func (l *load) allocations(t testing.TB, calls int) float64 {
	t.Helper()
	before := l.server.mallocs(t)
	l.run(t, calls)
	return (l.server.mallocs(t) - before) / float64(calls)
}

// A wire is one connection, kept alive.
type wire struct {
	conn net.Conn
	from *bufio.Reader
	body bytes.Buffer
}

func (s *benchServer) wire() (*wire, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, from: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// call is one request and its answer, which must be the caller's.
func (w *wire) call(c caller) error {
	if _, err := w.conn.Write(c.request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(w.from, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	w.body.Reset()
	if _, err := io.Copy(&w.body, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(w.body.Bytes(), c.marker) {
		return fmt.Errorf("answered %d: %s", resp.StatusCode, w.body.Bytes())
	}
	return nil
}
