//go:build !gcpkms

package store

// gcpKMS is left out of this build.
func gcpKMS() *kmsDriver { return nil }
