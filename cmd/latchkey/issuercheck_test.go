package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchkey-mcp/latchkey/oauthflow/authserver"
	"github.com/latchkey-mcp/latchkey/store/storetest"
)

// An operator hears at the start of an issuer at which nobody could sign in.
func TestWarnIssuer(t *testing.T) {
	good := storetest.NewIssuer(t, nil).URL
	page := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(page.Close)
	for _, c := range []struct{ issuer, want string }{
		{good, ""},
		{good + "/", "calls itself"},
		{page.URL, "no OpenID discovery document"},
		{"http://127.0.0.1:1", "refused"},
	} {
		for flag, cfg := range map[string]config{
			"--issuer":          {External: &externalIssuer{Issuer: c.issuer}},
			"--upstream-issuer": {Upstream: &authserver.Upstream{Issuer: c.issuer}},
		} {
			var log bytes.Buffer
			cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
			cfg.warnIssuer(t.Context())
			if c.want == "" && log.Len() != 0 || !strings.Contains(log.String(), c.want) || c.want != "" && !strings.Contains(log.String(), flag) {
				t.Errorf("%s %s: logged %q, want %q", flag, c.issuer, log.String(), c.want)
			}
		}
	}
}

// A demo that moves to another address says which one its data belongs to.
func TestDemoSaysWhereItsDataBelongs(t *testing.T) {
	data := t.TempDir()
	first := startDemo(t, data)
	first.stop()
	d, err := openDemo(t.Context(), "127.0.0.1:0", data, first.Now, first.Log)
	check(t, err)
	defer d.close()
	err = demoError(d.serve(t.Context(), d.listener, func() {}), data)
	if err == nil || !strings.Contains(err.Error(), "--listen "+strings.TrimPrefix(first.URL, "http://")) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("%v", err)
	}
}
