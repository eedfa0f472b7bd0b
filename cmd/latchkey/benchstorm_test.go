package main

import (
	"testing"
	"time"
)

const callsEach = 4 // of each person in a storm

// writesEach is how many durable writes a refresh needs of its own: the lease, the
// new token, and the lease's end. (Its entry in the audit record is in a commit with
// many others.)
const writesEach = 3

// benchStorm lets 1,000 people whose access tokens have expired call four times
// each, all at the same moment. The provider is asked once for each of them, and
// takes 100 ms. Nothing bounds how many people's tokens are refreshed at the same
// time, so the ideal is what the very same calls take with tokens that live, and one
// answer of the token endpoint on top; or the durable writes, where they take longer
// one after the other, as SQLite has it, each at the pace of a bare one. The median of
// several rounds counts, each with an ideal of its own.
func (w *benchWorld) benchStorm(t *testing.T, f *figures) {
	var ratios []float64
	duplicates := 0
	for range rounds {
		took, ideal := w.stormAndIdeal(t)
		ratios = append(ratios, float64(took)/float64(ideal))
		duplicates += w.provider.forget(t) - people
	}
	if duplicates != 0 {
		t.Errorf("%d refreshes more than people", duplicates)
	}
	f.add(t, "storm_duplicate_refreshes", float64(duplicates), 0)
	f.add(t, "storm_over_ideal", median(ratios), stormBar)
}

// stormAndIdeal is how long one storm takes, and how long it would at best.
func (w *benchWorld) stormAndIdeal(t *testing.T) (took, ideal time.Duration) {
	t.Helper()
	living := w.serve(t, w.fill(t, people, 8*time.Hour))
	calm := w.storm(t, living)
	living.stop()
	expired := w.serve(t, w.fill(t, people, -time.Hour))
	took = w.storm(t, expired)
	expired.stop()
	writes := people * writesEach * durableWrite(t)
	t.Logf("%s; the same calls without refreshes: %s; the writes alone: %s", took, calm, writes)
	return took, max(calm+tokenDelay, writes)
}

// durableWrite is how long a bare insert takes.
func durableWrite(t *testing.T) time.Duration {
	t.Helper()
	const some = 1000
	insert := bareInsert(t)
	start := time.Now()
	for i := range some {
		check(t, insert(i))
	}
	return time.Since(start) / some
}

// storm is how long it takes until everybody's calls are answered.
func (w *benchWorld) storm(t *testing.T, s *benchServer) time.Duration {
	t.Helper()
	callers := w.callers(t, s, modern, people, people)
	wires := make([]*wire, len(callers)*callsEach)
	for i := range wires {
		var err error
		wires[i], err = s.wire()
		check(t, err)
		defer wires[i].conn.Close()
	}
	failed := make(chan error, len(wires))
	start := time.Now()
	for i, w := range wires {
		go func() { failed <- w.call(callers[i%len(callers)]) }()
	}
	for range wires {
		check(t, <-failed)
	}
	return time.Since(start)
}
