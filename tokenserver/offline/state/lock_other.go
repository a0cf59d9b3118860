//go:build !unix || solaris || aix

package state

import (
	"errors"
	"io/fs"
	"os"
)

// lock says that it cannot be known who else uses the folder.
func lock(*os.File) error { return errors.New("not on this operating system") }

// owned says that it is not known whose the file is.
func owned(fs.FileInfo, bool) bool { return false }
