package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// warnIssuer tells the operator at the start what people would only find out when
// they sign in. It stops nothing: the issuer may just not be up yet.
func (c config) warnIssuer(ctx context.Context) {
	flag, issuer := "issuer", ""
	switch {
	case c.External != nil:
		issuer = c.External.Issuer
	case c.Upstream != nil:
		flag, issuer = "upstream-issuer", c.Upstream.Issuer
	default:
		return
	}
	if err := checkIssuer(ctx, issuer); err != nil && ctx.Err() == nil {
		c.Log.Warn("nobody can sign in at the moment: check the address, and that it can be reached from here",
			"setting", setting(flag), "error", err)
	}
}

// checkIssuer reads the issuer's OpenID discovery document, once.
func checkIssuer(ctx context.Context, issuer string) error {
	location := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var metadata struct {
		Issuer string `json:"issuer"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&metadata); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("no OpenID discovery document at %s (HTTP %d)", location, resp.StatusCode)
	}
	if metadata.Issuer != issuer {
		return fmt.Errorf("it calls itself %q: the setting must be exactly that", metadata.Issuer)
	}
	return nil
}
