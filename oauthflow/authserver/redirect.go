package authserver

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const maxURL = 2048

// What a redirect URI may consist of. The host is so narrow because it ends up in
// a Content-Security-Policy and on the consent page.
var (
	printable = regexp.MustCompile(`^[!-~]+$`)
	plainHost = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
)

// dangerous schemes run code in the browser, or hand the code to something that
// isn't an app of the person's.
var dangerous = []string{
	"about", "blob", "chrome", "chrome-extension", "content", "data", "file", "filesystem",
	"ftp", "intent", "jar", "javascript", "livescript", "mailto", "mhtml", "mocha", "moz-extension",
	"resource", "search", "search-ms", "sms", "ssh", "tel", "urn", "vbscript", "view-source", "ws", "wss",
}

// checkRedirect says what is wrong with a redirect URI: https anywhere, http on
// loopback only (RFC 8252, section 7.3), or an app's own scheme (section 7.1).
func checkRedirect(raw string) error {
	if len(raw) > maxURL || !printable.MatchString(raw) || strings.ContainsAny(raw, `\"<>`) {
		return errors.New("a redirect URI must be a plain URI of at most 2048 characters")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return errors.New("a redirect URI must be absolute, like https://app.example.com/callback")
	}
	if strings.Contains(raw, "#") || u.User != nil {
		return errors.New("a redirect URI must have no fragment and no user name")
	}
	return checkScheme(u)
}

func checkScheme(u *url.URL) error {
	switch {
	case u.Scheme == "https" && plainHost.MatchString(u.Host):
		return nil
	case u.Scheme == "https":
		return errors.New("a redirect URI needs a plain host name")
	case u.Scheme == "http" && isLoopback(u) && plainHost.MatchString(u.Host):
		return nil
	case u.Scheme == "http":
		return errors.New("a redirect URI may use http on 127.0.0.1, [::1] and localhost only")
	case slices.Contains(dangerous, u.Scheme) || strings.HasPrefix(u.Scheme, "ms-"):
		return errors.New("a redirect URI may not use the scheme " + u.Scheme)
	}
	return nil
}

func isLoopback(u *url.URL) bool {
	host := u.Hostname()
	return u.Scheme == "http" && (host == "127.0.0.1" || host == "::1" || host == "localhost")
}

// matchRedirect reports whether asked is one of registered: character by
// character, but for the port of an http redirect to loopback, which an app may
// choose anew each time (RFC 8252, section 7.3).
func matchRedirect(registered []string, asked string) bool {
	if slices.Contains(registered, asked) {
		return true
	}
	host, rest, ok := splitLoopback(asked)
	return ok && slices.ContainsFunc(registered, func(r string) bool {
		h, p, ok := splitLoopback(r)
		return ok && h == host && p == rest
	})
}

// splitLoopback takes the port out of an http URI on loopback. It works on the
// text itself, so that no parser's reading of odd URIs comes in.
func splitLoopback(raw string) (host, rest string, ok bool) {
	after, ok := strings.CutPrefix(raw, "http://")
	if !ok {
		return "", "", false
	}
	authority := after
	if i := strings.IndexAny(after, "/?#"); i >= 0 {
		authority, rest = after[:i], after[i:]
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost"} {
		port, found := strings.CutPrefix(authority, host)
		if found && (port == "" || isPort(port)) {
			return host, rest, true
		}
	}
	return "", "", false
}

// isPort reports whether s is ":" and a port number.
func isPort(s string) bool {
	digits, ok := strings.CutPrefix(s, ":")
	n, err := strconv.ParseUint(digits, 10, 16)
	return ok && err == nil && n > 0
}

// withParameters is the redirect URI with params behind its own query.
func withParameters(redirectURI string, params url.Values) string {
	separator := "?"
	if strings.Contains(redirectURI, "?") {
		separator = "&"
	}
	return redirectURI + separator + params.Encode()
}

// siteOf is the site that a redirect leads to, or "" where it stays on the
// person's computer.
func siteOf(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	if err != nil || isLoopback(u) || u.Scheme != "https" {
		return ""
	}
	return u.Host
}

// redirectLabel says to a person where a redirect leads.
func redirectLabel(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	switch {
	case err != nil:
		return redirectURI
	case isLoopback(u):
		return "a program on this computer (" + u.Host + ")"
	case u.Scheme == "https":
		return u.Host
	}
	return "an app on this computer (" + u.Scheme + ":)"
}
