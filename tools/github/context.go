package github

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/tools"
)

func showContext() tools.Tool {
	return tools.Define(tools.Spec{
		Name:        "github_context",
		Title:       "GitHub account",
		Description: "The connected GitHub account: its login, granted scopes and rate limit left.",
		Can:         "See which account is connected",
		Provider:    provider,
		// No scopes: every token may read who it is of.
		ReadOnly: true, Idempotent: true,
		Egress: []tools.Rule{{Method: http.MethodGet, Host: host, Path: "/user"}},
	}, look)
}

type contextOutput struct {
	Login     string   `json:"login"`
	Scopes    []string `json:"scopes"`
	Remaining int      `json:"rate_limit_remaining"`
	ResetsAt  string   `json:"rate_limit_resets_at,omitempty"`
}

func look(ctx context.Context, api *http.Client, _ struct{}) (contextOutput, error) {
	client, err := connect(api)
	if err != nil {
		return contextOutput{}, err
	}
	var user struct {
		Login string `json:"login"`
	}
	resp, err := get(ctx, client, "user", nil, &user)
	if err != nil {
		return contextOutput{}, fault(ctx, err, "The connected account")
	}
	out := contextOutput{
		Login: user.Login, Remaining: resp.Rate.Remaining,
		Scopes: strings.FieldsFunc(resp.Header.Get("X-OAuth-Scopes"), func(r rune) bool { return r == ',' || r == ' ' }),
	}
	if out.Scopes == nil {
		out.Scopes = []string{}
	}
	if reset := resp.Rate.Reset; !reset.IsZero() {
		out.ResetsAt = reset.UTC().Format(time.RFC3339)
	}
	return out, nil
}
