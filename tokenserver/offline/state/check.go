package state

import (
	"fmt"
	"io/fs"
)

// The permissions that others must not have.
const (
	readableByOthers fs.FileMode = 0o077
	writableByOthers fs.FileMode = 0o022
)

// checkFolder refuses what is no folder, is not ours, or gives others what they must not have. One of the administrator's
// is as good as ours where that is said.
func checkFolder(path string, info fs.FileInfo, forbidden fs.FileMode, administrators bool) error {
	if info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s is a symbolic link: name the folder that it leads to", path)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	return checkOwner(path, info, forbidden, administrators)
}

// checkFile refuses what is not a plain file of ours, or what others can read.
func checkFile(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a plain file", path)
	}
	return checkOwner(path, info, readableByOthers, false)
}

func checkOwner(path string, info fs.FileInfo, forbidden fs.FileMode, administrators bool) error {
	if !owned(info, administrators) {
		return fmt.Errorf("%s belongs to another user: chown it to the user that the server runs as", path)
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		what := "be read"
		if forbidden == writableByOthers {
			what = "be changed"
		}
		return fmt.Errorf("%s has mode %#o and can %s by others: chmod it to %#o", path, mode, what, mode&^forbidden)
	}
	return nil
}
