package state

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// write replaces the file of the name at once: whoever reads it, or starts after a crash, finds the old text or the new.
func write(root *os.Root, name string, text []byte, mode fs.FileMode) error {
	part := temporary + name
	if err := root.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := create(root, part, text, mode)
	if err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		if left := root.Remove(part); !errors.Is(left, fs.ErrNotExist) {
			err = errors.Join(err, left)
		}
		return err
	}
	return sync(root)
}

// create makes a file that is on the disk when it returns.
func create(root *os.Root, name string, text []byte, mode fs.FileMode) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Chmod(mode) // whatever the umask is
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// sync makes what was renamed or removed in the folder outlive a crash of the machine.
func sync(root *os.Root) error {
	folder, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// clearParts removes what a crash left half written.
func clearParts(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), temporary) {
			if err := root.Remove(entry.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}
