package store_test

import (
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// No interleaving, no crash and no lost answer burns a token silently, serves a stale
// one or outlives a disconnect; and without any one of the guards, some do. Where
// machines stand still for longer than a lease, a token may be burnt; that still
// breaks the grant for people to see, and never a living one.
func TestProofModel(t *testing.T) {
	b := store.Bounds{Ticks: int8(storetest.Size(3, 3, 4)), Crashes: int8(storetest.Size(1, 2, 3)), Trouble: int8(storetest.Size(0, 1, 1))}
	t.Logf("%d states of three processes", store.ProveModel(t, b))
	b.Crashes, b.Stalls = int8(storetest.Size(0, 1, 2)), true
	t.Logf("%d states of three that may stand still", store.ProveModel(t, b))
}
