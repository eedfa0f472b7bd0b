package main

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The scenarios that the MCP conformance suite has for authorization servers, by
// the suite itself, with a browser for the person.
func TestAuthorizationServerConformance(t *testing.T) {
	browser, d := newChromium(t), startDemo(t, "")
	port := freePort(t)
	results := t.TempDir()
	cmd := exec.Command(nodePath(t), "node_modules/.bin/conformance", "authorization",
		"--url", d.URL, "--resource", d.URL+"/mcp", "--client-id", registerClient(t, d, "http://127.0.0.1/callback"),
		"--port", port, "--output-dir", results)
	cmd.Dir = nodeDir
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	var said strings.Builder
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		said.WriteString(scanner.Text() + "\n")
		if strings.HasPrefix(scanner.Text(), d.URL+"/authorize?") {
			browser.open(scanner.Text())
			browser.press("I am alice")
			browser.press("Allow")
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the suite: %v\n%s", err, said.String())
	}
	wantChecks(t, results, "authorization-server-metadata-endpoint", "authorization-code-grant")
}

// freePort is a loopback port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	check(t, err)
	return port
}

// registerClient is dynamic registration (RFC 7591) of a public client.
func registerClient(t *testing.T, d *running, redirectURI string) string {
	t.Helper()
	body := asJSON(t, map[string]any{
		"client_name": "Conformance suite", "redirect_uris": []string{redirectURI}, "token_endpoint_auth_method": "none",
	})
	resp, err := http.Post(d.URL+"/register", "application/json", strings.NewReader(body))
	check(t, err)
	defer resp.Body.Close()
	var client struct {
		ID string `json:"client_id"`
	}
	check(t, json.NewDecoder(resp.Body).Decode(&client))
	return client.ID
}

// wantChecks holds that each scenario left checks in results, and that none failed.
func wantChecks(t *testing.T, results string, scenarios ...string) {
	t.Helper()
	for _, scenario := range scenarios {
		files, err := filepath.Glob(filepath.Join(results, "*"+scenario+"*", "checks.json"))
		check(t, err)
		if len(files) != 1 {
			t.Fatalf("%s left %d results", scenario, len(files))
		}
		b, err := os.ReadFile(files[0])
		check(t, err)
		var checks []struct{ ID, Status, ErrorMessage string }
		check(t, json.Unmarshal(b, &checks))
		passed := 0
		for _, c := range checks {
			switch c.Status {
			case "SUCCESS":
				passed++
			case "FAILURE", "WARNING":
				t.Errorf("%s: %s: %s: %s", scenario, c.ID, c.Status, c.ErrorMessage)
			}
		}
		if passed == 0 {
			t.Errorf("%s checked nothing: %s", scenario, b)
		}
	}
}
