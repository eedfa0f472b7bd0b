package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/storetest"
	"github.com/latchkey-mcp/latchkey/tools"
)

type makeIn struct {
	Title string `json:"title,omitempty" jsonschema:"its title" maxLength:"20"`
	Key   string `json:"idempotency_key,omitempty" jsonschema:"one try" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9._-]+$"`
}

type makeOut struct {
	Number int `json:"number"`
}

// newMaker is a world with tools that make things, of which each is numbered. More
// than the number is up to the provider's answer.
func newMaker(t *testing.T) *world {
	t.Helper()
	made := 0
	create := func(ctx context.Context, api *http.Client, in makeIn) (makeOut, error) {
		_, err := send(ctx, api, "POST", "https://api.acme.test/items", `{"title":"`+in.Title+`"}`)
		if err != nil {
			return makeOut{}, err
		}
		made++
		return makeOut{made}, nil
	}
	keyed := noteSpec("note_keyed", "POST")
	keyed.KeyedByProvider = true
	return newNotes(t, tools.Define(noteSpec("note_make", "POST"), create),
		tools.Define(noteSpec("note_others", "POST"), create), tools.Define(keyed, create))
}

// makes calls note_make as alice and expects that text in its answer, and so many
// requests to the provider.
func (w *world) makes(arguments, want string, requests int) {
	w.t.Helper()
	w.makesAs(w.issuer.Token("alice"), "note_make", arguments, want, requests)
}

func (w *world) makesAs(token, tool, arguments, want string, requests int) {
	w.t.Helper()
	before := len(w.provider.requests())
	text, _ := w.call(token, tool, arguments)
	if sent := len(w.provider.requests()) - before; !strings.Contains(text, want) || sent != requests {
		w.t.Errorf("%s %s: %d requests, got %s; want %d, %s", tool, arguments, sent, text, requests, want)
	}
}

const (
	one     = `{"title":"a","idempotency_key":"k1"}`
	unknown = "outcome of an earlier call with this idempotency_key is unknown"
)

func TestKeyMakesOneOfTwo(t *testing.T) {
	w := newMaker(t)
	w.connect("bob")
	alice := w.issuer.Token("alice")
	other := w.issuer.Claims("alice")
	other["client_id"] = "another client"
	w.makes(one, `{"number":1}`, 1)
	w.makes(one, `{"number":1}`, 0)
	w.makes(` { "idempotency_key" : "k1", "title" : "\u0061" } `, `{"number":1}`, 0)
	w.makes(`{"title":"b","idempotency_key":"k1"}`, "with other arguments", 0)
	w.makes(`{"title":"a","idempotency_key":"k2"}`, `{"number":2}`, 1)
	w.makes(`{"title":"a"}`, `{"number":3}`, 1)
	w.makes(`{"title":"a"}`, `{"number":4}`, 1)
	w.makesAs(alice, "note_others", one, `{"number":5}`, 1)
	w.makesAs(w.issuer.Token("bob"), "note_make", one, `{"number":6}`, 1)
	w.makesAs(w.issuer.Sign(nil, other), "note_make", one, `{"number":7}`, 1)
	w.makesAs(alice, "note_keyed", one, `{"number":8}`, 1)
	w.makesAs(alice, "note_keyed", one, `{"number":9}`, 1) // which is the provider's to keep
	w.makes(one, `{"number":1}`, 0)
}

func TestKeyLastsADay(t *testing.T) {
	w := newMaker(t)
	w.makes(one, `{"number":1}`, 1)
	w.clock.forward(keyLife - time.Minute)
	w.makes(one, `{"number":1}`, 0)
	w.clock.forward(time.Minute)
	if n, err := w.vault.Sweep(t.Context()); err != nil || n == 0 {
		t.Errorf("swept %d, %v", n, err)
	}
	w.makes(one, `{"number":2}`, 1)
}

// What changed nothing is tried again, whoever refused it.
func TestKeyOfACallThatDidNothing(t *testing.T) {
	w := newMaker(t)
	for _, status := range []int{400, 404, 409, 422, 429} {
		w.provider.answer(func(rw http.ResponseWriter, _ *http.Request) bool { rw.WriteHeader(status); return true })
		w.makes(one, "Something went wrong", 1)
	}
	w.provider.answer(nil)
	w.makes(`{"title":"far too long a title here","idempotency_key":"k1"}`, "title must be", 0)
	w.makes(`{"title":"a","idempotency_key":"no such key"}`, "idempotency_key must be", 0)
	w.makes(`{"title":"a","idempotency_key":7}`, "idempotency_key must be", 0)
	w.makes(`{"title":"a","idempotency_key":""}`, "idempotency_key must be", 0)
	w.disconnect("alice")
	w.makes(one, "/connect/alice-", 0)
	w.connect("alice")
	w.makes(one, `{"number":1}`, 1)
}

// What may have been done is never done a second time.
func TestKeyOfAnUnknownOutcome(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter){
		"500":               func(rw http.ResponseWriter) { rw.WriteHeader(500) },
		"503":               func(rw http.ResponseWriter) { rw.WriteHeader(503) },
		"no answer":         func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"half an answer":    func(rw http.ResponseWriter) { rw.Header().Set("Content-Length", "100"); rw.Write([]byte("{")) },
		"another direction": func(rw http.ResponseWriter) { rw.WriteHeader(304) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newMaker(t)
			w.provider.answer(func(rw http.ResponseWriter, _ *http.Request) bool { answer(rw); return true })
			if text, isError := w.call(w.issuer.Token("alice"), "note_make", one); !isError || strings.Contains(text, "earlier") {
				t.Errorf("got %s", text)
			}
			w.provider.answer(nil)
			w.makes(one, unknown, 0)
			w.clock.forward(keyTime + time.Second)
			w.makes(one, unknown, 0)
			w.makes(`{"title":"b","idempotency_key":"k1"}`, "with other arguments", 0)
			w.makes(`{"title":"a","idempotency_key":"k2"}`, `{"number":1}`, 1)
		})
	}
}

func TestKeyOfALateCall(t *testing.T) {
	w := newMaker(t)
	w.face.deadline = time.Second // enough to reach the provider
	w.provider.answer(func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
	w.makes(one, "took longer than", 1)
	w.face.deadline = callTime
	w.provider.answer(nil)
	w.makes(one, unknown, 0)
}

func TestKeyOfTwoAtOnce(t *testing.T) {
	w := newMaker(t)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	w.provider.answer(func(http.ResponseWriter, *http.Request) bool {
		close(arrived)
		<-goOn
		return false
	})
	var first sync.WaitGroup
	first.Go(func() {
		if text, isError := w.call(w.issuer.Token("alice"), "note_make", one); isError {
			t.Errorf("the first: %s", text)
		}
	})
	<-arrived
	w.makes(one, "is under way", 0)
	w.makes(`{"title":"b","idempotency_key":"k1"}`, "with other arguments", 0)
	close(goOn)
	first.Wait()
	w.provider.answer(nil)
	w.makes(one, `{"number":1}`, 0)
}

func TestKeyOfACrowd(t *testing.T) {
	w := newMaker(t)
	token := w.issuer.Token("alice")
	var crowd sync.WaitGroup
	for range 12 {
		crowd.Go(func() {
			text, _ := w.call(token, "note_make", one)
			if !strings.Contains(text, `{"number":1}`) && !strings.Contains(text, "is under way") {
				t.Errorf("got %s", text)
			}
		})
	}
	crowd.Wait()
	if n := len(w.provider.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A process that dies in the middle of a call leaves it begun.
func TestKeyAfterACrash(t *testing.T) {
	w := newMaker(t)
	c := &call{request: &request{}, caller: w.issuer.Caller("alice"), arguments: []byte(one)}
	c.tool = w.face.tools["note_make"]
	c.spec = c.tool.Spec()
	var err error
	if c.keys, err = w.vault.Keyring(c.caller); err != nil {
		t.Fatal(err)
	}
	b, end := w.face.bound(t.Context(), c)
	defer end()
	key, ok := c.key()
	if _, begun, err := w.face.begin(b, key); !ok || !begun || err != nil {
		t.Fatalf("%t, %t, %v", ok, begun, err)
	}
	w.makes(one, "is under way", 0)
	w.clock.forward(keyTime + time.Second)
	w.makes(one, unknown, 0)
	w.clock.forward(keyLife)
	w.makes(one, `{"number":1}`, 1)
}

// A result that can't be kept is told, and the call isn't repeated.
func TestKeyOfAResultThatIsNotKept(t *testing.T) {
	w := newMaker(t)
	w.provider.answer(func(http.ResponseWriter, *http.Request) bool { w.forget(); return false })
	w.makes(one, `{"number":1}`, 1)
	if !strings.Contains(w.log.String(), "the outcome of an idempotency key is not kept") {
		t.Errorf("logged %s", w.log)
	}
	if left := w.kept(); left != 0 {
		t.Errorf("%d records came back", left)
	}
}

func (w *world) forget() {
	keys, err := w.vault.Keyring(w.issuer.Caller("alice"))
	if err == nil {
		_, err = keys.Forget(context.Background(), func(context.Context) ([]store.Connection, error) { return nil, nil })
	}
	if err != nil {
		w.t.Error(err)
	}
}

// kept is how many keys of alice's there are.
func (w *world) kept() int {
	w.t.Helper()
	list, err := w.face.keyed.Owned(w.t.Context(), w.issuer.Caller("alice").Principal().Digest())
	if err != nil {
		w.t.Error(err)
	}
	return len(list)
}

func TestKeysAreForgotten(t *testing.T) {
	w := newMaker(t)
	w.makes(one, `{"number":1}`, 1)
	if w.kept() != 1 {
		t.Errorf("%d keys are kept", w.kept())
	}
	w.forget()
	if w.kept() != 0 {
		t.Errorf("%d keys are kept after Forget", w.kept())
	}
}

func TestKeyKeepsTheAccount(t *testing.T) {
	w := newMaker(t)
	w.makes(one, `{"number":1}`, 1)
	w.another()
	w.makes(one, "or another account", 0)
	w.choose("id-alice")
	w.makes(one, `{"number":1}`, 0)
}

// Where nothing can be kept, nothing is sent.
func TestKeyNeedsTheVault(t *testing.T) {
	w := newMaker(t)
	broken := storetest.OpenVault(t, w.issuer, nil)
	w.face.keyed = store.NewTable[keyed](broken, "idempotency key")
	if err := broken.Close(); err != nil {
		t.Fatal(err)
	}
	w.makes(one, "Something went wrong", 0)
}

// The kept result holds no credential, should the provider have echoed it.
func TestKeptResultIsRedacted(t *testing.T) {
	type out struct {
		Text string `json:"text"`
	}
	w := newNotes(t, tools.Define(noteSpec("note_make", "POST"), func(ctx context.Context, api *http.Client, _ makeIn) (out, error) {
		text, err := send(ctx, api, "POST", "https://api.acme.test/items", "{}")
		return out{text}, err
	}))
	w.provider.answer(func(rw http.ResponseWriter, r *http.Request) bool {
		fmt.Fprint(rw, r.Header.Get("Authorization"))
		return true
	})
	w.makes(one, "Bearer [secret]", 1)
	list, err := w.face.keyed.Owned(t.Context(), w.issuer.Caller("alice").Principal().Digest())
	if err != nil || len(list) != 1 || strings.Contains(string(list[0].Value.Result), "access-") {
		t.Errorf("kept %v, %v", list, err)
	}
}

// A handler that panics after it wrote may have done its work.
func TestKeyOfAPanic(t *testing.T) {
	w := newNotes(t, tools.Define(noteSpec("note_make", "POST"), func(ctx context.Context, api *http.Client, in makeIn) (makeOut, error) {
		if in.Title == "a" {
			_, err := send(ctx, api, "POST", "https://api.acme.test/items", "{}")
			panic(errors.Join(err, errors.New("a panic")))
		}
		panic("before")
	}))
	w.makes(one, "Something went wrong", 1)
	w.makes(one, unknown, 0)
	w.makes(`{"title":"b","idempotency_key":"k2"}`, "Something went wrong", 0)
	w.makes(`{"title":"b","idempotency_key":"k2"}`, "Something went wrong", 0)
}
