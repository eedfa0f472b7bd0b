package sandbox

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
)

// signingKey is made when it is first needed, and kept.
func (s *Sandbox) signingKey() (*rsa.PrivateKey, error) {
	if s.state.Key == nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		if s.state.Key, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return nil, err
		}
		s.dirty = true
	}
	parsed, err := x509.ParsePKCS8PrivateKey(s.state.Key)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the state file's key is a %T", parsed)
	}
	return key, nil
}

func keyID(key *rsa.PrivateKey) string {
	return TokenHash(string(x509.MarshalPKCS1PublicKey(&key.PublicKey)))[:16]
}

func (s *Sandbox) googleKeys(*call) answer {
	key, err := s.signingKey()
	if err != nil {
		return text(http.StatusInternalServerError, "The sandbox can't sign: "+err.Error())
	}
	enc := base64.RawURLEncoding.EncodeToString
	return answer{status: http.StatusOK, body: object{"keys": []object{{"kty": "RSA", "use": "sig", "alg": "RS256",
		"kid": keyID(key), "n": enc(key.N.Bytes()), "e": enc(big.NewInt(int64(key.E)).Bytes())}}}}
}

// idToken is the ID token of OpenID Connect Core, section 2, signed with RS256.
func (s *Sandbox) idToken(issuer string, granted *code) (string, error) {
	key, err := s.signingKey()
	if err != nil {
		return "", err
	}
	p, _ := personByEmail(granted.Account)
	now := s.cfg.Now()
	claims := identity(p, &token{Scopes: granted.Scopes})
	claims["iss"], claims["azp"], claims["aud"] = issuer, granted.Client, granted.Client
	claims["iat"], claims["exp"] = now.Unix(), now.Add(googleAccessLife).Unix()
	if granted.Nonce != "" {
		claims["nonce"] = granted.Nonce
	}
	header, _ := json.Marshal(object{"alg": "RS256", "kid": keyID(key), "typ": "JWT"})
	payload, _ := json.Marshal(claims)
	enc := base64.RawURLEncoding.EncodeToString
	signed := enc(header) + "." + enc(payload)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	return signed + "." + enc(signature), err
}

// identity is what t may know of p.
func identity(p person, t *token) object {
	claims := object{"sub": p.Sub}
	if t.has(emailScope) {
		claims["email"], claims["email_verified"] = p.Email, true
	}
	if t.has(profileScope) {
		claims["name"], claims["given_name"] = p.Name, p.Name
	}
	return claims
}

func (s *Sandbox) googleUserinfo(c *call) answer {
	if wrong := googleNeeds(c, "openid", emailScope, profileScope); wrong.status != 0 {
		return wrong
	}
	p, _ := personByEmail(c.token.Account)
	return answer{status: http.StatusOK, body: identity(p, c.token)}
}
