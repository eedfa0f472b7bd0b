package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A secret is a value that must not be found but where it belongs.
type secret struct {
	kind, value string
	forms       [][]byte
}

func newSecret(kind, value string) secret { return secret{kind, value, forms(value)} }

// forms are how a value may be written down.
func forms(value string) [][]byte {
	raw := []byte(value)
	quoted, _ := json.Marshal(value)
	escaped := ""
	for _, b := range raw {
		escaped += fmt.Sprintf("%%%02X", b)
	}
	list := []string{
		value, hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), url.QueryEscape(value), url.PathEscape(value),
		strings.Trim(string(quoted), `"`), strings.NewReplacer("+", `\u002b`, "=", `\u003d`, "/", `\/`).Replace(value), escaped,
	}
	// Base64 looks otherwise at each of three places in a text; its ends depend on what
	// is beside it.
	for shift := range 3 {
		shifted := append(make([]byte, shift), raw...)
		whole := len(shifted) / 3 * 3
		from := (shift*8 + 5) / 6
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			list = append(list, alphabet.EncodeToString(shifted[:whole])[from:])
		}
	}
	slices.Sort(list)
	var out [][]byte
	for _, form := range slices.Compact(list) {
		out = append(out, []byte(form))
	}
	return out
}

// A finder looks for many secrets at once: a text is gone through once, and compared
// only where a form may begin.
type finder struct {
	secrets []secret
	pairs   [1 << 16]bool         // how forms begin
	forms   map[uint64][]searched // by their first eight bytes
}

type searched struct {
	secret int
	text   []byte
}

// newFinder looks for secrets of at least eleven bytes, no form of which is shorter
// than eight.
func newFinder(secrets []secret) *finder {
	f := &finder{secrets: secrets, forms: map[uint64][]searched{}}
	for i, s := range secrets {
		for _, form := range s.forms {
			start := binary.LittleEndian.Uint64(form)
			f.pairs[uint16(start)] = true
			f.forms[start] = append(f.forms[start], searched{i, form})
		}
	}
	return f
}

// in is which secrets text has, and in what form.
func (f *finder) in(text []byte) map[int][]byte {
	found := map[int][]byte{}
	for i := 0; i+8 <= len(text); i++ {
		start := binary.LittleEndian.Uint64(text[i:])
		if !f.pairs[uint16(start)] {
			continue
		}
		for _, form := range f.forms[start] {
			if bytes.HasPrefix(text[i:], form.text) {
				found[form.secret] = form.text
			}
		}
	}
	return found
}

// hits says which secrets text has, in any form.
func (f *finder) hits(text []byte) (found []string) {
	for i, form := range f.in(text) {
		found = append(found, fmt.Sprintf("%s (as %.60q)", f.secrets[i].kind, form))
	}
	return found
}

func hits(secrets []secret, text []byte) []string { return newFinder(secrets).hits(text) }

// TestForms is the search itself: it finds what is planted, in every form, and in the
// midst of other things.
func TestForms(t *testing.T) {
	planted := []secret{newSecret("planted", `c4n4ry/with+odd="chars"&more?`), newSecret("plain", "gho_0123456789abcdef")}
	for _, s := range planted {
		quoted, _ := json.Marshal(map[string]string{"a": s.value})
		for i, text := range []string{
			"x" + s.value + "y", hex.EncodeToString([]byte("ab" + s.value)), url.Values{"a": {s.value}}.Encode(), "/x/" + url.PathEscape(s.value) + "/",
			string(quoted), base64.StdEncoding.EncodeToString([]byte(s.value)), base64.StdEncoding.EncodeToString([]byte("a" + s.value + "b")),
			base64.URLEncoding.EncodeToString([]byte("id:" + s.value)), base64.RawURLEncoding.EncodeToString([]byte("ab" + s.value + "cd")),
			base64.StdEncoding.EncodeToString([]byte("ids:" + s.value)), strings.ToUpper(hex.EncodeToString([]byte(s.value))),
		} {
			if len(hits([]secret{s}, []byte(text))) == 0 {
				t.Errorf("%s: form %d goes unnoticed: %s", s.kind, i, text)
			}
		}
	}
	if found := hits(planted, []byte("nothing of that sort is in here, gho_0123456789abcde")); len(found) > 0 {
		t.Errorf("found %v where nothing is", found)
	}
}

// A tape records what a server answers.
type tape struct {
	base string
	mu   sync.Mutex
	all  []exchange
}

// An exchange is one answer of the server, by the path that was asked for.
type exchange struct {
	method, path string
	location     string
	cookies      []string
	header, body string // of the answer; header without the two above
}

// RoundTrip implements http.RoundTripper.
func (p *tape) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !strings.HasPrefix(r.URL.String(), p.base+"/") {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	header := resp.Header.Clone()
	x := exchange{method: r.Method, path: r.URL.Path, location: header.Get("Location"), cookies: header.Values("Set-Cookie"), body: string(body)}
	header.Del("Location")
	header.Del("Set-Cookie")
	x.header = fmt.Sprint(header)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, x)
	return resp, err
}

// A door is where a kind of secret may be seen in our answers: a path, and which part
// of the answer.
type door struct {
	path *regexp.Regexp
	part string // "location", "cookie", "header" or "body"
}

var doors = map[string][]door{
	"our access token":  {{regexp.MustCompile(`^/token$`), "body"}},
	"our refresh token": {{regexp.MustCompile(`^/token$`), "body"}},
	"our client secret": {{regexp.MustCompile(`^/register$`), "body"}},
	"our code":          {{regexp.MustCompile(`^/authorize`), "location"}},
	"cookie":            {{regexp.MustCompile(`.`), "cookie"}},
	"state":             {{regexp.MustCompile(`^/(authorize|connect/|signin|connections/)`), "location"}},
	// A ticket is a link that people are to open.
	"ticket": {{regexp.MustCompile(`^/(mcp|connect/.*|callback/.*|signin.*)$`), "body"}, {regexp.MustCompile(`^/(connect|signin|callback)`), "location"}},
	// What a page's form confirms with.
	"form key": {{regexp.MustCompile(`^/(callback/.*|forget)$`), "body"}},
	// What people and their clients asked for.
	"account":  {{regexp.MustCompile(`^/(connections|connect/.*|callback/.*|disconnect/.*|forget)$`), "body"}},
	"content":  {{regexp.MustCompile(`^/mcp$`), "body"}},
	"argument": {{regexp.MustCompile(`^/mcp$`), "body"}},
	// It is worth nothing to anybody else.
	"session id": {{regexp.MustCompile(`^/mcp$`), "header"}},
}

// leaked is what p's answers show of secrets but through their doors.
func (p *tape) leaked(f *finder) (found []string) {
	for _, x := range p.all {
		for part, text := range map[string]string{
			"location": x.location, "cookie": strings.Join(x.cookies, "\n"), "header": x.header, "body": x.body,
		} {
			for i := range f.in([]byte(text)) {
				kind := f.secrets[i].kind
				if !slices.ContainsFunc(doors[kind], func(d door) bool { return d.part == part && d.path.MatchString(x.path) }) {
					found = append(found, fmt.Sprintf("%s %s: the %s holds a %s: %.300q", x.method, x.path, part, kind, text))
				}
			}
		}
	}
	return found
}
