package tools_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/tools"
)

type none struct{}

// An own type encodes itself, as what its schema doesn't allow.
type own string

func (own) MarshalJSON() ([]byte, error) { return []byte("7"), nil }

type whole struct {
	Name string `json:"name"`
}

func (whole) MarshalJSON() ([]byte, error) { return []byte(`{"name":7}`), nil }

// refused reports whether a tool that answers out breaks its own schema.
func refused[Out any](t *testing.T, out Out) bool {
	t.Helper()
	tool := tools.Define(spec(), func(context.Context, *http.Client, none) (Out, error) { return out, nil })
	_, err := tool.Call(t.Context(), nil, nil)
	if err != nil && !strings.Contains(err.Error(), "breaks its own schema") {
		t.Fatal(err)
	}
	return err != nil
}

// Most results fit because their types do, and are not read again. These don't.
func TestCallChecksWhatATypeAllows(t *testing.T) {
	type list struct {
		Items []string `json:"items"`
	}
	type limited struct {
		Name string `json:"name" maxLength:"3"`
	}
	type deep struct {
		All []list `json:"all"`
	}
	for name, wrong := range map[string]bool{
		"a nil list":       refused(t, list{}),
		"a nil list below": refused(t, deep{All: []list{{}}}),
		"a limit":          refused(t, limited{"long"}),
		"an own type": refused(t, struct {
			Name own `json:"name"`
		}{"x"}),
		"a type of its own": refused(t, struct {
			Whole whole `json:"whole"`
		}{}),
		"a list of such": refused(t, struct {
			All []own `json:"all"`
		}{[]own{"x"}}),
	} {
		if !wrong {
			t.Errorf("%s passed", name)
		}
	}
	if refused(t, deep{All: []list{{Items: []string{"null"}}}}) {
		t.Error("a word was taken for a null")
	}
}
