package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// nodeDir is where the JavaScript parts and their lock file are.
var nodeDir = filepath.Join("..", "..", "testdata", "node")

// nodePath is Node.js as npm installed it there, at the version of the lock file.
func nodePath(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(nodeDir, "node_modules", ".bin", "node"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		leaveOut(t, "Node.js and the packages of testdata/node (npm ci --prefix testdata/node)")
	}
	return path
}

// A nodeProcess is a script of testdata/node that reports one JSON object a line.
type nodeProcess struct {
	t     *testing.T
	stdin io.Writer
	lines chan map[string]any
}

// startNode runs a script with arguments; it ends with the test.
func startNode(t *testing.T, script string, args ...string) *nodeProcess {
	t.Helper()
	cmd := exec.Command(nodePath(t), append([]string{script}, args...)...)
	cmd.Dir = nodeDir
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &nodeProcess{t, stdin, make(chan map[string]any, 100)}
	done := make(chan struct{})
	go func() { defer close(done); p.read(stdout) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	return p
}

func (p *nodeProcess) read(from io.Reader) {
	defer close(p.lines)
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 4<<20)
	for scanner.Scan() {
		var line map[string]any
		if json.Unmarshal(scanner.Bytes(), &line) == nil {
			p.lines <- line
		}
	}
}

// line is the next line.
func (p *nodeProcess) line() map[string]any {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			p.t.Fatal("the script ended")
		}
		return line
	case <-time.After(60 * time.Second):
		p.t.Fatal("the script has been silent for a minute")
	}
	return nil
}

// next is a member of the next line, which must have it.
func (p *nodeProcess) next(member string) any {
	p.t.Helper()
	line := p.line()
	value, ok := line[member]
	if !ok {
		p.t.Fatalf("the script said %v, not %q", line, member)
	}
	return value
}

// say writes a line to the script's standard input.
func (p *nodeProcess) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}
