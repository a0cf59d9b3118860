package state

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func modes(t *testing.T, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, filepath.WalkDir(path, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(name)
		if err == nil {
			relative, _ := filepath.Rel(path, name)
			out[relative] = info.Mode().String()
		}
		return err
	}))
	return out
}

// TestModes has an umask that would give away everything, and one that would give nothing.
func TestModes(t *testing.T) {
	want := map[string]string{
		".": "drwx--x--x", "lock": "-rw-------", "keys": "drwx------", "keys/a-signing-key.json": "-rw-------",
		"public": "drwxr-xr-x", "public/a-keys": "drwxr-xr-x", "public/a-keys/jwks.json": "-rw-r--r--", "public/a-keys/published.json": "-rw-r--r--",
	}
	for name, umask := range map[string]int{"nothing is taken away": 0, "all is taken away": 0o777 &^ 0o700} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			before := syscall.Umask(umask)
			defer syscall.Umask(before)
			d := open(t, path)
			must(t, d.WriteSecret(signingKey("a")))
			must(t, d.Publish("a-keys", map[string]string{"jwks.json": "{}"}, Mark{"a", 1}))
			if diff := cmp.Diff(want, modes(t, path)); diff != "" {
				t.Errorf("modes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		// spoil changes a folder that a server has used.
		spoil func(t *testing.T, path string)
		want  string
	}{
		"a link to a folder": {
			"somebody who may write where it lies could lead the server into another folder of its user",
			func(t *testing.T, path string) {
				must(t, os.Rename(path, path+"-real"))
				must(t, os.Symlink(path+"-real", path))
			}, "/state is a symbolic link: name the folder that it leads to",
		},
		"a file": {
			"that is a mistake", func(t *testing.T, path string) {
				must(t, os.RemoveAll(path))
				must(t, os.WriteFile(path, nil, 0o600))
			}, "/state is not a folder",
		},
		"a folder that others may change": {
			"they could replace the folder of keys", func(t *testing.T, path string) { must(t, os.Chmod(path, 0o770)) },
			"/state has mode 0770 and can be changed by others: chmod it to 0750",
		},
		"a folder of keys that others may read": {
			"they could sign", func(t *testing.T, path string) { must(t, os.Chmod(filepath.Join(path, "keys"), 0o750)) },
			"/state/keys has mode 0750 and can be read by others: chmod it to 0700",
		},
		"a folder of keys that leads away": {
			"what is there is not ours", func(t *testing.T, path string) {
				must(t, os.Rename(filepath.Join(path, "keys"), filepath.Join(path, "elsewhere")))
				must(t, os.Symlink("elsewhere", filepath.Join(path, "keys")))
			}, "/state/keys is a symbolic link",
		},
		"a public folder that leads away": {
			"files would be written elsewhere, and registries would read others", func(t *testing.T, path string) {
				must(t, os.RemoveAll(filepath.Join(path, "public")))
				must(t, os.Symlink(t.TempDir(), filepath.Join(path, "public")))
			}, "/state/public is a symbolic link",
		},
		"a public folder that others may change": {
			"they could tell registries whom to trust", func(t *testing.T, path string) { must(t, os.Chmod(filepath.Join(path, "public"), 0o777)) },
			"/state/public has mode 0777 and can be changed by others: chmod it to 0755",
		},
		"a lock that leads away": {
			"another file would be locked, or made", func(t *testing.T, path string) {
				must(t, os.Remove(filepath.Join(path, "lock")))
				must(t, os.Symlink("keys", filepath.Join(path, "lock")))
			}, "/state/lock is not a plain file",
		},
		"a lock that others may open": {
			"they could keep the server from starting", func(t *testing.T, path string) { must(t, os.Chmod(filepath.Join(path, "lock"), 0o644)) },
			"/state/lock has mode 0644 and can be read by others: chmod it to 0600",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			must(t, open(t, path).Close())
			c.spoil(t, path)
			d, err := Open(path)
			if err == nil {
				_ = d.Close()
				t.Fatalf("opened: %s", c.reason)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %q does not say %q", c.reason, err, c.want)
			}
		})
	}
}

// of is a file of a user.
type of struct {
	mode fs.FileMode
	uid  int
}

func (of) Name() string        { return "" }
func (of) Size() int64         { return 0 }
func (o of) Mode() fs.FileMode { return o.mode }
func (of) ModTime() time.Time  { return time.Time{} }
func (o of) IsDir() bool       { return o.mode.IsDir() }
func (o of) Sys() any          { return &syscall.Stat_t{Uid: uint32(o.uid)} }

func TestFilesOfOthersAreRefused(t *testing.T) {
	me, other := os.Geteuid(), os.Geteuid()+1
	cases := map[string]struct {
		reason string
		err    error
		want   string
	}{
		"our file":             {"", checkFile("x", of{0o600, me}), ""},
		"another's file":       {"they can change it, whatever its mode is", checkFile("x", of{0o600, other}), "x belongs to another user"},
		"our folder":           {"", checkFolder("x", of{fs.ModeDir | 0o700, me}, readableByOthers, false), ""},
		"another's folder":     {"as above", checkFolder("x", of{fs.ModeDir | 0o700, other}, readableByOthers, true), "x belongs to another user"},
		"the administrator's":  {"a state folder in a volume is root's, and root could do anything", checkFolder("x", of{fs.ModeDir | 0o755, 0}, writableByOthers, true), ""},
		"a device":             {"it could wait for ever", checkFile("x", of{fs.ModeDevice | 0o600, me}), "x is not a plain file"},
		"a file for the group": {"a group is others", checkFile("x", of{0o640, me}), "x has mode 0640 and can be read by others: chmod it to 0600"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := ""
			if c.err != nil {
				got = c.err.Error()
			}
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

func TestOneServerAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	first := open(t, path)
	if second, err := Open(path); err == nil || !strings.Contains(err.Error(), "is in use by another server") {
		if err == nil {
			_ = second.Close()
		}
		t.Errorf("a second one: %v", err)
	}
	must(t, first.Close())
	must(t, open(t, path).Close())
}

func TestWhatACrashLeftIsCleared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	d := open(t, path)
	must(t, d.WriteSecret(signingKey("a")))
	must(t, d.Close())
	must(t, os.WriteFile(filepath.Join(path, "keys", temporary+"a-signing-key.json"), []byte("{"), 0o600))
	d = open(t, path)
	secrets, err := d.ReadSecrets()
	if err != nil || len(secrets) != 1 {
		t.Errorf("%d Secrets, %v", len(secrets), err)
	}
	if _, err := os.Lstat(filepath.Join(path, "keys", temporary+"a-signing-key.json")); err == nil {
		t.Error("it is still there")
	}
}
