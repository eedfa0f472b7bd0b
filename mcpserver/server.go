// Package mcpserver is the MCP face: one http.Handler that serves the tools over
// streamable HTTP, in both protocol eras, to whoever a verified access token says
// is asking.
//
// It guarantees that the caller is derived anew from each request's token, that
// nothing is looked up by MCP session, and that bind is the only place where a
// caller meets a grant. A handler's requests pass a transport that enforces the
// tool's egress contract on every hop and attaches the caller's own credential. What
// a client carries from call to call is sealed for its caller and that call alone, and
// a write with an idempotency key is never begun a second time within a day, unless
// it is known that the first changed nothing. A tool that writes runs only past its
// person's consent: what they approve is one call, used up before the handler begins.
package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/tools"
)

// Our own OAuth scopes. ScopeWrite includes ScopeRead.
const (
	ScopeRead  = "tools:read"
	ScopeWrite = "tools:write"
)

// Limits of one request.
const (
	maxBody     = 1 << 20          // bytes of a request to us
	maxResponse = 8 << 20          // bytes of a provider's answer
	callTime    = 60 * time.Second // of a tool's handler
	connectWait = 30 * time.Second // for a connect or an approval, in one round trip
)

// versions are the protocol's revisions that we speak, newest first.
var versions = []string{
	mcp.ProtocolVersion20260728, mcp.ProtocolVersion20251125, mcp.ProtocolVersion20250618, mcp.ProtocolVersion20250326,
}

// instructions are for models, in both eras.
const instructions = "These tools act on the accounts of the user who is signed in, and on nobody else's. " +
	"When a tool answers that an account has to be connected or a call to be approved, show the user the link exactly " +
	"as it is, ask them to open it in a browser, and repeat the call once they say that they have done so. " +
	"Don't open, shorten or share the link: it works once, for this user only. " +
	"No tool takes a user name or a token."

// Config is what a Server is made of.
type Config struct {
	Version   string // of this program, for serverInfo
	PublicURL string // our origin; the resource is PublicURL + "/mcp"
	Issuer    string // the authorization server that the metadata names (RFC 9728)
	Verifier  *identity.Verifier
	Vault     *store.Vault
	Modules   []tools.Module
	// ConnectLink makes a link at which the caller can connect what need says.
	ConnectLink func(ctx context.Context, c identity.Caller, need store.Need) (string, error)
	// ApproveLink makes a link at which the caller can say whether d is done, or finds
	// the one that they haven't answered yet.
	ApproveLink func(ctx context.Context, c identity.Caller, d store.Deed) (string, error)
	// BaseURLs maps a provider's public API host ("api.github.com") to the base
	// URL that requests really go to ("https://ghe.example/api/v3"); a host that
	// isn't here is reached as it is.
	BaseURLs map[string]string
	// AllowedOrigins may call from a browser, beside PublicURL.
	AllowedOrigins []string
	// Transport reaches providers; nil means one of our own with timeouts.
	Transport http.RoundTripper
	// ObserveCall is told of each tool call, with one of Outcomes, and
	// ObserveRejection of each request without a usable access token, with one of
	// Rejections; nil means that nobody is. They are called from many goroutines,
	// and must return at once.
	ObserveCall      func(tool, outcome string, took time.Duration)
	ObserveRejection func(reason string)
	Log              *slog.Logger     // nil means no log
	Now              func() time.Time // nil means time.Now
}

// A server is the handler's state. But for calls it is immutable, and safe for
// concurrent use.
type server struct {
	Config
	gate      gate
	bases     map[string]*url.URL
	sessions  tink.AEAD
	states    tink.AEAD // of connects
	approvals tink.AEAD // states of approvals, which are never those
	cursors   tink.AEAD
	keyed     store.Table[keyed]
	wait      time.Duration
	deadline  time.Duration
	tools     map[string]tools.Tool // by name
	mcp       http.Handler
	calls     meters
}

// New checks cfg and builds the handler, which serves /mcp and the protected
// resource metadata (RFC 9728) at its root and its path-qualified URL.
func New(cfg Config) (http.Handler, error) {
	s, err := newServer(cfg)
	if err != nil {
		return nil, fmt.Errorf("mcpserver: %w", err)
	}
	return s.handler(), nil
}

func newServer(cfg Config) (*server, error) {
	if cfg.Verifier == nil || cfg.Vault == nil || cfg.ConnectLink == nil || cfg.ApproveLink == nil || cfg.Issuer == "" {
		return nil, errors.New("a Config needs Verifier, Vault, ConnectLink, ApproveLink and Issuer")
	}
	gate, err := newGate(cfg.PublicURL, cfg.AllowedOrigins)
	if err != nil {
		return nil, err
	}
	bases, err := parseBases(cfg.BaseURLs)
	if err != nil {
		return nil, err
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &server{
		Config: cfg, gate: gate, bases: bases, tools: map[string]tools.Tool{},
		sessions: cfg.Vault.AEAD("mcp session"), states: cfg.Vault.AEAD("mcp request state"),
		approvals: cfg.Vault.AEAD("mcp approval state"), cursors: cfg.Vault.AEAD("tool cursor"),
		keyed: store.NewTable[keyed](cfg.Vault, "idempotency key"), wait: connectWait, deadline: callTime,
	}
	s.mcp, err = s.serveMCP()
	return s, err
}

// handler is the whole face. Order matters: nothing is read before Host, Origin
// and the token are checked.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(metadataPath, s.metadata())
	mux.Handle(metadataPath+"/mcp", s.metadata())
	mux.Handle("/mcp", s.sameOrigin(s.limited(s.authenticated(s.sessioned(s.mcp)))))
	return s.recovered(s.knownHost(mux))
}

// serveMCP is mcp-go, stateless: it keeps no session, opens no stream of its own
// and asks clients nothing.
func (s *server) serveMCP() (http.Handler, error) {
	hooks := &mcpgo.Hooks{}
	hooks.AddAfterInitialize(s.began)
	hooks.AddAfterListTools(s.describe)
	srv := mcpgo.NewMCPServer("latchkey", s.Version,
		mcpgo.WithTitle("Latchkey"),
		mcpgo.WithInstructions(instructions),
		mcpgo.WithToolCapabilities(false),
		mcpgo.WithCacheHints(0, mcp.CacheScopePrivate),
		mcpgo.WithHooks(hooks),
	)
	if err := s.addTools(srv); err != nil {
		return nil, err
	}
	return s.direct(srv, mcpgo.NewStreamableHTTPServer(srv,
		mcpgo.WithStateLess(true),
		mcpgo.WithDisableStreaming(true),
		mcpgo.WithDisableLocalhostProtection(true), // knownHost is stricter, and knows proxies
		mcpgo.WithHTTPContextFunc(func(ctx context.Context, r *http.Request) context.Context {
			return srv.WithContext(ctx, ownSession(ctx, mcpgo.ClientSessionFromContext(ctx)))
		}),
		mcpgo.WithStreamableHTTPProtocolVersions(versions...),
		mcpgo.WithStreamableHTTPLogger(s.Log),
	)), nil
}

// addTools registers every module's tools; mcp-go lists them by name.
func (s *server) addTools(srv *mcpgo.MCPServer) error {
	for _, module := range s.Modules {
		if err := module.Check(); err != nil {
			return err
		}
		for _, tool := range module.Tools {
			spec := tool.Spec()
			if srv.GetTool(spec.Name) != nil {
				return fmt.Errorf("two tools are called %s", spec.Name)
			}
			s.tools[spec.Name] = tool
			srv.AddTool(declare(tool), s.observed(spec.Name, s.handle(tool, module.Title)))
		}
	}
	return nil
}

// anyObject stands for each tool's schema where mcp-go keeps it: in each call of
// 2026-07-28 it reads the whole schema of the tool for annotations that none of ours
// has, at a tenth of what the call costs. Arguments are checked by the tool.
var anyObject = json.RawMessage(`{"type":"object"}`)

// describe gives the tools of a tools/list their schemas.
func (s *server) describe(_ context.Context, _ any, _ *mcp.ListToolsRequest, result *mcp.ListToolsResult) {
	for i := range result.Tools {
		listed := &result.Tools[i]
		tool := s.tools[listed.Name]
		listed.RawInputSchema, listed.RawOutputSchema = tool.InputSchema(), tool.OutputSchema()
	}
}

// declare is a tool as mcp-go keeps it.
func declare(tool tools.Tool) mcp.Tool {
	spec := tool.Spec()
	return mcp.Tool{
		Name: spec.Name, Title: spec.Title, Description: spec.Description,
		RawInputSchema: anyObject,
		Annotations: mcp.ToolAnnotation{
			ReadOnlyHint: new(spec.ReadOnly), DestructiveHint: new(spec.Destructive),
			IdempotentHint: new(spec.Idempotent), OpenWorldHint: new(true),
		},
	}
}

func parseBases(raw map[string]string) (map[string]*url.URL, error) {
	bases := make(map[string]*url.URL, len(raw))
	for host, base := range raw {
		u, err := url.Parse(base)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" {
			return nil, fmt.Errorf("the base URL of %s must be like https://host/path", host)
		}
		bases[host] = u
	}
	return bases, nil
}
