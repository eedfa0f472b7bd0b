package tools

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// String is the rule as people and the audit record see it: "GET /user/repos".
func (r Rule) String() string { return r.Method + " " + r.Path }

// Reads reports whether the rule can change nothing at the provider.
func (r Rule) Reads() bool {
	return r.Safe || r.Method == http.MethodGet || r.Method == http.MethodHead
}

var (
	methods = []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	}
	// hostName is a public DNS name in lower case: no port, no path, no address.
	hostName  = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?$`)
	literal   = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)
	wildcard  = regexp.MustCompile(`^\{[a-zA-Z_]+\}$`)
	remainder = regexp.MustCompile(`^\{[a-zA-Z_]+\.\.\.\}$`)
	queryName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)
	// actingQuery are parameters with which providers let a request choose whose
	// credential acts, or what method it really is.
	actingQuery = []string{
		"access_token", "oauth_token", "private_token", "job_token", "key", "api_key", "client_id", "client_secret",
		"authuser", "quotauser", "userip", "impersonate", "sudo", "method", "_method",
	}
)

// check says what makes the rule unsafe.
func (r Rule) check() error {
	if !slices.Contains(methods, r.Method) {
		return fmt.Errorf("%q is no method in capitals", r.Method)
	}
	if r.Safe && r.Method != http.MethodPost {
		return fmt.Errorf("%s is safe or not by itself", r.Method)
	}
	if !hostName.MatchString(r.Host) {
		return fmt.Errorf("%q is no plain host name", r.Host)
	}
	if err := checkTemplate(r.Path); err != nil {
		return err
	}
	for i, name := range r.Query {
		if !queryName.MatchString(name) || slices.Contains(actingQuery, strings.ToLower(name)) {
			return fmt.Errorf("%q may not be a query name", name)
		}
		if slices.Contains(r.Query[:i], name) {
			return fmt.Errorf("query name %q is there twice", name)
		}
	}
	return r.checkRedirects()
}

func checkTemplate(path string) error {
	segments, ok := strings.CutPrefix(path, "/")
	if !ok {
		return errors.New("the path must begin with a slash")
	}
	list := strings.Split(segments, "/")
	for i, segment := range list {
		isLiteral := literal.MatchString(segment) && segment != "." && segment != ".."
		isRest := remainder.MatchString(segment)
		if !isLiteral && !isRest && !wildcard.MatchString(segment) {
			return fmt.Errorf("%q is neither a plain segment nor a {name} or {name...}", segment)
		}
		if isRest && i != len(list)-1 {
			return fmt.Errorf("%q stands for the rest of the path, so it must be the last", segment)
		}
		if i == 0 && !isLiteral {
			return errors.New("the first segment must be plain: the rule would match nearly everything")
		}
	}
	return nil
}

// Match is the rule of the contract that allows req, or an error that says what
// about req is outside of it. It reads method, scheme (https only), host, Host,
// escaped path, query names and headers (an allow-list without
// X-HTTP-Method-Override, Authorization or Cookie), and never the body. A query
// name may repeat, because the contract bounds names and not values. The error
// holds no query or header value.
func Match(contract []Rule, req *http.Request) (Rule, error) {
	rule, err := match(contract, req)
	if err != nil {
		return Rule{}, fmt.Errorf("outside the tool's contract: %w", err)
	}
	return rule, nil
}

func match(contract []Rule, req *http.Request) (Rule, error) {
	if req == nil || req.URL == nil {
		return Rule{}, errors.New("no URL")
	}
	if err := checkTarget(req); err != nil {
		return Rule{}, err
	}
	path, err := safePath(req.URL)
	if err != nil {
		return Rule{}, err
	}
	names, err := queryNames(req.URL.RawQuery)
	if err != nil {
		return Rule{}, err
	}
	if err := checkHeaders(req); err != nil {
		return Rule{}, err
	}
	return find(contract, req, path, names)
}

// find is the first rule that allows the request, which is well-formed by now.
func find(contract []Rule, req *http.Request, path string, names []string) (Rule, error) {
	err := fmt.Errorf("%q https://%s%s", req.Method, req.URL.Host, path)
	for _, r := range contract {
		if r.Method != req.Method || r.Host != req.URL.Host || !fits(r.Path, path) {
			continue
		}
		i := slices.IndexFunc(names, func(n string) bool { return !slices.Contains(r.Query, n) })
		if i < 0 {
			return r, nil
		}
		err = fmt.Errorf("query name %s at %s", quoted(names[i]), r)
	}
	return Rule{}, err
}

// fits reports whether the escaped path, which safePath made, is one of template's.
func fits(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if last := len(want) - 1; remainder.MatchString(want[last]) && len(got) > len(want) {
		got = got[:len(want)] // safePath vouches for each of the others
	}
	return slices.EqualFunc(want, got, func(w, g string) bool {
		return w == g || strings.HasPrefix(w, "{")
	})
}

// checkTarget holds everything about where and how the request goes but its path.
func checkTarget(req *http.Request) error {
	u := req.URL
	switch {
	case u.Scheme != "https":
		return fmt.Errorf("scheme %q: only https", u.Scheme)
	case u.User != nil:
		return errors.New("a user in the URL")
	case u.Opaque != "":
		return errors.New("an opaque URL")
	case req.Host != "" && req.Host != u.Host:
		return fmt.Errorf("the header Host %q is not the URL's %q", req.Host, u.Host)
	case len(req.TransferEncoding) > 0 || len(req.Trailer) > 0:
		return errors.New("a transfer encoding or trailers of its own")
	case (Rule{Method: req.Method}).Reads() && hasBody(req):
		return fmt.Errorf("%s with a body", req.Method)
	}
	return nil
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// safePath is the path as it would be sent, if every reader of it must understand
// the same segments: no empty ones, no dot segments, and no escape that a lenient
// reader could take for a separator, a dot, or another escape.
func safePath(u *url.URL) (string, error) {
	path := u.EscapedPath()
	if u.RawPath != "" && u.RawPath != path {
		return "", errors.New("a raw path that is not the path")
	}
	plain, err := url.PathUnescape(path)
	if err != nil || !utf8.ValidString(plain) {
		return "", errors.New("a path that is not valid UTF-8")
	}
	segments, ok := strings.CutPrefix(path, "/")
	if !ok {
		return "", errors.New("a path without a slash in front")
	}
	for segment := range strings.SplitSeq(segments, "/") {
		if err := safeSegment(segment); err != nil {
			return "", err
		}
	}
	return path, nil
}

func safeSegment(escaped string) error {
	if escaped == "" || escaped == "." || escaped == ".." {
		return fmt.Errorf("path segment %q", escaped)
	}
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		return errors.New("a broken escape in the path")
	}
	if strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`/\;%`, r) }) {
		return errors.New("a separator, an escape or a control character within a path segment")
	}
	if strings.Count(plain, ".") != strings.Count(escaped, ".") {
		return errors.New("an escaped dot in the path")
	}
	return nil
}

// queryNames are the parameters of a raw query that every reader parses alike.
func queryNames(raw string) ([]string, error) {
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' || r == ';' || r == '#' }) {
		return nil, errors.New("a query with a character that must be escaped")
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("a query that doesn't parse")
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// headers may be set by a tool's client library. There is nothing among them that
// carries authority, changes the method or names another host.
var headers = []string{
	"Accept", "Content-Type", "If-Match", "If-None-Match", "User-Agent",
	"X-Github-Api-Version", "X-Goog-Api-Client",
}

// checkHeaders looks names up as they are, so that a name that isn't in canonical
// form is refused too.
func checkHeaders(req *http.Request) error {
	for name, values := range req.Header {
		if !slices.Contains(headers, name) {
			return fmt.Errorf("header %s", quoted(name))
		}
		if len(values) > 1 {
			return fmt.Errorf("header %s more than once", name)
		}
		if strings.ContainsFunc(strings.Join(values, ""), func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("a control character in header %s", name)
		}
	}
	return checkContentType(req.Header.Get("Content-Type"), hasBody(req))
}

// checkContentType allows JSON alone: a form body could carry a method override
// ("_method"), and bodies are not read here. A body without a type is refused too,
// since some servers (Rack, for one) take it for a form.
func checkContentType(value string, body bool) error {
	if value == "" && !body {
		return nil
	}
	kind, _, err := mime.ParseMediaType(value)
	if err != nil || kind != "application/json" {
		return errors.New("a body that is not application/json")
	}
	return nil
}
