//go:build !awskms

package store

// awsKMS is left out of this build.
func awsKMS() *kmsDriver { return nil }
