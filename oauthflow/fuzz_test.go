package oauthflow

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
)

// Whatever a callback says, only the browser session that asked has its code
// redeemed, at the provider that was asked, with the state that it was given; nothing
// is filed for anybody else, and no page repeats what came.
func FuzzCallback(f *testing.F) {
	w := newWorld(f)
	people := []*browser{w.as("alice"), w.as("bob"), w.browser()}
	alice, bobs := w.iss.Caller("alice"), w.keyring("bob")
	var waiting url.Values // the answer that alice's browser waits for
	begin := func(t testing.TB) {
		w.t = t
		link, err := w.flow.ConnectLink(t.Context(), alice, store.Need{Provider: "github", Scopes: []string{"repo"}})
		if err != nil {
			t.Fatal(err)
		}
		back, err := url.Parse(people[0].callbackURL(strings.TrimPrefix(link, w.url)))
		if err != nil {
			t.Fatal(err)
		}
		waiting = back.Query()
	}
	begin(f)
	for _, query := range []string{
		"code=CODE&state=STATE", "state=STATE&error=access_denied", "code=CODE", "state=STATE", "code=CODE&state=x&state=STATE",
		"code=CODE&state=STATE&iss=https%3A%2F%2Fevil.example", "code=CODE;state=STATE", "state=STATE&code=%zz", "state=STATE&code=CODE&error=x%0d%0aSet-Cookie:a",
		"%73tate=STATE&code=CODE", "state=STATE%00&code=CODE", "error=%3Cscript%3E&state=STATE",
	} {
		for who := range byte(3) {
			f.Add(who, "github", query)
		}
		f.Add(byte(0), "google", query)
	}
	f.Fuzz(func(t *testing.T, who byte, provider, raw string) {
		w.t = t
		raw = strings.NewReplacer("STATE", waiting.Get("state"), "CODE", url.QueryEscape(waiting.Get("code"))).Replace(raw)
		at := url.URL{Scheme: "http", Host: strings.TrimPrefix(w.url, "http://"), Path: "/callback/" + provider, RawQuery: raw}
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.URL, req.Host, req.RequestURI = &at, at.Host, at.RequestURI()
		b := people[int(who)%len(people)]
		here, _ := url.Parse(w.url)
		for _, c := range b.jar.Cookies(here) {
			req.AddCookie(c)
		}
		w.log.clear()
		before := w.github.tokens + w.google.tokens
		got := httptest.NewRecorder()
		w.flow.Handler().ServeHTTP(got, req)

		query, _ := url.ParseQuery(raw)
		right := b == people[0] && at.Path == "/callback/github" && query.Get("state") == waiting.Get("state")
		if asked := w.github.tokens + w.google.tokens - before; asked > 1 || asked == 1 && !right {
			t.Errorf("%d token requests for %q from browser %d", asked, at.RequestURI(), who%3)
		}
		if got.Code < 200 || got.Code == http.StatusInternalServerError || got.Code > 502 {
			t.Errorf("status %d for %q", got.Code, at.RequestURI())
		}
		for _, secret := range []string{waiting.Get("state"), waiting.Get("code")} {
			if strings.Contains(got.Body.String(), secret) || strings.Contains(w.log.String(), secret) {
				t.Errorf("a page or the log repeats a secret after %q", at.RequestURI())
			}
		}
		for name, values := range query {
			if strings.Contains(values[0], "<") && len(values[0]) > 3 && strings.Contains(got.Body.String(), values[0]) {
				t.Errorf("%s is repeated as it came: %q", name, values[0])
			}
		}
		if to := got.Header().Get("Location"); to != "" && !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, w.url+"/") {
			t.Errorf("a redirect to %q", to)
		}
		if strings.HasPrefix(at.Path, "/callback/") && query.Get("state") == waiting.Get("state") || w.github.tokens+w.google.tokens > before {
			if his, err := bobs.Info(t.Context(), "github"); err == nil {
				t.Errorf("bob has %+v", his)
			}
			begin(t)
		}
	})
}
