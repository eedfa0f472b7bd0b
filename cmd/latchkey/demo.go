package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/oauthflow"
	"github.com/latchkey-mcp/latchkey/tools/sandbox"
)

// demoCommand is the settings of "latchkey demo".
type demoCommand struct {
	Listen string `default:"127.0.0.1:8420" env:"LATCHKEY_LISTEN" help:"Loopback address to listen on."`
	Data   string `placeholder:"DIR" env:"LATCHKEY_DATA" help:"Where the vault is kept; ~/.local/state/latchkey/demo-PORT unless set."`
}

// demoPeople are the made-up people; the sandbox has accounts for them.
var demoPeople = []string{"alice", "bob"}

// run serves the demo until ctx ends.
func (c *demoCommand) run(ctx context.Context, p program) error {
	log := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	d, err := openDemo(ctx, c.Listen, c.Data, time.Now, log)
	if err != nil {
		return err
	}
	defer d.close()
	return demoError(d.serve(ctx, d.listener, func() { d.announce(p.stdout) }), d.Data)
}

// A demo is a config with made-up people, and the sandbox that stands in for the
// outside world.
type demo struct {
	config
	listener net.Listener
	lock     io.Closer
	sandbox  *sandbox.Sandbox
	servers  []*http.Server
}

// openDemo takes the address, locks the data, makes the sandbox and points the config at it.
func openDemo(ctx context.Context, addr, data string, now func() time.Time, log *slog.Logger) (_ *demo, err error) {
	addr, err = loopbackAddress(addr)
	if err != nil {
		return nil, err
	}
	l, err := listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	d := &demo{listener: l}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if data, err = demoData(data, l.Addr().String()); err != nil {
		return nil, err
	}
	d.config = config{
		Public: "http://" + l.Addr().String(), Data: data, People: demoPeople,
		Modules: allModules(), Now: now, Log: log,
	}
	if d.lock, err = lockData(data); err != nil {
		return nil, err
	}
	return d, d.openSandbox(ctx)
}

// demoData is data, or a directory of the port's own: the port is part of the
// issuer, and a vault belongs to one issuer.
func demoData(data, addr string) (string, error) {
	if data != "" {
		return data, nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	return stateDir("demo-" + port)
}

// loopbackAddress is addr with a numeric host, or an error where it isn't on
// loopback: anyone who reaches the demo can be anybody in it.
func loopbackAddress(addr string) (string, error) {
	host, port, err := splitAddress(addr)
	if err != nil {
		return "", usageError{fmt.Errorf("--listen: %q is not host:port, like 127.0.0.1:8420", addr)}
	}
	if !isLoopback(host) {
		return "", usageError{fmt.Errorf("--listen: the demo lets anybody be anyone, so it listens on loopback only, not on %q: use 127.0.0.1:%s, or latchkey serve", host, port)}
	}
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// openSandbox starts both stand-ins on ports of their own. Their state is kept
// beside the vault.
func (d *demo) openSandbox(ctx context.Context) error {
	github := oauthflow.Settings{ClientID: "latchkey-demo", ClientSecret: rand.Text()}
	google := github
	s, err := sandbox.New(sandbox.Config{
		GitHub: sandboxClient(github, d.Public+"/callback/github"),
		Google: sandboxClient(google, d.Public+"/callback/google"),
		File:   filepath.Join(d.Data, "sandbox.json"), Now: d.Now,
	})
	if err != nil {
		return err
	}
	d.sandbox = s
	if github.OAuthURL, err = d.host(ctx, s.GitHub()); err != nil {
		return err
	}
	if google.OAuthURL, err = d.host(ctx, s.Google()); err != nil {
		return err
	}
	storage, err := d.host(ctx, s.GitHubStorage())
	if err != nil {
		return err
	}
	d.Storage = map[string]string{sandbox.StorageHost: storage}
	github.APIURL, google.APIURL = github.OAuthURL+"/api/v3", google.OAuthURL
	d.GitHub, d.Google = &github, &google
	return nil
}

func sandboxClient(s oauthflow.Settings, redirect string) sandbox.Client {
	return sandbox.Client{ID: s.ClientID, Secret: s.ClientSecret, RedirectURIs: []string{redirect}}
}

// host serves h on a free loopback port and returns its origin.
func (d *demo) host(ctx context.Context, h http.Handler) (string, error) {
	l, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	d.servers = append(d.servers, server)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.Log.Error("the sandbox stopped", "err", err)
		}
	}()
	return "http://" + l.Addr().String(), nil
}

// close stops listening, the sandbox too.
func (d *demo) close() {
	_ = d.listener.Close()
	if d.lock != nil {
		_ = d.lock.Close()
	}
	for _, s := range d.servers {
		_ = s.Close()
	}
}

// announce tells a newcomer what to do next.
func (d *demo) announce(w io.Writer) {
	mcp := d.Public + "/mcp"
	fmt.Fprintf(w, `
  LATCHKEY DEMO. The people (alice, bob) and their accounts are made up.
  Anyone on this computer can be either of them. Nothing leaves it.

  MCP server      %[1]s
  Connections     %[2]s/connections

  Add it to a client:

    Claude Code   claude mcp add --transport http latchkey %[1]s
    VS Code       code --add-mcp '{"name":"latchkey","type":"http","url":"%[1]s"}'
    Cursor        in ~/.cursor/mcp.json: {"mcpServers":{"latchkey":{"url":"%[1]s"}}}
    Inspector     npx @modelcontextprotocol/inspector --transport http --server-url %[1]s

  Then ask it: "What is on my calendar this week?"

  Data            %[3]s
  Ctrl-C stops it.

`, mcp, d.Public, d.Data)
}
