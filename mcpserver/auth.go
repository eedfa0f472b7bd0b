package mcpserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-mcp/latchkey/store/identity"
	"github.com/latchkey-mcp/latchkey/tools"
)

// allScopes is what a challenge asks for where no single tool is known.
const allScopes = ScopeRead + " " + ScopeWrite

// What can be wrong with how a token was sent.
var (
	errNoToken   = errors.New("no access token")
	errScope     = errors.New("no scope of ours")
	errMalformed = errors.New("send one header, Authorization: Bearer <token>, and no token in the URI")
)

// authenticated lets verified callers through, with their caller in the request's
// context: mcp-go hands nothing else on to a tool. It is read in one place, bind.
func (s *server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		token, err := bearer(r)
		if err != nil {
			s.unauthenticated(w, err)
			return
		}
		caller, err := s.Verifier.Verify(r.Context(), token)
		if err != nil {
			s.unauthenticated(w, err)
			return
		}
		if !hasScope(caller, ScopeRead) {
			s.rejected(errScope)
			s.insufficient(w, allScopes)
			return
		}
		r = r.WithContext(withRequest(r.Context(), &request{caller: caller}))
		r.Header.Del("Authorization") // nothing needs it any more, before this line or behind it
		next.ServeHTTP(w, r)
	})
}

// bearer is the request's access token (RFC 6750, section 2.1). A token in the URI
// is refused even beside a good header: it is in somebody's log already. Whatever
// else the header holds is for the verifier to judge.
func bearer(r *http.Request) (string, error) {
	if inURI(r) {
		return "", errMalformed
	}
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", errNoToken
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.Trim(token, " ")
	switch {
	case len(values) > 1:
		return "", errMalformed
	case !strings.EqualFold(scheme, "Bearer"):
		return "", errNoToken
	case token == "":
		return "", errMalformed
	}
	return token, nil
}

// inURI looks at the query pair by pair, so that a broken one hides no token.
func inURI(r *http.Request) bool {
	separator := func(c rune) bool { return c == '&' || c == ';' }
	for pair := range strings.FieldsFuncSeq(r.URL.RawQuery, separator) {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if strings.EqualFold(name, "access_token") {
			return true
		}
	}
	return false
}

// hasScope reports whether c may do what needs scope. Writing includes reading.
func hasScope(c identity.Caller, scope string) bool {
	return c.HasScope(scope) || scope == ScopeRead && c.HasScope(ScopeWrite)
}

// scopeOf is the OAuth scope that a tool needs.
func scopeOf(spec tools.Spec) string {
	if spec.ReadOnly {
		return ScopeRead
	}
	return ScopeWrite
}

// unauthenticated answers a request without a usable token (RFC 6750, section 3.1).
func (s *server) unauthenticated(w http.ResponseWriter, err error) {
	s.rejected(err)
	switch {
	case errors.Is(err, errNoToken):
		s.challenge(w, http.StatusUnauthorized, "", "An access token is required.", allScopes)
	case errors.Is(err, errMalformed):
		s.challenge(w, http.StatusBadRequest, "invalid_request", err.Error(), allScopes)
	case errors.Is(err, identity.ErrInvalidToken):
		s.challenge(w, http.StatusUnauthorized, "invalid_token", err.Error(), allScopes)
	default:
		s.Log.Error("the access token could not be checked", "error", err)
		w.Header().Set("Retry-After", "5")
		writeError(w, http.StatusServiceUnavailable, "temporarily_unavailable",
			"The access token can't be checked at the moment. Try again in a few seconds.")
	}
}

// insufficient answers a caller whose token lacks scope (RFC 6750, section 3.1),
// naming all that the request needs at once.
func (s *server) insufficient(w http.ResponseWriter, scope string) {
	s.challenge(w, http.StatusForbidden, "insufficient_scope", "The access token lacks a scope: "+scope+".", scope)
}

// challenge writes WWW-Authenticate as the MCP authorization text has it. code is
// "" where no token was sent: there is nothing wrong with it then.
func (s *server) challenge(w http.ResponseWriter, status int, code, description, scope string) {
	var b strings.Builder
	b.WriteString("Bearer ")
	if code != "" {
		b.WriteString(`error="` + code + `", error_description="` + quotable(description) + `", `)
	}
	b.WriteString(`resource_metadata="` + s.metadataURL() + `", scope="` + scope + `"`)
	w.Header().Set("WWW-Authenticate", b.String())
	if code == "" {
		code = "unauthorized"
	}
	writeError(w, status, code, description)
}

// quotable keeps what error_description may hold (RFC 6750, section 3).
func quotable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return '\''
		}
		return c
	}, text)
}

// writeError is an error for people and programs, outside of JSON-RPC.
func writeError(w http.ResponseWriter, status int, code, description string) {
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
}
