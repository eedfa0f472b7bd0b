//go:build awskms

package store

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/smithy-go"
	"github.com/tink-crypto/tink-go-awskms/v3/integration/awskms"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// awsKMS is AWS KMS at aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID, with the
// credentials that the AWS SDK finds.
func awsKMS() *kmsDriver {
	return &kmsDriver{
		open: func(ctx context.Context, uri string) (tink.AEADWithContext, func(), error) {
			client, err := awskms.NewAEADWithContext(ctx, strings.TrimPrefix(uri, "aws-kms://"))
			return client, func() {}, err
		},
		answer: func(err error) string {
			if said, ok := errors.AsType[smithy.APIError](err); ok {
				return "AWS answered " + said.ErrorCode()
			}
			return ""
		},
		credentials: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role",
	}
}
