package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
)

// A contracted is a provider that answers every request with text, once it has held
// the request against the tool's contract.
type contracted struct {
	t    *testing.T
	spec tools.Spec
	text string
	sent []*http.Request
}

// RoundTrip implements http.RoundTripper.
func (c *contracted) RoundTrip(req *http.Request) (*http.Response, error) {
	rule, err := tools.Match(c.spec.Egress, req)
	if err != nil {
		c.t.Errorf("%s sends %s %s: %v", c.spec.Name, req.Method, req.URL, err)
		return nil, err
	}
	want, got := strings.Count(rule.Path, "/"), strings.Count(req.URL.EscapedPath(), "/")
	if rest := strings.HasSuffix(rule.Path, "...}"); got < want || got > want && !rest || strings.Count(req.URL.Path, "/") != got {
		c.t.Errorf("%s sends %q by the rule %s", c.spec.Name, req.URL.Path, rule)
	}
	c.sent = append(c.sent, req)
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(c.text)),
	}, nil
}

// Whatever a tool's arguments and its provider's answer are, it sends nothing outside
// of its contract, where an argument goes it goes as a whole, and what comes of it is
// a result by its own schema or an error.
func FuzzToolArguments(f *testing.F) {
	var all []tools.Tool
	for _, m := range allModules() {
		all = append(all, m.Tools...)
	}
	answers := []string{`null`, `{"items":[null,{"id":"a","attendees":[null]}]}`, `{"items":[null,{"number":1,"labels":[null]}],"labels":[null]}`, `[]`, `x`,
		`{"id":"a","recurringEventId":"b","start":{"date":"2026-01-02"},"end":{"date":"2026-01-03"},"recurrence":["RRULE:FREQ=DAILY;COUNT=3"],"attendees":[null,{"self":true}],"originalStartTime":{"date":"2026-01-09"}}`,
		`{"type":"file","encoding":"base64","content":"PG4+Cg=="}`, `[null,{"name":"a","commit":null}]`, `{"comments":1,"files":[null],"commit":{"author":null}}`,
		`{"status":"completed","steps":[null,{"conclusion":"failure","started_at":null}],"head":{"sha":"a/b"},"check_runs":[null],"statuses":[null],"jobs":[null],"workflow_runs":[null]}`}
	for i := range all {
		for _, text := range []string{
			`{}`, `{"query":"is:issue"}`, `{"query":"a","query":"b"}`, `{"Query":"a"}`, `{"repo":"a/b","title":"c"}`, `{"repo":"a/..","title":"c"}`, `{"query":"a OR (b"}`, `{"repo":"a/b","path":"c/../d"}`, `{"repo":"a/b","path":"/c d/e#","ref":"x/y"}`, `{"repo":"a/b","number":1}`,
			`{"repo":"a/b","number":1,"part":"diff"}`, `{"repo":"a/b","number":1,"part":"checks"}`, `{"repo":"a/b","job_id":1}`, `{"repo":"a/b","run_id":1}`, `{"since":"2026-01-01T00:00:00Z"}`,
			`{"repo":"a%2f/b","number":1,"state":"closed","labels":["x"]}`, `{"calendar":"a@b#c","start":"2026-01-01T00:00:00Z","query":"?&="}`, `{"calendar":"../x"}`,
			`{"calendars":["a@b#c"],"start":"2026-01-01T00:00:00Z","query":"?&="}`, `{"calendars":["a","../x"]}`, `{"calendar":"a@b","event":"a_1"}`, `{"calendar":"../x","event":"a"}`, `{"event":"../x"}`, `{"minutes":30,"attendees":["a@b"]}`,
			`{"summary":"a","start":"2026-12-01","end":"2026-12-02","attendees":["a@b"],"send_updates":"all","idempotency_key":"k"}`, `{"text":"a","event":"b","response":"accepted"}`,
			`{"event":"a_20260101","scope":"following","summary":"b","start":"2026-12-01","calendar":"c"}`, `{"event":"a","scope":"all"}`, `{"event":"../a","etag":"\"1\""}`, `{"event":"a","response":"declined"}`, `{"limit":1e1}`, `[]`, `null`, `{"cursor":"2026-01-01T00:00:00Z~x&y=z"}`,
		} {
			f.Add(byte(i), text, `{}`)
			for _, answer := range answers {
				f.Add(byte(i), text, answer)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which byte, arguments, answer string) {
		tool := all[int(which)%len(all)]
		c := &contracted{t: t, spec: tool.Spec(), text: answer}
		out, err := tool.Call(t.Context(), &http.Client{Transport: c}, json.RawMessage(arguments))
		if (err == nil) == (out == nil) || err == nil && !json.Valid(out) {
			t.Errorf("%s%s: %s and %v", c.spec.Name, arguments, out, err)
		}
		if told := (*tools.Error)(nil); errors.As(err, &told) && strings.TrimSpace(told.Message) == "" {
			t.Errorf("%s%s: an error without a word", c.spec.Name, arguments)
		}
		if len(c.sent) == 0 {
			return
		}
		if (!json.Valid([]byte(arguments)) || twice(arguments)) && strings.TrimSpace(arguments) != "" {
			t.Errorf("%s acted on %q", c.spec.Name, arguments)
		}
		checkWhole(t, c, arguments)
	})
}

// twice reports whether an object has a name two times, which two readers may read in
// two ways.
func twice(object string) bool {
	d := json.NewDecoder(strings.NewReader(object))
	_, _ = d.Token()
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		text, ok := name.(string)
		if err != nil || !ok || seen[text] {
			return err == nil && ok
		}
		seen[text] = true
		var value json.RawMessage
		_ = d.Decode(&value)
	}
	return false
}

// checkWhole holds the places that arguments go to against what they say.
func checkWhole(t *testing.T, c *contracted, arguments string) {
	var in struct {
		Repo, Path, Calendar, Query, Event string
		Calendars                          []string
	}
	_ = json.Unmarshal([]byte(arguments), &in)
	named := in.Calendars
	if in.Calendar != "" {
		named = append(named, in.Calendar)
	}
	if len(named) == 0 {
		named = []string{"primary"}
	}
	for _, req := range c.sent {
		segments := strings.Split(req.URL.EscapedPath(), "/")
		for i, s := range segments {
			segments[i], _ = url.PathUnescape(s)
		}
		switch {
		case segments[1] == "repos" && segments[2]+"/"+segments[3] != in.Repo,
			c.spec.Name == "github_get_file" && strings.Join(segments[5:], "/") != strings.Trim(in.Path, "/"),
			strings.HasPrefix(c.spec.Name, "calendar_") && len(segments) > 5 && segments[5] == "events" && !slices.Contains(named, segments[4]),
			strings.HasPrefix(c.spec.Name, "calendar_") && c.spec.ReadOnly && len(segments) > 6 && segments[6] != in.Event,
			c.spec.Name == "github_search_issues" && !strings.Contains(req.URL.Query().Get("q"), in.Query):
			t.Errorf("%s of %s goes to %s", c.spec.Name, arguments, req.URL)
		}
	}
}
