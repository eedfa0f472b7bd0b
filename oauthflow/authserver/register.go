package authserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-mcp/latchkey/store"
	"github.com/latchkey-mcp/latchkey/store/identity"
)

const (
	maxRegistration = 16 << 10
	maxRedirectText = 4 << 10 // of all redirect URIs together: it is what is kept
	unusedLife      = 24 * time.Hour
	clientLife      = 365 * 24 * time.Hour
)

// register is dynamic client registration (RFC 7591): open to everybody, which is
// why a registered client gets nothing without a person's consent.
func (s *Server) register(w http.ResponseWriter, r *http.Request) error {
	if !s.registrations.Allow(r) {
		w.Header().Set("Retry-After", "60")
		return &oauthError{http.StatusTooManyRequests, "temporarily_unavailable", "too many registrations: try again in a minute"}
	}
	asked, err := readDescription(w, r)
	if err != nil {
		return err
	}
	if asked.AuthMethod == "" {
		asked.AuthMethod = methodBasic // RFC 7591's default
	}
	if !slices.Contains(authMethods, asked.AuthMethod) {
		return badRequest("invalid_client_metadata", "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post")
	}
	c, err := asked.client()
	if err != nil {
		return err
	}
	if len(strings.Join(c.RedirectURIs, "")) > maxRedirectText {
		return badRequest("invalid_redirect_uri", "the redirect_uris are longer than 4 KiB together")
	}
	c.ID = rand.Text()
	answer := registered(&c, s.now())
	if err := s.clients.Put(r.Context(), c.ID, identity.Digest{}, unusedLife, c); err != nil {
		return err
	}
	s.log.InfoContext(r.Context(), "client registered", "client", c.ID, "name", c.Name)
	return writeJSON(w, http.StatusCreated, answer)
}

// registered is the answer to a registration (RFC 7591, section 3.2.1). A
// confidential client's secret is made here, and only its hash is kept.
func registered(c *client, now time.Time) map[string]any {
	answer := map[string]any{
		"client_id": c.ID, "client_id_issued_at": now.Unix(),
		"redirect_uris": c.RedirectURIs, "grant_types": c.GrantTypes,
		"response_types": []string{responseCode}, "token_endpoint_auth_method": c.AuthMethod,
	}
	if c.Name != "" {
		answer["client_name"] = c.Name
	}
	if c.AuthMethod != methodNone {
		secret := newSecret()
		hash := sha256.Sum256([]byte(secret))
		c.SecretHash = hash[:]
		answer["client_secret"] = secret
		answer["client_secret_expires_at"] = now.Add(clientLife).Unix()
	}
	return answer
}

// keep lets the registration with that id live for clientLife from now on, because
// a person has said yes to it. One that nobody says yes to is gone in a day:
// strangers must not fill the database. Our pages and published clients have none.
func (s *Server) keep(ctx context.Context, id string) error {
	item, err := s.clients.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	item.Expires = s.now().Add(clientLife)
	err = s.clients.Replace(ctx, id, item)
	if errors.Is(err, store.ErrConflict) { // somebody else's yes
		return nil
	}
	return err
}

// newSecret is 260 random bits.
func newSecret() string { return rand.Text() + rand.Text() }

func readDescription(w http.ResponseWriter, r *http.Request) (description, error) {
	var asked description
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		return asked, &oauthError{http.StatusUnsupportedMediaType, "invalid_client_metadata", "send the metadata as application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRegistration))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return asked, &oauthError{http.StatusRequestEntityTooLarge, "invalid_client_metadata", "at most 16 KiB of metadata"}
	}
	if err == nil {
		err = json.Unmarshal(body, &asked)
	}
	if err != nil {
		return asked, badRequest("invalid_client_metadata", "the metadata is not a JSON object of RFC 7591")
	}
	return asked, nil
}
