package identity

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"
)

// land waits for the fetch that is under way, if there is one.
func land(t *testing.T, c *keyCache) {
	t.Helper()
	c.mu.Lock()
	flight := c.flight
	c.mu.Unlock()
	if flight == nil {
		return
	}
	select {
	case <-flight:
	case <-t.Context().Done():
		t.Fatal("the fetch never ended")
	}
}

func fetched(t *testing.T, i *issuer, want int32) {
	t.Helper()
	if got := i.fetches.Load(); got != want {
		t.Errorf("%d fetches of the key set, want %d", got, want)
	}
}

func TestHangingFetchBlocksNobodyBeyondTheirDeadline(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	entered, release := i.hang("/jwks")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := v.Verify(ctx, i.token(s, nil, nil))
		done <- err
	}()
	<-entered
	cancel()
	if err := <-done; !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want ErrUnavailable and the context's", err)
	}
	release()
	land(t, v.keys)
	accepted(t, v, i.token(s, nil, nil)) // the fetch outlived its first caller
	fetched(t, i, 1)
}

// A fetch ends in ten seconds, all of its requests together, even where the client
// that was given is more patient.
func TestFetchHasADeadline(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	ends := make(deadlines, 10)
	v := i.verifier(func(c *VerifierConfig) { c.HTTPClient = &http.Client{Timeout: time.Hour, Transport: ends} })
	accepted(t, v, i.token(s, nil, nil))
	if first, last := <-ends, <-ends; first.IsZero() || !first.Equal(last) || time.Until(first) > fetchTimeout {
		t.Errorf("the metadata has until %v, the keys until %v", first, last)
	}
}

// deadlines sends on when each request has to end.
type deadlines chan time.Time

func (d deadlines) RoundTrip(r *http.Request) (*http.Response, error) {
	end, _ := r.Context().Deadline()
	d <- end
	return http.DefaultTransport.RoundTrip(r)
}

func TestHangingRefreshBlocksNobodyWithAGoodSet(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	accepted(t, v, i.token(s, nil, nil))
	entered, release := i.hang("/jwks")
	i.advance(refreshAfter)
	for range 10 {
		accepted(t, v, i.token(s, nil, nil))
	}
	<-entered
	fetched(t, i, 2)
	release()
	land(t, v.keys)
	if set := v.keys.usable(); !set.fetched.Equal(i.Now()) {
		t.Errorf("the set is of %v, not of %v", set.fetched, i.Now())
	}
}

func TestFetchesAreShared(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	entered, release := i.hang("/jwks")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), i.token(s, nil, nil)); err != nil {
				t.Error(err)
			}
		})
	}
	<-entered
	release()
	wg.Wait()
	fetched(t, i, 1)
}

func TestUnknownKeyFetchesOncePerTenSeconds(t *testing.T) {
	s, stranger := es256("k1"), es256("k2")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	accepted(t, v, i.token(s, nil, nil))
	fetched(t, i, 1)
	for range 20 {
		refused(t, v, i.token(stranger, nil, nil))
	}
	fetched(t, i, 2)
	i.advance(againAfter - time.Nanosecond)
	refused(t, v, i.token(stranger, nil, nil))
	fetched(t, i, 2)
	i.advance(time.Nanosecond)
	refused(t, v, i.token(stranger, nil, nil))
	fetched(t, i, 3)
}

func TestNewKeyIsFoundAtOnce(t *testing.T) {
	for _, kid := range []any{"k2", nil} {
		s, next := es256("k1"), es256("k2")
		i := newIssuer(t, s.jwk(nil))
		v := i.verifier(nil)
		accepted(t, v, i.token(s, nil, nil))
		i.publish(s.jwk(nil), next.jwk(nil))
		accepted(t, v, i.token(next, map[string]any{"kid": kid}, nil))
		accepted(t, v, i.token(s, nil, nil))
	}
}

func TestUnknownKeyWhileTheIssuerIsAway(t *testing.T) {
	s, next := es256("k1"), es256("k2")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	accepted(t, v, i.token(s, nil, nil))
	i.handle("/jwks", nil)
	if _, err := v.Verify(t.Context(), i.token(next, nil, nil)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable: the key may be a new one", err)
	}
	accepted(t, v, i.token(s, nil, nil))
}

func TestLastGoodSetIsKeptForADay(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	accepted(t, v, i.token(s, nil, nil))
	i.handle("/jwks", nil)
	i.advance(keepFor - time.Second)
	token := i.token(s, nil, nil)
	accepted(t, v, token)
	land(t, v.keys)
	accepted(t, v, token)
	i.advance(time.Second)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable, from memory too", err)
	}
	i.publish(s.jwk(nil))
	i.advance(retryAfter)
	accepted(t, v, token)
}

func TestKeepForIsADay(t *testing.T) {
	if keepFor > 24*time.Hour || againAfter < 10*time.Second || skew > 30*time.Second {
		t.Error("a limit was widened")
	}
}

func TestFailedFetchIsNotRepeatedAtOnce(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	i.handle("/jwks", http.NotFound)
	for range 20 {
		if _, err := v.Verify(t.Context(), i.token(s, nil, nil)); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("error %v, want ErrUnavailable", err)
		}
	}
	fetched(t, i, 1)
	i.publish(s.jwk(nil))
	i.advance(retryAfter)
	accepted(t, v, i.token(s, nil, nil))
}

func TestGarbageFetchesNothing(t *testing.T) {
	s := es256("")
	i := newIssuer(t, s.jwk(nil))
	v := i.verifier(nil)
	for _, token := range []string{"", "a.b.c", i.token(s, map[string]any{"typ": "JWT"}, nil), i.token(s, map[string]any{"alg": "none"}, nil)} {
		refused(t, v, token)
	}
	fetched(t, i, 0)
}

func TestWithdrawnKeyEndsItsTokens(t *testing.T) {
	s, next := es256("k1"), es256("k2")
	for name, left := range map[string][]map[string]any{"replaced": {next.jwk(nil)}, "none left": nil} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, s.jwk(nil))
			v := i.verifier(nil)
			token := i.token(s, nil, map[string]any{"exp": i.Now().Add(time.Hour).Unix()})
			accepted(t, v, token)
			i.publish(left...)
			i.advance(refreshAfter)
			accepted(t, v, i.token(s, nil, nil)) // starts the refresh, and is remembered
			land(t, v.keys)
			refused(t, v, token)
		})
	}
}
