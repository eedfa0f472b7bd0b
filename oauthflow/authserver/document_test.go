package authserver

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// A publisher serves one client metadata document.
type publisher struct {
	*httptest.Server
	id      string
	answer  http.HandlerFunc
	fetches atomic.Int32
	dials   atomic.Int32
}

func newPublisher(t testing.TB) *publisher {
	p := &publisher{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.fetches.Add(1)
		p.answer(w, r)
	}))
	p.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			p.dials.Add(1)
		}
	}
	p.StartTLS()
	t.Cleanup(p.Close)
	p.id = p.URL + "/client.json"
	p.publish(p.document())
	return p
}

func (p *publisher) document() map[string]any {
	return map[string]any{
		"client_id": p.id, "client_name": "Published app", "redirect_uris": []string{appRedirect, localRedirect},
		"grant_types": grantTypes, "token_endpoint_auth_method": "none",
	}
}

func (p *publisher) publish(document map[string]any) {
	p.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(document)
	}
}

// reach lets w fetch from p, which is on loopback: all guards but that of the address.
func (w *world) reach(p *publisher) {
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	w.documents.http = documentClient(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}})
}

func TestDocumentClient(t *testing.T) {
	w, p := newWorld(t, nil), newPublisher(t)
	w.reach(p)
	page := w.browser().signIn(w.request(p.id, localRedirect), "alice")
	host := strings.TrimPrefix(p.URL, "https://")
	for _, want := range []string{"Published app</bdi>, published by " + host, "a program on this computer (127.0.0.1)", p.id} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %q: %s", want, page.body)
		}
	}
	got := w.tokensFrom(redemption(p.id, appRedirect, w.codeFor(p.id, appRedirect)))
	if claimsOf(t, got["access_token"].(string))["client_id"] != p.id {
		t.Error("another client_id in the token")
	}
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("%d fetches in a few minutes", n)
	}
	// A refresh doesn't depend on the publisher.
	p.answer = http.NotFound
	w.clock.add(documentLife)
	w.tokensFrom(refreshing(p.id, got["refresh_token"].(string)))
	if a := w.browser().ask(w.request(p.id, appRedirect)); a.StatusCode != http.StatusBadRequest {
		t.Errorf("the document is gone, the client isn't: %d", a.StatusCode)
	}
}

func TestBadDocuments(t *testing.T) {
	p := newPublisher(t)
	with := func(name string, value any) func() {
		return func() {
			document := maps.Clone(p.document())
			document[name] = value
			p.publish(document)
		}
	}
	answer := func(status int, contentType, body string) func() {
		return func() {
			p.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", contentType)
				w.Header().Set("Location", p.URL+"/elsewhere")
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
			}
		}
	}
	whole, err := json.Marshal(p.document())
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(){
		"another client_id":       with("client_id", p.URL+"/other.json"),
		"client_id with a slash":  with("client_id", p.id+"/"),
		"no client_id":            with("client_id", nil),
		"a secret":                with("client_secret", "x"),
		"client_secret_basic":     with("token_endpoint_auth_method", "client_secret_basic"),
		"private_key_jwt":         with("token_endpoint_auth_method", "private_key_jwt"),
		"no name":                 with("client_name", " \u202e "),
		"no redirects":            with("redirect_uris", nil),
		"redirect to javascript":  with("redirect_uris", []string{appRedirect, "javascript:alert(1)"}),
		"another redirect":        with("redirect_uris", []string{"https://other.example/cb"}),
		"oversize":                with("client_uri", strings.Repeat("x", maxDocument)),
		"oversize by spaces":      answer(200, "application/json", string(whole)+strings.Repeat(" ", maxDocument)),
		"not JSON":                answer(200, "application/json", "<html>"),
		"a page":                  answer(200, "text/html", string(whole)),
		"no content type":         answer(200, "", string(whole)),
		"not found":               answer(404, "application/json", string(whole)),
		"created":                 answer(201, "application/json", string(whole)),
		"redirect":                answer(302, "application/json", string(whole)),
		"redirect by another way": answer(307, "application/json", string(whole)),
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.reach(p)
			p.fetches.Store(0)
			prepare()
			a := w.browser().ask(w.request(p.id, appRedirect))
			if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" {
				t.Errorf("%d to %q: %s", a.StatusCode, a.Header.Get("Location"), a.body)
			}
			if n := p.fetches.Load(); n != 1 {
				t.Errorf("%d fetches", n)
			}
		})
	}
}

// A failure is not kept (the draft forbids it).
func TestAMendedDocumentWorksAtOnce(t *testing.T) {
	w, p := newWorld(t, nil), newPublisher(t)
	w.reach(p)
	p.answer = http.NotFound
	w.browser().ask(w.request(p.id, appRedirect))
	p.publish(p.document())
	if a := w.browser().ask(w.request(p.id, appRedirect)); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// The server as it is made connects to no loopback address, whatever the URL says.
func TestDocumentsNeverComeFromInside(t *testing.T) {
	w, p := newWorld(t, nil), newPublisher(t)
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]"} {
		id := strings.Replace(p.id, "127.0.0.1", host, 1)
		a := w.browser().ask(w.request(id, appRedirect))
		if a.StatusCode != http.StatusBadRequest || strings.Contains(a.body, "prohibited") {
			t.Errorf("%s: %d %s", id, a.StatusCode, a.body)
		}
	}
	if n := p.dials.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
	for address, want := range map[string]bool{
		"93.184.216.34:443": true, "[2606:4700::1]:443": true,
		"93.184.216.34:80": false, "93.184.216.34:8443": false, "93.184.216.34:22": false,
		"127.0.0.1:443": false, "10.1.2.3:443": false, "172.16.0.1:443": false, "192.168.1.1:443": false,
		"169.254.169.254:443": false, "100.64.0.1:443": false, "0.0.0.0:443": false,
		"[::1]:443": false, "[fd00::1]:443": false, "[fe80::1]:443": false, "[::ffff:127.0.0.1]:443": false,
		"[64:ff9b::7f00:1]:443": false,
	} {
		network := "tcp4"
		if address[0] == '[' {
			network = "tcp6"
		}
		if got := publicOnly(network, address, nil) == nil; got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	transport := guardedClient().Transport.(*http.Transport)
	if transport.Proxy != nil {
		t.Error("a proxy would connect in our place")
	}
}

func TestDocumentIDs(t *testing.T) {
	for _, id := range []string{"https://app.example/client.json", "https://app.example:8443/a/b?v=1", "https://app.example/a..b/c"} {
		if !isDocumentID(id) {
			t.Errorf("%s doesn't pass", id)
		}
	}
	for _, id := range []string{
		"", "app", "http://app.example/client.json", "HTTPS://app.example/client.json", "https://app.example",
		"https://app.example/", "https:///client.json", "https://app.example/client.json#", "https://app.example/c#f",
		"https://u@app.example/c", "https://u:p@app.example/c", "https://app.example/../c", "https://app.example/./c",
		"https://app.example/a/%2e%2e/c", "https://app.example/a/.%2E/c", "https://app.example/a/..", "https://app.example\\c/d",
		"https://a;b/c", "https://app.example/a b", "https://app.example/" + strings.Repeat("a", maxURL),
	} {
		if isDocumentID(id) {
			t.Errorf("%q passes", id)
		}
	}
}

func TestDocumentFetchesAreLimited(t *testing.T) {
	w, p := newWorld(t, nil), newPublisher(t)
	w.reach(p)
	b := w.browser()
	for i := range 30 {
		b.ask(w.request(p.URL+"/"+hex(i), appRedirect))
	}
	if n := p.fetches.Load(); n != 20 {
		t.Errorf("%d fetches at once for one address", n)
	}
	for i := range 120 {
		_, _ = w.documents.client(t.Context(), p.URL+"/"+hex(i))
	}
	if n := p.fetches.Load(); n > 100 {
		t.Errorf("%d fetches at once", n)
	}
	for i := range 2 * maxDocuments {
		w.documents.keep(p.URL+"/"+hex(i), client{})
	}
	if n := len(w.documents.cached); n > maxDocuments {
		t.Errorf("%d documents kept", n)
	}
}
