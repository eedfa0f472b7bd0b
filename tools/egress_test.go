package tools_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
)

var contract = []tools.Rule{
	{Method: "GET", Host: "api.github.com", Path: "/search/issues", Query: []string{"q", "page"}},
	{Method: "POST", Host: "api.github.com", Path: "/repos/{owner}/{repo}/issues"},
	{Method: "GET", Host: "www.googleapis.com", Path: "/calendar/v3/calendars/{calendar}/events", Query: []string{"timeMin"}},
	{Method: "GET", Host: "www.googleapis.com", Path: "/calendar/v3/calendars/{calendar}/events", Query: []string{"q"}},
	{Method: "GET", Host: "api.github.com", Path: "/repos/{owner}/{repo}/issues/{number}"},
	{Method: "GET", Host: "api.github.com", Path: "/repos/{owner}/{repo}/contents/{path...}", Query: []string{"ref"}},
}

func request(t testing.TB, method, target string) *http.Request {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{}}
}

func TestMatchAllows(t *testing.T) {
	for target, want := range map[string]string{
		"GET https://api.github.com/search/issues":                                                  "GET /search/issues",
		"GET https://api.github.com/search/issues?":                                                 "GET /search/issues",
		"GET https://api.github.com/search/issues?q=a+b%3Bc&page=2":                                 "GET /search/issues",
		"GET https://api.github.com/search/issues?q=a&q=b":                                          "GET /search/issues",
		"GET https://api.github.com/search/issues?q=a#fragment":                                     "GET /search/issues",
		"GET https://api.github.com/repos/a/b/contents/c":                                           "GET /repos/{owner}/{repo}/contents/{path...}",
		"GET https://api.github.com/repos/a/b/contents/c/d%20e/.f/g.go?ref=feature/x":               "GET /repos/{owner}/{repo}/contents/{path...}",
		"POST https://api.github.com/repos/octo.cat/.github/issues":                                 "POST /repos/{owner}/{repo}/issues",
		"POST https://api.github.com/repos/a/.../issues":                                            "POST /repos/{owner}/{repo}/issues",
		"GET https://www.googleapis.com/calendar/v3/calendars/primary/events?timeMin=x":             "GET /calendar/v3/calendars/{calendar}/events",
		"GET https://www.googleapis.com/calendar/v3/calendars/primary/events?q=x":                   "GET /calendar/v3/calendars/{calendar}/events",
		"GET https://www.googleapis.com/calendar/v3/calendars/en.us%23holiday%40group.x.com/events": "GET /calendar/v3/calendars/{calendar}/events",
		"GET https://www.googleapis.com/calendar/v3/calendars/b%C3%B6b@x.com/events":                "GET /calendar/v3/calendars/{calendar}/events",
	} {
		method, address, _ := strings.Cut(target, " ")
		rule, err := tools.Match(contract, request(t, method, address))
		if err != nil || rule.String() != want {
			t.Errorf("%s: got %q, %v", target, rule, err)
		}
	}
}

func TestMatchRefusesTargets(t *testing.T) {
	for target, want := range map[string]string{
		"POST https://api.github.com/search/issues":                                   `"POST"`,
		"get https://api.github.com/search/issues":                                    `"get"`,
		" https://api.github.com/search/issues":                                       `""`,
		"HEAD https://api.github.com/search/issues":                                   `"HEAD"`,
		"GET http://api.github.com/search/issues":                                     "only https",
		"GET HTTPS://api.github.com.evil.example/search/issues":                       "evil",
		"GET ftp://api.github.com/search/issues":                                      "only https",
		"GET //api.github.com/search/issues":                                          "only https",
		"GET /search/issues":                                                          "only https",
		"GET https:///search/issues":                                                  "https:///",
		"GET https:search/issues":                                                     "opaque",
		"GET https://api.github.com:443/search/issues":                                "api.github.com:443",
		"GET https://API.github.com/search/issues":                                    "API",
		"GET https://api.github.com./search/issues":                                   "api.github.com.",
		"GET https://evil.example/search/issues":                                      "evil",
		"GET https://www.googleapis.com/search/issues":                                "googleapis",
		"GET https://api.github.com@evil.example/search/issues":                       "user",
		"GET https://me:pw@api.github.com/search/issues":                              "user",
		"GET https://@api.github.com/search/issues":                                   "user",
		"GET https://api.github.com":                                                  "slash",
		"GET https://api.github.com/":                                                 "segment",
		"GET https://api.github.com/search":                                           "/search",
		"GET https://api.github.com/search/issues/":                                   "segment",
		"GET https://api.github.com/search/issues/1":                                  "issues/1",
		"GET https://api.github.com//search/issues":                                   "segment",
		"GET https://api.github.com/Search/issues":                                    "Search",
		"GET https://api.github.com/x/../search/issues":                               "segment",
		"GET https://api.github.com/./search/issues":                                  "segment",
		"GET https://api.github.com/x/%2e%2e/search/issues":                           "escaped dot",
		"GET https://api.github.com/x/%2E./search/issues":                             "escaped dot",
		"GET https://api.github.com/%73earch/issues":                                  "%73earch",
		"POST https://api.github.com/repos/a/b%2Fc/issues":                            "separator",
		"POST https://api.github.com/repos/a/b%2fc/issues":                            "separator",
		"POST https://api.github.com/repos/a/..%2Fb/issues":                           "separator",
		"POST https://api.github.com/repos/a/b%5Cc/issues":                            "separator",
		`POST https://api.github.com/repos/a/b\c/issues`:                              "raw path",
		"POST https://api.github.com/repos/a/b%252Fc/issues":                          "escape",
		"POST https://api.github.com/repos/a/b;x=1/issues":                            "separator",
		"POST https://api.github.com/repos/a/..;/issues":                              "separator",
		"POST https://api.github.com/repos/a/b%3Bc/issues":                            "separator",
		"POST https://api.github.com/repos/a/b%00/issues":                             "control",
		"POST https://api.github.com/repos/a/b%0d%0aX/issues":                         "control",
		"POST https://api.github.com/repos/a/b%7f/issues":                             "control",
		"POST https://api.github.com/repos/a/%C0%AF/issues":                           "UTF-8",
		"POST https://api.github.com/repos/a/%ff/issues":                              "UTF-8",
		"POST https://api.github.com/repos//b/issues":                                 "segment",
		"POST https://api.github.com/repos/a/./issues":                                "segment",
		"POST https://api.github.com/repos/a/../issues":                               "segment",
		"POST https://api.github.com/repos/../a/issues":                               "segment",
		"POST https://api.github.com/repos/a/b/c/issues":                              "b/c",
		"GET https://api.github.com/repos/a/b/issues/1/comments":                      "comments",
		"GET https://api.github.com/repos/a/b/contents":                               "contents",
		"GET https://api.github.com/repos/a/b/contents/":                              "segment",
		"GET https://api.github.com/repos/a/b/contents/c/":                            "segment",
		"GET https://api.github.com/repos/a/b/contents/c//d":                          "segment",
		"GET https://api.github.com/repos/a/b/contents/c/../../issues":                "segment",
		"GET https://api.github.com/repos/a/b/contents/c/./d":                         "segment",
		"GET https://api.github.com/repos/a/b/contents/c/%2e%2e/d":                    "escaped dot",
		"GET https://api.github.com/repos/a/b/contents/c%2Fd":                         "separator",
		"GET https://api.github.com/repos/a/b/contents/c/d%2f..":                      "separator",
		"GET https://api.github.com/repos/a/b/contents/c/d?x=1":                       "query name",
		"PUT https://api.github.com/repos/a/b/contents/c":                             "PUT",
		"POST https://api.github.com/repos/a/b/issues?q=x":                            `"q" at POST /repos`,
		"GET https://api.github.com/search/issues?q=a&access_token=x":                 `"access_token"`,
		"GET https://api.github.com/search/issues?Q=a":                                `"Q"`,
		"GET https://api.github.com/search/issues?q[]=a":                              `"q[]"`,
		"GET https://api.github.com/search/issues?=a":                                 `""`,
		"GET https://api.github.com/search/issues?q=a;access_token=x":                 "escaped",
		"GET https://api.github.com/search/issues?q=%zz":                              "parse",
		"GET https://api.github.com/search/issues?q+=a":                               `"q "`,
		"GET https://www.googleapis.com/calendar/v3/calendars/p/events?q=a&timeMin=b": "query name",
	} {
		method, address, _ := strings.Cut(target, " ")
		rule, err := tools.Match(contract, request(t, method, address))
		if err == nil || rule.Method != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, %v; want an error with %q", target, rule, err, want)
		}
	}
}

// Requests that no parser would make, but a library could.
func TestMatchRefusesHandmadeRequests(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"no URL":             func(r *http.Request) { r.URL = nil },
		"another Host":       func(r *http.Request) { r.Host = "evil.example" },
		"Host with a port":   func(r *http.Request) { r.Host = "api.github.com:443" },
		"opaque":             func(r *http.Request) { r.URL.Opaque = "//evil.example/search/issues" },
		"a user":             func(r *http.Request) { r.URL.User = url.User("") },
		"raw path elsewhere": func(r *http.Request) { r.URL.RawPath = "/user/repos" },
		"raw path broken":    func(r *http.Request) { r.URL.RawPath = "/search/%issues" },
		"path with a query":  func(r *http.Request) { r.URL.Path = "/search/issues?access_token=x" },
		"dots in the path":   func(r *http.Request) { r.URL.Path = "/x/../search/issues" },
		"newline in path":    func(r *http.Request) { r.URL.Path = "/search/issues\r\nX: y" },
		"slash within":       func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/search/issues", "/search%2Fissues" },
		"newline in query":   func(r *http.Request) { r.URL.RawQuery = "q=a\r\nX: y" },
		"space in query":     func(r *http.Request) { r.URL.RawQuery = "q=a b" },
		"fragment in query":  func(r *http.Request) { r.URL.RawQuery = "q=a#b" },
		"high byte in query": func(r *http.Request) { r.URL.RawQuery = "q=\xff" },
		"body on GET":        func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) },
		"transfer encoding":  func(r *http.Request) { r.TransferEncoding = []string{"chunked"} },
		"trailers":           func(r *http.Request) { r.Trailer = http.Header{"X": nil} },
		"two Accepts":        func(r *http.Request) { r.Header["Accept"] = []string{"a", "b"} },
		"split header":       func(r *http.Request) { r.Header["Accept"] = []string{"a\r\nX: y"} },
		"form body":          func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
		"multipart body":     func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") },
		"broken type":        func(r *http.Request) { r.Header.Set("Content-Type", "application/json; x") },
	} {
		r := request(t, "GET", "https://api.github.com/search/issues")
		change(r)
		if rule, err := tools.Match(contract, r); err == nil {
			t.Errorf("%s: matched %s", name, rule)
		}
	}
	if _, err := tools.Match(contract, nil); err == nil {
		t.Error("no request: matched")
	}
	if _, err := tools.Match(nil, request(t, "GET", "https://api.github.com/search/issues")); err == nil {
		t.Error("no contract: matched")
	}
}

func TestMatchHeaders(t *testing.T) {
	for _, name := range []string{
		"Authorization", "Proxy-Authorization", "Cookie", "X-Http-Method-Override", "X-HTTP-Method-Override",
		"x-http-method-override", "X-Http-Method", "X-Method-Override", "Host", "X-Forwarded-Host", "X-Forwarded-For",
		"Forwarded", "X-Original-Url", "X-Rewrite-Url", "X-Goog-User-Project", "X-Goog-Api-Key", "X-Api-Key",
		"X-Github-Otp", "Private-Token", "Sudo", "Connection", "Upgrade", "Expect", "Te", "Trailer",
		"Transfer-Encoding", "Content-Length", "Referer", "Range", "X-Anything", "accept", "",
	} {
		r := request(t, "GET", "https://api.github.com/search/issues")
		r.Header[name] = []string{"hunter2"}
		_, err := tools.Match(contract, r)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	r := request(t, "GET", "https://api.github.com/search/issues")
	for _, name := range []string{"Accept", "User-Agent", "If-Match", "If-None-Match", "X-GitHub-Api-Version", "X-Goog-Api-Client"} {
		r.Header.Set(name, "x")
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	if _, err := tools.Match(contract, r); err != nil {
		t.Error(err)
	}
}

// A server may take a body without a type for a form, and "_method" in it for the
// method.
func TestMatchRefusesBodyWithoutType(t *testing.T) {
	for value, want := range map[string]bool{"": false, "application/json": true} {
		r := request(t, "POST", "https://api.github.com/repos/a/b/issues")
		r.Body = io.NopCloser(strings.NewReader("_method=DELETE"))
		r.Header.Set("Content-Type", value)
		if _, err := tools.Match(contract, r); (err == nil) != want {
			t.Errorf("Content-Type %q: %v", value, err)
		}
	}
}

// An error may be shown and logged, so it holds no value of a query.
func TestMatchErrorHidesValues(t *testing.T) {
	_, err := tools.Match(contract, request(t, "GET", "https://api.github.com/search/issues?q=hunter2&access_token=hunter2"))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// FuzzMatch holds what is sent against what a strict reader of the wire sees.
func FuzzMatch(f *testing.F) {
	f.Add("GET", "https", "api.github.com", "/search/issues", "", "q=x", "Accept")
	f.Add("POST", "https", "api.github.com", "/repos/a/b/issues", "/repos/a/b%2Fc/issues", "", "Content-Type")
	f.Add("GET", "https", "www.googleapis.com", "/calendar/v3/calendars/a@b/events", "/calendar/v3/calendars/a%40b/events", "timeMin=1", "X")
	f.Add("GET", "https", "api.github.com", "/x/../search/issues", "/x/%2e%2e/search/issues", "q=1;a=2", "Cookie")
	f.Add("POST", "https", "api.github.com", "/repos/../b/issues", "", "", "Content-Type")
	f.Add("GET", "https", "api.github.com", "/repos/a/b/contents/c/../d", "", "ref=x", "Accept")
	f.Add("GET", "https", "api.github.com", "/repos/a/b/contents/c/d e", "", "", "Accept")
	f.Add("POST", "https", "api.github.com", "/repos/a/./issues", "", "", "Content-Type")
	f.Fuzz(func(t *testing.T, method, scheme, host, path, rawPath, rawQuery, header string) {
		req := &http.Request{
			Method: method, Header: http.Header{header: {"x"}},
			URL: &url.URL{Scheme: scheme, Host: host, Path: path, RawPath: rawPath, RawQuery: rawQuery},
		}
		if header == "Content-Type" {
			req.Header.Set(header, "application/json")
		}
		rule, err := tools.Match(contract, req)
		if err != nil {
			if rule.Method != "" {
				t.Fatalf("an error and the rule %s", rule)
			}
			return
		}
		checkMatched(t, rule, req)
	})
}

func checkMatched(t *testing.T, rule tools.Rule, req *http.Request) {
	t.Helper()
	sent, err := url.Parse(req.URL.String())
	if err != nil {
		t.Fatalf("matched what doesn't parse: %v", err)
	}
	if sent.Scheme != "https" || sent.Host != rule.Host || req.Method != rule.Method {
		t.Fatalf("%s matched %s %s", rule, req.Method, sent)
	}
	got, want := strings.Split(sent.Path, "/"), strings.Split(rule.Path, "/")
	rest := strings.HasSuffix(rule.Path, "...}")
	if len(got) != len(want) && (!rest || len(got) < len(want)) {
		t.Fatalf("%s matched the path %q, which a decoding reader splits otherwise", rule, sent.Path)
	}
	for i := range got {
		if dots := strings.Trim(got[i], ".") == "" && len(got[i]) < 3 && i > 0; dots {
			t.Fatalf("%s matched the path %q", rule, sent.Path)
		}
		if i < len(want) && !strings.HasPrefix(want[i], "{") && got[i] != want[i] {
			t.Fatalf("%s matched the path %q", rule, sent.Path)
		}
	}
	for name := range sent.Query() {
		if !strings.Contains(" "+strings.Join(rule.Query, " ")+" ", " "+name+" ") {
			t.Fatalf("%s matched the query %q", rule, sent.RawQuery)
		}
	}
	if strings.ContainsAny(sent.RequestURI(), "\r\n\x00 ;\\") || strings.Contains(sent.RequestURI(), "/../") {
		t.Fatalf("%s matched %q", rule, sent.RequestURI())
	}
}
