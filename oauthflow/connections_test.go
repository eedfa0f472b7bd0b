package oauthflow

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/store"
)

func TestConnectionsAreOnesOwn(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.as("alice"), w.as("bob")
	alice.connect(w.link("alice", "github", "repo"))
	alice.get("/connections").wants(t, http.StatusOK, "Connected as @gh1001 since "+w.now().Format("2 January 2006"),
		"Read and change your repositories", "Google Not connected", "Write issues in your repositoriesPOST api.github.com/x",
		"GET files*.example.com (a download that the one above leads to, without your credential)", "Connect Google")
	got := bob.get("/connections")
	got.wants(t, http.StatusOK, "GitHub Not connected")
	if strings.Contains(got.body, "gh1001") || strings.Contains(got.text(), "alice") {
		t.Errorf("bob sees alice: %s", got.text())
	}
	bob.disconnect("github", "1001")
	if w.account("alice", "github") != "@gh1001" {
		t.Error("bob disconnected alice")
	}
}

func TestHomeIsTheConnectionsPage(t *testing.T) {
	w := newWorld(t)
	if got := w.browser().get("/"); got.status != http.StatusSeeOther || got.location != "/connections" {
		t.Errorf("%d %s", got.status, got.location)
	}
	w.browser().get("/nowhere").wants(t, http.StatusNotFound, "There is no such page")
}

func TestDisconnectRevokesAtTheProvider(t *testing.T) {
	for provider, revoked := range map[string]string{"github": "github-access-1001-1", "google": "google-refresh-1001-1"} {
		t.Run(provider, func(t *testing.T) {
			w := newWorld(t)
			alice := w.as("alice")
			alice.connect(w.link("alice", provider))
			got := alice.disconnect(provider, "1001")
			if got.status != http.StatusSeeOther || got.location != "/connections" {
				t.Errorf("%d %s", got.status, got.text())
			}
			if w.account("alice", provider) != "" {
				t.Error("it is still connected")
			}
			stand := map[string]*standIn{"github": w.github, "google": w.google}[provider]
			if all := stand.revocations(); !slices.Equal(all, []string{revoked}) {
				t.Errorf("revoked %q", all)
			}
			if again := alice.disconnect(provider, "1001"); again.status != http.StatusSeeOther {
				t.Errorf("a second time: %d", again.status)
			}
		})
	}
}

func TestDisconnectWithTheProviderDown(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	alice.connect(w.link("alice", "github", "repo"))
	w.github.with(func() { w.github.down = true })
	got := alice.disconnect("github", "1001")
	got.wants(t, http.StatusOK, "Disconnected here, not confirmed there", "Remove it at GitHub too")
	if !strings.Contains(got.body, w.github.url+"/settings/applications") {
		t.Error("there is no link to where it can be removed")
	}
	if w.account("alice", "github") != "" {
		t.Error("it is still connected")
	}
}

func TestABrokenConnectionSaysWhy(t *testing.T) {
	w := newWorld(t)
	alice := w.as("alice")
	alice.connect(w.link("alice", "google", readEvents))
	w.google.with(func() { clear(w.google.living) })
	info, err := w.keyring("alice").Info(t.Context(), "google")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.keyring("alice").Grant(t.Context(), store.Call{
		Need: store.Need{Provider: "google", Scopes: []string{readEvents}}, Tool: "t", Rejected: info.Version,
	})
	if err == nil {
		t.Fatal("a dead token was released")
	}
	alice.get("/connections").wants(t, http.StatusOK, "It no longer works: Google says that the access expired or was revoked", "Connect it again")
	alice.connect(w.link("alice", "google", readEvents)).wants(t, http.StatusOK, "Google is connected")
	if got := alice.get("/connections"); strings.Contains(got.text(), "no longer works") {
		t.Error("a reconnect didn't mend it")
	}
}

// A grant at a provider that was taken out of the settings can still be removed.
func TestALeftoverCanBeDisconnected(t *testing.T) {
	w := newWorld(t)
	_, err := w.keyring("alice").Put(t.Context(), store.Connection{
		Provider: "gitlab", Account: store.Account{ID: "1", Label: "@old"}, Token: store.Token{Access: store.NewSecret("x")},
	})
	if err != nil {
		t.Fatal(err)
	}
	alice := w.as("alice")
	alice.get("/connections").wants(t, http.StatusOK, "gitlab Connected as @old")
	alice.disconnect("gitlab", "1").wants(t, http.StatusOK, "Remove it at gitlab too")
	if w.account("alice", "gitlab") != "" {
		t.Error("it is still there")
	}
}
