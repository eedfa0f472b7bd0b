package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A floor is the least that a server must do which acts on its callers' accounts:
// check the token's ES256 signature, read a row, decrypt it, ask the provider and
// pass its answer on. It is a plain net/http server, tuned like ours: statements
// prepared once, reads that can't be cancelled, the file mapped, a transport of its
// own. It keeps no record, limits nothing and parses no JSON but the claims.
type floor struct {
	Addr     string
	File     string // the database
	Key      []byte // of all rows
	Public   []byte // the issuer's
	Issuer   string
	Resource string
	Provider string // where to ask

	public    *ecdsa.PublicKey
	aead      cipher.AEAD
	read      *sql.Stmt
	transport *http.Transport
}

// serveFloor is the command latchkey-floor; its only argument is a floor in JSON.
func serveFloor() {
	var f floor
	exitOn(json.Unmarshal([]byte(os.Args[1]), &f))
	exitOn(f.open())
	http.HandleFunc("POST /mcp", f.call)
	http.HandleFunc("POST /bare", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(bareAnswer)
	})
	http.HandleFunc("GET /healthz", healthy)
	exitOn(http.ListenAndServe(f.Addr, nil))
}

// bareAnswer is what a bare hop answers: as much as the provider.
var bareAnswer = make([]byte, 2048)

func exitOn(err error) {
	if err != nil {
		panic(err)
	}
}

func (f *floor) open() (err error) {
	if f.public, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), f.Public); err != nil {
		return err
	}
	block, err := aes.NewCipher(f.Key)
	if err != nil {
		return err
	}
	if f.aead, err = cipher.NewGCM(block); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+f.File+"?_pragma=query_only(1)&_pragma=mmap_size(268435456)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(2)
	db.SetMaxIdleConns(2)
	if f.read, err = db.Prepare("SELECT sealed FROM grants WHERE owner = ? AND provider = ?"); err != nil {
		return err
	}
	f.transport = &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second, DisableCompression: true,
	}
	return nil
}

func (f *floor) call(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	subject, err := f.verify(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	credential, err := f.credential(subject)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, f.Provider, nil)
	exitOn(err)
	req.Header.Set("Authorization", "Bearer "+credential)
	resp, err := f.transport.RoundTrip(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.Header().Set("Content-Length", resp.Header.Get("Content-Length"))
	_, _ = io.Copy(w, resp.Body)
}

// verify is the subject of a token.
func (f *floor) verify(token string) (string, error) {
	input, signature, _ := cutLast(token, ".")
	_, payload, _ := strings.Cut(input, ".")
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || len(sig) != 64 {
		return "", errors.New("no signature")
	}
	sum := sha256.Sum256([]byte(input))
	if !ecdsa.Verify(f.public, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return "", errors.New("a wrong signature")
	}
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return "", err
	}
	var claims struct {
		Iss, Sub, Aud string
		Exp           int64
	}
	if err := json.Unmarshal(plain, &claims); err != nil {
		return "", err
	}
	if claims.Iss != f.Issuer || claims.Aud != f.Resource || claims.Exp < time.Now().Unix() {
		return "", errors.New("not a token for this server")
	}
	return claims.Sub, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (f *floor) credential(subject string) (string, error) {
	owner := sha256.Sum256([]byte(subject))
	var sealed []byte
	if err := f.read.QueryRowContext(context.Background(), owner[:], "github").Scan(&sealed); err != nil {
		return "", err
	}
	plain, err := f.aead.Open(nil, sealed[:12], sealed[12:], owner[:])
	if err != nil {
		return "", err
	}
	credential, _, _ := strings.Cut(string(plain), "\n")
	return credential, nil
}

// floorRow is how long a row of the floor's is: as long as one of ours.
const floorRow = 640

// startFloor runs a floor over n people.
func (w *benchWorld) startFloor(t testing.TB, n int) *benchServer {
	t.Helper()
	addr := freeAddress(t)
	f := floor{
		Addr: addr, File: filepath.Join(t.TempDir(), "floor.db"), Key: make([]byte, 32), Public: w.point(t),
		Issuer: w.issuer, Resource: "http://" + addr + "/mcp", Provider: w.provider.URL + "/search/issues?q=season+is%3Aissue&per_page=20",
	}
	f.fill(t, n)
	return startProcess(t, addr, "latchkey-floor", string(mustJSON(f)))
}

// fill makes the floor's database.
func (f *floor) fill(t testing.TB, n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+f.File+"?_pragma=journal_mode(WAL)")
	check(t, err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE grants (owner BLOB, provider TEXT, version INTEGER, sealed BLOB, updated INTEGER, PRIMARY KEY (owner, provider)) STRICT")
	check(t, err)
	block, err := aes.NewCipher(f.Key)
	check(t, err)
	aead, err := cipher.NewGCM(block)
	check(t, err)
	tx, err := db.Begin()
	check(t, err)
	for i := range n {
		owner := sha256.Sum256([]byte(subject(i)))
		plain := make([]byte, floorRow-12-16)
		copy(plain, access(subject(i))+"\n")
		nonce := make([]byte, 12)
		_, _ = rand.Read(nonce)
		_, err := tx.Exec("INSERT INTO grants VALUES (?, 'github', 1, ?, 0)", owner[:], aead.Seal(nonce, nonce, plain, owner[:]))
		check(t, err)
	}
	check(t, tx.Commit())
}
