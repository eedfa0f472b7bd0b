package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
)

const (
	sweepEvery  = 5 * time.Minute
	revokeEvery = 30 * time.Second
	pruneEvery  = time.Hour
)

// run serves real people and accounts until ctx ends.
func (c *serveCommand) run(ctx context.Context, p program) error {
	tuneMemory()
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	cfg.Now = time.Now
	cfg.Log = slog.New(slog.NewTextHandler(p.stderr, nil))
	l, err := listen(ctx, string(c.Listen))
	if err != nil {
		return err
	}
	defer l.Close()
	if c.MetricsListen != "" {
		if cfg.Metrics, err = listen(ctx, string(c.MetricsListen)); err != nil {
			return err
		}
		defer cfg.Metrics.Close()
		if host, _, _ := splitAddress(string(c.MetricsListen)); !isLoopback(host) {
			cfg.Log.Warn("everyone who reaches the metrics' address can read them: --skip-metrics-loopback-check is set", "addr", cfg.Metrics.Addr())
		}
	}
	lock, err := lockData(cfg.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	if cfg.AcceptJWTType {
		cfg.Log.Warn("access tokens of any JWT type are accepted: --skip-access-token-type-check is set")
	}
	return cfg.serve(ctx, l, func() {
		fmt.Fprintf(p.stdout, "Latchkey %s serves %s/mcp (listening on %s, data in %s)\n", version, cfg.Public, l.Addr(), cfg.Data)
	})
}

// listen takes addr before any data is opened, so that a second copy stops early.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, listenError(addr, err)
	}
	return l, nil
}

// serve opens the vault in the locked data directory, calls ready, and serves on l
// until ctx ends.
func (c config) serve(ctx context.Context, l net.Listener, ready func()) error {
	s, err := newService(ctx, c)
	if err != nil {
		return err
	}
	defer s.vault.Close() // waits for refreshes under way
	defer c.upkeep(ctx, s.vault)()
	if s.metrics != nil {
		defer serveMetrics(ctx, c.Metrics, s.metrics, c)()
	}
	go s.vault.CheckAudit(ctx) // in the background: a long record takes seconds
	go c.warnIssuer(ctx)
	ready()
	return serveHTTP(ctx, l, s.handler, c.Log)
}

// upkeep removes what expired from the vault and what is too old from the audit
// record, and retries the revocations that a provider hasn't confirmed, until stop
// is called, which waits for them.
func (c config) upkeep(ctx context.Context, v *store.Vault) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var jobs sync.WaitGroup
	jobs.Go(func() {
		c.every(ctx, sweepEvery, "sweeping the vault", func(ctx context.Context) error {
			_, err := v.Sweep(ctx)
			return err
		})
	})
	jobs.Go(func() { c.every(ctx, revokeEvery, "retrying revocations", v.Revoke) })
	jobs.Go(func() {
		c.every(ctx, pruneEvery, "removing what is too old from the audit record", func(ctx context.Context) error {
			n, err := v.PruneAudit(ctx, c.AuditRetention)
			if n > 0 {
				c.Log.Info("removed what is too old from the audit record", "chains", n)
			}
			return err
		})
	})
	return func() { cancel(); jobs.Wait() }
}
