package identity

import (
	"context"
	"errors"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// errNoKey means that the set has no key for this token, perhaps because it is
// older than the key.
var errNoKey = errors.New("no key fits")

// verifySignature is the token's payload, once one of the issuer's keys fits.
func verifySignature(t compact, set *keySet) ([]byte, error) {
	keys := set.fitting(t.kid, t.alg)
	if len(keys) == 0 {
		return nil, errNoKey
	}
	payload, err := jws.Verify([]byte(t.raw), jws.WithCompact(), jws.WithKeyProvider(provide(t, keys)))
	switch {
	case err == nil:
		return payload, nil
	case t.kid == "":
		return nil, errNoKey
	}
	return nil, refuse("its signature is wrong")
}

// provide hands jws.Verify our keys, under the algorithm that each was published
// for, after checking that it read the same header as we did.
func provide(t compact, keys []key) jws.KeyProvider {
	return jws.KeyProviderFunc(func(_ context.Context, sink jws.KeySink, sig *jws.Signature, msg *jws.Message) error {
		header := sig.ProtectedHeaders()
		switch {
		case len(msg.Signatures()) != 1,
			header.Algorithm().String() != t.alg,
			header.KeyID() != t.kid,
			len(header.Critical()) > 0,
			header.JWKSetURL() != "" || header.JWK() != nil,
			header.X509URL() != "" || header.X509CertChain() != nil:
			return errMembers
		}
		for _, k := range keys {
			sink.Key(jwa.SignatureAlgorithm(t.alg), k.public)
		}
		return nil
	})
}
