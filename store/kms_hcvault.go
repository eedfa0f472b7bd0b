//go:build hcvault

package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/hashicorp/vault/api"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// hcvaultKMS is HashiCorp Vault's transit engine, or what speaks as it does
// (OpenBao), at hcvault://HOST:PORT/MOUNT/keys/NAME, always over TLS. Vault's own
// environment variables hold but for VAULT_ADDR and VAULT_AGENT_ADDR, since the URI
// says where it is, and VAULT_SKIP_VERIFY.
func hcvaultKMS() *kmsDriver {
	return &kmsDriver{
		open: openHCVault, answer: hcvaultAnswer,
		credentials: "VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT",
	}
}

func openHCVault(ctx context.Context, uri string) (tink.AEADWithContext, func(), error) {
	at, err := url.Parse(uri)
	if err != nil {
		return nil, nil, err
	}
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, nil, kmsSetup("one of the VAULT_… variables in the environment can't be used: see to VAULT_CACERT first")
	}
	base := cfg.HttpClient.Transport.(*http.Transport)
	if base.TLSClientConfig.InsecureSkipVerify {
		return nil, nil, kmsSetup("VAULT_SKIP_VERIFY is set, which would give the keys to whoever answers: unset it, and name Vault's CA in VAULT_CACERT")
	}
	cfg.Address, cfg.AgentAddress, cfg.SRVLookup = "https://"+at.Host, "", false
	cfg.MaxRetries = 0
	cfg.HttpClient.Transport = visit{ctx, base}
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, nil, err
	}
	if client.Token() == "" {
		return nil, nil, kmsSetup("VAULT_TOKEN is not set in the environment")
	}
	key, err := hcvault.NewAEAD(at.EscapedPath(), client.Logical())
	if err != nil {
		return nil, nil, kmsSetup("its path must be /MOUNT/keys/NAME")
	}
	return withoutContext{key}, base.CloseIdleConnections, nil
}

func hcvaultAnswer(err error) string {
	r, ok := errors.AsType[*api.ResponseError](err)
	if !ok {
		return ""
	}
	switch r.StatusCode {
	case http.StatusBadRequest:
		return "Vault refused the request (400): the keyset is encrypted by another key, or there is no such key"
	case http.StatusForbidden:
		return "Vault refused the token (403): check VAULT_TOKEN, and that its policy has update on the key's encrypt and decrypt paths"
	case http.StatusNotFound:
		return "Vault has no such path (404): check the mount and the key's name in the URI, and VAULT_NAMESPACE"
	case http.StatusServiceUnavailable:
		return "Vault is sealed or in maintenance (503)"
	}
	return fmt.Sprintf("Vault answered %d", r.StatusCode)
}
