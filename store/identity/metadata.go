package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	fetchTimeout = 10 * time.Second // metadata and keys together
	maxDocument  = 512 << 10        // bytes, of either
)

// A source is where an issuer publishes its keys.
type source struct {
	issuer string
	client *http.Client
}

// keys is the issuer's current key set, which its metadata points to.
func (s source) keys(ctx context.Context, now time.Time) (*keySet, error) {
	location, err := s.keysURL(ctx)
	if err != nil {
		return nil, err
	}
	document, err := s.get(ctx, location)
	if err != nil {
		return nil, err
	}
	set, err := parseKeySet(document, now)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", location, err)
	}
	return set, nil
}

// keysURL is jwks_uri of the first metadata document that is this issuer's own.
func (s source) keysURL(ctx context.Context) (string, error) {
	var failed []error
	for _, location := range metadataURLs(s.issuer) {
		keys, err := s.metadata(ctx, location)
		if err == nil {
			return keys, nil
		}
		failed = append(failed, err)
	}
	return "", errors.Join(failed...)
}

// metadataURLs are where RFC 8414 (section 3.1) and OpenID Connect Discovery
// (section 4) put an issuer's metadata.
func metadataURLs(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
	}
}

func (s source) metadata(ctx context.Context, location string) (string, error) {
	document, err := s.get(ctx, location)
	if err != nil {
		return "", err
	}
	var m struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(document, &m); err != nil {
		return "", fmt.Errorf("GET %s: the metadata is not JSON", location)
	}
	if m.Issuer != s.issuer {
		return "", fmt.Errorf("GET %s: the metadata is of issuer %q, not %q", location, m.Issuer, s.issuer)
	}
	if err := checkURL(m.Keys); err != nil {
		return "", fmt.Errorf("GET %s: jwks_uri: %w", location, err)
	}
	return m.Keys, nil
}

func (s source) get(ctx context.Context, location string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", location, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", location, err)
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("GET %s: more than %d bytes", location, maxDocument)
	}
	return body, nil
}

// withoutRedirects is a copy of client, or a new one, that takes a redirect for
// an answer: who an issuer is must not depend on where it sends us. It has a
// timeout in any case.
func withoutRedirects(client *http.Client) *http.Client {
	var c http.Client
	if client != nil {
		c = *client
	}
	if c.Timeout == 0 {
		c.Timeout = fetchTimeout
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// checkIssuer accepts an issuer identifier (RFC 8414, section 2): a URL that may
// vouch for people, without a query.
func checkIssuer(raw string) error {
	if strings.Contains(raw, "?") {
		return errors.New("it must have no query")
	}
	return checkURL(raw)
}

// checkURL accepts https, or http on loopback.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Hostname() == "", u.User != nil, strings.Contains(raw, "#"):
		return errors.New("it must be a URL with a host, without user and fragment")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("it must be https, or http on loopback")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
