package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// TestBench measures what Latchkey costs and holds the bars below. It takes a few
// minutes, wants a quiet machine, and so runs only on request:
//
//	BENCH=1 go test -run '^TestBench$' -v -timeout 0 ./cmd/latchkey
//
// A call's cost is the processor time, user and system, of the whole server
// process. Server, floor, and what calls and answers them are processes of their
// own; 16 connections call as fast as they are answered, on behalf of 1,000 people
// with ES256 tokens, a tool whose provider answers 2 KB. Rounds are interleaved,
// and the median counts. At the end stands a line for each figure.
func TestBench(t *testing.T) {
	if os.Getenv("BENCH") == "" {
		t.Skip("left out: it runs where the environment says BENCH=1")
	}
	w := newBenchWorld(t)
	var f figures
	t.Run("parts", func(t *testing.T) { w.benchParts(t, &f) })
	t.Run("calls", func(t *testing.T) { w.benchCalls(t, &f) })
	t.Run("people", func(t *testing.T) { w.benchPeople(t, &f) })
	t.Run("memory", func(t *testing.T) { w.benchMemory(t, &f) })
	t.Run("storm", func(t *testing.T) { w.benchStorm(t, &f) })
	f.print()
}

// Bars are what a figure may be at most.
const (
	handshakeBar = 1.4  // times the floor
	modernBar    = 1.6  // times the floor
	millionBar   = 1.2  // times the cost with 1,000 people
	idleBar      = 30.0 // MiB of anonymous memory
	sessionBar   = 1.0  // KiB of it for each session
	stormBar     = 1.3  // times the ideal
)

// figures are the results in the order in which they were found.
type figures []string

// add notes a figure and, where there is one, holds it against its bar.
func (f *figures) add(t *testing.T, name string, value, bar float64) {
	t.Helper()
	*f = append(*f, fmt.Sprintf("ratio %s %.3g", name, value))
	if bar > 0 && value > bar {
		t.Errorf("%s is %.3g, and may be %.3g at most", name, value, bar)
	}
}

func (f figures) print() {
	for _, line := range f {
		fmt.Println(line)
	}
}

const (
	rounds        = 5
	callsPerRound = 4000
	turns         = 8 // in a round, so that a noisy neighbour meets all loads alike
	people        = 1000
)

// benchCalls compares whole calls in both eras with the floor.
func (w *benchWorld) benchCalls(t *testing.T, f *figures) {
	floor := w.startFloor(t, people)
	server := w.serve(t, w.fill(t, people, 8*time.Hour))
	loads := []*load{
		newLoad(t, floor, w.callers(t, floor, modern, people, people)),
		newLoad(t, server, w.callers(t, server, eliciting, people, people)),
		newLoad(t, server, w.callers(t, server, modern, people, people)),
	}
	costs := interleaved(t, loads)
	f.add(t, "call_handshake", costs[1]/costs[0], handshakeBar)
	f.add(t, "call_2026_07_28", costs[2]/costs[0], modernBar)
	t.Logf("processor time a call: floor %.0f µs, handshake %.0f µs, 2026-07-28 %.0f µs", costs[0], costs[1], costs[2])
	bare := newLoad(t, floor, w.bareCallers(t, floor))
	hop := interleaved(t, []*load{bare, loads[1]})
	f.add(t, "call_over_bare_hop", hop[1]/hop[0], 0)
	f.add(t, "call_over_bare_hop_allocations", loads[1].allocations(t, callsPerRound)/bare.allocations(t, callsPerRound), 0)
	for i, name := range []string{"floor", "handshake", "modern"} {
		loads[i].profileUnder(t, name)
	}
}

// bareCallers call a handler that does nothing.
func (w *benchWorld) bareCallers(t testing.TB, floor *benchServer) []caller {
	t.Helper()
	one := w.callers(t, floor, modern, 1, 1)
	one[0].request = bytes.Replace(one[0].request, []byte("POST /mcp"), []byte("POST /bare"), 1)
	one[0].marker = nil
	return one
}

// benchPeople compares vaults of different sizes under the same load: 1,000 people
// call, who are spread evenly over all there are. Where everybody calls, tokens are
// new and rows cold; that cost is reported without a bar.
func (w *benchWorld) benchPeople(t *testing.T, f *figures) {
	sizes := []int{people, 100_000, 1_000_000}
	var dirs []string
	for _, n := range sizes {
		dirs = append(dirs, w.fill(t, n, 8*time.Hour))
	}
	var loads []*load
	for i, n := range sizes {
		server := w.serve(t, dirs[i])
		loads = append(loads, newLoad(t, server, w.callers(t, server, eliciting, people, n)))
	}
	costs := interleaved(t, loads)
	t.Logf("processor time a call: %.0f µs with %d people", costs, sizes)
	f.add(t, "people_100k", costs[1]/costs[0], 0)
	f.add(t, "people_1m", costs[2]/costs[0], millionBar)
	const strangers = 4 * callsPerRound
	crowd := newLoad(t, loads[2].server, w.callers(t, loads[2].server, modern, strangers, sizes[2]))
	first := float64(crowd.cost(t, strangers)) / 1e3
	f.add(t, "people_1m_first_calls", first/costs[0], 0)
}

// benchMemory looks at a server that has just started and serves nobody, and then
// at what handshakes leave behind.
func (w *benchWorld) benchMemory(t *testing.T, f *figures) {
	server := w.serve(t, w.fill(t, people, 8*time.Hour))
	time.Sleep(2 * time.Second)
	idle := server.anonymous(t) / 1024
	t.Logf("anonymous memory of an idle server: %.1f MiB", idle)
	f.add(t, "memory_idle_over_30_mib", idle/idleBar, 1)
	const sessions = 20_000
	handshakes := newLoad(t, server, w.handshakes(t, server))
	handshakes.run(t, sessions)
	before := server.anonymous(t)
	handshakes.run(t, sessions)
	each := (server.anonymous(t) - before) / sessions
	t.Logf("each of %d sessions leaves %.3f KiB", sessions, each)
	f.add(t, "memory_session_over_1_kib", max(each, 0)/sessionBar, 1)
}

// handshakes are calls of initialize.
func (w *benchWorld) handshakes(t testing.TB, s *benchServer) []caller {
	t.Helper()
	list := make([]caller, people)
	for i := range list {
		c := newMCPClient(s.url, eliciting)
		c.token = w.token(i, s.url+"/mcp")
		list[i] = caller{request: wireOf(t, c, "initialize", c.hello()), marker: []byte("serverInfo")}
	}
	return list
}

// interleaved is the cost of each load's calls in microseconds: the median of
// several rounds, in each of which the loads take turns several times.
func interleaved(t *testing.T, loads []*load) []float64 {
	t.Helper()
	for _, l := range loads {
		l.run(t, callsPerRound/2)
	}
	costs := make([][]float64, len(loads))
	for n := range rounds {
		round := make([]time.Duration, len(loads))
		for range turns {
			for i, l := range loads {
				round[i] += l.cost(t, callsPerRound/turns) / turns
			}
		}
		for i := range loads {
			costs[i] = append(costs[i], float64(round[i])/1e3)
		}
		t.Logf("round %d: %.0f µs", n+1, last(costs))
	}
	medians := make([]float64, len(loads))
	for i := range loads {
		medians[i] = median(costs[i])
	}
	return medians
}

func last(lists [][]float64) []float64 {
	var out []float64
	for _, l := range lists {
		out = append(out, l[len(l)-1])
	}
	return out
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}
