package authserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey-mcp/latchkey/store"
)

// The values of client metadata (RFC 7591, section 2) that we know.
const (
	methodNone   = "none"
	methodBasic  = "client_secret_basic"
	methodPost   = "client_secret_post"
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	responseCode = "code"
)

var (
	authMethods = []string{methodNone, methodBasic, methodPost}
	grantTypes  = []string{grantCode, grantRefresh}
)

// A client is who asks for tokens: our own pages, an app that registered itself,
// or an app whose id is the URL of its metadata.
type client struct {
	ID           string
	Name         string // as it calls itself; nobody has checked it
	RedirectURIs []string
	GrantTypes   []string
	AuthMethod   string
	SecretHash   []byte // SHA-256; nil for a public client

	pages bool // our own pages: no consent, ID tokens, nothing else
}

// errUnknownClient means that no client has that id; the error around it says why.
var errUnknownClient = errors.New("unknown client")

// client finds the client with that id, wherever it is described.
func (s *Server) client(ctx context.Context, id string) (client, error) {
	if id == s.cfg.PagesClientID {
		return s.pagesClient(), nil
	}
	if isDocumentID(id) {
		return s.documents.client(ctx, id)
	}
	item, err := s.clients.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return client{}, fmt.Errorf("%w: it isn't registered here", errUnknownClient)
	}
	return item.Value, err
}

func (s *Server) pagesClient() client {
	secret := sha256.Sum256([]byte(s.cfg.PagesClientSecret))
	return client{
		ID: s.cfg.PagesClientID, Name: "Latchkey", RedirectURIs: []string{s.cfg.PagesRedirectURI},
		GrantTypes: []string{grantCode}, AuthMethod: methodBasic, SecretHash: secret[:], pages: true,
	}
}

// ClientName is the name that a client registered with, or "".
func (s *Server) ClientName(ctx context.Context, clientID string) string {
	c, err := s.client(ctx, clientID)
	if err != nil {
		return ""
	}
	return c.Name
}

// redirects reports whether codes for c may be sent to asked. Our own pages have
// one redirect, and not even its port may differ.
func (c client) redirects(asked string) bool {
	if c.pages {
		return slices.Contains(c.RedirectURIs, asked)
	}
	return checkRedirect(asked) == nil && matchRedirect(c.RedirectURIs, asked)
}

// knows reports whether secret is c's; a public client has the empty one.
func (c client) knows(secret string) bool {
	if c.AuthMethod == methodNone {
		return secret == ""
	}
	hash := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(hash[:], c.SecretHash) == 1
}

// title is what pages call c.
func (c client) title() string {
	if c.Name != "" {
		return c.Name
	}
	return "An app without a name"
}

// host is the host that publishes c's metadata, or "".
func (c client) host() string {
	u, err := url.Parse(c.ID)
	if err != nil || !isDocumentID(c.ID) {
		return ""
	}
	return u.Host
}

const maxName = 80

// cleanName is a name that can't disguise itself: no control or formatting
// characters (which could turn text around), single spaces, at most 80 characters.
func cleanName(raw string) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return -1
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.C):
			return -1
		}
		return r
	}, raw)
	runes := []rune(strings.Join(strings.Fields(kept), " "))
	if len(runes) > maxName {
		runes = append(runes[:maxName-1], '…')
	}
	return string(runes)
}

// A description is client metadata as a client sends it (RFC 7591, section 2).
// Members that we don't know are ignored.
type description struct {
	ClientID      string   `json:"client_id,omitempty"`
	ClientName    string   `json:"client_name,omitempty"`
	RedirectURIs  []string `json:"redirect_uris"`
	GrantTypes    []string `json:"grant_types,omitempty"`
	ResponseTypes []string `json:"response_types,omitempty"`
	AuthMethod    string   `json:"token_endpoint_auth_method,omitempty"`
	ClientSecret  string   `json:"client_secret,omitempty"`
}

const maxRedirects = 16

// client checks d and makes a client of it. The errors are those of RFC 7591,
// section 3.2.2.
func (d description) client() (client, error) {
	if len(d.RedirectURIs) == 0 || len(d.RedirectURIs) > maxRedirects {
		return client{}, badRequest("invalid_redirect_uri", "between 1 and 16 redirect_uris are needed")
	}
	for _, uri := range d.RedirectURIs {
		if err := checkRedirect(uri); err != nil {
			return client{}, badRequest("invalid_redirect_uri", err.Error())
		}
	}
	if len(d.ResponseTypes) > 0 && !slices.Contains(d.ResponseTypes, responseCode) {
		return client{}, badRequest("invalid_client_metadata", "response_types must include code")
	}
	grants := grantsOf(d.GrantTypes)
	if !slices.Contains(grants, grantCode) {
		return client{}, badRequest("invalid_client_metadata", "grant_types must include authorization_code")
	}
	return client{Name: cleanName(d.ClientName), RedirectURIs: d.RedirectURIs, GrantTypes: grants, AuthMethod: d.AuthMethod}, nil
}

// grantsOf keeps those that we support; authorization_code is the default.
func grantsOf(asked []string) []string {
	if len(asked) == 0 {
		return []string{grantCode}
	}
	var kept []string
	for _, known := range grantTypes {
		if slices.Contains(asked, known) {
			kept = append(kept, known)
		}
	}
	return kept
}
