package mcpserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store/audit"
)

const logURL = "https://api.acme.test/log/1"

// redirecting has the log answered by redirects, one for each hop; the last hop is
// the download.
func (w *world) redirecting(hops ...string) {
	w.provider.answer(func(rw http.ResponseWriter, r *http.Request) bool {
		hop := 0
		if strings.HasPrefix(r.URL.Path, "/store/") {
			hop = int(r.URL.Path[len("/store/")] - '0')
		} else if r.URL.Path != "/api/log/1" {
			return false
		}
		if hop < len(hops) {
			rw.Header().Set("Location", hops[hop])
			rw.WriteHeader(http.StatusFound)
			return true
		}
		_, _ = io.WriteString(rw, "the log")
		return true
	})
}

func getLog(ctx context.Context, api *http.Client) (string, error) {
	return send(ctx, api, "GET", logURL, "")
}

// stores are the requests that reached the storage host.
func (w *world) stores() (seen []*http.Request) {
	for _, r := range w.provider.requests() {
		if strings.HasPrefix(r.URL.Path, "/store/") {
			seen = append(seen, r)
		}
	}
	return seen
}

func TestDownloads(t *testing.T) {
	const store = "https://store1.acme.test/"
	cases := map[string]struct {
		hops     []string
		ok       bool
		reached  int // requests at the storage host
		refusals int
	}{
		"listed":                 {[]string{store + "1?sig=s%2Bx"}, true, 1, 0},
		"a second hop, listed":   {[]string{store + "1", store + "2"}, true, 2, 0},
		"a second hop, relative": {[]string{store + "1", "/store/2"}, true, 2, 0},
		"elsewhere":              {[]string{"https://evil.example/1"}, false, 0, 1},
		"no number":              {[]string{"https://storeevil.acme.test/1"}, false, 0, 1},
		"http":                   {[]string{"http://store1.acme.test/1"}, false, 0, 1},
		"with a user":            {[]string{"https://me:too@store1.acme.test/1"}, false, 0, 1},
		"another port":           {[]string{"https://store1.acme.test:8443/1"}, false, 0, 1},
		"a rule's other host":    {[]string{"https://files.acme.test/file"}, false, 0, 1},
		"then elsewhere":         {[]string{store + "1", "https://evil.example/2"}, false, 1, 1},
		"then http":              {[]string{store + "1", "http://store1.acme.test/2"}, false, 1, 1},
		"then back":              {[]string{store + "1", "https://api.acme.test/items"}, false, 1, 1},
		"then to itself":         {[]string{store + "1", store + "1"}, false, 9, 0},
		"by the base":            {[]string{"/store/1"}, false, 0, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.connect("alice")
			w.redirecting(c.hops...)
			text, isError := w.try(getLog)
			if isError == c.ok || c.ok && !strings.Contains(text, "the log") {
				t.Errorf("answer %q", text)
			}
			if n := len(w.stores()); n != c.reached {
				t.Errorf("%d requests at the storage host, want %d", n, c.reached)
			}
			if all := len(w.provider.requests()); all != 1+c.reached {
				t.Errorf("%d requests in all", all)
			}
			if n := len(w.audited("alice", audit.Refuse)); n != c.refusals {
				t.Errorf("%d refusals", n)
			}
			if n := len(w.audited("alice", audit.Release)); n != 1 {
				t.Errorf("%d releases", n)
			}
		})
	}
}

// Nothing of the call goes along but the URL, and the record says so first.
func TestDownloadTakesNothingAlong(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.redirecting("https://store1.acme.test/1/a%2Fb?sig=s%2Bx#part")
	var kept *http.Response
	text, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
		req, err := http.NewRequestWithContext(ctx, "GET", logURL, nil)
		if err != nil {
			return "", err
		}
		req.Header = http.Header{"Accept": {"text/x"}, "User-Agent": {"acme-tool"}, "If-Match": {`"1"`}}
		if kept, err = api.Do(req); err != nil {
			return "", err
		}
		return kept.Status, kept.Body.Close()
	})
	seen := w.stores()
	if isError || len(seen) != 1 {
		t.Fatalf("%s after %d requests", text, len(seen))
	}
	if seen[0].URL.RequestURI() != "/store/1/a%2Fb?sig=s%2Bx" || seen[0].Method != "GET" {
		t.Errorf("sent %s %s", seen[0].Method, seen[0].URL)
	}
	for name := range seen[0].Header {
		if name != "Accept-Encoding" && name != "User-Agent" {
			t.Errorf("the header %s went along", name)
		}
	}
	if seen[0].UserAgent() == "acme-tool" || kept.Request.Header.Get("Authorization") != "" {
		t.Errorf("headers %v, and in the answer %v", seen[0].Header, kept.Request.Header)
	}
	sum := sha256.Sum256([]byte("{}"))
	entries := w.audited("alice", audit.Download)
	if len(entries) != 1 || entries[0].Rule != "GET /log/{id}" || entries[0].Reason != "redirected to store1.acme.test" ||
		entries[0].Tool != "acme_probe" || entries[0].Provider != "acme" || entries[0].Client != "test-client" ||
		entries[0].Arguments != hex.EncodeToString(sum[:]) {
		t.Errorf("recorded: %+v", entries)
	}
}

// A handler that sets what net/http would leave out gains nothing by it.
func TestDownloadIgnoresTheHandlersRequest(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"authorization": func(r *http.Request) { r.Header.Set("Authorization", "Bearer mine") },
		"cookie":        func(r *http.Request) { r.Header.Set("Cookie", "a=b") },
		"Host":          func(r *http.Request) { r.Host = "evil.example" },
		"opaque URL": func(r *http.Request) {
			r.URL.Opaque, r.URL.RawQuery = "//store1.acme.test/1?sig=x", ""
			r.URL.Host = "files.acme.test"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.connect("alice")
			w.redirecting("https://store1.acme.test/1?sig=x")
			text, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
				req, err := offeredRequest(ctx, api)
				if err != nil {
					return "", err
				}
				change(req)
				return do(&http.Client{Transport: api.Transport}, req)
			})
			seen := w.stores()
			if isError || len(seen) != 1 || len(w.provider.requests()) != 2 {
				t.Fatalf("%s after %d requests", text, len(w.provider.requests()))
			}
			if got := seen[0]; got.URL.RequestURI() != "/store/1?sig=x" || got.Header.Get("Authorization") != "" ||
				got.Header.Get("Cookie") != "" || !strings.Contains(w.provider.url, got.Host) {
				t.Errorf("sent to %s %s: %v", got.Host, got.URL, got.Header)
			}
		})
	}
}

// What the provider's answer doesn't offer is outside of the contract, whatever
// the host.
func TestDownloadOnlyWhatIsOffered(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"another path":  func(r *http.Request) { r.URL.Path = "/2" },
		"another query": func(r *http.Request) { r.URL.RawQuery = "sig=y" },
		"another host":  func(r *http.Request) { r.URL.Host = "store2.acme.test" },
		"a POST":        func(r *http.Request) { r.Method = "POST" },
		"a HEAD":        func(r *http.Request) { r.Method = "HEAD" },
		"with a body":   func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{}")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.connect("alice")
			w.redirecting("https://store1.acme.test/1?sig=x")
			text, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
				req, err := offeredRequest(ctx, api)
				if err != nil {
					return "", err
				}
				change(req)
				return do(api, req)
			})
			if !isError || len(w.stores()) != 0 || len(w.audited("alice", audit.Refuse)) != 1 {
				t.Errorf("%s; refusals %+v", text, w.audited("alice", audit.Refuse))
			}
		})
	}
	t.Run("a second time", func(t *testing.T) {
		w := newWorld(t, nil)
		w.connect("alice")
		w.redirecting("https://store1.acme.test/1?sig=x")
		_, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
			if _, err := getLog(ctx, api); err != nil {
				return "", fmt.Errorf("the first time: %w", err)
			}
			return send(ctx, api, "GET", "https://store1.acme.test/1?sig=x", "")
		})
		if !isError || len(w.stores()) != 1 {
			t.Errorf("%d requests", len(w.stores()))
		}
	})
	t.Run("by an answer that is no redirect", func(t *testing.T) {
		w := newWorld(t, nil)
		w.connect("alice")
		w.provider.answer(func(rw http.ResponseWriter, _ *http.Request) bool {
			rw.Header().Set("Location", "https://store1.acme.test/1")
			rw.WriteHeader(http.StatusCreated)
			return true
		})
		_, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
			if _, err := getLog(ctx, api); err != nil {
				return "", err
			}
			return send(ctx, api, "GET", "https://store1.acme.test/1", "")
		})
		if !isError || len(w.stores()) != 0 {
			t.Errorf("%d requests", len(w.stores()))
		}
	})
	t.Run("in another call", func(t *testing.T) {
		w := newWorld(t, nil)
		w.connect("alice")
		w.redirecting("https://store1.acme.test/1?sig=x")
		if text, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
			_, err := offeredRequest(ctx, api)
			return "", err
		}); isError {
			t.Fatal(text)
		}
		_, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
			return send(ctx, api, "GET", "https://store1.acme.test/1?sig=x", "")
		})
		if !isError || len(w.stores()) != 0 {
			t.Errorf("%d requests", len(w.stores()))
		}
	})
}

// offeredRequest has the provider redirect, and is a request for where to.
func offeredRequest(ctx context.Context, api *http.Client) (*http.Request, error) {
	stay := *api
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := stay.Get(logURL)
	if err != nil {
		return nil, err
	}
	to, err := resp.Location()
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	return (&http.Request{Method: "GET", URL: &url.URL{
		Scheme: to.Scheme, Host: to.Host, Path: to.Path, RawQuery: to.RawQuery,
	}, Header: http.Header{}}).WithContext(ctx), nil
}

func TestDownloadIsLimited(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.provider.answer(func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/store/") {
			_, _ = io.Copy(rw, io.LimitReader(zeros{}, maxResponse+1))
			return true
		}
		rw.Header().Set("Location", "https://store1.acme.test/1")
		rw.WriteHeader(http.StatusFound)
		return true
	})
	if text, isError := w.try(getLog); !isError || !strings.Contains(text, "larger than 8 MiB") {
		t.Errorf("got %s", text)
	}
}

// An offer dies with the call, as everything of its client does.
func TestDownloadEndsWithTheHandler(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.redirecting("https://store1.acme.test/1")
	var kept *http.Client
	w.try(func(ctx context.Context, api *http.Client) (string, error) {
		kept = api
		_, err := offeredRequest(ctx, api)
		return "", err
	})
	if _, err := send(context.Background(), kept, "GET", "https://store1.acme.test/1", ""); !errors.Is(err, errReturned) {
		t.Errorf("got %v", err)
	}
}

// What can't be recorded doesn't happen.
func TestDownloadIsRecordedFirst(t *testing.T) {
	w := newWorld(t, nil)
	w.connect("alice")
	w.redirecting("https://store1.acme.test/1")
	text, isError := w.try(func(ctx context.Context, api *http.Client) (string, error) {
		req, err := offeredRequest(ctx, api)
		if err != nil {
			return "", err
		}
		if err := w.db.Close(); err != nil {
			return "", err
		}
		return do(api, req)
	})
	if !isError || len(w.stores()) != 0 {
		t.Errorf("%s after %d requests", text, len(w.stores()))
	}
}
