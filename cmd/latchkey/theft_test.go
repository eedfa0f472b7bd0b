//go:build unix

package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// TestProofTheft drives whole journeys, failures among them, through the program
// itself, and then looks for every secret that took part, in every form, wherever a
// thief or an operator may look: the data directory with the database and its WAL, a
// backup, the log, the command line, the metrics, what the commands on keys and the
// audit record print, and every answer that is not meant to hold it.
func TestProofTheft(t *testing.T) {
	rounds := storetest.Size(1, 4, 40)
	progress := storetest.Progress(t, rounds)
	v := openTheft(t)
	for i := range rounds {
		v.journey(i)
		progress(1)
	}
	v.ask()
	v.collect()
	bytes := v.search("while it serves")
	v.stop()
	bytes += v.search("after it ended")
	for _, leak := range v.tape.leaked(newFinder(v.secrets)) {
		t.Error(leak)
	}
	kinds := map[string]int{}
	for _, s := range v.secrets {
		kinds[s.kind]++
	}
	t.Logf("%d journeys with %d secrets (%v): 0 allowed hits in %d bytes of files and log, and in %d answers", rounds, len(v.secrets), kinds, bytes, len(v.tape.all))
	for _, kind := range theftKinds {
		if kinds[kind] == 0 {
			t.Errorf("no %s took part: that proves little", kind)
		}
	}
}

var theftKinds = []string{
	"provider's secret", "issuer's secret", "client secret", "key", "our access token", "our refresh token", "our client secret", "our code",
	"cookie", "state", "ticket", "session id", "form key", "account", "content", "argument",
}

// A theft is the program with the world around it, and what there is to steal.
type theft struct {
	t        *testing.T
	base     string
	dir      string // the data
	keys     string // the key file, which is elsewhere
	metrics  string // their address
	outside  *outside
	upstream *upstream
	tape     *tape
	log      *bytes.Buffer // both outputs
	process  *exec.Cmd
	secrets  []secret
	said     []saying
	last     *person
}

func openTheft(t *testing.T) *theft {
	addr := freeAddress(t)
	v := &theft{
		t: t, base: "http://" + addr, dir: t.TempDir(), keys: filepath.Join(t.TempDir(), "keys.json"), metrics: freeAddress(t),
		outside: newOutside(t), upstream: newUpstream(t), log: &bytes.Buffer{},
	}
	v.tape = &tape{base: v.base}
	file := filepath.Join(t.TempDir(), "secret")
	check(t, os.WriteFile(file, []byte(v.outside.secret), 0o600))
	v.process = exec.Command("latchkey", "serve", "--listen", addr, "--public-url", v.base, "--data", v.dir, "--keys-file", v.keys,
		"--metrics-listen", v.metrics, "--upstream-issuer", v.upstream.url, "--upstream-client-id", "latchkey",
		"--github-client-id", v.outside.id, "--github-client-secret-file", file, "--github-oauth-url", v.outside.url, "--github-api-url", v.outside.url+"/api/v3",
		"--google-client-id", v.outside.id, "--google-client-secret-file", file, "--google-oauth-url", v.outside.url, "--google-api-url", v.outside.url)
	v.process.Env = append(os.Environ(), "LATCHKEY_UPSTREAM_CLIENT_SECRET="+v.upstream.secret)
	v.process.Stdout, v.process.Stderr = v.log, v.log
	check(t, v.process.Start())
	t.Cleanup(func() { v.stop() })
	for until := time.Now().Add(20 * time.Second); !accepts(addr); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the server did not start")
		}
	}
	return v
}

func (v *theft) stop() {
	if v.process != nil {
		_ = v.process.Process.Signal(syscall.SIGTERM)
		_ = v.process.Wait()
		v.process = nil
	}
}

func (v *theft) add(kind string, values ...string) {
	for _, value := range values {
		known := slices.ContainsFunc(v.secrets, func(s secret) bool { return s.kind == kind && s.value == value })
		if len(value) >= 16 && !known {
			v.secrets = append(v.secrets, newSecret(kind, value))
		}
	}
}

// person is a newcomer whose browser and client are recorded.
func (v *theft) person(name string, d dialect) *person {
	p := newPerson(name, v.base, d)
	p.visitor.http.Transport, p.client.http.Transport = v.tape, v.tape
	v.outside.welcome(p.visitor, name) // both stand-ins are on one host, and cookies know no ports
	return p
}

// journey is one person's: what goes well, and then whatever can go wrong.
func (v *theft) journey(i int) {
	p := v.person(fmt.Sprintf("p%03d", i), []dialect{plain, modern, eliciting}[i%3])
	p.client.clientID = v.client(p)
	v.add("account", p.name+"@outside.example")
	v.add("content", canary(p.name))
	v.add("argument", argument)
	check(v.t, p.signIn())
	v.ofClient(p)
	for _, tool := range []string{"github_search_issues", "calendar_list_events"} {
		v.connectBadly(p, tool)
		v.connect(p, tool)
		v.callBadly(p, tool)
	}
	v.abuseOurs(p)
	if v.last == nil {
		v.scrape()
		v.rotate()
	}
	v.accounts(p)
	v.disconnectBadly(p)
	check(v.t, p.client.renew())
	v.ofClient(p)
	v.cookies(p)
	v.last = p
}

// client registers one client for all, of those that have a secret.
func (v *theft) client(p *person) string {
	if v.last != nil {
		return v.last.client.clientID
	}
	check(v.t, p.client.register(v.base+"/register"))
	answer, err := p.client.post(v.base+"/register", "application/json", mustJSON(map[string]any{
		"redirect_uris": []string{p.client.redirect}, "token_endpoint_auth_method": "client_secret_post",
	}))
	check(v.t, err)
	v.add("our client secret", answer["client_secret"].(string))
	form := url.Values{"client_id": {answer["client_id"].(string)}, "client_secret": {answer["client_secret"].(string)}, "grant_type": {"authorization_code"}, "code": {"wrong-" + rand.Text()}}
	v.post(p, "/token", form)
	v.post(p, "/token?"+form.Encode(), form)
	return p.client.clientID
}

func (v *theft) ofClient(p *person) {
	v.add("our access token", p.client.token)
	v.add("our refresh token", p.client.refresh)
	v.add("our code", p.visitor.at.Query().Get("code"))
	v.add("session id", p.client.session)
}

func (v *theft) cookies(p *person) {
	at, _ := url.Parse(v.base)
	for _, c := range p.visitor.http.Jar.Cookies(at) {
		if c.Name != personCookie {
			v.add("cookie", c.Value)
		}
	}
}

// argument is in every call that can have it.
const argument = "argument-of-which-nothing-stays"

func arguments(tool string) map[string]any {
	if strings.HasPrefix(tool, "github") {
		return map[string]any{"query": argument}
	}
	return map[string]any{}
}

// link is what a tool of p's answers with, until it is connected.
func (v *theft) link(p *person, tool string) string {
	check(v.t, p.call(tool, arguments(tool)))
	if p.last.Link == "" {
		v.t.Fatalf("%s has no link: %s", tool, p.last.Body)
	}
	v.add("ticket", p.last.Link[strings.LastIndexByte(p.last.Link, '/')+1:])
	v.add("session id", p.client.session)
	return p.last.Link
}

func (v *theft) connect(p *person, tool string) {
	check(v.t, p.openLink(v.link(p, tool)))
	check(v.t, p.visitor.press("Continue to"))
	check(v.t, p.visitor.sees("Connected as"))
	v.cookies(p)
}

// connectBadly fails to connect in every way there is.
func (v *theft) connectBadly(p *person, tool string) {
	other := v.person("other", plain)
	check(v.t, other.openLink(v.link(p, tool))) // somebody else's link
	v.cookies(other)
	for _, at := range []string{"token", "user"} {
		for _, how := range failures {
			v.outside.fail(at, how)
			check(v.t, p.openLink(v.link(p, tool)))
			check(v.t, p.visitor.press("Continue to"))
			v.outside.fail(at, nil)
			v.cookies(p)
		}
	}
	// The provider's answer is kept from us, and comes back in other ways.
	check(v.t, p.openLink(v.link(p, tool)))
	p.visitor.stopAt = v.base + "/callback/"
	check(v.t, p.visitor.press("Continue to"))
	back := *p.visitor.at
	p.visitor.stopAt = ""
	q := back.Query()
	for _, changed := range []url.Values{
		{"code": q["code"], "state": {"x" + q.Get("state")}}, {"code": q["code"]}, {"state": {"unknown"}, "error": {"x"}, "error_description": q["code"]},
	} {
		check(v.t, p.visitor.open(v.base+back.Path+"?"+changed.Encode()))
	}
	check(v.t, other.visitor.open(back.String())) // another browser's, which spends it
	check(v.t, p.visitor.open(back.String()))
}

// failures are a provider's answers that repeat what was sent.
var failures = []http.HandlerFunc{
	func(w http.ResponseWriter, r *http.Request) { v := sent(r); echo(w, 400, v) },
	func(w http.ResponseWriter, r *http.Request) { v := sent(r); echo(w, 500, v) },
	func(w http.ResponseWriter, r *http.Request) { // a page where JSON is expected
		v := sent(r)
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<h1>%s</h1>%v", v.Encode(), v)
	},
	func(w http.ResponseWriter, r *http.Request) { // broken off in the middle
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "100000")
		fmt.Fprintf(w, `{"message":%q,`, fmt.Sprint(sent(r)))
	},
	func(w http.ResponseWriter, r *http.Request) { // a redirect that carries it along
		w.Header().Set("Location", "http://127.0.0.1:1/?"+sent(r).Encode())
		w.WriteHeader(http.StatusTemporaryRedirect)
	},
}

// sent is all of r that may be secret.
func sent(r *http.Request) url.Values {
	_ = r.ParseForm()
	body, _ := io.ReadAll(r.Body)
	all := url.Values{"authorization": {strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}, "body": {string(body)}}
	for name, values := range r.Form {
		all[name] = values
	}
	return all
}

// callBadly calls while the provider fails, in its API and where tokens are renewed.
func (v *theft) callBadly(p *person, tool string) {
	check(v.t, p.call(tool, arguments(tool)))
	if !strings.Contains(p.last.Body, canary(p.name)) {
		v.t.Fatalf("a good call of %s: %s", tool, p.last.Body)
	}
	for _, how := range failures[:3] {
		v.outside.fail("api", how)
		check(v.t, p.call(tool, arguments(tool)))
	}
	// An unauthorized call has the token renewed, where there is a way to.
	v.outside.fail("api", unauthorized)
	for _, how := range []http.HandlerFunc{nil, dead, failures[0], failures[1], failures[2]} {
		v.outside.fail("token", how)
		check(v.t, p.call(tool, arguments(tool)))
		v.outside.fail("token", nil)
		v.outside.fail("api", nil)
		v.reconnect(p, tool)
		v.outside.fail("api", unauthorized)
	}
	v.outside.fail("api", nil)
}

func unauthorized(w http.ResponseWriter, r *http.Request) { echo(w, 401, sent(r)) }

// dead is a provider's word that a refresh token is revoked.
func dead(w http.ResponseWriter, r *http.Request) {
	answerJSON(w, 400, map[string]any{"error": "invalid_grant", "error_description": fmt.Sprint(sent(r))})
}

// reconnect connects what a failure broke.
func (v *theft) reconnect(p *person, tool string) {
	check(v.t, p.call(tool, arguments(tool)))
	if p.last.Link != "" {
		v.connect(p, tool)
	}
}

// abuseOurs sends our own secrets to where they don't belong.
func (v *theft) abuseOurs(p *person) {
	token, code := p.client.token, v.secretOf("our code")
	for _, path := range []string{
		"/" + token, "/connect/" + token, "/callback/" + token + "?code=" + code, "/mcp?access_token=" + token, "/.well-known/" + token,
		"/authorize?client_id=" + token + "&state=" + code, "/signin/callback?code=" + code + "&state=" + code, "/token?code=" + code,
	} {
		check(v.t, p.visitor.open(v.base+path))
	}
	for _, form := range []url.Values{
		{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {p.client.clientID}, "code_verifier": {token}},
		{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {p.client.clientID}},
		{"grant_type": {p.client.refresh}, "client_id": {code}, "client_secret": {token}},
	} {
		v.post(p, "/token", form)
	}
	v.post(p, "/register", url.Values{"x": {token}})
	good := p.client.token
	for _, bad := range []string{good + "x", "x" + good, strings.ToUpper(good), "Basic " + good} {
		p.client.token = bad
		_, _, err := p.client.roundTrip("tools/list", map[string]any{})
		check(v.t, err)
	}
	p.client.token = good
	check(v.t, p.call("github_search_issues", map[string]any{"query": "x", "access_token": good}))
	v.reflected(p)
	check(v.t, p.signIn()) // the code was used twice: the tokens before are revoked
	v.ofClient(p)
	v.upstreamFails(v.person("upset", plain))
}

// reflected sends p's own secrets to where the answer repeats them, to p alone: only
// the log and the files count.
func (v *theft) reflected(p *person) {
	p.client.http.Transport, p.visitor.http.Transport = nil, nil
	check(v.t, p.call("no_such_tool_"+p.client.token, map[string]any{p.client.token: p.client.token}))
	check(v.t, p.visitor.open(v.base+"/signin?return=/"+p.client.token))
	p.client.http.Transport, p.visitor.http.Transport = v.tape, v.tape
}

// upstreamFails signs in while the upstream issuer repeats our secrets.
func (v *theft) upstreamFails(p *person) {
	set := func(echo bool) {
		v.upstream.mu.Lock()
		defer v.upstream.mu.Unlock()
		v.upstream.echo = echo
	}
	set(true)
	check(v.t, p.visitor.open(v.base+"/connections"))
	set(false)
	v.cookies(p)
}

func (v *theft) secretOf(kind string) string {
	for i := len(v.secrets) - 1; i >= 0; i-- {
		if v.secrets[i].kind == kind {
			return v.secrets[i].value
		}
	}
	v.t.Fatalf("there is no %s yet", kind)
	return ""
}

func (v *theft) post(p *person, path string, form url.Values) {
	res, err := p.client.http.PostForm(v.base+path, form)
	check(v.t, err)
	_ = res.Body.Close()
}

// disconnectBadly leaves a revocation pending, and does another.
func (v *theft) disconnectBadly(p *person) {
	v.outside.fail("revoke", failures[1])
	check(v.t, p.openLink(v.base+"/connections"))
	check(v.t, p.visitor.press("Disconnect"))
	v.outside.fail("revoke", nil)
	v.cookies(p)
}

// collect has all secrets together, those of the other side and the keys.
func (v *theft) collect() {
	v.outside.mu.Lock()
	v.add("provider's secret", v.outside.issued...)
	v.add("state", v.outside.states...)
	v.add("client secret", v.outside.secret, v.upstream.secret)
	v.outside.mu.Unlock()
	v.upstream.mu.Lock()
	v.add("issuer's secret", v.upstream.issued...)
	v.add("state", v.upstream.states...)
	v.upstream.mu.Unlock()
	var keyset struct {
		Key []struct{ KeyData struct{ Value string } }
	}
	raw, err := os.ReadFile(v.keys)
	check(v.t, err)
	check(v.t, json.Unmarshal(raw, &keyset))
	for _, k := range keyset.Key {
		value, err := base64.StdEncoding.DecodeString(k.KeyData.Value)
		check(v.t, err)
		v.add("key", string(value[len(value)-32:]))
	}
}

// search looks for secrets in all that there is at rest, and says how much it saw.
func (v *theft) search(when string) (size int) {
	f := newFinder(v.secrets)
	look := func(name string, text []byte) {
		size += len(text)
		for _, hit := range f.hits(text) {
			v.t.Errorf("%s, %s holds a %s", when, name, hit)
		}
	}
	if v.process != nil {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", v.process.Process.Pid))
		if err == nil { // there is no /proc everywhere
			look("the command line", line)
		}
		backup := filepath.Join(v.t.TempDir(), "backup")
		out, err := exec.Command("latchkey", "backup", "--data", v.dir, "--keys-file", v.keys, backup).CombinedOutput()
		if err != nil {
			v.t.Fatalf("backup: %v: %s", err, out)
		}
		text, err := os.ReadFile(backup)
		check(v.t, err)
		look("the backup", text)
		look("what backup says", out)
		for _, s := range v.said {
			look("what is said by "+s.by, s.text)
		}
	}
	var files []string
	check(v.t, filepath.WalkDir(v.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files = append(files, d.Name())
		text, err := os.ReadFile(path)
		look(filepath.Base(path), text)
		return err
	}))
	for _, suffix := range []string{"", "-wal", "-shm", "-reserve"} {
		if v.process != nil && !slices.Contains(files, sqlite.File+suffix) {
			v.t.Errorf("there is no %s%s among %v", sqlite.File, suffix, files)
		}
	}
	if v.process == nil {
		look("the log", v.log.Bytes())
	}
	return size
}
