package authserver

import (
	"net/http"
	"slices"
)

// metadata is RFC 8414 and OpenID Connect Discovery in one document.
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) error {
	at := func(path string) string { return s.cfg.Issuer + path }
	return writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                         s.cfg.Issuer,
		"authorization_endpoint":                         at("/authorize"),
		"token_endpoint":                                 at("/token"),
		"registration_endpoint":                          at("/register"),
		"jwks_uri":                                       at("/jwks"),
		"scopes_supported":                               s.scopes(),
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          grantTypes,
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          authMethods,
		"authorization_response_iss_parameter_supported": true,
		"client_id_metadata_document_supported":          true,
		"protected_resources":                            []string{s.cfg.Resource},
		"prompt_values_supported":                        []string{"login", "select_account", "consent"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{signingAlgorithm},
		"claims_supported":                               []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "name"},
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	})
}

const (
	scopeOpenID  = "openid"
	scopeOffline = "offline_access"
)

func (s *Server) scopes() []string {
	return append(slices.Clone(s.cfg.Scopes), scopeOpenID, scopeOffline)
}

// jwks publishes every key that a living token may be signed with, and the next.
func (s *Server) jwks(w http.ResponseWriter, r *http.Request) error {
	ring, err := s.keys.ring(r.Context())
	if err != nil {
		return err
	}
	public, err := publicSet(ring.all())
	if err != nil {
		return err
	}
	// Short enough that a rotation is seen long before the next key signs.
	w.Header().Set("Cache-Control", "public, max-age=300")
	return writeJSON(w, http.StatusOK, public)
}

// cors lets a page of any origin read the answer. It is for what browser-based
// clients fetch, where no cookie counts; never for what a person's session opens.
func cors(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		h.ServeHTTP(w, r)
	})
}

func preflight(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, MCP-Protocol-Version")
	w.Header().Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}
