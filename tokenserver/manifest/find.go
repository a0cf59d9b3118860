package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Stdin is the path that stands for the standard input, and StdinName how it is named in a Problem.
const (
	Stdin     = "-"
	StdinName = "<stdin>"
)

// maxFileSize bounds one file: a hundred thousand policies in one fit.
const maxFileSize = 128 << 20

var errTooLarge = fmt.Errorf("must be at most %d MiB", maxFileSize>>20)

// extensions are those of manifests, as kubectl has them.
var extensions = []string{".json", ".yaml", ".yml"}

// file is one file to read.
type file struct {
	// path is empty for the standard input; real is what it leads to.
	path, name, real string
}

// finder collects files. What several paths lead to is read once.
type finder struct {
	files []file
	known map[string]bool
	// empty says that a folder may have no files, and plain that only plain files are in order.
	empty, plain bool
	// folders are those in which files come and go.
	folders map[string]bool
	// met counts what was found, also where it was known.
	met int
}

// find returns the files of the paths, an error for each path that cannot be followed, and the folders in which something
// happens when a file comes, goes or changes; beside those in which the paths themselves lie.
func find(o Options, paths []string) (files []file, folders map[string]bool, unreadable []error) {
	f := &finder{known: map[string]bool{}, empty: o.EmptyFolders, plain: o.PlainFiles, folders: map[string]bool{}}
	for _, path := range paths {
		if err := f.path(path); err != nil {
			unreadable = append(unreadable, err)
		}
	}
	return f.files, f.folders, unreadable
}

func (f *finder) path(path string) error {
	if path == Stdin {
		f.add(Stdin, file{name: StdinName})
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if f.plain && !info.Mode().IsRegular() {
			return notPlain(path)
		}
		f.link(path)
		return nil
	}
	before := f.met
	if err := f.folder(path); err != nil {
		return err
	}
	if f.met == before && !f.empty {
		return fmt.Errorf("%s has no file that ends with %s", path, strings.Join(extensions, ", "))
	}
	return nil
}

// folder goes through a folder by name. Links are followed, as those of a volume in a pod have to be; one that leads to
// where a path has been already leads nowhere.
func (f *finder) folder(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if f.known[real] {
		f.met++
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	f.known[real] = true
	f.folders[path], f.folders[real] = true, true
	var failed []error
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		if entry.Type().IsRegular() { // one of very many, perhaps: nothing has to be asked
			if isManifest(name) {
				f.add(filepath.Join(real, entry.Name()), file{path: name, name: name})
			}
			continue
		}
		failed = append(failed, f.entry(name))
	}
	return errors.Join(failed...)
}

// entry takes what kubectl would take. So files are read that are hidden or called kustomization.yaml: what they hold would
// be applied. Folders that are hidden are no manifests', but those of tools and of volumes.
func (f *finder) entry(path string) error {
	manifest, hidden := isManifest(path), strings.HasPrefix(filepath.Base(path), ".")
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && (hidden || !manifest && !f.lost(path)):
		return nil // a link to nowhere, such as the lock of an editor
	case err != nil:
		return err
	case info.IsDir() && hidden:
		return nil
	case info.IsDir():
		return f.folder(path)
	case manifest && info.Mode().IsRegular():
		f.link(path)
	case manifest && f.plain:
		return notPlain(path)
	}
	return nil
}

// lost says whether what a link leads to may have been a folder of manifests, and must not be passed over.
func (f *finder) lost(path string) bool {
	_, err := os.Lstat(path)
	return f.plain && err == nil
}

func notPlain(path string) error { return fmt.Errorf("%s is neither a plain file nor a folder", path) }

func isManifest(path string) bool {
	return slices.Contains(extensions, filepath.Ext(path))
}

// link adds a file unless it is known under another name.
func (f *finder) link(path string) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path // a pipe has a path and no name behind it
	}
	f.folders[filepath.Dir(real)] = true
	f.add(real, file{path: path, name: path})
}

func (f *finder) add(real string, found file) {
	f.met++
	if !f.known[real] {
		f.known[real] = true
		found.real = real
		f.files = append(f.files, found)
	}
}

func (f file) read(stdin io.Reader) ([]byte, error) {
	from := stdin
	if f.path != "" {
		opened, err := os.Open(f.path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }()
		from = opened
	}
	if from == nil {
		return nil, errors.New("there is no standard input")
	}
	text, err := io.ReadAll(io.LimitReader(from, maxFileSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", f.name, err)
	case len(text) > maxFileSize:
		return nil, errTooLarge
	}
	return text, nil
}
