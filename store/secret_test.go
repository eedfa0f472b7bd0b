package store_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

// Whatever holds a secret prints, logs and marshals without it.
func TestSecretsDoNotShow(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.connect("alice")
	grant, err := w.grant(alice)
	ok(t, err)
	secret := grant.Access
	token := store.Token{Access: secret, Refresh: secret, Expiry: time.Now()}
	for name, value := range map[string]any{
		"secret": secret, "pointer": &secret, "token": token, "token pointer": &token, "grant": grant,
		"connection": store.Connection{Token: token}, "slice": []store.Secret{secret},
		"map": map[string]store.Secret{"a": secret},
		"any": struct{ Value any }{secret}, "keyring": alice,
		// fmt calls no methods below an unexported field.
		"unexported": struct{ value store.Secret }{secret}, "deep unexported": struct{ grants []store.Grant }{[]store.Grant{grant}},
	} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%10.3s", "%-5v", "%t"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		fmt.Fprintln(&out, fmt.Errorf("%w: %v", errors.New("failed"), value))
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "value", value, "group", slog.GroupValue(slog.Any("a", value)))
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "value", value)
		if raw, err := json.MarshalIndent(value, "", " "); err == nil {
			out.Write(raw)
		}
		if raw, err := xml.Marshal(value); err == nil {
			out.Write(raw)
		}
		if shown := leaks(out.String(), secret.Reveal()); shown != "" {
			t.Errorf("%s shows as %s", name, shown)
		}
	}
}

// leaks finds the value, or its beginning, in clear or in hexadecimal.
func leaks(out, value string) string {
	for _, form := range []string{value, value[:9], fmt.Sprintf("%x", value[:9]), fmt.Sprintf("%X", value[:9])} {
		if i := strings.Index(out, form); i >= 0 {
			return out[max(0, i-60):min(len(out), i+60)]
		}
	}
	return ""
}

func TestSecretIsItself(t *testing.T) {
	s := store.NewSecret(canary)
	same(t, s.Reveal(), canary)
	same(t, s.IsZero(), false)
	same(t, s.Equal(store.NewSecret(canary)), true)
	same(t, s.Equal(store.NewSecret(canary+"x")), false)
	same(t, s.Equal(store.Secret{}), false)
	for _, none := range []store.Secret{{}, store.NewSecret("")} {
		same(t, none.IsZero(), true)
		same(t, none.Reveal(), "")
	}
	same(t, fmt.Sprint(s), "[secret]")
	same(t, fmt.Sprint(store.Secret{}), "[secret]") // doesn't even tell that it is empty
}
