package main

import (
	"context"
	"errors"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// mcp-go's own client goes the whole way: it discovers, registers, signs in, and
// its one call goes on once the account is connected.
func TestMCPGoClient(t *testing.T) {
	d := startDemo(t, "")
	alice := newPerson("alice", d.URL, modern)
	c := newMCPGo(t, d, connector{alice}, "")
	result, err := c.CallTool(t.Context(), searchCall())
	check(t, err)
	wantAliceOnly(t, d.sandbox, result)
}

// On 2025-11-25 it gets the link as an error, and the next call has the result.
func TestMCPGoClientLegacy(t *testing.T) {
	d := startDemo(t, "")
	alice := newPerson("alice", d.URL, modern)
	c := newMCPGo(t, d, connector{alice}, mcp.ProtocolVersion20251125)
	_, err := c.CallTool(t.Context(), searchCall())
	var required mcp.URLElicitationRequiredError
	if !errors.As(err, &required) || len(required.Elicitations) != 1 {
		t.Fatalf("the call before connecting: %v", err)
	}
	check(t, alice.connect(required.Elicitations[0].URL))
	result, err := c.CallTool(t.Context(), searchCall())
	check(t, err)
	wantAliceOnly(t, d.sandbox, result)
}

func searchCall() mcp.CallToolRequest {
	return mcp.CallToolRequest{Params: mcp.CallToolParams{
		Name: "github_search_issues", Arguments: map[string]any{"query": "is:issue"},
	}}
}

// newMCPGo is mcp-go's client, signed in as the connector's person. version pins a
// protocol revision; "" negotiates the newest.
func newMCPGo(t *testing.T, d *running, as connector, version string) *client.Client {
	t.Helper()
	trans, err := transport.NewStreamableHTTP(d.URL+"/mcp", transport.WithHTTPOAuth(transport.OAuthConfig{
		RedirectURI: as.client.redirect, PKCEEnabled: true, TokenStore: client.NewMemoryTokenStore(),
	}))
	check(t, err)
	c := client.NewClient(trans,
		client.WithElicitationHandler(as), client.WithProtocolVersion(version),
		client.WithClientCapabilities(mcp.ClientCapabilities{
			Elicitation: &mcp.ElicitationCapability{URL: &struct{}{}},
		}))
	t.Cleanup(func() { _ = c.Close() })
	check(t, c.Start(t.Context()))
	initialize := mcp.InitializeRequest{}
	initialize.Params.ProtocolVersion = version
	initialize.Params.ClientInfo = mcp.Implementation{Name: "mcp-go", Version: "1"}
	_, err = c.Initialize(t.Context(), initialize)
	check(t, as.authorize(t.Context(), err))
	_, err = c.Initialize(t.Context(), initialize)
	check(t, err)
	return c
}

// A connector is a person who follows the links that mcp-go's client shows.
type connector struct{ *person }

// authorize registers and signs in, where err asks for it.
func (a connector) authorize(ctx context.Context, err error) error {
	if !client.IsOAuthAuthorizationRequiredError(err) {
		return errors.Join(errors.New("the first request was not refused"), err)
	}
	handler := client.GetOAuthHandler(err)
	if err := handler.RegisterClient(ctx, "mcp-go"); err != nil {
		return err
	}
	verifier, err := client.GenerateCodeVerifier()
	if err != nil {
		return err
	}
	state, err := client.GenerateState()
	if err != nil {
		return err
	}
	link, err := handler.GetAuthorizationURL(ctx, state, client.GenerateCodeChallenge(verifier))
	if err != nil {
		return err
	}
	if err := a.openLink(link); err != nil {
		return err
	}
	if err := a.visitor.press("Allow"); err != nil {
		return err
	}
	back := a.visitor.at.Query()
	return handler.ProcessAuthorizationResponse(ctx, back.Get("code"), back.Get("state"), verifier)
}

// Elicit connects the account and accepts.
func (a connector) Elicit(_ context.Context, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	if err := a.connect(r.Params.URL); err != nil {
		return nil, err
	}
	return &mcp.ElicitationResult{ElicitationResponse: mcp.ElicitationResponse{Action: mcp.ElicitationResponseActionAccept}}, nil
}
