package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// named answers with its own name.
func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) })
}

// ask sends a request for target with the Host header host.
func ask(h http.Handler, method, host, target string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, nil)
	req.Host = host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func TestRoutes(t *testing.T) {
	faces := func(auth http.Handler) http.Handler {
		return routes(config{Public: "https://x.example", Log: slog.New(slog.DiscardHandler)}, named("mcp"), auth, named("pages"))
	}
	builtIn, external := faces(named("auth")), faces(nil)
	tests := []struct{ path, builtIn, external string }{
		{"/mcp", "mcp", "mcp"},
		{"/mcp/more", "pages", "pages"},
		{"/.well-known/oauth-protected-resource", "mcp", "mcp"},
		{"/.well-known/oauth-protected-resource/mcp", "mcp", "mcp"},
		{"/authorize", "auth", "pages"},
		{"/authorize/upstream", "auth", "pages"},
		{"/token", "auth", "pages"},
		{"/register", "auth", "pages"},
		{"/jwks", "auth", "pages"},
		{"/.well-known/oauth-authorization-server", "auth", "pages"},
		{"/.well-known/openid-configuration", "auth", "pages"},
		{"/connections", "pages", "pages"},
		{"/", "pages", "pages"},
		{"/healthz", "ok\n", "ok\n"},
	}
	for _, tt := range tests {
		if got := ask(builtIn, "GET", "x.example", tt.path).Body.String(); got != tt.builtIn {
			t.Errorf("%s goes to %q, want %q", tt.path, got, tt.builtIn)
		}
		if got := ask(external, "GET", "x.example", tt.path).Body.String(); got != tt.external {
			t.Errorf("with an external issuer, %s goes to %q, want %q", tt.path, got, tt.external)
		}
	}
}

func TestCanonicalHost(t *testing.T) {
	tests := []struct {
		public, method, host, target string
		status                       int
		location                     string
	}{
		{"http://127.0.0.1:8420", "GET", "127.0.0.1:8420", "/connections", 200, ""},
		{"http://127.0.0.1:8420", "GET", "localhost:8420", "/connections?a=b", 307, "http://127.0.0.1:8420/connections?a=b"},
		{"http://127.0.0.1:8420", "HEAD", "LOCALHOST:8420", "/", 307, "http://127.0.0.1:8420/"},
		{"http://127.0.0.1:8420", "GET", "[::1]:8420", "/", 307, "http://127.0.0.1:8420/"},
		{"http://127.0.0.1:8420", "GET", "localhost:8420", "//evil.example/", 307, "http://127.0.0.1:8420//evil.example/"},
		{"http://127.0.0.1:8420", "POST", "localhost:8420", "/token", 421, ""},
		{"http://127.0.0.1:8420", "GET", "localhost:9999", "/", 421, ""},
		{"http://127.0.0.1:8420", "GET", "localhost", "/", 421, ""},
		{"http://127.0.0.1:8420", "GET", "rebound.example:8420", "/", 421, ""},
		{"https://latchkey.example", "GET", "latchkey.example", "/", 200, ""},
		{"https://latchkey.example", "GET", "Latchkey.Example:443", "/", 200, ""},
		{"https://latchkey.example", "POST", "latchkey.example.evil.example", "/mcp", 421, ""},
		{"https://latchkey.example", "GET", "localhost:443", "/", 421, ""},
		{"https://latchkey.example", "GET", "", "/", 421, ""},
	}
	for _, tt := range tests {
		w := ask(canonical(tt.public, named("inside")), tt.method, tt.host, tt.target)
		if w.Code != tt.status || w.Header().Get("Location") != tt.location {
			t.Errorf("%s %s at %q of %s: %d to %q, want %d to %q",
				tt.method, tt.target, tt.host, tt.public, w.Code, w.Header().Get("Location"), tt.status, tt.location)
		}
		if inside := w.Body.String() == "inside"; inside != (tt.status == 200) {
			t.Errorf("%s %s at %q: inside is %v", tt.method, tt.target, tt.host, inside)
		}
		hsts := w.Header().Get("Strict-Transport-Security") != ""
		if hsts != strings.HasPrefix(tt.public, "https:") {
			t.Errorf("%s: Strict-Transport-Security is %v", tt.public, hsts)
		}
	}
}

// TestRequestLog holds that what a request carries doesn't reach the log.
func TestRequestLog(t *testing.T) {
	var out bytes.Buffer
	h := logged(slog.New(slog.NewTextHandler(&out, nil)), nil, named("x"))
	for _, path := range []string{
		"/connect/s3cr3t", "/s3cr3t", "/mcp/s3cr3t", "/callback/github?code=s3cr3t&state=s3cr3t", "/.well-known/s3cr3t",
		"/authorize?login_hint=s3cr3t", "/signin/callback?code=s3cr3t", "/.well-known/oauth-protected-resource/s3cr3t",
	} {
		req := httptest.NewRequest("GET", path, nil)
		req.Header.Set("Authorization", "Bearer s3cr3t")
		req.Header.Set("Cookie", "session=s3cr3t")
		h.ServeHTTP(httptest.NewRecorder(), req)
	}
	if strings.Contains(out.String(), "s3cr3t") {
		t.Errorf("the log shows what it must not:\n%s", out.String())
	}
	for _, want := range []string{"path=/connect/…", "path=/…", "path=/mcp/…", "path=/authorize ", "path=/signin/…", "status=200"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, out.String())
		}
	}
}

func TestOwnIssuerTransport(t *testing.T) {
	issuer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Host", r.Host)
		w.WriteHeader(http.StatusCreated)
		w.Header().Set("X-Late", "no")
		fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
	})
	client := http.Client{Transport: ownIssuer{"https://x.example", issuer}}
	res, err := client.Post("https://x.example/token?a=b", "text/plain", strings.NewReader("body"))
	check(t, err)
	body, _ := io.ReadAll(res.Body)
	if got := string(body); got != "POST /token?a=b body" || res.StatusCode != 201 || res.Header.Get("X-Host") != "x.example" || res.Header.Get("X-Late") != "" {
		t.Errorf("got %d %q %v", res.StatusCode, got, res.Header)
	}
	for _, elsewhere := range []string{"https://y.example/jwks", "http://x.example/jwks", "https://x.example:8443/jwks"} {
		if _, err := client.Get(elsewhere); err == nil {
			t.Errorf("%s was answered by our own issuer", elsewhere)
		}
	}
}

// TestDrain holds that a running request ends well when the server is stopped, and
// that one which doesn't end is cut off.
func TestDrain(t *testing.T) {
	t.Run("finishes", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		got := serveAndAsk(t, ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			stop()
			for accepts(r.Host) { // until the server is stopping
				runtime.Gosched()
			}
			fmt.Fprint(w, "finished")
		}))
		if got != "finished" {
			t.Errorf("the request got %q", got)
		}
	})
	t.Run("is cut off", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		start := time.Now()
		got := serveAndAsk(t, ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			stop()
			select {
			case <-r.Context().Done():
			case <-time.After(drainTime + 10*time.Second):
			}
		}))
		if took := time.Since(start); got != "" || took > drainTime+3*time.Second {
			t.Errorf("got %q after %s", got, took)
		}
	})
}

// accepts reports whether somebody listens on addr.
func accepts(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// serveAndAsk serves h until ctx ends and returns what one request got.
func serveAndAsk(t *testing.T, ctx context.Context, h http.Handler) string {
	t.Helper()
	l, err := listen(ctx, "127.0.0.1:0")
	check(t, err)
	ended := make(chan error, 1)
	go func() { ended <- serveHTTP(ctx, l, h, testLog(t)) }()
	body := ""
	if res, err := http.Get("http://" + l.Addr().String()); err == nil {
		b, _ := io.ReadAll(res.Body)
		body = string(b)
		res.Body.Close()
	}
	check(t, <-ended)
	return body
}

// A tool's progress is told while it works, so a flush passes what logs requests.
func TestLoggedRequestsCanBeFlushed(t *testing.T) {
	rec := httptest.NewRecorder()
	h := logged(slog.New(slog.DiscardHandler), nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		check(t, http.NewResponseController(w).Flush())
	}))
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/mcp", nil))
	if !rec.Flushed {
		t.Error("the flush went nowhere")
	}
}
