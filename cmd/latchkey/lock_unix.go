//go:build unix

package main

import (
	"os"
	"syscall"
)

// lockFile fails where another process holds f's lock, which ends with the process.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
