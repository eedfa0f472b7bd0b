package authserver

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxAddresses bounds what a limiter remembers.
const maxAddresses = 4096

// perAddress is how often one address may ask: burst at once, then one every so often.
type perAddress struct {
	every time.Duration
	burst int
}

// A limiter slows down callers that have no identity yet: each remote address,
// and all of them together at ten times that. It is safe for concurrent use.
type limiter struct {
	now   func() time.Time
	limit perAddress

	mu     sync.Mutex
	global *rate.Limiter
	each   map[netip.Prefix]*rate.Limiter
}

func newLimiter(now func() time.Time, limit perAddress) *limiter {
	return &limiter{
		now: now, limit: limit, each: map[netip.Prefix]*rate.Limiter{},
		global: rate.NewLimiter(10*rate.Every(limit.every), 10*limit.burst),
	}
}

// allow reports whether r's sender may go on. The global limit is asked last, so
// that a single address can't use it up.
func (l *limiter) allow(r *http.Request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	return l.of(remoteNetwork(r), now).AllowN(now, 1) && l.global.AllowN(now, 1)
}

func (l *limiter) of(from netip.Prefix, now time.Time) *rate.Limiter {
	if one, ok := l.each[from]; ok {
		return one
	}
	if len(l.each) >= maxAddresses {
		l.forget(now)
	}
	one := rate.NewLimiter(rate.Every(l.limit.every), l.limit.burst)
	l.each[from] = one
	return one
}

// forget drops who hasn't asked for a while; if nobody qualifies, everybody, and
// the global limit alone holds for a moment.
func (l *limiter) forget(now time.Time) {
	for from, one := range l.each {
		if one.TokensAt(now) >= float64(l.limit.burst) {
			delete(l.each, from)
		}
	}
	if len(l.each) >= maxAddresses {
		clear(l.each)
	}
}

// remoteNetwork is the sender's IPv4 address or IPv6 /64. Forwarding headers are
// not believed: behind a proxy, all share one.
func remoteNetwork(r *http.Request) netip.Prefix {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if address = address.Unmap().WithZone(""); address.Is6() {
		bits = 64
	}
	network, _ := address.Prefix(bits)
	return network
}
