//go:build !hcvault

package store

// hcvaultKMS is left out of this build.
func hcvaultKMS() *kmsDriver { return nil }
