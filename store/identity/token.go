package identity

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
)

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 8 << 10

// algorithms are the ones we accept (RFC 7518, RFC 8037): asymmetric only, so
// that no published key can be used as a shared secret.
var algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}

// headerNames have a meaning in a JOSE header (RFC 7515, 7516, 7797); none may
// appear in another case.
var headerNames = []string{
	"alg", "typ", "kid", "crit", "b64", "cty", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip",
}

// foreignKeys are header parameters by which a token would bring its own key, or
// ask for rules that we don't know.
var foreignKeys = []string{"crit", "b64", "jku", "jwk", "x5u", "x5c", "enc", "zip"}

// A compact is a token in JWS compact serialisation (RFC 7515, section 3.1) whose
// shape and header are as they should be. Nothing in it is verified yet.
type compact struct {
	raw string
	alg string
	kid string // "" where the header names no key
	typ string // in lower case, without "application/"
}

// parseCompact refuses everything but three non-empty segments of canonical
// base64url. JSON serialisations, in which a library may find unsigned claims,
// never get further than this.
func parseCompact(raw string) (compact, error) {
	if len(raw) > maxToken {
		return compact{}, refuse("it is too long")
	}
	segments := strings.Split(raw, ".")
	if len(segments) != 3 {
		return compact{}, refuse("it is not a JWT of three segments")
	}
	var header []byte
	for i, segment := range segments {
		decoded, ok := decodeSegment(segment)
		if !ok {
			return compact{}, refuse("it is not canonical base64url")
		}
		if i == 0 {
			header = decoded
		}
	}
	return parseHeader(raw, header)
}

func decodeSegment(segment string) ([]byte, bool) {
	// The decoder skips line breaks, even when strict.
	if segment == "" || strings.ContainsAny(segment, "\r\n") {
		return nil, false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	return decoded, err == nil
}

func parseHeader(raw string, header []byte) (compact, error) {
	m, err := parseMembers(header, headerNames)
	// jwx drops white space around the object before it checks the signature, so
	// that what it finds signed would not be what came.
	if err != nil || !bytes.HasPrefix(header, []byte("{")) || !bytes.HasSuffix(header, []byte("}")) {
		return compact{}, refuse("its header is malformed")
	}
	if name := m.hasAny(foreignKeys...); name != "" {
		return compact{}, refuse("its header has " + name)
	}
	alg, ok := m.text("alg")
	if !ok || !slices.Contains(algorithms, alg) {
		return compact{}, refuse("its algorithm is not allowed")
	}
	kid, ok := m.text("kid")
	if m.has("kid") && (!ok || kid == "") {
		return compact{}, refuse("its header is malformed")
	}
	typ, ok := m.text("typ")
	if m.has("typ") && !ok {
		return compact{}, refuse("its header is malformed")
	}
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	return compact{raw: raw, alg: alg, kid: kid, typ: typ}, nil
}
