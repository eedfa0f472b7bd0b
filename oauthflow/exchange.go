package oauthflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"golang.org/x/oauth2"
)

// exchangeTimeout bounds one exchange with a provider.
const exchangeTimeout = 30 * time.Second

// errProviderDown is in errors that mean "not now": nothing was decided.
var errProviderDown = errors.New("the provider didn't answer as it should")

// detached keeps ctx's deadline, where that is sooner than ours, but not its
// cancellation: a code or a refresh token that is spent upstream must not be lost
// because somebody closed a tab.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	until := time.Now().Add(exchangeTimeout)
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(until) {
		until = sooner
	}
	return context.WithDeadline(context.WithoutCancel(ctx), until)
}

// Refresh implements store.Exchange.
func (p *Providers) Refresh(ctx context.Context, provider string, t store.Token) (store.Token, error) {
	own, err := p.get(provider)
	if err != nil {
		return store.Token{}, err
	}
	if t.Refresh.IsZero() {
		return store.Token{}, &store.Refused{Reason: own.title + " ended the access, and gave no way to renew it"}
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	e, err := own.at(ctx, p.client)
	if err != nil {
		return store.Token{}, err
	}
	// The source is used once, for x/oauth2's form of the request: it keeps nothing.
	source := own.config(e, "", nil).TokenSource(p.oauthContext(ctx), &oauth2.Token{RefreshToken: t.Refresh.Reveal()})
	answer, err := source.Token()
	if err != nil {
		return store.Token{}, p.refused(own, t, err)
	}
	return p.renewed(t, answer), nil
}

// refused tells a dead credential (*store.Refused) from a provider in trouble.
func (p *Providers) refused(own Provider, t store.Token, err error) error {
	said := (*oauth2.RetrieveError)(nil)
	if !errors.As(err, &said) || own.dead[said.ErrorCode] == "" {
		return tokenError(own.title, err)
	}
	return &store.Refused{Reason: p.reason(own, t, said)}
}

// reason is why own refuses t, in our own words: what it says itself if we know the
// sentence, else what the token's times tell.
func (p *Providers) reason(own Provider, t store.Token, said *oauth2.RetrieveError) string {
	for word, reason := range own.because {
		if strings.Contains(strings.ToLower(said.ErrorDescription), word) {
			return reason
		}
	}
	if own.expired != "" && !t.RefreshExpiry.IsZero() && !p.now().Before(t.RefreshExpiry) {
		return own.expired
	}
	if own.unused != "" && !t.Expiry.IsZero() && p.now().Sub(t.Expiry) >= halfYear {
		return own.unused
	}
	return own.dead[said.ErrorCode]
}

// halfYear is a little less than six months: the token's last renewal was before
// its expiry.
const halfYear = 180 * 24 * time.Hour

// renewed is a refresh's answer over the token before it: what the provider
// doesn't say again stays (RFC 6749, section 6).
func (p *Providers) renewed(before store.Token, answer *oauth2.Token) store.Token {
	t := p.token(answer, before.Scopes)
	if t.RefreshExpiry.IsZero() && answer.RefreshToken == before.Refresh.Reveal() {
		t.RefreshExpiry = before.RefreshExpiry
	}
	if len(t.Scopes) == 0 {
		t.Scopes = before.Scopes
	}
	return t
}

// Revoke implements store.Exchange. A token that the provider doesn't know any
// more counts as revoked.
func (p *Providers) Revoke(ctx context.Context, provider string, t store.Token) error {
	own, err := p.get(provider)
	if err != nil {
		return err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	return own.revoke(ctx, p, own, t)
}

// unconfirmed is a provider's answer to a revocation that isn't a yes.
func unconfirmed(title string, status int) error {
	err := fmt.Errorf("%w: %s answered a revocation with %d", errProviderDown, title, status)
	return &store.Trouble{Answered: true, Err: err}
}

// redeem spends an authorization code: the token, and whose account it is. It is
// sent once, whatever the answer.
func (p *Providers) redeem(ctx context.Context, own Provider, redirect, code, verifier string, asked []string) (store.Token, store.Account, error) {
	e, err := own.at(ctx, p.client)
	if err != nil {
		return store.Token{}, store.Account{}, err
	}
	answer, err := own.config(e, redirect, nil).Exchange(p.oauthContext(ctx), code, oauth2.VerifierOption(verifier))
	if err != nil {
		return store.Token{}, store.Account{}, tokenError(own.title, err)
	}
	account, err := own.account(ctx, p.client, e, answer.AccessToken)
	if err != nil {
		return store.Token{}, store.Account{}, fmt.Errorf("whose account it is: %w", err)
	}
	t := p.token(answer, asked)
	if own.scopeless {
		t.Scopes = nil
	}
	return t, account, nil
}

// token is an answer of the token endpoint. JSON without a scope means that they
// are what was asked for (RFC 6749, section 5.1); an empty scope means none.
func (p *Providers) token(answer *oauth2.Token, asked []string) store.Token {
	scopes := asked
	if said, ok := answer.Extra("scope").(string); ok {
		scopes = strings.FieldsFunc(said, func(r rune) bool { return r == ' ' || r == ',' })
	}
	return store.Token{
		Access: store.NewSecret(answer.AccessToken), Refresh: store.NewSecret(answer.RefreshToken),
		Expiry:        p.after(answer.Extra("expires_in")),
		RefreshExpiry: p.after(answer.Extra("refresh_token_expires_in")),
		Scopes:        scopes,
	}
}

// after is the time that many seconds from now. x/oauth2 gives a number as int64
// from a form, as float64 from JSON, or as the string it was.
func (p *Providers) after(seconds any) time.Time {
	var n float64
	switch v := seconds.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	case string:
		n, _ = strconv.ParseFloat(v, 64)
	}
	const century = 100 * 365 * 24 * 3600
	if !(n > 0 && n < century) {
		return time.Time{}
	}
	return p.now().Add(time.Duration(n) * time.Second)
}

// oauthContext makes x/oauth2 use our client.
func (p *Providers) oauthContext(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, p.client)
}

var plainCode = regexp.MustCompile(`^[a-z][a-z_]{0,63}$`)

// plain is an error code as RFC 6749 knows them, or words instead: what somebody
// else chose doesn't reach a log as it is.
func plain(code string) string {
	if plainCode.MatchString(code) {
		return code
	}
	return "without a readable error code"
}

// tokenError is err without anything that the provider's answer holds but its
// error code: x/oauth2 prints whole bodies.
func tokenError(title string, err error) error {
	said := (*oauth2.RetrieveError)(nil)
	if !errors.As(err, &said) {
		return fmt.Errorf("%w: %s's token endpoint: %s", errProviderDown, title, transportError(err))
	}
	err = fmt.Errorf("%w: %s's token endpoint answered %d (%s)", errProviderDown, title, said.Response.StatusCode, plain(said.ErrorCode))
	return trouble(said.Response, err)
}

// trouble is err, with what resp says of it. A gateway's or a broken server's
// answer says nothing of what the provider did before.
func trouble(resp *http.Response, err error) error {
	itself := resp.StatusCode < 500 || resp.StatusCode == http.StatusServiceUnavailable
	return &store.Trouble{Answered: itself, RetryAfter: retryAfter(resp), Err: err}
}

// retryAfter is RFC 9110, section 10.2.3. A date is compared with the date of the
// answer itself, whatever our clock shows; 0 where there is nothing to wait for.
func retryAfter(resp *http.Response) time.Duration {
	said := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(said, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(said)
	if err != nil {
		return 0
	}
	from, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		from = time.Now()
	}
	return max(0, until.Sub(from))
}

// transportError is what went wrong on the way, without URL or answer.
func transportError(err error) string {
	var on *url.Error
	if errors.As(err, &on) {
		return on.Err.Error()
	}
	return "the answer can't be read"
}

// getJSON reads url into v, with access as the bearer where there is one.
func getJSON(ctx context.Context, c *http.Client, url, access string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if access != "" {
		req.Header.Set("Authorization", "Bearer "+access)
	}
	status, body, err := send(c, req)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%w: %s answered %d", errProviderDown, req.URL.Host, status)
	}
	if json.Unmarshal(body, v) != nil {
		return fmt.Errorf("%w: %s answered what can't be read", errProviderDown, req.URL.Host)
	}
	return nil
}

// send does req and reads at most 1 MiB of the answer.
func send(c *http.Client, req *http.Request) (status int, body []byte, err error) {
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %s: %s", errProviderDown, req.URL.Host, transportError(err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %s broke off", errProviderDown, req.URL.Host)
	}
	return resp.StatusCode, body, nil
}

// errorCode is RFC 6749's error code in a JSON body, or "".
func errorCode(body []byte) string {
	var said struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &said)
	return said.Error
}

// parked is a token that waits, sealed, for its owner's answer. It is the one form
// in which a token has plain fields, and exists only inside a sealed record.
type parked struct {
	Access, Refresh       string
	Expiry, RefreshExpiry time.Time
	Scopes                []string
}

func park(t store.Token) parked {
	return parked{t.Access.Reveal(), t.Refresh.Reveal(), t.Expiry, t.RefreshExpiry, t.Scopes}
}

func (p parked) token() store.Token {
	return store.Token{
		Access: store.NewSecret(p.Access), Refresh: store.NewSecret(p.Refresh),
		Expiry: p.Expiry, RefreshExpiry: p.RefreshExpiry, Scopes: p.Scopes,
	}
}
