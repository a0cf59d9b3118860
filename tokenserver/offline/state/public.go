package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// markFile is beside what is published, and says whose it is.
const markFile = "published.json"

// entries are the files that may be published.
var entries = []string{keyring.EntryJWKS, keyring.EntryAuthorities, keyring.EntryKey}

// maxMark bounds the mark that is read, in bytes.
const maxMark = 4 << 10

// Mark says what is published: in a cluster the labels and annotations of a ConfigMap do.
type Mark struct {
	// SigningKey is the name of the one whose keys are published.
	SigningKey string `json:"signingKey"`
	// Generation is that of the key set.
	Generation int64 `json:"generation"`
}

// Published returns what is published under the name; the zero Mark if nothing is. A folder of that name without a mark is
// somebody else's: an error.
func (d *Dir) Published(name string) (Mark, error) {
	folder, err := d.publicFolder(name, false)
	if folder == nil || err != nil {
		return Mark{}, err
	}
	defer folder.Close() //nolint:errcheck // nothing was written
	return d.mark(folder, name)
}

func (d *Dir) mark(folder *os.Root, name string) (Mark, error) {
	text, err := read(folder, markFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		found, err := fs.ReadDir(folder.FS(), ".")
		if err != nil || len(found) == 0 {
			return Mark{}, err
		}
		return Mark{}, fmt.Errorf("%s has files of somebody else: remove it, or give another configMapName", d.PublicPath(name))
	case err != nil:
		return Mark{}, fmt.Errorf("read what is published: %w", err)
	}
	var mark Mark
	if len(text) > maxMark || json.Unmarshal(text, &mark) != nil || mark.SigningKey == "" || mark.Generation < 1 || mark.Generation >= keyring.MaxGeneration {
		return Mark{}, fmt.Errorf("%s is damaged: remove the folder, and it is made anew", filepath.Join(d.PublicPath(name), markFile))
	}
	return mark, nil
}

// read reads a file if it is a plain one: who opens a pipe waits for whoever writes into it.
func read(folder *os.Root, name string) ([]byte, error) {
	info, err := folder.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a plain file", name)
	}
	return folder.ReadFile(name)
}

// Publish replaces the files that are published under the name; each is whole at any time. The caller has looked at whose
// the name is. The mark comes first: it says which generation may be public, and not which is.
func (d *Dir) Publish(name string, data map[string]string, mark Mark) error {
	folder, err := d.publicFolder(name, true)
	if err != nil {
		return err
	}
	defer folder.Close() //nolint:errcheck // each file was synchronised
	text, err := json.Marshal(mark)
	if err != nil {
		return fmt.Errorf("encode the mark of what is published: %w", err)
	}
	err = replace(folder, markFile, string(text)+"\n")
	for _, entry := range entries {
		if want, given := data[entry]; given {
			err = errors.Join(err, replace(folder, entry, want))
			continue
		}
		// It speaks of a key or an authority that is not trusted any more.
		if gone := folder.Remove(entry); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	if err != nil {
		return fmt.Errorf("publish to %s: %w", d.PublicPath(name), err)
	}
	return nil
}

// replace makes the file hold the text, and leaves one alone that does.
func replace(folder *os.Root, name, want string) error {
	if info, err := folder.Lstat(name); err == nil && info.Mode().IsRegular() && info.Mode().Perm() == publicFileMode {
		if held, err := folder.ReadFile(name); err == nil && string(held) == want {
			return nil
		}
	}
	return write(folder, name, []byte(want), publicFileMode)
}

// Entry is the file that is published under the name; empty if there is none.
func (d *Dir) Entry(name, entry string) ([]byte, error) {
	folder, err := d.publicFolder(name, false)
	if folder == nil || err != nil {
		return nil, err
	}
	defer folder.Close() //nolint:errcheck // nothing was written
	text, err := read(folder, entry)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what is published: %w", err)
	}
	return text, nil
}

// Withdraw removes what is published under the name.
func (d *Dir) Withdraw(name string) error {
	folder, err := d.publicFolder(name, false)
	if folder == nil || err != nil {
		return err
	}
	defer folder.Close() //nolint:errcheck // nothing is left of it
	for _, entry := range append(slices.Clone(entries), markFile) {
		if err := folder.Remove(entry); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("withdraw what is published: %w", err)
		}
	}
	if err := d.public.Remove(name); err != nil {
		return fmt.Errorf("withdraw what is published: %w", err)
	}
	return sync(d.public)
}

// Names are what something is published under, and whose it is. What is not ours is left out.
func (d *Dir) Names() (map[string]Mark, error) {
	found, err := fs.ReadDir(d.public.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("read what is published: %w", err)
	}
	marks := map[string]Mark{}
	for _, entry := range found {
		if mark, err := d.Published(entry.Name()); err == nil && mark != (Mark{}) {
			marks[entry.Name()] = mark
		}
	}
	return marks, nil
}

// clearPublic removes what a crash left half written: it would be taken for somebody else's. A folder that is not ours is
// left alone; whoever needs it says what is wrong with it.
func (d *Dir) clearPublic() error {
	found, err := fs.ReadDir(d.public.FS(), ".")
	if err != nil {
		return fmt.Errorf("read what is published: %w", err)
	}
	for _, entry := range found {
		folder, err := d.publicFolder(entry.Name(), false)
		if folder == nil || err != nil {
			continue
		}
		if err := errors.Join(clearParts(folder), folder.Close()); err != nil {
			return fmt.Errorf("clear what is published: %w", err)
		}
	}
	return nil
}

// PublicPath is where what is published under the name is.
func (d *Dir) PublicPath(name string) string { return filepath.Join(d.path, publicFolder, name) }

// publicFolder opens the folder of the name; nil if it is not there and shall not be made.
func (d *Dir) publicFolder(name string, create bool) (*os.Root, error) {
	if err := fileName(name); err != nil {
		return nil, fmt.Errorf("publish as %q: %w", name, err)
	}
	if create {
		if err := makeFolder(d.public, name, publicFolderMode); err != nil {
			return nil, fmt.Errorf("make the folder of what is published: %w", err)
		}
	}
	info, err := d.public.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look at what is published: %w", err)
	}
	if err := checkFolder(d.PublicPath(name), info, writableByOthers, false); err != nil {
		return nil, err
	}
	folder, err := d.public.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("open what is published: %w", err)
	}
	return folder, nil
}
