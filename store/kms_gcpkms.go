//go:build gcpkms

package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go-gcpkms/v2/integration/gcpkms"
	"github.com/tink-crypto/tink-go/v2/tink"
	"google.golang.org/api/cloudkms/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	transport "google.golang.org/api/transport/http"
)

// gcpKMS is Google Cloud KMS at
// gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K, with the application
// default credentials.
func gcpKMS() *kmsDriver {
	return &kmsDriver{
		open: openGCP,
		answer: func(err error) string {
			if said, ok := errors.AsType[*googleapi.Error](err); ok {
				return fmt.Sprintf("Google Cloud answered %d", said.Code)
			}
			return ""
		},
		credentials: "GOOGLE_APPLICATION_CREDENTIALS, or the machine's service account",
	}
}

func openGCP(ctx context.Context, uri string) (tink.AEADWithContext, func(), error) {
	client, _, err := transport.NewClient(ctx, option.WithScopes(cloudkms.CloudkmsScope))
	if err != nil {
		return nil, nil, err
	}
	client.Transport = visit{ctx, client.Transport}
	kms, err := gcpkms.NewClientWithOptions(ctx, uri, option.WithHTTPClient(client))
	if err != nil {
		return nil, nil, err
	}
	key, err := kms.GetAEAD(uri)
	return withoutContext{key}, client.CloseIdleConnections, err
}
