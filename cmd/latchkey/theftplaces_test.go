//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// A saying is what operators get to see: of a command or of the metrics.
type saying struct {
	by   string
	text []byte
}

// run runs latchkey beside the server, and keeps what it prints.
func (v *theft) run(args ...string) string {
	by := "latchkey " + strings.Join(args, " ")
	args = append(args, "--data", v.dir)
	if by != tailAll {
		args = append(args, "--keys-file", v.keys)
	}
	command := exec.Command("latchkey", args...)
	command.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else each takes a second under -race
	out, err := command.CombinedOutput()
	if err != nil {
		v.t.Fatalf("%s: %v: %s", by, err, out)
	}
	v.said = append(v.said, saying{by, out})
	return string(out)
}

const (
	tailAll     = "latchkey audit tail --lines 1000000"
	metricsName = "the metrics"
)

var addedKey = regexp.MustCompile(`^Added key (\d+) `)

// rotate has a new key seal all that there is.
func (v *theft) rotate() {
	added := addedKey.FindStringSubmatch(v.run("keys", "add"))
	if added == nil {
		v.t.Fatalf("keys add: %s", v.said[len(v.said)-1].text)
	}
	v.run("keys", "promote", added[1])
	v.run("keys", "rewrap")
	v.run("keys", "list")
}

// scrape keeps what the metrics say, header and all, and returns it.
func (v *theft) scrape() string {
	res, err := http.Get("http://" + v.metrics + "/metrics")
	check(v.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(v.t, err)
	text := fmt.Sprintf("%s %v\n%s", res.Status, res.Header, body)
	v.said = append(v.said, saying{metricsName, []byte(text)})
	return text
}

// What must have happened for the metrics and the record to prove anything.
var counted = []string{
	`latchkey_tool_calls_total\{outcome="ok",tool="github_search_issues"\} [1-9]`,
	`latchkey_refreshes_total\{outcome="ok",provider="google"\} [1-9]`,
	`latchkey_refreshes_total\{outcome="revoked",provider="google"\} [1-9]`,
	`latchkey_refreshes_total\{outcome="outage",provider="google"\} [1-9]`,
	`latchkey_token_rejections_total\{reason="[a-z_ ]+"\} [1-9]`,
	`latchkey_http_requests_total\{route="POST /forget/confirm",status="2xx"\} [1-9]`,
	`latchkey_pending_revocations [1-9]`,
}

// ask has the commands and the metrics say all that they can. The metrics must not
// even say what the audit record may: who, by pseudonym, with which client, and what
// the digest of the arguments was.
func (v *theft) ask() {
	v.run("audit", "verify")
	v.run("keys", "list")
	tail := v.run(strings.Fields(tailAll)[1:]...)
	metrics := v.scrape()
	for _, series := range counted {
		if !regexp.MustCompile(`(?m)^` + series).MatchString(metrics) {
			v.t.Errorf("the metrics count no %s:\n%s", series, metrics)
		}
	}
	var people []secret
	for line := range strings.Lines(tail) {
		var entry auditLine
		check(v.t, json.Unmarshal([]byte(line), &entry))
		for kind, value := range map[string]string{"pseudonym": entry.Owner, "client id": entry.Client, "digest of arguments": entry.Arguments} {
			if value != "" && !slices.ContainsFunc(people, func(s secret) bool { return s.value == value }) {
				people = append(people, newSecret(kind, value))
			}
		}
	}
	for _, kind := range []string{"pseudonym", "client id", "digest of arguments"} {
		if !slices.ContainsFunc(people, func(s secret) bool { return s.kind == kind }) {
			v.t.Errorf("the record has no %s to look for:\n%s", kind, tail)
		}
	}
	for _, s := range v.said {
		if s.by == metricsName {
			for _, hit := range hits(people, s.text) {
				v.t.Errorf("the metrics hold a %s", hit)
			}
		}
	}
}
