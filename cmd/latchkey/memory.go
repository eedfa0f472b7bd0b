package main

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent lets the heap grow to eleven times what lives. That is a few MiB
	// here, so that some 100 MiB under load are cheaper than collecting it more often.
	gcPercent = 1000
	// memoryLimit is from where on the collector works as hard as it has to.
	memoryLimit = 512 << 20 // bytes
)

// tuneMemory sets the garbage collector up for a server, unless the operator did.
func tuneMemory() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
}
