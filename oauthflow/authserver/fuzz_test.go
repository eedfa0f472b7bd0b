package authserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/oauthflow/page"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// ask is h's answer to a request that needn't be one that net/http would send.
func ask(w *world, h http.Handler, method, target, query, kind, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "/", strings.NewReader(body))
	req.URL = &url.URL{Path: target, RawQuery: query}
	req.Host, req.RequestURI = strings.TrimPrefix(w.url, "http://"), target
	req.Header.Set("Content-Type", kind)
	got := httptest.NewRecorder()
	h.ServeHTTP(got, req)
	return got
}

var backToApp = regexp.MustCompile(`^(https://app\.example/callback|http://127\.0\.0\.1(:[0-9]+)?/callback)\?`)

// Whatever an authorization request says, a browser without a session gets no code,
// is sent nowhere but to a registered address, and sees nothing of it as markup.
func FuzzAuthorize(f *testing.F) {
	w := newWorld(f, nil)
	id, h := w.register(appRedirect, localRedirect), w.Handler()
	good := w.request("CLIENT", appRedirect)
	f.Add(good.Encode())
	f.Add(w.request("CLIENT", "http://127.0.0.1:7000/callback").Encode())
	f.Add(with(good, "prompt", "none").Encode())
	f.Add(with(good, "redirect_uri", "https://app.example.evil.example/callback").Encode())
	f.Add(with(good, "redirect_uri", "https://app.example/callback\r\nSet-Cookie: a=b").Encode())
	f.Add(with(with(good, "redirect_uri", "http://127.0.0.1/evil"), "prompt", "none").Encode())
	f.Add(with(good, "client_id", pagesID).Encode())
	f.Add(with(good, "client_id", "<script>alert(1)</script>").Encode())
	f.Add(with(good, "state", `"><script>alert(1)</script>`).Encode())
	f.Add(good.Encode() + "&redirect_uri=https://evil.example")
	f.Add(with(good, "request_uri", "https://evil.example").Encode() + ";state=%zz")
	f.Fuzz(func(t *testing.T, raw string) {
		raw = strings.ReplaceAll(raw, "CLIENT", id)
		query, _ := url.ParseQuery(raw)
		if isDocumentID(query.Get("client_id")) {
			t.Skip("a metadata document would be fetched")
		}
		got := ask(w, h, http.MethodGet, "/authorize", raw, "", "")
		if got.Code >= 500 {
			t.Errorf("status %d for %q", got.Code, raw)
		}
		to := got.Header().Get("Location")
		if to != "" && !backToApp.MatchString(to) && !strings.HasPrefix(to, w.url+"/signin/callback?") {
			t.Errorf("%q is sent to %q", raw, to)
		}
		if back, err := url.Parse(to); err != nil || back.Query().Has("code") || strings.ContainsAny(to, "\r\n") {
			t.Errorf("%q is sent to %q", raw, to)
		}
		if to != "" && !strings.Contains(to, "iss="+url.QueryEscape(w.url)) {
			t.Errorf("%q is sent to %q, which doesn't say who sends it", raw, to)
		}
		asked := query.Get("redirect_uri")
		if got.Code == http.StatusOK && asked != "" && !backToApp.MatchString(asked+"?") && asked != w.url+"/signin/callback" {
			t.Errorf("%q gets on", raw)
		}
		for name, values := range query {
			for _, v := range values {
				if i := strings.IndexByte(v, '<'); i >= 0 && len(v)-i > 3 && strings.Contains(got.Body.String(), v[i:]) {
					t.Errorf("%s comes back as markup: %q", name, v)
				}
			}
		}
	})
}

// Whatever a token request says, tokens come for the right code with its verifier,
// client and redirect, or for the newest refresh token, and for nothing else.
func FuzzToken(f *testing.F) {
	w := newWorld(f, nil)
	id, h := w.register(appRedirect), w.Handler()
	code, n := "", 0
	begin := func(t testing.TB) {
		n++
		code = fmt.Sprintf("c0de%dc0de", n)
		err := w.codes.Put(t.Context(), code, identity.Digest{}, codeLife, aCode(id))
		if err != nil {
			t.Fatal(err)
		}
	}
	begin(f)
	const form = "application/x-www-form-urlencoded"
	good := redemption("CLIENT", appRedirect, "CODE")
	body := strings.NewReplacer("CLIENT", id, "CODE", code).Replace(good.Encode())
	if got := ask(w, h, http.MethodPost, "/token", "", form, body); got.Code != http.StatusOK {
		f.Fatalf("the good request: %d %s", got.Code, got.Body)
	}
	begin(f)
	f.Add(form, "", good.Encode())
	f.Add(form, good.Encode(), "")
	f.Add("application/json", "", `{"grant_type":"authorization_code"}`)
	f.Add(form, "", with(good, "code_verifier", "x").Encode())
	f.Add(form, "", with(good, "code_verifier", strings.Repeat("x", 43)).Encode())
	f.Add(form, "", with(good, "client_id", "x").Encode())
	f.Add(form, "", with(good, "redirect_uri", localRedirect).Encode())
	f.Add(form, "", good.Encode()+"&code=CODE")
	f.Add(form, "", with(good, "resource", "https://evil.example").Encode())
	f.Add(form+"; charset=utf-16", "", refreshing("CLIENT", "CODE.x").Encode())
	f.Fuzz(func(t *testing.T, kind, query, body string) {
		fill := strings.NewReplacer("CLIENT", id, "CODE", code)
		body = fill.Replace(body)
		got := ask(w, h, http.MethodPost, "/token", fill.Replace(query), kind, body)
		if got.Code >= 500 || got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("status %d, Cache-Control %q for %q", got.Code, got.Header().Get("Cache-Control"), body)
		}
		var answer map[string]any
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%q is answered by %q", body, got.Body)
		}
		values, _ := url.ParseQuery(body)
		right := values.Get("grant_type") == "authorization_code" && values.Get("code") == code && values.Get("client_id") == id &&
			values.Get("code_verifier") == verifier && (!values.Has("redirect_uri") || values.Get("redirect_uri") == appRedirect)
		if tokens := answer["access_token"] != nil; tokens != (got.Code == http.StatusOK) || tokens && !right || tokens == (answer["error"] != nil) {
			t.Errorf("status %d, right %t for %q: %v", got.Code, right, body, answer)
		}
		if values.Get("code") == code {
			begin(t)
		}
	})
}

// aCode is alice's for the client with that id.
func aCode(clientID string) code {
	return code{Subject: "alice", Name: "alice", SignedIn: time.Now(), Request: request{
		ClientID: clientID, RedirectURI: appRedirect, Challenge: challenge(verifier), Scopes: []string{"tools:read"}, Refresh: true,
	}}
}

// Whatever registers, its redirect addresses are its own as it sent them, and none of
// a sort that runs code or goes in the clear to another machine.
func FuzzRegister(f *testing.F) {
	w := newWorld(f, nil)
	w.registrations = page.NewLimiter(w.clock.now, page.Rate{Every: time.Nanosecond, Burst: 1 << 30})
	h := w.Handler()
	for _, uri := range []string{
		appRedirect, localRedirect, "com.example.app:/cb", "javascript:alert(1)", "http://evil.example", "https://a@b/", "https://a#b", "data:text/html,x",
		"HTTPS://APP.EXAMPLE", "http://127.0.0.1.evil.example", "https://[::1]:1/", "//x", "JavaScript://%0aalert(1)",
	} {
		f.Add(`{"redirect_uris":["` + uri + `"],"client_name":"x"}`)
	}
	f.Add(`{"redirect_uris":["https://a.example"],"redirect_uris":["javascript:x"],"token_endpoint_auth_method":"client_secret_basic"}`)
	f.Add(`{"redirect_uris":[],"grant_types":["implicit"]}`)
	f.Fuzz(func(t *testing.T, body string) {
		got := ask(w, h, http.MethodPost, "/register", "", "application/json", body)
		if got.Code >= 500 {
			t.Fatalf("status %d for %q", got.Code, body)
		}
		if got.Code != http.StatusCreated {
			return
		}
		var asked, answer struct {
			URIs []string `json:"redirect_uris"`
			ID   string   `json:"client_id"`
			Name string   `json:"client_name"`
		}
		_ = json.Unmarshal([]byte(body), &asked)
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || answer.ID == "" || !slices.Equal(asked.URIs, answer.URIs) {
			t.Fatalf("%q is answered by %s", body, got.Body)
		}
		for _, uri := range answer.URIs {
			u, err := url.Parse(uri)
			loopback := err == nil && slices.Contains([]string{"127.0.0.1", "localhost", "::1"}, u.Hostname())
			switch {
			case err != nil, u.User != nil, u.Fragment != "", u.Scheme == "", u.Scheme == "http" && !loopback, u.Scheme == "https" && u.Host == "",
				slices.Contains([]string{"javascript", "data", "vbscript", "file", "blob", "about"}, strings.ToLower(u.Scheme)):
				t.Errorf("%q may be sent codes", uri)
			}
		}
		if strings.ContainsAny(answer.Name, "\r\n\x00\u202e") || len([]rune(answer.Name)) > maxName {
			t.Errorf("the name %q", answer.Name)
		}
	})
}
