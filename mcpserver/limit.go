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
)

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
	m.mu.Lock()
	defer m.mu.Unlock()
	limiter := m.of[meter{person, tool}]
	if limiter == nil {
		m.makeRoom(now)
		limiter = rate.NewLimiter(callRate, callBurst)
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
	maps.DeleteFunc(m.of, func(_ meter, l *rate.Limiter) bool { return l.TokensAt(now) >= callBurst })
	if len(m.of) >= maxMeters {
		clear(m.of)
	}
}
