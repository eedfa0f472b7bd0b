package page

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

// A Rate is how often one address may ask: Burst at once, then one Every so often.
type Rate struct {
	Every time.Duration
	Burst int
}

// A Limiter slows down callers that have no identity yet: each remote address,
// and all of them together at ten times that. It is safe for concurrent use.
//
// The address is that of the connection, an IPv4 address or an IPv6 /64. Forwarding
// headers are not believed: whoever reaches us directly could write a new one each
// time. So behind a proxy all people share one address's rate, which is made for
// that, and a stranger can use it up: who needs more sets a limit in the proxy,
// which knows the addresses.
type Limiter struct {
	now   func() time.Time
	limit Rate

	mu     sync.Mutex
	global *rate.Limiter
	each   map[netip.Prefix]*rate.Limiter
}

// NewLimiter allows each address limit.
func NewLimiter(now func() time.Time, limit Rate) *Limiter {
	return &Limiter{
		now: now, limit: limit, each: map[netip.Prefix]*rate.Limiter{},
		global: rate.NewLimiter(10*rate.Every(limit.Every), 10*limit.Burst),
	}
}

// Allow reports whether r's sender may go on. The global limit is asked last, so
// that a single address can't use it up.
func (l *Limiter) Allow(r *http.Request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	return l.of(remoteNetwork(r), now).AllowN(now, 1) && l.global.AllowN(now, 1)
}

func (l *Limiter) of(from netip.Prefix, now time.Time) *rate.Limiter {
	if one, ok := l.each[from]; ok {
		return one
	}
	if len(l.each) >= maxAddresses {
		l.forget(now)
	}
	one := rate.NewLimiter(rate.Every(l.limit.Every), l.limit.Burst)
	l.each[from] = one
	return one
}

// forget drops who hasn't asked for a while; if nobody qualifies, everybody, and
// the global limit alone holds for a moment.
func (l *Limiter) forget(now time.Time) {
	for from, one := range l.each {
		if one.TokensAt(now) >= float64(l.limit.Burst) {
			delete(l.each, from)
		}
	}
	if len(l.each) >= maxAddresses {
		clear(l.each)
	}
}

// remoteNetwork is the sender's IPv4 address or IPv6 /64.
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
