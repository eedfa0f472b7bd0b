package main

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/latchkey-mcp/latchkey/mcpserver"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// hooks are what the parts tell of for counting. All are nil where nobody counts.
type hooks struct {
	Event     func(e store.Event, provider string)
	Call      func(tool, outcome string, took time.Duration)
	Rejection func(reason string)
	Request   func(route string, status int)
}

// metrics counts what the hooks tell. Every label is of a set that the program's
// own source and settings fix: no person, client, account, URL, argument or token is
// in any. It is safe for concurrent use.
type metrics struct {
	registry   *prometheus.Registry
	calls      map[string]map[string]prometheus.Counter // by tool and outcome
	durations  map[string]prometheus.Observer           // by tool
	events     map[store.Event]map[string]prometheus.Counter
	rejections map[string]prometheus.Counter
	failures   prometheus.Counter

	requests *prometheus.CounterVec
	mu       sync.RWMutex
	routes   map[route]prometheus.Counter
}

// A route is a pattern of our own handlers and a class of status, as "2xx".
type route struct{ pattern, class string }

// otherLabel stands for whatever is in no fixed set.
const otherLabel = "other"

// mostRoutes bounds the series of requests, should a pattern ever be made of input.
const mostRoutes = 200

// callBuckets are seconds: a call may wait half a minute for its person.
var callBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// newMetrics has a counter for everything that can happen with these tools and
// providers, so that counting looks up no label.
func newMetrics(tools, providers []string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(), routes: map[route]prometheus.Counter{},
		calls: map[string]map[string]prometheus.Counter{}, durations: map[string]prometheus.Observer{},
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	calls := m.counters("tool_calls_total", "Tool calls by what they came to.", "tool", "outcome")
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "latchkey_tool_call_duration_seconds", Help: "How long tool calls took, waiting for people included.", Buckets: callBuckets,
	}, []string{"tool"})
	m.registry.MustRegister(durations)
	for _, tool := range tools {
		m.calls[tool] = eachName(mcpserver.Outcomes(), func(outcome string) prometheus.Counter { return calls.WithLabelValues(tool, outcome) })
		m.durations[tool] = durations.WithLabelValues(tool)
	}
	m.vaultEvents(append(providers, otherLabel))
	rejections := m.counters("token_rejections_total", "Requests to /mcp without a usable access token, by what was wrong with it.", "reason")
	m.rejections = eachName(mcpserver.Rejections(), func(reason string) prometheus.Counter { return rejections.WithLabelValues(reason) })
	m.requests = m.counters("http_requests_total", "Requests by route and class of status.", "route", "status")
	return m
}

func (m *metrics) vaultEvents(providers []string) {
	released := m.counters("credentials_released_total", "Credentials released for a call.", "provider")
	withheld := m.counters("credentials_withheld_total", "Releases, links and requests that were refused.", "provider")
	refreshes := m.counters("refreshes_total", "Refreshes by what the provider answered: ok, revoked, or outage where it decided nothing.", "provider", "outcome")
	refresh := func(outcome string) map[string]prometheus.Counter {
		return eachName(providers, func(p string) prometheus.Counter { return refreshes.WithLabelValues(p, outcome) })
	}
	m.events = map[store.Event]map[string]prometheus.Counter{
		store.Released:       eachName(providers, func(p string) prometheus.Counter { return released.WithLabelValues(p) }),
		store.Withheld:       eachName(providers, func(p string) prometheus.Counter { return withheld.WithLabelValues(p) }),
		store.Refreshed:      refresh("ok"),
		store.RefreshRevoked: refresh("revoked"),
		store.RefreshOutage:  refresh("outage"),
	}
	m.failures = m.counters("audit_failures_total", "Entries that could not be written to the audit record.").WithLabelValues()
}

// eachName has one counter for each name.
func eachName(names []string, counter func(name string) prometheus.Counter) map[string]prometheus.Counter {
	all := make(map[string]prometheus.Counter, len(names))
	for _, name := range names {
		all[name] = counter(name)
	}
	return all
}

func (m *metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "latchkey_" + name, Help: help}, labels)
	m.registry.MustRegister(vec)
	return vec
}

// watch adds what is looked up when somebody asks for it.
func (m *metrics) watch(v *store.Vault) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "latchkey_" + name, Help: help}, value))
	}
	gauge("audit_broken", "1 while the audit record is broken and nothing is released, else 0.", func() float64 {
		if v.AuditBroken() != nil {
			return 1
		}
		return 0
	})
	gauge("pending_revocations", "Disconnected tokens that no provider has confirmed to be revoked.", func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		n, err := v.PendingRevocations(ctx)
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	})
}

// hooks are m's counters; nil where m is.
func (m *metrics) hooks() hooks {
	if m == nil {
		return hooks{}
	}
	return hooks{Event: m.event, Call: m.call, Rejection: m.rejection, Request: m.request}
}

func (m *metrics) event(e store.Event, provider string) {
	if e == store.AuditFailed {
		m.failures.Inc()
		return
	}
	c, ok := m.events[e][provider]
	if !ok {
		c = m.events[e][otherLabel]
	}
	c.Inc()
}

func (m *metrics) call(tool, outcome string, took time.Duration) {
	if c, ok := m.calls[tool][outcome]; ok {
		c.Inc()
		m.durations[tool].Observe(took.Seconds())
	}
}

func (m *metrics) rejection(reason string) {
	if c, ok := m.rejections[reason]; ok {
		c.Inc()
	}
}

// statusClasses are labels of a status.
var statusClasses = [...]string{otherLabel, "1xx", "2xx", "3xx", "4xx", "5xx"}

func (m *metrics) request(pattern string, status int) {
	r := route{pattern, otherLabel}
	if class := status / 100; class < len(statusClasses) {
		r.class = statusClasses[class]
	}
	m.mu.RLock()
	c, ok := m.routes[r]
	m.mu.RUnlock()
	if !ok {
		c = m.newRoute(r)
	}
	c.Inc()
}

func (m *metrics) newRoute(r route) prometheus.Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	label := r.pattern
	if label == "" || len(m.routes) >= mostRoutes {
		label = otherLabel
	}
	c := m.requests.WithLabelValues(label, r.class)
	if len(m.routes) < mostRoutes {
		m.routes[r] = c
	}
	return c
}

// handler serves /metrics and nothing else. On loopback it answers to loopback's own
// names only, so that no website reaches it by a name that it made resolve to here.
func (m *metrics) handler(addr net.Addr) http.Handler {
	show := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: 20 * time.Second})
	local, _, _ := net.SplitHostPort(addr.String())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", show)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if isLoopback(local) && !isLoopback(host) {
			http.Error(w, "This address answers to no other name than loopback's.", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// serveMetrics serves m on l until stop is called.
func serveMetrics(ctx context.Context, l net.Listener, m *metrics, c config) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := serveHTTP(ctx, l, m.handler(l.Addr()), c.Log); err != nil && !errors.Is(err, http.ErrServerClosed) {
			c.Log.Error("metrics", "err", err)
		}
	}()
	return func() { cancel(); <-done }
}
