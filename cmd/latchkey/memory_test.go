package main

import (
	"math"
	"runtime/debug"
	"testing"
)

// TestTuneMemory holds that what the operator sets is left alone.
func TestTuneMemory(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
	for _, test := range []struct {
		gogc, limit string
		percent     int
		bytes       int64
	}{
		{"", "", gcPercent, memoryLimit},
		{"100", "", 100, math.MaxInt64},
		{"", "1GiB", 100, math.MaxInt64},
	} {
		t.Setenv("GOGC", test.gogc)
		t.Setenv("GOMEMLIMIT", test.limit)
		tuneMemory()
		if got := debug.SetGCPercent(100); got != test.percent {
			t.Errorf("%+v: GOGC is %d", test, got)
		}
		if got := debug.SetMemoryLimit(math.MaxInt64); got != test.bytes {
			t.Errorf("%+v: the limit is %d", test, got)
		}
	}
}
