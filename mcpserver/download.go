package mcpserver

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-mcp/latchkey/store/audit"
	"github.com/latchkey-mcp/latchkey/tools"
)

// An offer is where the provider redirected a request of this call, under a rule
// that lists the host.
type offer struct {
	to   *url.URL
	rule tools.Rule
}

// offer remembers where the answer to a request under rule redirects, if the rule
// lists that. What a handler makes of the answer plays no part: its client may
// follow by itself, or the handler may ask for the URL.
func (b *bound) offer(resp *http.Response, rule tools.Rule) {
	if resp == nil || resp.StatusCode < 300 || resp.StatusCode > 399 || len(rule.Redirects) == 0 {
		return
	}
	to, err := resp.Location()
	if err != nil || rule.CheckRedirect(to) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.offers == nil {
		b.offers = map[string]offer{}
	}
	b.offers[address(to)] = offer{to, rule}
}

// offered is the offer that req takes up, which is gone then. Only the URL of the
// provider's answer is followed: req's own could be two things at once.
func (b *bound) offered(req *http.Request) (offer, bool) {
	if req.URL == nil || req.Method != http.MethodGet || req.Body != nil && req.Body != http.NoBody {
		return offer{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.offers[address(req.URL)]
	delete(b.offers, address(req.URL))
	return o, ok
}

// address is u as it is sent: a fragment stays at home.
func address(u *url.URL) string {
	text, _, _ := strings.Cut(u.String(), "#")
	return text
}

// download goes where the provider redirected to, and takes along neither a
// credential nor any header of the call's. It is recorded first, and it may be
// redirected again, to what the same rule lists.
func (b *bound) download(ctx context.Context, o offer) (*http.Response, error) {
	host := o.to.Host
	if err := b.recordDownload(o.rule, host); err != nil {
		return nil, err
	}
	out, err := http.NewRequestWithContext(ctx, http.MethodGet, o.to.String(), nil)
	if err != nil {
		return nil, err
	}
	base := b.bases[host]
	rebase(out, base)
	resp, err := b.Transport.RoundTrip(out)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreached, err)
	}
	if base != nil {
		publish(resp, base, host)
	}
	b.offer(resp, o.rule)
	return resp, nil
}

func (b *bound) recordDownload(rule tools.Rule, host string) error {
	return b.Vault.Download(context.WithoutCancel(b.ctx), b.caller, audit.Entry{
		Tool: b.name(), Provider: b.spec.Provider, Rule: rule.String(), Arguments: hexDigest(b.digest),
		Reason: "redirected to " + short(host, 80),
	})
}
