package manifest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
)

// TestFiles shows what of a folder is read, and in what order.
func TestFiles(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"b.yaml", "a.yml", "c/d.json", "c/b/a.yaml", "z.yaml", ".hidden.yaml", "c/kustomization.yaml"} {
		text := `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "` + strings.NewReplacer("/", "-", ".", "-").Replace("n/"+name) + `"}}`
		write(t, folder, name, text)
	}
	for _, name := range []string{".git/config.yaml", "notes.txt", "..data/x.yaml", ".b.yaml.swp"} {
		write(t, folder, name, "{")
	}
	write(t, folder, "kustomization.yaml", "resources: [a.yml]\n") // which is no object
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	// As a volume of a ConfigMap is laid out, and links that lead around in circles, to what was read, and nowhere.
	write(t, folder, "..2026/linked.yaml", `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "linked"}}`)
	link("..2026/linked.yaml", "linked.yaml")
	link("..", "c/up")
	link("b.yaml", "again.yaml")
	link("/nonexistent", "nowhere")
	link("somebody@host.1:2", ".#b.yaml")
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems, err := manifest.Read(manifest.Options{}, folder, folder, filepath.Join(folder, "c"), filepath.Join(folder, "b.yaml"))
	if err != nil || len(problems) > 0 {
		t.Fatal(err, lines(problems))
	}
	var got []string
	for _, n := range set.Namespaces {
		file, err := filepath.Rel(folder, set.Source(n).File)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, file+" "+n.Name)
	}
	want := []string{
		".hidden.yaml n--hidden-yaml", "a.yml n-a-yml", "again.yaml n-b-yaml", "c/b/a.yaml n-c-b-a-yaml", "c/d.json n-c-d-json",
		"c/kustomization.yaml n-c-kustomization-yaml", "linked.yaml linked", "z.yaml n-z-yaml",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if set.Files != len(want)+1 || set.Skipped != 1 {
		t.Errorf("%d files and %d objects of other kinds, want %d and 1", set.Files, set.Skipped, len(want)+1)
	}
}

// TestUnreadable shows that a path which cannot be read is an error, and takes nothing from the others.
func TestUnreadable(t *testing.T) {
	folder := t.TempDir()
	there := write(t, folder, "a.yaml", good("a"))
	empty := filepath.Join(folder, "empty")
	write(t, folder, "empty/notes.txt", "")
	if err := os.Symlink("/nonexistent", filepath.Join(folder, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(folder, "missing.yaml")
	set, problems, err := manifest.Read(manifest.Options{}, missing, empty, folder, there, "-")
	want := "stat " + missing + ": no such file or directory\n" + empty + " has no file that ends with .json, .yaml, .yml\n" +
		"stat " + folder + "/b.yaml: no such file or directory\nthere is no standard input"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if len(problems) > 0 || names(set) != "apol team-a/a@1" {
		t.Errorf("got %s and %s", names(set), lines(problems))
	}
}

// TestNamedFile shows that a file which is named is read whatever it is called, also a pipe, as shells make of <(command).
func TestNamedFile(t *testing.T) {
	folder := t.TempDir()
	hidden := write(t, folder, ".policy", good("a"))
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, []byte(good("b")), 0o600) }()
	set, problems, err := manifest.Read(manifest.Options{}, hidden, pipe)
	if err := errors.Join(err, <-written); err != nil || len(problems) > 0 || names(set) != "apol team-a/a@1 apol team-a/b@1" {
		t.Error(names(set), lines(problems), err)
	}
}
