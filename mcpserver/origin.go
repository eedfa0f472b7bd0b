package mcpserver

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// A gate lists the Host and Origin values that are ours. Both are compared whole:
// a page that rebinds its own name to our address still sends its own name.
type gate struct {
	public  string // our origin, as configured, without a trailing slash
	hosts   []string
	origins []string
}

func newGate(publicURL string, allowed []string) (gate, error) {
	public, err := parseOrigin(publicURL)
	if err != nil {
		return gate{}, fmt.Errorf("PublicURL: %w", err)
	}
	g := gate{public: strings.TrimSuffix(publicURL, "/")}
	for _, name := range names(public) {
		g.hosts = append(g.hosts, hostForms(public.Scheme, name)...)
		g.origins = append(g.origins, originOf(public.Scheme, name))
	}
	for _, raw := range allowed {
		u, err := parseOrigin(raw)
		if err != nil {
			return gate{}, fmt.Errorf("AllowedOrigins: %w", err)
		}
		g.origins = append(g.origins, originOf(u.Scheme, u.Host))
	}
	return g, nil
}

// names are the hosts under which u is ours: on loopback all of its names.
func names(u *url.URL) []string {
	if !isLoopback(u.Hostname()) {
		return []string{u.Host}
	}
	var all []string
	for _, name := range []string{u.Hostname(), "localhost", "127.0.0.1", "::1"} {
		if port := u.Port(); port != "" {
			all = append(all, net.JoinHostPort(name, port))
		} else if strings.Contains(name, ":") {
			all = append(all, "["+name+"]")
		} else {
			all = append(all, name)
		}
	}
	return all
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// hostForms are host with and without the scheme's default port.
func hostForms(scheme, host string) []string {
	bare := strings.TrimSuffix(strings.ToLower(host), defaultPort(scheme))
	if bare == strings.ToLower(host) && hasPort(host) {
		return []string{bare}
	}
	return []string{bare, bare + defaultPort(scheme)}
}

func hasPort(host string) bool {
	_, _, err := net.SplitHostPort(host)
	return err == nil
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return ":443"
	}
	return ":80"
}

// originOf is an origin in the form that browsers send (RFC 6454, section 6.2).
func originOf(scheme, host string) string {
	return strings.ToLower(scheme) + "://" + strings.TrimSuffix(strings.ToLower(host), defaultPort(scheme))
}

func parseOrigin(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%q is not an origin like https://host", raw)
	}
	return u, nil
}

// knownHost refuses requests for another host: the guard against DNS rebinding.
func (s *server) knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(s.gate.hosts, strings.ToLower(r.Host)) {
			http.Error(w, "This is not the host you asked for; the public URL is "+s.gate.public+".", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sameOrigin refuses browsers on foreign pages, whatever the method, and answers
// the preflights of allowed ones. Without an Origin it isn't a browser's fetch.
func (s *server) sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, origin := range r.Header.Values("Origin") {
			if !slices.Contains(s.gate.origins, strings.ToLower(origin)) {
				http.Error(w, "This origin may not call the MCP endpoint.", http.StatusForbidden)
				return
			}
			allowOrigin(w.Header(), origin)
		}
		if r.Method == http.MethodOptions {
			preflight(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func allowOrigin(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Mcp-Session-Id")
	h.Add("Vary", "Origin")
}

// preflight allows what MCP clients send. Headers are mirrored, since tools may
// name Mcp-Param-* headers of their own; cookies are never allowed.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Allow", "POST")
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", "POST, GET, DELETE")
		h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}
