package mcpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/latchkey-mcp/latchkey/tools"
)

// events are the messages of an event stream.
func events(t *testing.T, r reply) (list []map[string]any) {
	t.Helper()
	if kind := r.header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("got %s: %s", kind, r.text)
	}
	for line := range strings.SplitSeq(r.text, "\n") {
		if data, ok := strings.CutPrefix(line, "data:"); ok {
			var message map[string]any
			if err := json.Unmarshal([]byte(data), &message); err != nil {
				t.Fatal(err)
			}
			list = append(list, message)
		}
	}
	return list
}

// callWith calls acme_probe in that era with the members of _meta.
func (w *world) callWith(era, meta, accept string) reply {
	w.t.Helper()
	a := ask{token: w.issuer.Token("alice"), header: map[string]string{"Accept": accept}}
	if era == mcp.ProtocolVersion20260728 {
		a.header[mcp.HeaderMethod], a.header[mcp.HeaderName] = "tools/call", "acme_probe"
		meta += `,"` + mcp.MetaKeyProtocolVersion + `":"` + era + `","` + mcp.MetaKeyClientCapabilities + `":{}`
	}
	a.header[mcp.HeaderProtocolVersion] = era
	a.body = rpc + `"tools/call","params":{"name":"acme_probe","arguments":{},"_meta":{` + strings.TrimPrefix(meta, ",") + `}}}`
	return w.do(a)
}

const takesBoth = "application/json, text/event-stream"

func TestProgress(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.probe = func(ctx context.Context, api *http.Client) (string, error) {
		tell := tools.Info(ctx).Progress
		if _, err := send(ctx, api, "GET", "https://api.acme.test/items", ""); err != nil {
			return "", err
		}
		tell(1, 3, "reading \u202eone "+w.provider.requests()[0].Header.Get("Authorization"))
		tell(1.5, 3, "too soon")
		w.clock.forward(time.Second)
		tell(1, 3, "not further")
		tell(2, 0, "")
		w.clock.forward(time.Second)
		tell(3, 3, strings.Repeat("x", 1000))
		return "done", nil
	}
	for _, era := range versions {
		for token, want := range map[string]any{`"abc"`: "abc", `7`: 7.0} {
			list := events(t, w.callWith(era, `"progressToken":`+token, takesBoth))
			last := list[len(list)-1]
			list = list[:len(list)-1]
			all := []any{
				map[string]any{"progressToken": want, "progress": 1.0, "total": 3.0, "message": "reading one Bearer [secret]"},
				map[string]any{"progressToken": want, "progress": 2.0},
				map[string]any{"progressToken": want, "progress": 3.0, "total": 3.0, "message": strings.Repeat("x", progressText) + "…"},
			}
			if len(list) < 2 || len(list) > 3 { // one may be lost
				t.Errorf("%s: got %v", era, list)
			}
			for _, message := range list {
				if i := slices.IndexFunc(all, func(known any) bool { return cmp.Equal(known, message["params"]) }); i < 0 || message["method"] != "notifications/progress" {
					t.Errorf("%s: got %v, want one of %v", era, message, all)
				} else {
					all = all[i+1:]
				}
			}
			if result, ok := last["result"].(map[string]any); !ok || last["id"] != 1.0 || fmt.Sprint(result["structuredContent"]) != "map[text:done]" {
				t.Errorf("%s: the result is %v", era, last)
			}
		}
	}
}

// Without a token, or where the client can't take a stream, an answer is one JSON
// object.
func TestProgressIsAskedFor(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.probe = func(ctx context.Context, _ *http.Client) (string, error) {
		tools.Info(ctx).Progress(1, 2, "on it")
		return "done", nil
	}
	for name, c := range map[string][2]string{
		"no token":         {`"other":1`, takesBoth},
		"null":             {`"progressToken":null`, takesBoth},
		"an object":        {`"progressToken":{"a":1}`, takesBoth},
		"no event streams": {`"progressToken":1`, "application/json"},
	} {
		for _, era := range versions {
			r := w.callWith(era, c[0], c[1])
			if text, isError := r.says(t); isError || !strings.Contains(text, "done") || strings.Contains(r.text, "on it") {
				t.Errorf("%s, %s: %s", name, era, r.text)
			}
		}
	}
}

// A call that ends in an error has said so in the stream that it began.
func TestProgressBeforeAnError(t *testing.T) {
	w := newWorld(t, nil) // nobody is connected
	w.probe = func(ctx context.Context, api *http.Client) (string, error) {
		tools.Info(ctx).Progress(1, 2, "on it")
		return send(ctx, api, "GET", "https://api.acme.test/items", "")
	}
	for _, era := range versions {
		list := events(t, w.callWith(era, `"progressToken":1`, takesBoth))
		if text := fmt.Sprint(list[len(list)-1]); !strings.Contains(text, "isError:true") || !strings.Contains(text, "/connect/alice") {
			t.Errorf("%s: %s", era, text)
		}
	}
}

// What a handler left running says after it returned reaches nobody.
func TestProgressEndsWithTheHandler(t *testing.T) {
	w := newWorld(t, nil)
	var kept func(done, total float64, message string)
	w.probe = func(ctx context.Context, _ *http.Client) (string, error) {
		kept = tools.Info(ctx).Progress
		return "", errors.New("failed")
	}
	r := w.callWith(mcp.ProtocolVersion20251125, `"progressToken":1`, takesBoth)
	if _, isError := r.says(t); !isError {
		t.Fatal(r.text)
	}
	told := false
	b, end := w.face.bound(t.Context(), &call{progress: &progress{token: 1, tell: func(map[string]any) { told = true }}})
	b.progressed(1, 2, "")
	if !told {
		t.Error("a handler at work told nobody")
	}
	told = false
	w.clock.forward(time.Second)
	end()
	b.progressed(2, 2, "")
	kept(1, 2, "")
	if told {
		t.Error("told after the handler returned")
	}
}

// The client hears of it while the handler still works.
func TestProgressIsNotHeldBack(t *testing.T) {
	w := newWorld(t, nil)
	heard := make(chan struct{})
	w.probe = func(ctx context.Context, _ *http.Client) (string, error) {
		tools.Info(ctx).Progress(1, 2, "on it")
		select {
		case <-heard:
			return "done", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	w.face.deadline = 10 * time.Second
	body := rpc + `"tools/call","params":{"name":"acme_probe","arguments":{},"_meta":{"progressToken":1}}}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {takesBoth}, "Authorization": {"Bearer " + w.issuer.Token("alice")},
	}
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), "on it") {
	}
	close(heard)
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"done"`) {
			return
		}
	}
	t.Errorf("no result: %v", lines.Err())
}

// Each notification is flushed through whatever wraps the response.
func TestFlushReachesTheConnection(t *testing.T) {
	rec := httptest.NewRecorder()
	a := &answer{ResponseWriter: wrapped{rec}, request: &request{}}
	if a.Flush(); !rec.Flushed {
		t.Error("the flush went nowhere")
	}
	refused := httptest.NewRecorder()
	a = &answer{ResponseWriter: refused, refused: true}
	if a.Flush(); refused.Flushed {
		t.Error("a refused answer was flushed")
	}
}

type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }
