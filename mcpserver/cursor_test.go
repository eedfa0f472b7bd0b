package mcpserver

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/latchkey-mcp/latchkey/tools"
)

// noteSpec is a tool of the module that newNotes serves beside the world's own.
func noteSpec(name string, method string) tools.Spec {
	return tools.Spec{
		Name: name, Title: "Test " + name, Description: "Tests.", Can: "Be tested", Provider: "acme", Scopes: []string{"read"},
		ReadOnly: method == "GET", Egress: []tools.Rule{{Method: method, Host: "api.acme.test", Path: "/items"}},
	}
}

// newNotes is a world that serves more tools, all of the module "note".
func newNotes(t *testing.T, more ...tools.Tool) *world {
	t.Helper()
	w := newWorld(t, func(cfg *Config) {
		cfg.Modules = append(cfg.Modules, tools.Module{Name: "note", Title: "Notes", Provider: "acme", Tools: more})
	})
	w.connect("alice")
	return w
}

// call calls a tool as the person, and is its text and whether that is an error.
func (w *world) call(token, tool, arguments string) (string, bool) {
	w.t.Helper()
	return w.legacy(token, "", "", "tools/call", callParams(tool, arguments)).says(w.t)
}

// another connects a second account of alice's and has the next calls act on it.
func (w *world) another() {
	w.t.Helper()
	if _, err := w.file(w.issuer.Caller("alice"), "private"); err != nil {
		w.t.Fatal(err)
	}
	w.choose("id-private")
}

func (w *world) choose(account string) {
	w.t.Helper()
	keys, err := w.vault.Keyring(w.issuer.Caller("alice"))
	if err == nil {
		err = keys.Choose(w.t.Context(), "acme", account, "")
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

type (
	pageIn struct {
		Query  string `json:"query,omitempty" jsonschema:"what to look for"`
		Cursor string `json:"cursor,omitempty" jsonschema:"next_cursor of the answer before"`
	}
	pageOut struct {
		Page int    `json:"page"`
		Next string `json:"next_cursor"`
	}
)

// page answers page after page; it asks the provider nothing for the query "local".
func page(ctx context.Context, api *http.Client, in pageIn) (out pageOut, err error) {
	if err := tools.ReadCursor(ctx, in.Cursor, &out.Page); err != nil {
		return out, err
	}
	if in.Query != "local" {
		if _, err := send(ctx, api, "GET", "https://api.acme.test/items", ""); err != nil {
			return out, err
		}
	}
	out.Page++
	out.Next, err = tools.WriteCursor(ctx, out.Page)
	return out, err
}

func newPages(t *testing.T) *world {
	return newNotes(t, tools.Define(noteSpec("note_list", "GET"), page), tools.Define(noteSpec("note_others", "GET"), page))
}

// next is the cursor of the call's answer, which is of that page.
func (w *world) next(tool, arguments string, want int) string {
	w.t.Helper()
	text, isError := w.call(w.issuer.Token("alice"), tool, arguments)
	var out pageOut
	if isError || json.Unmarshal([]byte(text), &out) != nil || out.Page != want || out.Next == "" {
		w.t.Fatalf("%s %s: got %s", tool, arguments, text)
	}
	return out.Next
}

func TestCursors(t *testing.T) {
	w := newPages(t)
	for _, query := range []string{"x", "local"} {
		first := w.next("note_list", `{"query":"`+query+`"}`, 1)
		second := w.next("note_list", `{ "cursor": "`+first+`", "query": "`+query+`" }`, 2)
		w.next("note_list", `{"query":"`+query+`","cursor":"`+second+`"}`, 3)
	}
}

func TestCursorsOfOtherCalls(t *testing.T) {
	w := newPages(t)
	w.connect("bob")
	cursor := w.next("note_list", `{"query":"x"}`, 1)
	alice := w.issuer.Token("alice")
	client := w.issuer.Claims("alice")
	client["client_id"] = "another client"
	last := map[byte]string{'A': "Q", 'Q': "g", 'g': "w", 'w': "A"}[cursor[len(cursor)-1]]
	for name, c := range map[string]struct{ token, tool, arguments string }{
		"another person's":  {w.issuer.Token("bob"), "note_list", `{"query":"x","cursor":"` + cursor + `"}`},
		"another client's":  {w.issuer.Sign(nil, client), "note_list", `{"query":"x","cursor":"` + cursor + `"}`},
		"another tool's":    {alice, "note_others", `{"query":"x","cursor":"` + cursor + `"}`},
		"other arguments":   {alice, "note_list", `{"query":"y","cursor":"` + cursor + `"}`},
		"fewer arguments":   {alice, "note_list", `{"cursor":"` + cursor + `"}`},
		"tampered":          {alice, "note_list", `{"query":"x","cursor":"` + flip(cursor, len(cursor)/2) + `"}`},
		"tampered in front": {alice, "note_list", `{"query":"x","cursor":"` + flip(cursor, 0) + `"}`},
		"tampered at last":  {alice, "note_list", `{"query":"x","cursor":"` + cursor[:len(cursor)-1] + last + `"}`},
		"cut":               {alice, "note_list", `{"query":"x","cursor":"` + cursor[:len(cursor)-4] + `"}`},
		"a session id":      {alice, "note_list", `{"query":"x","cursor":"` + w.initialize(alice, mcp.ProtocolVersion20251125, "{}") + `"}`},
		"no cursor at all":  {alice, "note_list", `{"query":"x","cursor":"2"}`},
	} {
		before := len(w.provider.requests())
		text, isError := w.call(c.token, c.tool, c.arguments)
		if !isError || !strings.Contains(text, "This cursor is not of this call") || len(w.provider.requests()) != before {
			t.Errorf("%s: got %s", name, text)
		}
	}
	if !strings.HasPrefix(cursor, "A") { // Tink's prefix of a keyset: what is sealed, not what is told
		t.Errorf("the cursor is %s", cursor)
	}
	w.next("note_list", `{"query":"x","cursor":"`+cursor+`"}`, 2)
}

// flip is text with another character at i.
func flip(text string, i int) string {
	to := "A"
	if text[i] == 'A' {
		to = "B"
	}
	return text[:i] + to + text[i+1:]
}

func TestCursorsExpire(t *testing.T) {
	w := newPages(t)
	cursor := w.next("note_list", `{}`, 1)
	w.clock.forward(cursorLife - time.Minute)
	w.next("note_list", `{"cursor":"`+cursor+`"}`, 2)
	w.clock.forward(time.Minute)
	if text, isError := w.call(w.issuer.Token("alice"), "note_list", `{"cursor":"`+cursor+`"}`); !isError || !strings.Contains(text, "leave the cursor out") {
		t.Errorf("got %s", text)
	}
}

// A list goes on at the account at which it began, or not at all.
func TestCursorsKeepTheAccount(t *testing.T) {
	w := newPages(t)
	cursor, unasked := w.next("note_list", `{}`, 1), w.next("note_list", `{"query":"local"}`, 1)
	w.another()
	if text, isError := w.call(w.issuer.Token("alice"), "note_list", `{"cursor":"`+cursor+`"}`); !isError || !strings.Contains(text, "not of this call") {
		t.Errorf("another account's: got %s", text)
	}
	w.next("note_list", `{"query":"local","cursor":"`+unasked+`"}`, 2) // nothing had been asked of any account
	w.choose("id-alice")
	w.next("note_list", `{"cursor":"`+cursor+`"}`, 2)
}

// Whose account is gone meanwhile is asked to connect, not told of the cursor.
func TestCursorsWithoutAConnection(t *testing.T) {
	w := newPages(t)
	cursor := w.next("note_list", `{}`, 1)
	w.disconnect("alice")
	if text, isError := w.call(w.issuer.Token("alice"), "note_list", `{"cursor":"`+cursor+`"}`); !isError || !strings.Contains(text, "/connect/alice-") {
		t.Errorf("got %s", text)
	}
}

func (w *world) disconnect(person string) {
	w.t.Helper()
	keys, err := w.vault.Keyring(w.issuer.Caller(person))
	if err != nil {
		w.t.Fatal(err)
	}
	_ = keys.Delete(w.t.Context(), "acme", "id-"+person) // the provider confirms nothing here
	if infos, err := keys.List(w.t.Context()); err != nil || len(infos) > 0 {
		w.t.Fatalf("still there: %v, %v", infos, err)
	}
}
