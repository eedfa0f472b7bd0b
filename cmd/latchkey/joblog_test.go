package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

// TestJobLog reads a failed job's log through the whole server: GitHub redirects to
// its storage, and the credential stays behind.
func TestJobLog(t *testing.T) {
	d := startDemo(t, "")
	p := newPerson("alice", d.URL, plain)
	check(t, p.signIn())
	const tool = "github_read_actions"
	arguments := map[string]any{"repo": sandbox.AliceLogin + "/trail-notes"}
	check(t, p.connectFor(tool, arguments))
	first := func() int64 {
		var out struct {
			Result struct {
				StructuredContent struct {
					Items []struct {
						ID     int64
						Status string
					}
				}
			}
		}
		check(t, p.call(tool, arguments))
		check(t, json.Unmarshal([]byte(p.last.Body), &out))
		for _, item := range out.Result.StructuredContent.Items {
			if item.Status == "failure" {
				return item.ID
			}
		}
		t.Fatalf("no failure: %s", p.last.Body)
		return 0
	}
	arguments["run_id"] = first()
	job := first()
	delete(arguments, "run_id")
	arguments["job_id"] = job
	check(t, p.call(tool, arguments))
	if !strings.Contains(p.last.Body, "--- FAIL: Test of trail-notes") {
		t.Errorf("got %s", p.last.Body)
	}
	downloads := d.sandbox.Downloads()
	if len(downloads) != 1 || downloads[0].TokenHash != "" || downloads[0].Status != 200 {
		t.Errorf("at the storage: %+v", downloads)
	}
}
