package identity_test

import (
	"testing"

	"github.com/latchkey-mcp/latchkey/store/storetest"
)

func TestVerifyGoodToken(t *testing.T) {
	iss := storetest.NewIssuer(t, nil)
	c, err := iss.Verifier().Verify(t.Context(), iss.Token("alice"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Principal().Issuer() != iss.URL || c.Principal().Subject() != "alice" || c.ClientID() != "test-client" || !c.HasScope("tools:read") || c.IsZero() {
		t.Errorf("caller %+v", c)
	}
}
