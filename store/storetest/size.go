package storetest

import "os"

// Size picks how much a proof does: small for a plain "go test", ci where the
// environment says PROOF=ci, full where it says PROOF=full.
func Size(small, ci, full int) int {
	switch os.Getenv("PROOF") {
	case "ci":
		return ci
	case "full":
		return full
	}
	return small
}
