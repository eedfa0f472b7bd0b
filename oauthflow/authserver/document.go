package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"code.dny.dev/ssrf"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	maxDocument     = 5 << 10
	documentTimeout = 5 * time.Second
	documentLife    = 5 * time.Minute
	maxDocuments    = 256
)

// isDocumentID reports whether a client id is the URL of a client ID metadata
// document: https with a host and a path, without fragment, user name and dot
// segments (draft-ietf-oauth-client-id-metadata-document, section 3).
func isDocumentID(id string) bool {
	if len(id) > maxURL || !printable.MatchString(id) || strings.ContainsAny(id, `#\`) {
		return false
	}
	u, err := url.Parse(id)
	if err != nil || u.Scheme != "https" || u.User != nil || !strings.HasPrefix(id, "https://") {
		return false
	}
	segments := strings.Split(u.Path, "/") // decoded, so %2e is seen too
	dots := slices.Contains(segments, ".") || slices.Contains(segments, "..")
	return plainHost.MatchString(u.Host) && len(u.Path) > 1 && !dots
}

// publicOnly lets a connection go to port 443 of public addresses, nowhere else.
var publicOnly = ssrf.New(ssrf.WithPorts(443)).Safe

// guardedClient fetches URLs that strangers chose. The address is checked after
// name resolution, at the very connect.
func guardedClient() *http.Client {
	dialer := &net.Dialer{Timeout: documentTimeout, Control: publicOnly}
	return documentClient(&http.Transport{DialContext: dialer.DialContext})
}

// documentClient follows no redirect, uses no proxy and keeps nothing open.
func documentClient(t *http.Transport) *http.Client {
	t.Proxy, t.DisableKeepAlives, t.DisableCompression = nil, true, true
	t.MaxResponseHeaderBytes = 16 << 10
	return withoutRedirects(&http.Client{Transport: t, Timeout: documentTimeout})
}

// documents fetches client metadata documents and keeps them for a few minutes.
// It is safe for concurrent use.
type documents struct {
	http   *http.Client
	now    func() time.Time
	limit  *rate.Limiter // fetches, of everybody together
	flight singleflight.Group

	mu     sync.Mutex
	cached map[string]document
}

// A document is what a fetch came to. Failures are not kept: the draft forbids it,
// and a publisher who has mended one should not have to wait.
type document struct {
	client  client
	expires time.Time
}

func newDocuments(c *http.Client, now func() time.Time) *documents {
	return &documents{http: c, now: now, limit: rate.NewLimiter(10, 100), cached: map[string]document{}}
}

// client is the client that the document at id describes; errors are
// errUnknownClient with the reason.
func (d *documents) client(ctx context.Context, id string) (client, error) {
	if known, ok := d.lookUp(id); ok {
		return known.client, nil
	}
	result, err, _ := d.flight.Do(id, func() (any, error) {
		if !d.limit.AllowN(d.now(), 1) {
			return client{}, fmt.Errorf("%w: too many apps are being looked up, try again in a minute", errUnknownClient)
		}
		// One person closing the page must not fail the others who wait.
		c, err := d.fetch(context.WithoutCancel(ctx), id)
		if err != nil {
			return client{}, fmt.Errorf("%w: %w", errUnknownClient, err)
		}
		d.keep(id, c)
		return c, nil
	})
	return result.(client), err
}

// known reports whether id needs no fetch.
func (d *documents) known(id string) bool {
	_, ok := d.lookUp(id)
	return ok
}

func (d *documents) lookUp(id string) (document, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.cached[id]
	return known, ok && d.now().Before(known.expires)
}

func (d *documents) keep(id string, c client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.cached) >= maxDocuments {
		clear(d.cached)
	}
	d.cached[id] = document{c, d.now().Add(documentLife)}
}

func (d *documents) fetch(ctx context.Context, id string) (client, error) {
	body, err := d.get(ctx, id)
	if err != nil {
		return client{}, err
	}
	var asked description
	if err := json.Unmarshal(body, &asked); err != nil {
		return client{}, errors.New("its metadata document is not a JSON object")
	}
	return asked.document(id)
}

// get is the bounded body of a plain 200 answer with JSON. Errors name no address:
// what a name resolves to inside is nobody's business outside.
func (d *documents) get(ctx context.Context, id string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, id, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, errors.New("its metadata document can't be reached")
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its metadata document answers %d, not 200", resp.StatusCode)
	}
	if !isJSON(resp.Header.Get("Content-Type")) {
		return nil, errors.New("its metadata document is not application/json")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		return nil, errors.New("its metadata document is larger than 5 KiB")
	}
	return body, err
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// document checks d as the document at id: it must name itself, exactly, have a
// name for people, and no secret, as there was nobody to agree on one with.
func (d description) document(id string) (client, error) {
	if d.ClientID != id {
		return client{}, errors.New("its metadata document names another client_id")
	}
	if d.ClientSecret != "" || d.AuthMethod != "" && d.AuthMethod != methodNone {
		return client{}, errors.New("its metadata document must have token_endpoint_auth_method none and no secret")
	}
	c, err := d.client()
	if err == nil && c.Name == "" {
		return client{}, errors.New("its metadata document has no client_name")
	}
	c.ID, c.AuthMethod = id, methodNone
	return c, err
}
