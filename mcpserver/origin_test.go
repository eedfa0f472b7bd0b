package mcpserver

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHostAndOrigin(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AllowedOrigins = []string{"https://app.example"} })
	port := w.url[strings.LastIndex(w.url, ":"):]
	cases := map[string]struct {
		host, origin string
		ok           bool
	}{
		"program":              {"", "", true},
		"own page":             {"", w.url, true},
		"localhost":            {"localhost" + port, "http://localhost" + port, true},
		"IPv6 loopback":        {"[::1]" + port, "", true},
		"allowed page":         {"", "https://app.example", true},
		"foreign page":         {"", "https://evil.example", false},
		"sandboxed page":       {"", "null", false},
		"allowed name, http":   {"", "http://app.example", false},
		"allowed name, longer": {"", "https://app.example.evil.example", false},
		"own name, other port": {"", "http://127.0.0.1:1", false},
		"rebound host":         {"evil.example" + port, "", false},
		"rebound, own origin":  {"evil.example" + port, w.url, false},
		"other port":           {"127.0.0.1:1", "", false},
	}
	for name, c := range cases {
		for method, allowed := range map[string]int{"POST": 200, "GET": 405, "DELETE": 405, "OPTIONS": 204} {
			header := map[string]string{"Host": c.host}
			if c.origin != "" {
				header["Origin"] = c.origin
			}
			want := allowed
			if !c.ok {
				want = http.StatusForbidden
			}
			r := w.do(ask{method: method, token: w.issuer.Token("alice"), header: header, body: listTools})
			if r.status != want {
				t.Errorf("%s, %s: %d, want %d", name, method, r.status, want)
			}
			if got := r.header.Get("Access-Control-Allow-Origin"); c.ok && got != c.origin || !c.ok && got != "" {
				t.Errorf("%s, %s: allowed origin %q", name, method, got)
			}
		}
	}
}

func TestPublicNames(t *testing.T) {
	cases := map[string]struct{ yes, no []string }{
		"https://latchkey.example": {
			[]string{"latchkey.example", "latchkey.example:443"},
			[]string{"latchkey.example:80", "localhost", "127.0.0.1", "www.latchkey.example", ""},
		},
		"https://Latchkey.example:8443/": {[]string{"latchkey.example:8443"}, []string{"latchkey.example"}},
		"http://localhost:8420":          {[]string{"127.0.0.1:8420", "[::1]:8420", "localhost:8420"}, []string{"localhost", "localhost:80"}},
		"http://127.0.0.1":               {[]string{"127.0.0.1", "localhost:80", "[::1]"}, []string{"127.0.0.2"}},
	}
	for public, c := range cases {
		g, err := newGate(public, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := &server{gate: g}
		status := func(host string) int {
			rec := httptest.NewRecorder()
			s.knownHost(http.NotFoundHandler()).ServeHTTP(rec, &http.Request{Host: host})
			return rec.Code
		}
		for _, host := range c.yes {
			if status(host) == http.StatusForbidden {
				t.Errorf("%s refuses Host %q", public, host)
			}
		}
		for _, host := range c.no {
			if status(host) != http.StatusForbidden {
				t.Errorf("%s accepts Host %q", public, host)
			}
		}
	}
}
