package mcpserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/tools"
)

// try runs probe in a call of alice's, who is connected.
func (w *world) try(probe func(ctx context.Context, api *http.Client) (string, error)) (string, bool) {
	w.t.Helper()
	w.probe = probe
	return w.legacy(w.issuer.Token("alice"), "", "", "tools/call", callParams("acme_probe", "{}")).says(w.t)
}

// A person chooses another account in the middle of a call: the call ends with the
// account that it began with, after a 401 too, and the next one begins with the other.
func TestACallEndsWithTheAccountThatItBeganWith(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	if _, err := w.file(w.issuer.Caller("alice"), "private"); err != nil {
		t.Fatal(err)
	}
	keys, err := w.vault.Keyring(w.issuer.Caller("alice"))
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	probe := func(ctx context.Context, api *http.Client) (string, error) {
		first, err := send(ctx, api, "GET", "https://api.acme.test/items?q=x", "")
		if err != nil {
			return "", err
		}
		if err := keys.Choose(t.Context(), "acme", "id-private", ""); err != nil {
			return "", err
		}
		once.Do(w.provider.expire)
		second, err := send(ctx, api, "POST", "https://api.acme.test/items", "{}")
		return first + second + accountOf(ctx), err
	}
	for _, account := range []string{"alice", "private"} {
		text, isError := w.try(probe)
		want := fmt.Sprintf("{\"who\":%[1]q}{\"who\":%[1]q}@%[1]s", account)
		if out := (probeOut{}); isError || json.Unmarshal([]byte(text), &out) != nil || out.Text != want {
			t.Errorf("%s, want %s", text, want)
		}
	}
}

func TestCallActsWithTheCallersOwnCredential(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.connect("bob")
	for _, person := range []string{"alice", "bob", "alice"} {
		out := w.legacy(w.issuer.Token(person), "", "", "tools/call", callParams("acme_read", `{"query":"x"}`)).result(t)
		want := map[string]any{"who": person, "account": "@" + person}
		if diff := cmp.Diff(want, out.StructuredContent); diff != "" {
			t.Error(diff)
		}
	}
	sum := sha256.Sum256([]byte(`{"query":"x"}`))
	releases := w.audited("bob", audit.Release)
	if len(releases) != 1 || releases[0].Rule != "GET /items" || releases[0].Tool != "acme_read" ||
		releases[0].Arguments != hex.EncodeToString(sum[:]) || releases[0].Client != "test-client" {
		t.Errorf("bob's releases: %+v", releases)
	}
}

func TestEgressOutsideTheContractNeverLeaves(t *testing.T) {
	request := func(change func(*http.Request)) *http.Request {
		req, err := http.NewRequest(http.MethodGet, "https://api.acme.test/items", nil)
		if err != nil {
			t.Fatal(err)
		}
		change(req)
		return req
	}
	header := func(name, value string) *http.Request {
		return request(func(r *http.Request) { r.Header.Set(name, value) })
	}
	target := func(method, url string) *http.Request {
		req, err := http.NewRequest(method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	cases := map[string]struct {
		req  *http.Request
		rule string
	}{
		"endpoint":      {target("GET", "https://api.acme.test/secrets/items"), "GET api.acme.test/*/items"},
		"host":          {target("GET", "https://evil.example/items"), "GET evil.example/items"},
		"method":        {target("DELETE", "https://api.acme.test/items"), "DELETE api.acme.test/items"},
		"query name":    {target("GET", "https://api.acme.test/items?as=bob"), "GET api.acme.test/items"},
		"plain http":    {target("GET", "http://api.acme.test/items"), "GET api.acme.test/items"},
		"dot segments":  {target("GET", "https://api.acme.test/items/../admin"), "GET api.acme.test/items/*/*"},
		"encoded slash": {target("GET", "https://api.acme.test/items/..%2Fadmin"), "GET api.acme.test/items/*"},
		"override":      {header("X-HTTP-Method-Override", "DELETE"), "GET api.acme.test/items"},
		"authorization": {header("Authorization", "Bearer mine"), "GET api.acme.test/items"},
		"cookie":        {header("Cookie", "a=b"), "GET api.acme.test/items"},
		"other Host":    {request(func(r *http.Request) { r.Host = "evil.example" }), "GET api.acme.test/items"},
		"user in URL":   {target("GET", "https://me:secret@api.acme.test/items"), "GET api.acme.test/items"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.connect("alice")
			var failure error
			text, isError := w.try(func(_ context.Context, api *http.Client) (string, error) {
				_, failure = api.Do(c.req)
				return "", failure
			})
			if failure == nil || !isError || !strings.Contains(text, "Something went wrong") {
				t.Errorf("error %v, answer %q", failure, text)
			}
			if seen := w.provider.requests(); len(seen) != 0 {
				t.Errorf("it left: %v", seen[0].URL)
			}
			if n := len(w.audited("alice", audit.Release)); n != 0 {
				t.Errorf("%d releases", n)
			}
			refusals := w.audited("alice", audit.Refuse)
			if len(refusals) != 1 || refusals[0].Rule != c.rule || refusals[0].Tool != "acme_probe" || refusals[0].Provider != "acme" {
				t.Errorf("refusals: %+v", refusals)
			}
		})
	}
}

func TestRedirectsPassTheContractAgain(t *testing.T) {
	cases := map[string]struct {
		location func(w *world) string
		want     string // the last path that the provider saw
		ok       bool
	}{
		"listed, relative":       {func(*world) string { return "/api/items/1" }, "/api/items/1", true},
		"listed, absolute":       {func(w *world) string { return w.provider.url + "/api/items/1" }, "/api/items/1", true},
		"unlisted":               {func(*world) string { return "/api/admin" }, "/api/redirect/x", false},
		"beside the base":        {func(*world) string { return "/items" }, "/api/redirect/x", false},
		"another host":           {func(*world) string { return "https://evil.example/items" }, "/api/redirect/x", false},
		"another, but listed":    {func(*world) string { return "https://files.acme.test/file" }, "/api/redirect/x", false},
		"base of another":        {func(w *world) string { return w.provider.url + "/files/file" }, "/api/redirect/x", false},
		"public, not the base":   {func(*world) string { return "https://api.acme.test/items/1" }, "/api/items/1", true},
		"with a user in it":      {func(*world) string { return "https://u:p@api.acme.test/items" }, "/api/redirect/x", false},
		"unlisted query, listed": {func(*world) string { return "/api/items?as=bob" }, "/api/redirect/x", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.connect("alice")
			location := c.location(w)
			w.provider.answer(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/api/redirect/x" {
					return false
				}
				rw.Header().Set("Location", location)
				rw.WriteHeader(http.StatusFound)
				return true
			})
			text, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
				plain := &http.Client{Transport: api.Transport} // as client libraries do
				return send(ctx, plain, "GET", "https://api.acme.test/redirect/x", "")
			})
			seen := w.provider.requests()
			if isError == c.ok || seen[len(seen)-1].URL.Path != c.want {
				t.Errorf("answer %q, last path %s\n%s", text, seen[len(seen)-1].URL.Path, w.log)
			}
		})
	}
}

func TestClientIsUselessOnceTheHandlerReturned(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	var kept *http.Client
	if text, isError := w.try(func(_ context.Context, api *http.Client) (string, error) {
		kept = api
		return "done", nil
	}); isError {
		t.Fatal(text)
	}
	_, err := send(context.Background(), kept, "GET", "https://api.acme.test/items", "")
	if !errors.Is(err, errReturned) {
		t.Errorf("got %v", err)
	}
	if len(w.provider.requests()) != 0 || len(w.audited("alice", audit.Release)) != 0 {
		t.Error("it still reached the provider")
	}
}

func TestBodyEndsWithTheHandler(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.provider.answer(func(rw http.ResponseWriter, r *http.Request) bool {
		_, _ = io.WriteString(rw, "first")
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	})
	var kept *http.Response
	if text, isError := w.try(func(_ context.Context, api *http.Client) (string, error) {
		var err error
		kept, err = api.Get("https://api.acme.test/items")
		return "", err
	}); isError {
		t.Fatal(text)
	}
	defer kept.Body.Close()
	if _, err := io.ReadAll(kept.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("read on after the return: %v", err)
	}
}

func TestHandlerNeverSeesTheCredential(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	text, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
		var traced strings.Builder
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			WroteHeaderField: func(name string, value []string) { fmt.Fprintln(&traced, name, value) },
		})
		req, err := http.NewRequestWithContext(ctx, "GET", "https://api.acme.test/items", nil)
		if err != nil {
			return "", err
		}
		resp, err := api.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		if ctx.Value(http.ServerContextKey) != nil || ctx.Value(requestKey{}) != nil {
			return "", errors.New("the context knows the server or the request")
		}
		if _, raw := resp.Body.(io.Writer); raw {
			return "", errors.New("the body can be written to")
		}
		return fmt.Sprint(traced.String(), resp.Request.Header, resp.Request.URL, req.Header, fmt.Sprintf("%+v", api.Transport.(*bound).released)), nil
	})
	if isError || strings.Contains(text, "access-alice") || strings.Contains(text, "Bearer") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("%v %s", isError, text)
	}
	if !strings.HasPrefix(w.provider.requests()[0].Header.Get("Authorization"), "Bearer access-alice") {
		t.Error("and the provider didn't see it either")
	}
}

func TestEchoedCredentialIsRedacted(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.provider.answer(func(rw http.ResponseWriter, r *http.Request) bool {
		_, _ = io.WriteString(rw, r.Header.Get("Authorization"))
		return true
	})
	for name, wrap := range map[string]func(string) (string, error){
		"result":     func(s string) (string, error) { return s, nil },
		"told error": func(s string) (string, error) { return "", &tools.Error{Message: s} },
		"log":        func(s string) (string, error) { return "", errors.New("bad answer: " + s) },
		"panic":      func(s string) (string, error) { panic(s) },
	} {
		text, _ := w.try(func(ctx context.Context, api *http.Client) (string, error) {
			echo, err := send(ctx, api, "GET", "https://api.acme.test/items", "")
			if err != nil {
				return "", err
			}
			return wrap(echo)
		})
		if strings.Contains(text, "access-alice") || strings.Contains(w.log.String(), "access-alice") {
			t.Errorf("%s: %s\n%s", name, text, w.log)
		}
	}
	if !strings.Contains(w.log.String(), "[secret]") {
		t.Error("the log lost the error itself")
	}
}

func TestRejectedCredentialIsRenewedOnce(t *testing.T) {
	t.Run("and the request repeated", func(t *testing.T) {
		w := newWorld(t, nil)
		before := w.connect("alice")
		w.provider.expire()
		text, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
			return send(ctx, api, "POST", "https://api.acme.test/items", `{"title":"x"}`)
		})
		if isError || !strings.Contains(text, "alice") {
			t.Fatal(text)
		}
		seen := w.provider.requests()
		if len(seen) != 2 {
			t.Fatalf("%d requests", len(seen))
		}
		if body, _ := io.ReadAll(seen[1].Body); string(body) != `{"title":"x"}` {
			t.Errorf("the repeated body was %q", body)
		}
		keys, err := w.vault.Keyring(w.issuer.Caller("alice"))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := keys.Info(t.Context(), "acme"); err != nil || info.Version <= before.Version {
			t.Errorf("version %d, %v", info.Version, err)
		}
		if n := len(w.audited("alice", audit.Release)); n != 2 {
			t.Errorf("%d releases recorded", n)
		}
	})
	t.Run("not for a body that can't be repeated", func(t *testing.T) {
		w := newWorld(t, nil)
		w.connect("alice")
		w.provider.expire()
		once := func(ctx context.Context, api *http.Client) (string, error) {
			req, err := http.NewRequestWithContext(ctx, "POST", "https://api.acme.test/items", io.MultiReader(strings.NewReader("{}")))
			if err != nil {
				return "", err
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := api.Do(req)
			if err != nil {
				return "", err
			}
			defer resp.Body.Close()
			return resp.Status, nil
		}
		if text, _ := w.try(once); !strings.Contains(text, "401") || len(w.provider.requests()) != 1 {
			t.Errorf("%s after %d requests", text, len(w.provider.requests()))
		}
		if text, _ := w.try(once); !strings.Contains(text, "200") {
			t.Errorf("the next call still had the old credential: %s", text)
		}
	})
	t.Run("not twice in a call", func(t *testing.T) {
		w := newWorld(t, nil)
		w.connect("alice")
		w.provider.answer(func(rw http.ResponseWriter, r *http.Request) bool {
			rw.WriteHeader(http.StatusUnauthorized)
			return true
		})
		text, _ := w.try(func(ctx context.Context, api *http.Client) (string, error) {
			for range 3 {
				if _, err := send(ctx, api, "GET", "https://api.acme.test/items", ""); err == nil || !strings.Contains(err.Error(), "status 401") {
					return "", fmt.Errorf("unexpected: %w", err)
				}
			}
			return "three times 401", nil
		})
		if n := len(w.audited("alice", audit.Refresh)); n != 1 || !strings.Contains(text, "three times") {
			t.Errorf("%d refreshes, %s", n, text)
		}
	})
}

// TestCheckedRequestCanNotBeChanged uses GetBody, which net/http lets a handler run
// after the check and before the request is sent again.
func TestCheckedRequestCanNotBeChanged(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.provider.expire()
	w.try(func(ctx context.Context, api *http.Client) (string, error) {
		req, err := http.NewRequestWithContext(ctx, "POST", "https://api.acme.test/items", strings.NewReader("{}"))
		if err != nil {
			return "", err
		}
		req.Header.Set("Content-Type", "application/json")
		req.GetBody = func() (io.ReadCloser, error) {
			req.URL.Host, req.Method = "files.acme.test", "DELETE"
			return io.NopCloser(strings.NewReader("{}")), nil
		}
		resp, err := api.Transport.RoundTrip(req)
		if err != nil {
			return "", err
		}
		return resp.Status, resp.Body.Close()
	})
	for _, seen := range w.provider.requests() {
		if seen.Method != "POST" || seen.URL.Path != "/api/items" {
			t.Errorf("sent %s %s", seen.Method, seen.URL)
		}
	}
	if n := len(w.provider.requests()); n != 2 {
		t.Errorf("%d requests", n)
	}
}

func TestResponseIsLimited(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	size := maxResponse
	w.provider.answer(func(rw http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(rw, io.LimitReader(zeros{}, int64(size)))
		return true
	})
	count := func(ctx context.Context, api *http.Client) (string, error) {
		text, err := send(ctx, api, "GET", "https://api.acme.test/items", "")
		return fmt.Sprint(len(text)), err
	}
	if text, isError := w.try(count); isError || !strings.Contains(text, fmt.Sprint(maxResponse)) {
		t.Errorf("at the limit: %s", text)
	}
	size++
	if text, isError := w.try(count); !isError || !strings.Contains(text, "larger than 8 MiB") {
		t.Errorf("above the limit: %s", text)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestCallHasADeadline(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.face.deadline = 50 * time.Millisecond
	w.provider.answer(func(_ http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	})
	text, isError := w.try(func(_ context.Context, api *http.Client) (string, error) {
		return send(context.Background(), api, "POST", "https://api.acme.test/items", "{}")
	})
	if !isError || !strings.Contains(text, "took longer than 50ms") || !strings.Contains(text, "check before calling it again") {
		t.Errorf("got %q", text)
	}
}

func TestRebaseKeepsEscapes(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.try(func(ctx context.Context, api *http.Client) (string, error) {
		return send(ctx, api, "GET", "https://api.acme.test/items/a%20b%3Fc", "")
	})
	seen := w.provider.requests()
	if len(seen) != 1 || seen[0].URL.EscapedPath() != "/api/items/a%20b%3Fc" || seen[0].URL.RawQuery != "" {
		t.Errorf("%v", seen)
	}
}
