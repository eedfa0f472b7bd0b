package storetest

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

// BrowserCaller is subject as a browser session has them: without a client. It goes
// through a cookie, made with the vault's own keys, and the one way to open it.
func BrowserCaller(t testing.TB, iss *Issuer, v *store.Vault, subject string) identity.Caller {
	t.Helper()
	seal := v.AEAD("browser session")
	browser, err := identity.NewBrowser(identity.BrowserConfig{Issuer: iss.URL, ClientID: "pages", Seal: seal, Now: iss.Now})
	if err != nil {
		t.Fatal(err)
	}
	now := iss.Now().Unix()
	plain, err := json.Marshal(map[string]any{
		"issuer": iss.URL, "subject": subject, "id": "a session", "issued": now, "expires": now + 3600,
	})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal.Encrypt(plain, []byte("latchkey browser session v1"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := browser.Open(base64.RawURLEncoding.EncodeToString(sealed))
	if err != nil {
		t.Fatal(err)
	}
	return s.Caller()
}
