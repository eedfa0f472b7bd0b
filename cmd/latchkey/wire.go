package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/latchkey-mcp/latchkey/mcpserver"
	"github.com/latchkey-mcp/latchkey/oauthflow"
	"github.com/latchkey-mcp/latchkey/oauthflow/authserver"
	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/store/sqlite"
	"github.com/latchkey-mcp/latchkey/tools"
	"github.com/latchkey-mcp/latchkey/tools/calendar"
	"github.com/latchkey-mcp/latchkey/tools/github"
)

// config is what a command line boils down to.
type config struct {
	Public   string // our origin
	Data     string // directory
	Keys     string // the keyset itself; else it is in
	KeysFile string // "" means keys.json in Data
	KeysKMS  string // URI of the KMS key that encrypts either, "" where none does

	// Where people sign in; exactly one is set.
	People   []string // made up: demo only
	Upstream *authserver.Upstream
	External *externalIssuer

	GitHub, Google *oauthflow.Settings // nil where not configured
	Custom         []oauthflow.Provider
	Modules        []tools.Module    // those whose provider is configured are served
	Storage        map[string]string // base URLs of hosts that providers redirect downloads to: demo only
	AllowedOrigins []string
	AcceptJWTType  bool
	AuditRetention time.Duration // 0 keeps the record for ever
	Log            *slog.Logger
	Now            func() time.Time
	Metrics        net.Listener // where they are served; nil means that nothing is counted
	Hooks          hooks        // filled in by newService

	Transport http.RoundTripper // of tools to providers; nil means the usual
}

// externalIssuer is an authorization server that isn't ours, and our pages' client
// there.
type externalIssuer struct{ Issuer, ClientID, ClientSecret string }

// A service is everything behind one origin.
type service struct {
	handler http.Handler
	vault   *store.Vault
	metrics *metrics // nil where nothing is counted
}

// newService opens the vault and puts the parts together. Each part gets values
// and functions of the others, never a way to look them up.
func newService(ctx context.Context, cfg config) (_ *service, err error) {
	providers, err := newProviders(cfg)
	if err != nil {
		return nil, err
	}
	counts := cfg.metrics()
	cfg.Hooks = counts.hooks()
	vault, err := openVault(ctx, cfg, providers)
	if err != nil {
		return nil, err
	}
	if counts != nil {
		counts.watch(vault)
	}
	defer func() {
		if err != nil {
			_ = vault.Close()
		}
	}()
	iss, err := newIssuer(ctx, cfg, vault)
	if err != nil {
		return nil, err
	}
	pages, err := newPages(cfg, vault, providers, iss)
	if err != nil {
		return nil, err
	}
	mcp, err := newMCP(cfg, vault, providers, iss, pages)
	if err != nil {
		return nil, err
	}
	return &service{routes(cfg, mcp, iss.handler, pages.Handler()), vault, counts}, nil
}

// metrics has the names of the tools and providers that are served; nil where
// nothing is counted.
func (c config) metrics() *metrics {
	if c.Metrics == nil {
		return nil
	}
	var tools, providers []string
	for _, m := range c.served() {
		providers = append(providers, m.Provider)
		for _, t := range m.Tools {
			tools = append(tools, t.Spec().Name)
		}
	}
	return newMetrics(tools, providers)
}

// newProviders is the providers that have a client.
func newProviders(cfg config) (*oauthflow.Providers, error) {
	var list []oauthflow.Provider
	if cfg.GitHub != nil {
		p, err := oauthflow.GitHub(*cfg.GitHub)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if cfg.Google != nil {
		p, err := oauthflow.Google(*cfg.Google)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	providers := oauthflow.NewProviders(nil, append(list, cfg.Custom...)...)
	providers.Now = cfg.Now
	return providers, nil
}

// openVault opens the vault in cfg.Data, which the caller has locked.
func openVault(ctx context.Context, cfg config, providers *oauthflow.Providers) (*store.Vault, error) {
	keys, err := cfg.keyset(ctx)
	if err != nil {
		return nil, err
	}
	backend, err := sqlite.Open(ctx, cfg.Data, cfg.Now)
	if err != nil {
		return nil, err
	}
	vault, err := store.Open(ctx, store.Config{
		Backend: backend, Keys: keys, Exchange: providers, Issuer: cfg.issuer(), Now: cfg.Now,
		Log: cfg.Log, Observe: cfg.Hooks.Event,
	})
	if err != nil {
		return nil, errors.Join(err, backend.Close())
	}
	return vault, nil
}

// keyset is the vault's keys, made on first start unless they come from the
// environment.
func (c config) keyset(ctx context.Context) (*store.Keys, error) {
	if c.Keys != "" {
		return store.KeysFromText(ctx, c.Keys, c.KeysKMS)
	}
	return store.KeyFile{Path: keysFile(c.KeysFile, c.Data), KMS: c.KeysKMS}.Keys(ctx)
}

// issuer is where access tokens come from: our own origin unless it is external.
func (c config) issuer() string {
	if c.External != nil {
		return c.External.Issuer
	}
	return c.Public
}

// An issuer is where people sign in, ours or not, as the other parts see it.
type issuer struct {
	clientID, clientSecret string       // our pages' client there
	client                 *http.Client // reaches it; nil means the usual
	handler                http.Handler // serves it; nil where it isn't ours
	clientName             func(ctx context.Context, clientID string) string
}

// newIssuer is the external issuer, or the built-in one with a pages' client whose
// secret lives as long as the process.
func newIssuer(ctx context.Context, cfg config, vault *store.Vault) (issuer, error) {
	if ext := cfg.External; ext != nil {
		return issuer{clientID: ext.ClientID, clientSecret: ext.ClientSecret}, nil
	}
	iss := issuer{clientID: "latchkey-pages", clientSecret: rand.Text()}
	server, err := authserver.New(ctx, authserver.Config{
		Issuer: cfg.Public, Resource: cfg.Public + "/mcp",
		Scopes: []string{mcpserver.ScopeRead, mcpserver.ScopeWrite}, Vault: vault,
		PagesClientID: iss.clientID, PagesClientSecret: iss.clientSecret,
		PagesRedirectURI: cfg.Public + "/signin/callback",
		People:           cfg.People, Upstream: cfg.Upstream, Log: cfg.Log, Now: cfg.Now,
	})
	if err != nil {
		return issuer{}, err
	}
	iss.handler, iss.clientName = server.Handler(), server.ClientName
	iss.client = &http.Client{Transport: ownIssuer{cfg.Public, iss.handler}, Timeout: 30 * time.Second}
	return iss, nil
}

// newPages is the browser's face.
func newPages(cfg config, vault *store.Vault, providers *oauthflow.Providers, iss issuer) (*oauthflow.Flow, error) {
	browser, err := identity.NewBrowser(identity.BrowserConfig{
		Issuer: cfg.issuer(), ClientID: iss.clientID, Seal: vault.AEAD("browser session"),
		HTTPClient: iss.client, Now: cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	return oauthflow.New(oauthflow.Config{
		PublicURL: cfg.Public, Vault: vault, Browser: browser,
		ClientID: iss.clientID, ClientSecret: iss.clientSecret,
		Providers: providers, Modules: cfg.served(), ClientName: iss.clientName,
		Demo: len(cfg.People) > 0, HTTPClient: iss.client, Log: cfg.Log, Now: cfg.Now,
	})
}

// newMCP is the MCP face. All that it gets of the pages is how to make links.
func newMCP(cfg config, vault *store.Vault, providers *oauthflow.Providers, iss issuer, pages *oauthflow.Flow) (http.Handler, error) {
	verifier, err := identity.NewVerifier(identity.VerifierConfig{
		Issuer: cfg.issuer(), Resource: cfg.Public + "/mcp", AcceptJWTType: cfg.AcceptJWTType,
		HTTPClient: iss.client, Now: cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	return mcpserver.New(mcpserver.Config{
		Version: version, PublicURL: cfg.Public, Issuer: cfg.issuer(), Verifier: verifier,
		Vault: vault, Modules: cfg.served(), ConnectLink: pages.ConnectLink, ApproveLink: pages.ApproveLink,
		BaseURLs: cfg.baseURLs(providers), Transport: cfg.Transport, AllowedOrigins: cfg.AllowedOrigins,
		Log: cfg.Log, Now: cfg.Now, ObserveCall: cfg.Hooks.Call, ObserveRejection: cfg.Hooks.Rejection,
	})
}

// baseURLs are where providers' hosts are reached, if not as they are.
func (c config) baseURLs(providers *oauthflow.Providers) map[string]string {
	urls := providers.BaseURLs()
	maps.Copy(urls, c.Storage)
	return urls
}

// served is the modules whose provider is configured.
func (c config) served() []tools.Module {
	configured := map[string]bool{"github": c.GitHub != nil, "google": c.Google != nil}
	for _, p := range c.Custom {
		configured[p.Name()] = true
	}
	var list []tools.Module
	for _, m := range c.Modules {
		if configured[m.Provider] {
			list = append(list, m)
		}
	}
	return list
}

// allModules is every tool there is.
func allModules() []tools.Module { return []tools.Module{calendar.Module(), github.Module()} }

// every calls do at each interval until ctx ends, and logs what fails.
func (c config) every(ctx context.Context, interval time.Duration, what string, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := do(ctx); err != nil && !errors.Is(err, context.Canceled) {
				c.Log.Error(what, "err", err)
			}
		}
	}
}
