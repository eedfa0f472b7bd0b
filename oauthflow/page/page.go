// Package page writes the pages that people see: one layout, no JavaScript, a
// strict Content-Security-Policy, no framing, no caching. The browser's face
// (oauthflow) and the built-in authorization server share it, so that there is
// one place to get these headers wrong, and one Limiter for strangers.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed style.css
var style string

//go:embed layout.html
var layoutHTML string

var layout = template.Must(template.New("layout").Parse(layoutHTML))

// A Page is one page's content.
type Page struct {
	Title string
	// Demo shows the banner that says that the people here are made up.
	Demo bool
	// SignedIn names who is signed in; "" for nobody.
	SignedIn string
	// Body is an already rendered fragment, from Render.
	Body template.HTML
	// FormTargets are the URLs that a form on the page may end up at: a POST's
	// redirects count for form-action in Chromium.
	FormTargets []string
}

// Render runs the named template over data.
func Render(t *template.Template, name string, data any) (template.HTML, error) {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, data); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil //nolint:gosec // html/template has escaped it
}

// Write sends p with that status.
func Write(w http.ResponseWriter, status int, p Page) error {
	var b bytes.Buffer
	err := layout.Execute(&b, struct {
		Page
		Style template.CSS
	}{p, template.CSS(style)}) //nolint:gosec // our own embedded file
	if err != nil {
		return err
	}
	h := w.Header()
	Harden(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy(p.FormTargets))
	w.WriteHeader(status)
	_, err = w.Write(b.Bytes())
	return err
}

// Harden sets the headers that every answer to a browser carries, redirects too.
// Cross-Origin-Opener-Policy is not one of them: clients in a browser run the
// authorization server's part in a popup and wait for its message at the end, from
// which that policy would cut them off for good. Our other pages set it themselves.
func Harden(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", policy(nil))
}

// policy allows our own style sheet by its hash and nothing else.
func policy(formTargets []string) string {
	sum := sha256.Sum256([]byte(style))
	return strings.Join([]string{
		"default-src 'none'",
		"style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		"form-action " + strings.Join(append([]string{"'self'"}, sources(formTargets)...), " "),
		"frame-ancestors 'none'",
		"base-uri 'none'",
	}, "; ")
}

// sources are the source expressions under which Chromium finds urls.
func sources(urls []string) []string {
	list := make([]string, 0, len(urls))
	for _, raw := range urls {
		list = append(list, source(raw))
	}
	return list
}

// source is an origin, or a scheme alone for an app's own, and for IPv6 hosts,
// which CSP doesn't know.
func source(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || strings.ContainsAny(u.Host, ";,'* ") { // which would say more than a host
		return "'none'"
	}
	if (u.Scheme != "https" && u.Scheme != "http") || strings.HasPrefix(u.Host, "[") {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}

// Cookie is a host-only, HttpOnly, SameSite=Lax cookie for the whole of public.
// Over https it has the __Host- prefix; plain HTTP exists on loopback only, where
// browsers refuse that prefix, so there the name has none. maxAge is in seconds;
// negative deletes.
func Cookie(public *url.URL, name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: CookieName(public, name), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: public.Scheme == "https", SameSite: http.SameSiteLaxMode,
	}
}

// CookieName is the name under which Cookie keeps name. Cookies don't know ports,
// so on loopback the port is part of it.
func CookieName(public *url.URL, name string) string {
	if public.Scheme == "https" {
		return "__Host-" + name
	}
	return name + "-" + public.Port()
}
