package manifest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
)

func namespace(name string) string {
	return "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: " + name + "\n---\n"
}

// age has a file look as if nobody had touched it for an hour.
func age(t *testing.T, folder, name string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(folder, name), old, old); err != nil {
		t.Fatal(err)
	}
}

// TestReaderReadsAgain shows that what it says the second time is what a reader says that knows nothing, and that what did
// not change is the same object.
func TestReaderReadsAgain(t *testing.T) {
	before := map[string]string{"a.yaml": namespace("a") + namespace("b"), "c.yaml": namespace("c")}
	cases := map[string]struct {
		reason string
		change func(t *testing.T, folder string)
		// same are the namespaces whose objects are those of the first time.
		same []string
	}{
		"nothing":            {"", func(*testing.T, string) {}, []string{"a", "b", "c"}},
		"a document changes": {"the others stay", func(t *testing.T, f string) { write(t, f, "a.yaml", namespace("a2")+namespace("b")) }, []string{"b", "c"}},
		"a document goes":    {"", func(t *testing.T, f string) { write(t, f, "a.yaml", namespace("b")) }, []string{"b", "c"}},
		"a document comes": {"what follows stands elsewhere", func(t *testing.T, f string) {
			write(t, f, "a.yaml", "# new\n"+namespace("n")+namespace("a")+namespace("b"))
		}, []string{"a", "b", "c"}},
		"a file goes":            {"", func(t *testing.T, f string) { remove(t, f, "c.yaml") }, []string{"a", "b"}},
		"a file comes":           {"", func(t *testing.T, f string) { write(t, f, "d.yaml", namespace("d")) }, []string{"a", "b", "c"}},
		"a file is renamed":      {"it is another file", func(t *testing.T, f string) { remove(t, f, "c.yaml"); write(t, f, "x.yaml", namespace("c")) }, []string{"a", "b"}},
		"one is there twice":     {"the first counts", func(t *testing.T, f string) { write(t, f, "b.yaml", namespace("a")+namespace("c")) }, []string{"a", "b"}},
		"one breaks":             {"the others are as they were", func(t *testing.T, f string) { write(t, f, "a.yaml", namespace("A")+namespace("b")) }, []string{"b", "c"}},
		"a file is replaced":     {"by one with the same size and time", func(t *testing.T, f string) { replace(t, f, "c.yaml", namespace("d")) }, []string{"a", "b"}},
		"a file is written over": {"the size and the time stay", func(t *testing.T, f string) { writeOver(t, f, "c.yaml", namespace("d")) }, []string{"a", "b"}},
		"a file becomes a link":  {"to the same content", func(t *testing.T, f string) { relink(t, f, "c.yaml") }, []string{"a", "b"}},
		"a folder has come":      {"", func(t *testing.T, f string) { write(t, f, "sub/d.yaml", namespace("d")) }, []string{"a", "b", "c"}},
		"all change their place": {"", func(t *testing.T, f string) { write(t, f, "a.yaml", namespace("b")+namespace("a")) }, []string{"a", "b", "c"}},
	}
	for _, settled := range []bool{true, false} {
		for name, c := range cases {
			t.Run(fmt.Sprintf("%s, settled %t", name, settled), func(t *testing.T) {
				folder := t.TempDir()
				for file, text := range before {
					write(t, folder, file, text)
					if settled {
						age(t, folder, file)
					}
				}
				reader := manifest.NewReader(manifest.Options{})
				first := told(t, reader, folder)
				c.change(t, folder)
				if unchanged := reader.Unchanged(folder); unchanged != (settled && name == "nothing") {
					t.Errorf("%s: unchanged is %t", c.reason, unchanged)
				}
				second := told(t, reader, folder)
				fresh := told(t, manifest.NewReader(manifest.Options{}), folder)
				if diff := cmp.Diff(fresh.text, second.text); diff != "" {
					t.Errorf("%s: (-reader that knows nothing +this):\n%s", c.reason, diff)
				}
				var same []string
				for name, object := range first.objects {
					if second.objects[name] == object {
						same = append(same, name)
					}
				}
				slices.Sort(same)
				if diff := cmp.Diff(c.same, same); diff != "" {
					t.Errorf("%s: the same objects (-want +got):\n%s", c.reason, diff)
				}
			})
		}
	}
}

// reading is what came of a Read.
type reading struct {
	text    []string
	objects map[string]any
}

func told(t *testing.T, reader *manifest.Reader, folder string) reading {
	t.Helper()
	set, problems, err := reader.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	out := reading{objects: map[string]any{}}
	for _, n := range set.Namespaces {
		out.text = append(out.text, set.Source(n).String()+" "+n.Name)
		out.objects[n.Name] = n
	}
	out.text = append(out.text, fmt.Sprintf("%d files, %d skipped", set.Files, set.Skipped))
	for _, p := range problems {
		out.text = append(out.text, fmt.Sprintf("%s:%d %s %s", p.File, p.Line, p.Name, p.Message))
	}
	return out
}

func remove(t *testing.T, folder, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(folder, name)); err != nil {
		t.Fatal(err)
	}
}

// replace puts another file in the place of one, as editors do, that differs by its content only.
func replace(t *testing.T, folder, name, text string) {
	t.Helper()
	info, err := os.Stat(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	write(t, folder, ".new", text)
	path := filepath.Join(folder, ".new")
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, filepath.Join(folder, name)); err != nil {
		t.Fatal(err)
	}
}

// writeOver changes what a file holds, and gives it back the time that it had, as tar and rsync do.
func writeOver(t *testing.T, folder, name, text string) {
	t.Helper()
	path := filepath.Join(folder, name)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		write(t, folder, name, text)
		if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if manifest.Changed(after).After(manifest.Changed(before)) {
			return
		}
	}
	t.Fatal("the clock of the file system stands still")
}

func relink(t *testing.T, folder, name string) {
	t.Helper()
	if err := os.Rename(filepath.Join(folder, name), filepath.Join(folder, ".real")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".real", filepath.Join(folder, name)); err != nil {
		t.Fatal(err)
	}
}

// TestManyDocumentsKeepTheirOrder has more of them than are understood at a time.
func TestManyDocumentsKeepTheirOrder(t *testing.T) {
	const count = 3000
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: p%d, namespace: a}\n"+
			"spec:\n  subjects: [{kind: User, name: alice}]\n  rules: [{type: repository, names: [a/**], actions: [pull]}]\n---\n", i)
		if i%1000 == 999 {
			fmt.Fprintf(&text, "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: p%d, namespace: a}\nspec: {}\n---\n", i-1)
		}
	}
	folder := t.TempDir()
	write(t, folder, "a.yaml", text.String())
	for range 3 {
		set, problems, err := manifest.Read(manifest.Options{}, folder)
		if err != nil || len(set.AccessPolicies) != count {
			t.Fatal(err, len(set.AccessPolicies))
		}
		for i, p := range set.AccessPolicies {
			if p.Name != fmt.Sprintf("p%d", i) {
				t.Fatalf("%s is number %d", p.Name, i)
			}
		}
		twice := slices.DeleteFunc(problems, func(p manifest.Problem) bool { return !strings.HasPrefix(p.Message, "is given twice") })
		if len(twice) != 3 || !slices.IsSortedFunc(twice, func(a, b manifest.Problem) int { return a.Line - b.Line }) {
			t.Errorf("%d are said to be there twice: %+v", len(twice), twice)
		}
	}
}

func TestFoldersToWatch(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	write(t, folder, "..2026/a.yaml", namespace("a"))
	write(t, folder, "sub/b.yaml", namespace("b"))
	write(t, elsewhere, "c.yaml", namespace("c"))
	for to, name := range map[string]string{"..2026": "..data", "..data/a.yaml": "a.yaml", filepath.Join(elsewhere, "c.yaml"): "c.yaml"} {
		if err := os.Symlink(to, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	reader := manifest.NewReader(manifest.Options{})
	if got := told(t, reader, folder); len(got.objects) != 3 {
		t.Fatal(got.text)
	}
	want := []string{folder, filepath.Join(folder, "..2026"), filepath.Join(folder, "sub"), elsewhere}
	slices.Sort(want)
	if diff := cmp.Diff(want, reader.Folders()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestUnchanged has what is not seen by looking at the files that were read.
func TestUnchanged(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "a.yaml", namespace("a"))
	age(t, folder, "a.yaml")
	reader := manifest.NewReader(manifest.Options{})
	if reader.Unchanged(folder) {
		t.Error("nothing was read yet")
	}
	told(t, reader, folder)
	if !reader.Unchanged(folder) {
		t.Error("nothing happened")
	}
	if err := os.Mkdir(filepath.Join(folder, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if !reader.Unchanged(folder) || !slices.Contains(reader.Folders(), filepath.Join(folder, "sub")) {
		t.Error("a folder came in which files may come, and it is not to be watched")
	}
	if reader.Unchanged(folder, filepath.Join(folder, "nowhere")) {
		t.Error("a path leads nowhere")
	}
	write(t, folder, "b.yaml", "kind: [")
	age(t, folder, "b.yaml")
	told(t, reader, folder)
	if reader.Unchanged(folder) {
		t.Error("something is wrong, which has to be said again")
	}
}

func TestEmptyFolders(t *testing.T) {
	folder := t.TempDir()
	if _, _, err := manifest.Read(manifest.Options{}, folder); err == nil {
		t.Error("a folder without manifests is probably a mistake")
	}
	set, problems, err := manifest.Read(manifest.Options{EmptyFolders: true}, folder)
	if err != nil || len(problems) > 0 || set.Files != 0 {
		t.Errorf("where it is in order: %v, %v, %d files", err, problems, set.Files)
	}
	if _, _, err := manifest.Read(manifest.Options{EmptyFolders: true}, filepath.Join(folder, "gone")); err == nil {
		t.Error("a folder that is not there is none")
	}
}

// TestPlainFiles shows that where nothing may vanish, a pipe is refused also where it is named: it would hold nothing when it
// is read for the second time. A file of a tool is passed over all the same.
func TestPlainFiles(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "a.yaml", good("a"))
	if err := os.Symlink("somebody@host.1:2", filepath.Join(folder, ".#a.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, problems, err := manifest.Read(manifest.Options{PlainFiles: true}, folder); err != nil || len(problems) > 0 {
		t.Errorf("the lock of an editor: %v, %s", err, lines(problems))
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	want := pipe + " is neither a plain file nor a folder"
	if _, _, err := manifest.Read(manifest.Options{PlainFiles: true}, folder, pipe); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
