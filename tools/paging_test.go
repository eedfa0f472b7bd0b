package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
)

func TestFit(t *testing.T) {
	five := []string{"aaaaa", "bbbbb", "ccccc", "ddddd", "eeeee"} // 7 bytes each as JSON, and a comma
	for _, c := range []struct {
		list         []string
		budget, want int
	}{
		{five, 1000, 5}, {five, 40, 5}, {five, 39, 4}, {five, 16, 2}, {five, 15, 1},
		{five, 8, 1}, {five, 1, 1}, {five, 0, 1}, {five, -5, 1}, // never none, or the caller stands still
		{nil, 100, 0}, {nil, 0, 0},
		{[]string{"\x00\x00"}, 8, 1},
	} {
		if got := tools.Fit(c.list, c.budget); got != c.want {
			t.Errorf("%d of %d bytes: got %d, want %d", len(c.list), c.budget, got, c.want)
		}
	}
	if got := tools.Fit([]float64{1, math.NaN(), 2}, 100); got != 1 {
		t.Errorf("what can't be encoded: got %d", got)
	}
}

// What Fit lets through is within the budget as JSON.
func TestFitHolds(t *testing.T) {
	var list []item
	for i := range 200 {
		list = append(list, item{Label: strings.Repeat("é\n", i%7), Count: i})
	}
	for budget := 100; budget < 4000; budget += 37 {
		n := tools.Fit(list, budget)
		text, err := json.Marshal(list[:n])
		if err != nil || len(text) > budget+1 || n == 0 {
			t.Errorf("%d items have %d bytes of %d, %v", n, len(text), budget, err)
		}
	}
}

func TestCursor(t *testing.T) {
	type place struct{ Page, Skip int }
	ctx := tools.WithFacts(t.Context(), tools.Facts{
		Seal: func(plain []byte) (string, error) { return "sealed " + string(plain), nil },
		Open: func(sealed string) ([]byte, error) {
			plain, ok := strings.CutPrefix(sealed, "sealed ")
			if !ok {
				return nil, errors.New("inside")
			}
			return []byte(plain), nil
		},
	})
	cursor, err := tools.WriteCursor(ctx, place{2, 7})
	if err != nil {
		t.Fatal(err)
	}
	got := place{1, 0}
	if err := tools.ReadCursor(ctx, cursor, &got); err != nil || got != (place{2, 7}) {
		t.Errorf("got %v, %v", got, err)
	}
	if err := tools.ReadCursor(ctx, "", &got); err != nil || got != (place{2, 7}) {
		t.Errorf("no cursor changed the state: %v, %v", got, err)
	}
	for _, wrong := range []string{"another", "sealed [", `sealed "text"`} {
		err := tools.ReadCursor(ctx, wrong, &got)
		if told, ok := errors.AsType[*tools.Error](err); !ok || strings.Contains(told.Message, "inside") {
			t.Errorf("%s: got %v", wrong, err)
		}
	}
	if _, err := tools.WriteCursor(ctx, func() {}); err == nil {
		t.Error("a function became a cursor")
	}
	for name, err := range map[string]error{
		"read": tools.ReadCursor(t.Context(), cursor, &got),
		"write": func() error {
			_, err := tools.WriteCursor(t.Context(), 1)
			return err
		}(),
	} {
		if _, told := errors.AsType[*tools.Error](err); err == nil || told {
			t.Errorf("%s outside of a call: got %v", name, err)
		}
	}
}

func TestCanonical(t *testing.T) {
	spell := func(arguments string) string {
		return string(tools.Canonical(json.RawMessage(arguments), "cursor"))
	}
	want := spell(`{"query":"é","limit":12345678901234567890,"in":{"cursor":"x","a":[1,2]}}`)
	if want != `{"in":{"a":[1,2],"cursor":"x"},"limit":12345678901234567890,"query":"é"}` {
		t.Errorf("got %s", want)
	}
	for _, same := range []string{
		` { "limit" : 12345678901234567890, "in":{"a":[1, 2],"cursor":"x"},"cursor":"c","query":"\u00e9"}`,
		`{"cursor":{},"query":"é","in":{"cursor":"x","a":[1,2]},"limit":12345678901234567890}`,
	} {
		if got := spell(same); got != want {
			t.Errorf("%s: got %s", same, got)
		}
	}
	for _, other := range []string{
		`{"query":"é","limit":12345678901234567891,"in":{"cursor":"x","a":[1,2]}}`,
		`{"query":"é","limit":12345678901234567890,"in":{"cursor":"y","a":[1,2]}}`,
		`{"query":"é","limit":12345678901234567890,"in":{"cursor":"x","a":[2,1]}}`,
		`[]`, `{`, ``,
	} {
		if spell(other) == want {
			t.Errorf("%s counts as the same", other)
		}
	}
}

// A result may pass the budget a little, and is never cut: it is refused.
func TestCallHoldsTheBudget(t *testing.T) {
	type out struct {
		Text string `json:"text"`
	}
	const around = len(`{"text":""}`)
	most := tools.Budget + 4<<10
	write := spec()
	write.ReadOnly, write.Egress[0].Method = false, "POST"
	for _, c := range []struct {
		spec tools.Spec
		size int
		want string
	}{
		{spec(), most, ""}, {spec(), most + 1, "ask for less"},
		{write, most, ""}, {write, most + 1, "Don't call again"},
	} {
		tool := tools.Define(c.spec, func(context.Context, *http.Client, none) (out, error) {
			return out{strings.Repeat("x", c.size-around)}, nil
		})
		got, err := tool.Call(t.Context(), nil, nil)
		if c.want == "" {
			if err != nil || len(got) != c.size {
				t.Errorf("%d bytes: got %d, %v", c.size, len(got), err)
			}
			continue
		}
		told, ok := errors.AsType[*tools.Error](err)
		if !ok || got != nil || !strings.Contains(told.Message, "too large") || !strings.Contains(told.Message, c.want) || told.Fault == nil {
			t.Errorf("%d bytes: got %d, %v", c.size, len(got), err)
		}
	}
}

func TestDefineKeyed(t *testing.T) {
	type key struct {
		Key string `json:"idempotency_key,omitempty" jsonschema:"one try" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9._-]+$"`
	}
	type number struct {
		Key int `json:"idempotency_key,omitempty" jsonschema:"one try"`
	}
	type below struct {
		Item struct {
			Key string `json:"idempotency_key,omitempty" jsonschema:"one try"`
		} `json:"item" jsonschema:"an item"`
	}
	write := func(byProvider bool) tools.Spec {
		s := spec()
		s.ReadOnly, s.KeyedByProvider, s.Egress[0].Method = false, byProvider, "POST"
		return s
	}
	for _, byProvider := range []bool{false, true} {
		if !tools.Define(write(byProvider), handler[key]).Keyed() {
			t.Error("not keyed")
		}
	}
	if tools.Define(write(false), handler[none]).Keyed() || tools.Define(spec(), handler[none]).Keyed() {
		t.Error("keyed without a key")
	}
	for name, define := range map[string]func(){
		"reading":             func() { tools.Define(spec(), handler[key]) },
		"by the provider":     func() { tools.Define(write(true), handler[none]) },
		"a number":            func() { tools.Define(write(false), handler[number]) },
		"not at the top":      func() { tools.Define(write(false), handler[below]) },
		"reading, by another": func() { s := spec(); s.KeyedByProvider = true; tools.Define(s, handler[none]) },
	} {
		if !panics(define) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func handler[In any](context.Context, *http.Client, In) (none, error) { return none{}, nil }

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}
