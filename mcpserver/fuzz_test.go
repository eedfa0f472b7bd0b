package mcpserver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// edited is text with something done to it: bytes flipped, the end cut off or
// something added. Keys are new in each process, so that a whole text can't be kept.
func edited(text string, at uint16, flip byte, cut uint16, tail string) string {
	b := []byte(text)
	if flip != 0 && len(b) > 0 {
		b[int(at)%len(b)] ^= flip
	}
	b = b[:len(b)-int(cut)%(len(b)+1)]
	return string(b) + tail
}

func decoded(text string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

// A session id opens for the person whom it was sealed for, as it was sealed, and
// never as anything else.
func FuzzSessionID(f *testing.F) {
	w := newWorld(f, nil)
	alice, bob := w.issuer.Caller("alice"), w.issuer.Caller("bob")
	plain, _ := json.Marshal(session{ID: "alice's", Issued: time.Now().Unix()})
	seal := func(purpose string) string {
		aead, owner := w.face.sessions, sessionOwner(alice)
		switch purpose {
		case "bob's":
			owner = sessionOwner(bob)
		case "state":
			aead = w.face.states
		case "nobody's":
			owner = nil
		}
		sealed, err := aead.Encrypt(plain, owner)
		if err != nil {
			f.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(sealed)
	}
	texts := []string{seal("hers"), seal("bob's"), seal("state"), seal("nobody's"), ""}
	for i := range texts {
		f.Add(byte(i), uint16(0), byte(0), uint16(0), "")
		f.Add(byte(i), uint16(7), byte(1), uint16(0), "=")
		f.Add(byte(i), uint16(0), byte(0), uint16(1), "\n")
	}
	f.Fuzz(func(t *testing.T, which byte, at uint16, flip byte, cut uint16, tail string) {
		raw := edited(texts[int(which)%len(texts)], at, flip, cut, tail)
		found, err := w.face.openSession(alice, []string{raw})
		if hers := bytes.Equal(decoded(raw), decoded(texts[0])); (err == nil) != hers || (found.ID == "alice's") != hers {
			t.Errorf("%q: %+v, %v", raw, found, err)
		}
		if err != nil && (!errors.Is(err, errNoSession) || found != (session{})) {
			t.Errorf("%q: %+v, %v", raw, found, err)
		}
	})
}

// A requestState opens for the very call that it was sealed for.
func FuzzRequestState(f *testing.F) {
	w := newWorld(f, nil)
	tool := w.module().Tools[0]
	callOf := func(person, arguments string) *call {
		c, err := w.face.bind(&request{caller: w.issuer.Caller(person)}, tool, "Acme", mcp.CallToolParams{RawArguments: []byte(arguments)})
		if err != nil {
			f.Fatal(err)
		}
		return c
	}
	seal := func(c *call, link string, expires time.Duration) string {
		sealed, err := w.face.sealState(w.face.states, c, state{Link: link, Expires: time.Now().Add(expires).Unix()})
		if err != nil {
			f.Fatal(err)
		}
		return sealed
	}
	mine := callOf("alice", `{"query":"a"}`)
	other, err := w.face.sealState(w.face.approvals, mine, approval{Nonce: "n", state: state{Expires: time.Now().Add(time.Hour).Unix()}})
	if err != nil {
		f.Fatal(err)
	}
	texts := []string{
		seal(mine, "mine", time.Hour), seal(mine, "old", -time.Hour),
		seal(callOf("alice", `{"query":"b"}`), "other arguments", time.Hour), seal(callOf("bob", `{"query":"a"}`), "bob's", time.Hour), other, "",
	}
	for i := range texts {
		f.Add(byte(i), uint16(0), byte(0), uint16(0), "")
		f.Add(byte(i), uint16(9), byte(128), uint16(2), "AA")
	}
	f.Fuzz(func(t *testing.T, which byte, at uint16, flip byte, cut uint16, tail string) {
		raw := edited(texts[int(which)%len(texts)], at, flip, cut, tail)
		var st state
		err := w.face.openState(w.face.states, mine, raw, &st, &st)
		switch {
		case bytes.Equal(decoded(raw), decoded(texts[0])):
			if err != nil || st.Link != "mine" {
				t.Errorf("%q: %+v, %v", raw, st, err)
			}
		case bytes.Equal(decoded(raw), decoded(texts[1])):
			if !errors.Is(err, errOldState) {
				t.Errorf("%q: %+v, %v", raw, st, err)
			}
		case !errors.Is(err, errForeignState) || st != (state{}):
			t.Errorf("%q: %+v, %v", raw, st, err)
		}
	})
}
