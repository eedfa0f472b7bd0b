package storetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// Progress counts what a proof has done, and says so about every ten seconds
// where it takes that long. The function is safe for concurrent use.
func Progress(t testing.TB, total int) (done func(n int)) {
	const every = 10 * time.Second
	var count, said atomic.Int64
	start := time.Now()
	said.Store(int64(every))
	return func(n int) {
		now, passed := count.Add(int64(n)), int64(time.Since(start))
		if due := said.Load(); passed >= due && said.CompareAndSwap(due, passed+int64(every)) {
			fmt.Fprintf(os.Stderr, "%s: %d of %d after %ds\n", t.Name(), now, total, passed/int64(time.Second))
		}
	}
}

// Seed is what a proof's random choices begin with: PROOF_SEED, or another one each
// time. It is in the test's output, so that a finding can be had again.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(rand.Uint32())
	if raw := os.Getenv("PROOF_SEED"); raw != "" {
		var err error
		if seed, err = strconv.ParseUint(raw, 10, 64); err != nil {
			t.Fatalf("PROOF_SEED=%s is no number", raw)
		}
	}
	t.Logf("PROOF_SEED=%d", seed)
	return seed
}
