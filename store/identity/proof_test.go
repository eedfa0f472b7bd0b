package identity_test

import (
	"testing"

	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// TestProofTokens: whatever is done to good tokens, only their own texts are ever
// accepted.
func TestProofTokens(t *testing.T) {
	n := storetest.Size(20_000, 1_000_000, 10_000_000)
	identity.ProveTokens(t, storetest.Seed(t), n, storetest.Progress(t, n))
}
