package state

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contents are the files below the path.
func contents(t *testing.T, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	found, err := os.ReadDir(path)
	must(t, err)
	for _, entry := range found {
		text, err := os.ReadFile(filepath.Join(path, entry.Name()))
		must(t, err)
		out[entry.Name()] = string(text)
	}
	return out
}

func TestPublish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	d := open(t, path)
	at := d.PublicPath("a-keys")
	if mark, err := d.Published("a-keys"); err != nil || mark != (Mark{}) {
		t.Errorf("before: %+v, %v", mark, err)
	}
	must(t, d.Publish("a-keys", map[string]string{"jwks.json": "1", "ca.crt": "1", "key.pem": "1"}, Mark{"a", 1}))
	want := map[string]string{"jwks.json": "1", "ca.crt": "1", "key.pem": "1", "published.json": `{"signingKey":"a","generation":1}` + "\n"}
	if diff := cmp.Diff(want, contents(t, at)); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
	before, err := os.Lstat(filepath.Join(at, "ca.crt"))
	must(t, err)
	must(t, d.Publish("a-keys", map[string]string{"jwks.json": "2", "ca.crt": "1"}, Mark{"a", 2}))
	want = map[string]string{"jwks.json": "2", "ca.crt": "1", "published.json": `{"signingKey":"a","generation":2}` + "\n"}
	if diff := cmp.Diff(want, contents(t, at)); diff != "" {
		t.Errorf("the key that signed was revoked, and is not to be trusted any more (-want +got):\n%s", diff)
	}
	after, err := os.Lstat(filepath.Join(at, "ca.crt"))
	must(t, err)
	if !os.SameFile(before, after) {
		t.Error("a file that did not change was written again")
	}
	if names, err := d.Names(); err != nil || !cmp.Equal(names, map[string]Mark{"a-keys": {"a", 2}}) {
		t.Errorf("names: %v, %v", names, err)
	}
	must(t, d.Withdraw("a-keys"))
	must(t, d.Withdraw("a-keys"))
	if _, err := os.Lstat(at); err == nil {
		t.Error("it is still there")
	}
}

// TestReadersSeeWholeFiles has a registry that opened a file before it was replaced.
func TestReadersSeeWholeFiles(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "state"))
	must(t, d.Publish("a-keys", map[string]string{"jwks.json": "old"}, Mark{"a", 1}))
	file, err := os.Open(filepath.Join(d.PublicPath("a-keys"), "jwks.json"))
	must(t, err)
	defer file.Close()
	must(t, d.Publish("a-keys", map[string]string{"jwks.json": "new"}, Mark{"a", 2}))
	text := make([]byte, 10)
	n, err := file.Read(text)
	if got := string(text[:n]); err != nil || got != "old" {
		t.Errorf("who read meanwhile got %q, %v", got, err)
	}
}

func TestFoldersOfOthersAreNotTouched(t *testing.T) {
	cases := map[string]struct {
		reason string
		spoil  func(t *testing.T, at string)
		want   string
	}{
		"a folder with other files": {
			"they are somebody's", func(t *testing.T, at string) {
				must(t, os.Mkdir(at, 0o755))
				must(t, os.WriteFile(filepath.Join(at, "ca.crt"), []byte("mine"), 0o644))
			}, "has files of somebody else",
		},
		"a mark that is damaged": {
			"whose it is is not known", func(t *testing.T, at string) {
				must(t, os.Mkdir(at, 0o755))
				must(t, os.WriteFile(filepath.Join(at, markFile), []byte("{"), 0o644))
			}, "is damaged",
		},
		"a mark that is a pipe": {
			"who opens it waits for ever", func(t *testing.T, at string) {
				must(t, os.Mkdir(at, 0o755))
				must(t, syscall.Mkfifo(filepath.Join(at, markFile), 0o644))
			}, "published.json is not a plain file",
		},
		"a folder that leads away": {
			"another's files would be replaced", func(t *testing.T, at string) { must(t, os.Symlink(t.TempDir(), at)) }, "is a symbolic link",
		},
		"a folder that others may change": {
			"they could say whom to trust", func(t *testing.T, at string) {
				must(t, os.Mkdir(at, 0o755))
				must(t, os.Chmod(at, 0o777))
			}, "can be changed by others",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := open(t, filepath.Join(t.TempDir(), "state"))
			c.spoil(t, d.PublicPath("a-keys"))
			if mark, err := d.Published("a-keys"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %+v, %v does not say %q", c.reason, mark, err, c.want)
			}
			if names, err := d.Names(); err != nil || len(names) > 0 {
				t.Errorf("%s: it is one of ours: %v, %v", c.reason, names, err)
			}
		})
	}
}

// TestALinkIsReplaced has somebody who made a link in the folder of what is published: what it leads to stays as it is.
func TestALinkIsReplaced(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "state"))
	must(t, d.Publish("a-keys", map[string]string{"jwks.json": "old"}, Mark{"a", 1}))
	victim, file := filepath.Join(t.TempDir(), "victim"), filepath.Join(d.PublicPath("a-keys"), "jwks.json")
	must(t, os.WriteFile(victim, []byte("precious"), 0o600))
	must(t, os.Remove(file))
	must(t, os.Symlink(victim, file))
	must(t, d.Publish("a-keys", map[string]string{"jwks.json": "new"}, Mark{"a", 2}))
	info, err := os.Lstat(file)
	must(t, err)
	text, err := os.ReadFile(victim)
	must(t, err)
	if !info.Mode().IsRegular() || string(text) != "precious" {
		t.Errorf("%s, and the victim holds %q", info.Mode(), text)
	}
}
