// Package state owns the folder in which a server without a cluster keeps what must outlive it: the Secrets of its keys,
// one file each, and what is public of them, for registries to mount. It owns that nobody else can read or change the
// Secrets, that a file is whole or not there, and that one server uses a folder at a time. It does not own what the
// Secrets mean, nor when they change.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// What is in the folder.
const (
	keysFolder   = "keys"
	publicFolder = "public"
	lockFile     = "lock"
	// temporary begins the names of files that are not whole yet.
	temporary = ".new-"
)

// The permissions: of the folder itself and of what is public, so that a registry of another user gets there, and of what
// is secret.
const (
	openFolderMode   = 0o711
	publicFolderMode = 0o755
	publicFileMode   = 0o644
	secretFolderMode = 0o700
	secretFileMode   = 0o600
)

// Dir is an open state folder. Nothing in it is reached by a path that leads out of it.
type Dir struct {
	path   string
	root   *os.Root
	keys   *os.Root
	public *os.Root
	lock   *os.File
}

// Open makes the folder if it does not exist, and refuses one that others could read secrets in or change, that is a
// symbolic link, or that another server uses. The errors say what to do.
func Open(path string) (*Dir, error) {
	d := &Dir{path: filepath.Clean(path)}
	if err := d.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the state folder: %w", err), d.Close())
	}
	return d, nil
}

func (d *Dir) open() (err error) {
	err = os.Mkdir(d.path, openFolderMode)
	if err == nil {
		err = os.Chmod(d.path, openFolderMode) // whatever the umask is
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(d.path)
	if err != nil {
		return err
	}
	if err := checkFolder(d.path, info, writableByOthers, true); err != nil {
		return err
	}
	if d.root, err = os.OpenRoot(d.path); err != nil {
		return err
	}
	// What was looked at is what was opened.
	if opened, err := d.root.Stat("."); err != nil || !os.SameFile(info, opened) {
		return errors.Join(fmt.Errorf("%s was replaced by another while it was opened", d.path), err)
	}
	if err := d.takeLock(); err != nil {
		return err
	}
	if d.keys, err = d.folder(keysFolder, secretFolderMode, readableByOthers); err != nil {
		return err
	}
	if d.public, err = d.folder(publicFolder, publicFolderMode, writableByOthers); err != nil {
		return err
	}
	if err := clearParts(d.keys); err != nil {
		return err
	}
	return d.clearPublic()
}

// folder opens a folder of ours within the state folder, and makes it if it is not there.
func (d *Dir) folder(name string, mode fs.FileMode, forbidden fs.FileMode) (*os.Root, error) {
	if err := makeFolder(d.root, name, mode); err != nil {
		return nil, err
	}
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if err := checkFolder(filepath.Join(d.path, name), info, forbidden, false); err != nil {
		return nil, err
	}
	return d.root.OpenRoot(name)
}

// makeFolder makes the folder if it is not there.
func makeFolder(root *os.Root, name string, mode fs.FileMode) error {
	err := root.Mkdir(name, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return root.Chmod(name, mode) // whatever the umask is
}

// takeLock keeps every other server out until this one ends, however it ends.
func (d *Dir) takeLock() error {
	if info, err := d.root.Lstat(lockFile); err == nil {
		if err := checkFile(filepath.Join(d.path, lockFile), info); err != nil {
			return err
		}
	}
	file, err := d.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, secretFileMode)
	if err != nil {
		return err
	}
	d.lock = file
	if err := lock(file); err != nil {
		return fmt.Errorf("%s is in use by another server, or cannot be locked: stop it, or give each server a folder of its own: %w", d.path, err)
	}
	return nil
}

// Path is the folder's.
func (d *Dir) Path() string { return d.path }

// Close lets another server use the folder.
func (d *Dir) Close() error {
	var errs []error
	for _, root := range []*os.Root{d.keys, d.public, d.root} {
		if root != nil {
			errs = append(errs, root.Close())
		}
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}
