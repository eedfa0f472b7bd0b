package mcpserver

import (
	"encoding/json"
	"net/http"
)

// metadataPath is RFC 9728's well-known path; the resource's own path follows it
// (section 3.1), and clients that don't know that ask at the root.
const metadataPath = "/.well-known/oauth-protected-resource"

func (s *server) resource() string    { return s.gate.public + "/mcp" }
func (s *server) metadataURL() string { return s.gate.public + metadataPath + "/mcp" }

// metadata serves the protected resource metadata (RFC 9728, section 3.2) to
// anyone, from any origin: it holds nothing but public facts.
func (s *server) metadata() http.Handler {
	document, err := json.Marshal(map[string]any{
		"resource":                 s.resource(),
		"resource_name":            "Latchkey",
		"authorization_servers":    []string{s.Issuer},
		"scopes_supported":         []string{ScopeRead, ScopeWrite},
		"bearer_methods_supported": []string{"header"},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		switch {
		case err != nil:
			http.Error(w, "The metadata can't be written.", http.StatusInternalServerError)
		case r.Method == http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", "GET, HEAD")
			h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
			w.WriteHeader(http.StatusNoContent)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			http.Error(w, "The metadata is read with GET.", http.StatusMethodNotAllowed)
		default:
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "public, max-age=300")
			_, _ = w.Write(document)
		}
	})
}
