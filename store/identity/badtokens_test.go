package identity_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

func TestVerifyRefusesBadTokens(t *testing.T) {
	iss := storetest.NewIssuer(t, nil)
	bad := storetest.BadTokens(iss)
	if len(bad) < 25 {
		t.Fatalf("only %d bad tokens", len(bad))
	}
	good := iss.Token("alice")
	bad = append(bad, []storetest.BadToken{
		{Name: "empty", Token: ""},
		{Name: "space in front", Token: " " + good},
		{Name: "space behind", Token: good + " "},
		{Name: "line break behind", Token: good + "\n"},
		{Name: "line break inside", Token: strings.Replace(good, ".", "\r\n.", 1)},
		{Name: "line break in a segment", Token: good[:9] + "\n" + good[9:]},
		{Name: "NUL behind", Token: good + "\x00"},
		{Name: "the scheme in front", Token: "Bearer " + good},
	}...)
	v := iss.Verifier()
	for _, b := range bad {
		t.Run(b.Name, func(t *testing.T) { refused(t, v, b.Token) })
	}
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Errorf("the good token that the bad ones differ from: %v", err)
	}
}

// refused checks that v refuses token twice, since the second could be answered
// from memory, and tells nothing of it.
func refused(t *testing.T, v *identity.Verifier, token string) {
	t.Helper()
	for range 2 {
		c, err := v.Verify(t.Context(), token)
		if !errors.Is(err, identity.ErrInvalidToken) || errors.Is(err, identity.ErrUnavailable) {
			t.Fatalf("error %v, want ErrInvalidToken", err)
		}
		if !c.IsZero() {
			t.Errorf("a caller beside the error: %+v", c)
		}
		if part := quoted(err.Error(), token); part != "" {
			t.Errorf("%q quotes %q from the token", err, part)
		}
	}
}

// quoted is a part of token, or of what it encodes, that text has.
func quoted(text, token string) string {
	const window = 14
	sources := []string{token}
	for segment := range strings.SplitSeq(token, ".") {
		decoded, _ := base64.RawURLEncoding.DecodeString(segment)
		sources = append(sources, string(decoded))
	}
	for _, s := range sources {
		for i := 0; i+window <= len(s); i++ {
			if strings.Contains(text, s[i:i+window]) {
				return s[i : i+window]
			}
		}
	}
	return ""
}
