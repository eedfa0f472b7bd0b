package authserver

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-mcp/latchkey/store/storetest"
)

func (w *world) published() []string {
	w.t.Helper()
	a := w.browser().get("/jwks")
	var ids []string
	for _, k := range a.json(w.t)["keys"].([]any) {
		key := k.(map[string]any)
		if key["kty"] != "EC" || key["alg"] != signingAlgorithm || key["use"] != "sig" || key["d"] != nil {
			w.t.Errorf("key %v", key)
		}
		ids = append(ids, key["kid"].(string))
	}
	if strings.Contains(a.body, `"d"`) {
		w.t.Error("the set holds a private key")
	}
	return ids
}

// One verifier, which never learns of anything but the published sets, accepts
// tokens from before and after each rotation.
func TestKeysRotate(t *testing.T) {
	w := newWorld(t, nil)
	id, tokens := w.connected()
	first := w.published()
	if len(first) != 2 {
		t.Fatalf("%d keys at first", len(first))
	}
	w.clock.add(keyLife - keyReread - time.Second)
	tokens = w.tokensFrom(refreshing(id, tokens["refresh_token"].(string)))
	before := tokens["access_token"].(string)
	if now := w.published(); !slices.Equal(now, first) {
		t.Errorf("rotated early: %v, then %v", first, now)
	}
	w.clock.add(keyReread + time.Second)
	second := w.published()
	if len(second) != 3 || !slices.Contains(second, first[0]) || second[0] != first[1] {
		t.Fatalf("first %v, then %v", first, second)
	}
	after := w.tokensFrom(refreshing(id, tokens["refresh_token"].(string)))["access_token"].(string)
	for name, token := range map[string]string{"before": before, "after": after} {
		if _, err := w.verifier().Verify(t.Context(), token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.clock.add(keyLife)
	if third := w.published(); len(third) != 3 || slices.Contains(third, first[0]) || third[0] != second[1] {
		t.Errorf("then %v, then %v", second, third)
	}
}

// Replicas share a ring, whoever is first.
func TestReplicasAgreeOnKeys(t *testing.T) {
	c := &clock{t: time.Now()}
	vault := storetest.OpenVault(t, storetest.NewIssuer(t, c.now), nil)
	agree := func() keyRing {
		t.Helper()
		rings := make([]keyRing, 4)
		var wg sync.WaitGroup
		for i := range rings {
			wg.Go(func() {
				ring, err := newKeys(vault, c.now).ring(t.Context())
				if err != nil {
					t.Error(err)
				}
				rings[i] = ring
			})
		}
		wg.Wait()
		for _, r := range rings {
			if r.Current.ID != rings[0].Current.ID || r.Next.ID != rings[0].Next.ID || r.Current.ID == "" {
				t.Fatalf("%v and %v", r.Current.ID, rings[0].Current.ID)
			}
		}
		return rings[0]
	}
	first := agree()
	c.add(keyLife)
	if second := agree(); second.Current.ID != first.Next.ID || second.Previous.ID != first.Current.ID {
		t.Error("they agree on a ring that doesn't follow from the first")
	}
}

func TestKeysSurviveARestart(t *testing.T) {
	w := newWorld(t, nil)
	again := newWorldOn(t, w.clock, w.vault, nil)
	if a, b := w.published(), again.published(); !slices.Equal(a, b) {
		t.Errorf("%v, then %v", a, b)
	}
}
