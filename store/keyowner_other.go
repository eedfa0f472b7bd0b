//go:build !unix

package store

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: new files have their directory's permissions here.
func keepOwner(*os.File, fs.FileInfo) error { return nil }
