//go:build !unix

package main

import "os"

// lockFile does nothing: the port that two copies would share is all that keeps
// them apart here.
func lockFile(*os.File) error { return nil }
