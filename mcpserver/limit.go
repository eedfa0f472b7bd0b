package mcpserver

import (
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey-mcp/latchkey/store/identity"
)

// How often a person may call a tool: far more often than models do, and not often
// enough to keep this server or the person's provider busy.
const (
	callRate  = 10     // a second
	callBurst = 120    // at once
	maxMeters = 10_000 // that are not full
	// Each question to a person is kept, arguments and all, for as long as they have to
	// answer, and nobody reads many.
	askEvery = 2 * time.Second
	askBurst = 20
)

// questions is the meter of the questions to a person: no tool is called so.
const questions = "questions"

// meters count calls by person and tool, so that no one's calls slow another's. The
// zero value is ready to use, by several goroutines.
type meters struct {
	mu sync.Mutex
	of map[meter]*rate.Limiter
}

type meter struct {
	person identity.Digest
	tool   string
}

// allow counts a call at now; false where there were too many before it.
func (m *meters) allow(person identity.Digest, tool string, now time.Time) bool {
	return m.allowAt(person, tool, now, callRate, callBurst)
}

// allowQuestion is allow for questions, whatever the tool.
func (m *meters) allowQuestion(person identity.Digest, now time.Time) bool {
	return m.allowAt(person, questions, now, rate.Every(askEvery), askBurst)
}

func (m *meters) allowAt(person identity.Digest, tool string, now time.Time, often rate.Limit, burst int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	limiter := m.of[meter{person, tool}]
	if limiter == nil {
		m.makeRoom(now)
		limiter = rate.NewLimiter(often, burst)
		m.of[meter{person, tool}] = limiter
	}
	return limiter.AllowN(now, 1)
}

// makeRoom forgets the meters that say nothing any more; all of them where there
// are too many even so, since memory must not grow with the number of people.
func (m *meters) makeRoom(now time.Time) {
	if m.of == nil {
		m.of = map[meter]*rate.Limiter{}
	}
	if len(m.of) < maxMeters {
		return
	}
	maps.DeleteFunc(m.of, func(_ meter, l *rate.Limiter) bool { return l.TokensAt(now) >= float64(l.Burst()) })
	if len(m.of) >= maxMeters {
		clear(m.of)
	}
}
