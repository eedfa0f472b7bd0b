package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// A benchWorld is what the servers under measurement find around them, all of it
// in the test's own process: an issuer that signs with ES256, and a provider that
// answers a search with 2 KB.
type benchWorld struct {
	issuer   string
	key      *ecdsa.PrivateKey
	provider *benchProvider
}

func newBenchWorld(t testing.TB) *benchWorld {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	w := &benchWorld{key: key, provider: newBenchProvider(t)}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.issuer = server.URL
	answer := func(path string, v any) {
		body := mustJSON(v)
		mux.HandleFunc("GET "+path, func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(body) })
	}
	metadata := map[string]any{"issuer": w.issuer, "jwks_uri": w.issuer + "/jwks"}
	answer("/.well-known/oauth-authorization-server", metadata)
	answer("/.well-known/openid-configuration", metadata)
	point := w.point(t)
	answer("/jwks", map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k1", "x": raw64(point[1:33]), "y": raw64(point[33:]),
	}}})
	return w
}

// point is the issuer's public key, uncompressed.
func (w *benchWorld) point(t testing.TB) []byte {
	t.Helper()
	point, err := w.key.PublicKey.Bytes()
	check(t, err)
	return point
}

func raw64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func subject(i int) string { return fmt.Sprintf("user-%07d", i) }

// token is a good access token of the i-th person.
func (w *benchWorld) token(i int, resource string) string {
	now := time.Now()
	input := raw64([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"k1"}`)) + "." + raw64(mustJSON(map[string]any{
		"iss": w.issuer, "sub": subject(i), "aud": resource, "client_id": "bench-client", "scope": "tools:read tools:write",
		"jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(6 * time.Hour).Unix(),
	}))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, w.key, sum[:])
	if err != nil {
		panic(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return input + "." + raw64(signature)
}

// A benchProvider is GitHub: a search whose answer names the owner of the access
// token, and a token endpoint that takes 100 ms and each refresh token once.
type benchProvider struct {
	*httptest.Server
	before, after string // of the answer, around whose it is

	mu      sync.Mutex
	current map[string]string // the refresh token of each person who refreshed
	refresh int               // refreshes that were answered
	reused  int               // refresh tokens that came twice
}

// tokenDelay is how long the token endpoint takes.
const tokenDelay = 100 * time.Millisecond

func newBenchProvider(t testing.TB) *benchProvider {
	issue := mustJSON(map[string]any{
		"url": "https://api.github.com/repos/open-meadow/planner/issues/7", "repository_url": "https://api.github.com/repos/open-meadow/planner",
		"html_url": "https://github.com/open-meadow/planner/issues/7", "id": 70007, "node_id": "I_70007", "number": 7,
		"title": "WHOSE", "state": "open", "locked": false, "comments": 3, "author_association": "OWNER",
		"user": map[string]any{
			"login": "meadow", "id": 1001, "node_id": "U_1001", "type": "User", "site_admin": false,
			"avatar_url": "https://avatars.githubusercontent.com/u/1001", "url": "https://api.github.com/users/meadow",
			"html_url": "https://github.com/meadow", "repos_url": "https://api.github.com/users/meadow/repos",
		},
		"labels":     []any{map[string]any{"id": 1, "name": "bug", "color": "d73a4a", "default": true, "description": "Something is wrong"}},
		"created_at": "2026-01-31T09:00:00Z", "updated_at": "2026-02-01T10:00:00Z", "score": 1.0,
		"body": strings.Repeat("The planner forgets beds when the season changes. ", 19),
	})
	text := fmt.Sprintf(`{"total_count":1,"incomplete_results":false,"items":[%s]}`, issue)
	p := &benchProvider{current: map[string]string{}}
	p.before, p.after, _ = strings.Cut(text, "WHOSE")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /search/issues", p.search)
	mux.HandleFunc("POST /login/oauth/access_token", p.token)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// access is a person's access token: as long as GitHub's, and it says whose it is.
func access(subject string) string { return "gho_" + subject + "_" + strings.Repeat("x", 23) }

// marker is what an answer must hold that is subject's.
func marker(subject string) string { return "belongs to " + access(subject)[:len("gho_")+len(subject)] }

func (p *benchProvider) search(w http.ResponseWriter, r *http.Request) {
	whose, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer gho_")
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	subject, _, _ := strings.Cut(whose, "_")
	body := p.before + marker(subject) + p.after
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write([]byte(body))
}

// token rotates: who brings a refresh token that was used before burns it.
func (p *benchProvider) token(w http.ResponseWriter, r *http.Request) {
	brought := r.FormValue("refresh_token")
	subject, _, _ := strings.Cut(strings.TrimPrefix(brought, "ghr_"), "_")
	p.mu.Lock()
	if now, ok := p.current[subject]; ok && now != brought {
		p.reused++
	}
	next := "ghr_" + subject + "_" + rand.Text()
	p.current[subject] = next
	p.refresh++
	p.mu.Unlock()
	time.Sleep(tokenDelay)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(mustJSON(map[string]any{
		"access_token": access(subject), "refresh_token": next, "expires_in": 28800, "token_type": "bearer", "scope": "repo",
	}))
}

// forget makes all refresh tokens unspent again, and says how many refreshes there were.
// None may have come with one that was spent.
func (p *benchProvider) forget(t testing.TB) (refreshes int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reused > 0 {
		t.Errorf("%d refreshes with a token that was spent", p.reused)
	}
	refreshes = p.refresh
	p.current, p.refresh, p.reused = map[string]string{}, 0, 0
	return refreshes
}

// fill makes a vault of n people in a new directory. Their access tokens live as
// long as life; where it is negative they have expired.
func (w *benchWorld) fill(t testing.TB, n int, life time.Duration) (dir string) {
	t.Helper()
	dir = t.TempDir()
	storetest.Fill(t, dir, filepath.Join(dir, "keys.json"), w.issuer, n, subject, func(i int) store.Connection {
		return store.Connection{
			Provider: "github", Account: store.Account{ID: strconv.Itoa(1_000_000 + i), Label: "@" + subject(i)},
			Token: store.Token{
				Access: store.NewSecret(access(subject(i))), Refresh: store.NewSecret("ghr_" + subject(i) + "_first"),
				Expiry: time.Now().Add(life), RefreshExpiry: time.Now().Add(180 * 24 * time.Hour), Scopes: []string{"repo"},
			},
		}
	})
	return dir
}

// A benchServer is a server process under measurement.
type benchServer struct {
	url   string // its origin
	probe string // where the test finds out about it
	pid   int
	stop  func()
}

// serve starts what "latchkey serve" is, with everything on, over the vault in dir.
func (w *benchWorld) serve(t testing.TB, dir string) *benchServer {
	t.Helper()
	addr := freeAddress(t)
	return startProcess(t, addr, "latchkey-probed", "serve", "--listen", addr, "--public-url", "http://"+addr, "--data", dir,
		"--issuer", w.issuer, "--issuer-client-id", "pages", "--issuer-client-secret", "none",
		"--github-client-id", "latchkey", "--github-client-secret", "none",
		"--github-oauth-url", w.provider.URL, "--github-api-url", w.provider.URL)
}

// startProcess runs one of this binary's commands, which listens on addr, until the
// test ends, and waits until it answers. What it logs goes to a file.
func startProcess(t testing.TB, addr, command string, args ...string) *benchServer {
	t.Helper()
	program, err := exec.LookPath(command)
	check(t, err)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	check(t, err)
	s := &benchServer{url: "http://" + addr, probe: freeAddress(t)}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), probeEnv+"="+s.probe)
	cmd.Stdout, cmd.Stderr = log, log
	check(t, cmd.Start())
	s.pid = cmd.Process.Pid
	s.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
	})
	t.Cleanup(s.stop)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(s.url + "/healthz")
		if err == nil {
			_ = res.Body.Close()
			return s
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("%s doesn't answer: %v\n%s", command, err, said)
		}
	}
}

// cpu is the processor time that the process has taken, in user mode and in the
// kernel, to the microsecond.
func (s *benchServer) cpu(t testing.TB) time.Duration {
	t.Helper()
	return time.Duration(s.asked(t, "cpu")) * time.Microsecond
}

// anonymous is the process's resident memory that no file is behind, in KiB.
func (s *benchServer) anonymous(t testing.TB) float64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.pid))
	check(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib float64
		if n, _ := fmt.Sscanf(lines.Text(), "RssAnon: %f kB", &kib); n == 1 {
			return kib
		}
	}
	t.Fatal("the kernel doesn't say how much memory the process has")
	return 0
}

// mallocs is how many objects the process has allocated so far.
func (s *benchServer) mallocs(t testing.TB) float64 {
	t.Helper()
	return s.asked(t, "mallocs")
}

// asked is a number that the process tells about itself.
func (s *benchServer) asked(t testing.TB, what string) float64 {
	t.Helper()
	res, err := http.Get("http://" + s.probe + "/" + what)
	check(t, err)
	defer res.Body.Close()
	var n float64
	check(t, json.NewDecoder(res.Body).Decode(&n))
	return n
}

// dial connects to the server.
func (s *benchServer) dial() (net.Conn, error) {
	return net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
}
