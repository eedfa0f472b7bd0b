package identity

import "testing"

func BenchmarkVerifyCached(b *testing.B) {
	s := es256("")
	i := newIssuer(b, s.jwk(nil))
	v := i.verifier(nil)
	token := i.token(s, nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyCold(b *testing.B) {
	for _, s := range []signer{es256(""), {kid: "k1", alg: "RS256", private: rsaKeys()[2048]}} {
		b.Run(s.alg, func(b *testing.B) {
			i := newIssuer(b, s.jwk(nil))
			v := i.verifier(nil)
			token := i.token(s, nil, nil)
			b.ReportAllocs()
			for b.Loop() {
				v.tokens = tokenCache{}
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
