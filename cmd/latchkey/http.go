package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// routes puts the faces on one origin. auth is nil where the authorization server
// isn't ours.
func routes(cfg config, mcp, auth, pages http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcp)
	mux.Handle("/.well-known/oauth-protected-resource", mcp)
	mux.Handle("/.well-known/oauth-protected-resource/", mcp)
	if auth != nil {
		for _, path := range authPaths {
			mux.Handle(path, auth)
		}
	}
	mux.Handle("/", pages)
	outer := http.NewServeMux()
	outer.HandleFunc("GET /healthz", healthy)
	outer.Handle("/", canonical(cfg.Public, mux))
	return logged(cfg.Log, cfg.Hooks.Request, outer)
}

var authPaths = []string{
	"/authorize", "/authorize/", "/token", "/register", "/jwks",
	"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration",
}

func healthy(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }

// canonical serves only requests for public's host, so that no other name (DNS
// rebinding) reaches the pages or the tools. On loopback, a page asked for under
// another of the loopback's names redirects, because cookies are for one of them.
func canonical(public string, next http.Handler) http.Handler {
	u, err := url.Parse(public)
	if err != nil {
		u = &url.URL{}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u.Scheme == "https" {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case sameHost(u, r.Host):
			next.ServeHTTP(w, r)
		case reads && sameLoopback(u, r.Host):
			target := url.URL{Scheme: u.Scheme, Host: u.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
			http.Redirect(w, r, target.String(), http.StatusTemporaryRedirect)
		default:
			http.Error(w, "This server is "+public+" and answers to no other name.", http.StatusMisdirectedRequest)
		}
	})
}

// sameHost reports whether host, from a Host header, is u's, with or without the
// scheme's own port.
func sameHost(u *url.URL, host string) bool {
	port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return strings.EqualFold(strings.TrimSuffix(host, port), strings.TrimSuffix(u.Host, port))
}

// sameLoopback reports whether host is another loopback name of u's.
func sameLoopback(u *url.URL, host string) bool {
	name, port, err := net.SplitHostPort(host)
	return err == nil && isLoopback(u.Hostname()) && isLoopback(name) && port == u.Port()
}

// logged writes a line for each request: no query, no header, and of the path only
// what can't hold a secret.
//
// observe, which may be nil, is told the pattern that served the request.
func logged(log *slog.Logger, observe func(route string, status int), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, rec := time.Now(), &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("method", r.Method),
			slog.String("path", loggedPath(r.URL.Path)), slog.Int("status", rec.status),
			slog.Int64("ms", time.Since(start).Milliseconds()))
		if observe != nil {
			observe(r.Pattern, rec.status)
		}
	})
}

// loggedPath is path's first segment: what follows may be a ticket, and what we
// don't know may be anything.
func loggedPath(path string) string {
	first, rest, more := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "mcp", "authorize", "token", "register", "jwks", "connections", "signin", "signout", "healthz", "":
	case "approve", "callback", "clients", "connect", "disconnect", "forget":
	case ".well-known":
		if first, _, more = strings.Cut(rest, "/"); !strings.HasPrefix(first, "o") {
			return "/.well-known/…"
		}
		first = ".well-known/" + first
	default:
		return "/…"
	}
	if more {
		return "/" + first + "/…"
	}
	return "/" + first
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ownIssuer answers requests for our own origin from the handler that serves it
// there, and sends none elsewhere: behind a proxy, a process may not reach itself
// by its public name.
type ownIssuer struct {
	public  string
	handler http.Handler
}

// RoundTrip implements http.RoundTripper.
func (o ownIssuer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme+"://"+req.URL.Host != o.public {
		return nil, errors.New("not a URL of our own issuer: " + req.URL.Host)
	}
	in := req.Clone(req.Context())
	in.Host, in.RequestURI, in.RemoteAddr = req.URL.Host, req.URL.RequestURI(), "127.0.0.1:0"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	rec := &recorder{header: http.Header{}}
	o.handler.ServeHTTP(rec, in)
	rec.WriteHeader(http.StatusOK)
	return &http.Response{
		StatusCode: rec.status, Status: http.StatusText(rec.status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: rec.sent, Request: req,
		Body: io.NopCloser(&rec.body), ContentLength: int64(rec.body.Len()),
	}, nil
}

// recorder keeps one answer.
type recorder struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status, r.sent = status, r.header.Clone()
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// serveHTTP serves h on l until ctx ends, then lets running requests finish for a
// few seconds. A call that waits for a person is cut off.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute, // a tool call may wait 30 s for its person, then work
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		_ = server.Close()
	}
	return nil
}

const drainTime = 5 * time.Second
