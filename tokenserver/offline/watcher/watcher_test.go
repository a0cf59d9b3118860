package watcher

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

// start watches without ever telling though nothing happened.
func start(t *testing.T, folders, paths []string) *Watcher {
	t.Helper()
	w := run(t, time.Hour)
	w.Watch(folders, paths)
	wait(t, w, "what is watched first is news")
	return w
}

func run(t *testing.T, poll time.Duration) *Watcher {
	t.Helper()
	w := New(logr.Discard(), poll)
	done := make(chan error, 1)
	go func() { done <- w.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func wait(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(10 * time.Second):
		t.Fatalf("nobody was told: %s", what)
	}
}

func silent(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.Changed():
		t.Errorf("told of nothing: %s", what)
	case <-time.After(4 * Quiet):
	}
}

func TestWhatIsNoticed(t *testing.T) {
	cases := map[string]struct {
		reason string
		act    func(t *testing.T, dir string)
	}{
		"a file is written": {"", func(t *testing.T, dir string) { write(t, dir+"/m/a.yaml", "new") }},
		"a file is replaced": {"as editors do", func(t *testing.T, dir string) {
			write(t, dir+"/m/.a", "new")
			must(t, os.Rename(dir+"/m/.a", dir+"/m/a.yaml"))
		}},
		"a file comes from elsewhere": {"as git and rsync do", func(t *testing.T, dir string) {
			write(t, dir+"/elsewhere", "new")
			must(t, os.Rename(dir+"/elsewhere", dir+"/m/b.yaml"))
		}},
		"a file is deleted":  {"", func(t *testing.T, dir string) { must(t, os.Remove(dir+"/m/a.yaml")) }},
		"a file is renamed":  {"", func(t *testing.T, dir string) { must(t, os.Rename(dir+"/m/a.yaml", dir+"/m/z.yaml")) }},
		"a file below":       {"", func(t *testing.T, dir string) { write(t, dir+"/m/sub/b.yaml", "new") }},
		"a folder is made":   {"a file in it follows", func(t *testing.T, dir string) { must(t, os.Mkdir(dir+"/m/more", 0o700)) }},
		"a folder is gone":   {"", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir+"/m/sub")) }},
		"a file may be read": {"it could not be before", func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/m/a.yaml", 0o644)) }},
		"the folder itself is replaced": {"", func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/m", dir+"/old"))
			must(t, os.Mkdir(dir+"/m", 0o700))
		}},
		"a link in the way to the folder leads elsewhere": {"as a deployment does", func(t *testing.T, dir string) {
			must(t, os.Symlink("releases/2", dir+"/.next"))
			must(t, os.Rename(dir+"/.next", dir+"/current"))
		}},
		"a link behind a link leads elsewhere": {"", func(t *testing.T, dir string) {
			must(t, os.Symlink("3", dir+"/releases/.next"))
			must(t, os.Rename(dir+"/releases/.next", dir+"/releases/1"))
		}},
		"a volume of a ConfigMap": {"the kubelet makes a folder, and then has ..data lead to it", func(t *testing.T, dir string) {
			write(t, dir+"/volume/..2/a.yaml", "new")
			must(t, os.Symlink("..2", dir+"/volume/..data_tmp"))
			must(t, os.Rename(dir+"/volume/..data_tmp", dir+"/volume/..data"))
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, file := range []string{"m/a.yaml", "m/sub/b.yaml", "releases/2/manifests/a.yaml", "releases/r1/manifests/a.yaml", "volume/..1/a.yaml"} {
				write(t, filepath.Join(dir, file), "old")
			}
			must(t, os.Symlink("r1", dir+"/releases/1"))
			must(t, os.Symlink("releases/1", dir+"/current"))
			must(t, os.Symlink("..1", dir+"/volume/..data"))
			must(t, os.Symlink("..data/a.yaml", dir+"/volume/a.yaml"))
			w := start(t, []string{dir + "/m", dir + "/m/sub", dir + "/releases/r1/manifests", dir + "/volume"},
				[]string{dir + "/m", dir + "/current/manifests", dir + "/volume"})
			silent(t, w, "nothing happened yet")
			c.act(t, dir)
			wait(t, w, c.reason)
		})
	}
}

func TestWhatIsNobodysBusiness(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/m/a.yaml", "old")
	w := start(t, []string{dir + "/m"}, []string{dir + "/m"})
	write(t, dir+"/log", "a line")
	write(t, dir+"/state/lock", "")
	silent(t, w, "it happened beside the folder")
	w.Watch([]string{dir + "/m"}, []string{dir + "/m"})
	silent(t, w, "the same was watched again")
}

func TestFoldersThatComeLater(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/m", 0o700))
	w := start(t, []string{dir + "/m"}, []string{dir + "/m"})
	must(t, os.Mkdir(dir+"/m/sub", 0o700))
	wait(t, w, "a folder came")
	write(t, dir+"/m/sub/a.yaml", "before it is watched")
	w.Watch([]string{dir + "/m", dir + "/m/sub"}, []string{dir + "/m"})
	wait(t, w, "a folder is watched from now on: what happened in it before was not noticed")
	write(t, dir+"/m/sub/b.yaml", "while it is watched")
	wait(t, w, "a file came into it")
	must(t, os.RemoveAll(dir+"/m/sub"))
	wait(t, w, "it went")
	w.Watch([]string{dir + "/m"}, []string{dir + "/m"})
	write(t, dir+"/m/sub/a.yaml", "again")
	wait(t, w, "it came again")
	w.Watch([]string{dir + "/m", dir + "/m/sub"}, []string{dir + "/m"})
	wait(t, w, "it is watched again")
	write(t, dir+"/m/sub/c.yaml", "new")
	wait(t, w, "a file came into the one that came again")
}

func TestAFolderThatIsNotThereYet(t *testing.T) {
	dir := t.TempDir()
	w := run(t, time.Hour)
	w.Watch(nil, []string{dir + "/m"})
	wait(t, w, "where it will be is watched")
	write(t, dir+"/other", "x")
	silent(t, w, "another file came")
	must(t, os.Mkdir(dir+"/m", 0o700))
	wait(t, w, "it came")
}

// TestWhoWritesOnAndOnIsToldNowAndThen has a writer who does not rest for as long as the quiet is.
func TestWhoWritesOnAndOnIsToldNowAndThen(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/m", 0o700))
	w := start(t, []string{dir + "/m"}, []string{dir + "/m"})
	writes, told, began := 0, 0, time.Now()
	for time.Since(began) < 3*Patience {
		write(t, filepath.Join(dir, "m", string(rune('a'+writes%26))+".yaml"), "new")
		writes++
		select {
		case <-w.Changed():
			told++
		case <-time.After(Quiet / 10):
		}
	}
	// A machine that is busy may let the writer rest for longer than the quiet; without it each write would be told.
	if told < 2 || told > writes/2 {
		t.Errorf("of %d writes in %s somebody was told %d times", writes, 3*Patience, told)
	}
}

func TestItIsToldFromTimeToTime(t *testing.T) {
	w := run(t, 20*time.Millisecond)
	for range 3 {
		wait(t, w, "some file systems tell of nothing")
	}
}

func TestPoints(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, os.MkdirAll(dir+"/a/b", 0o700))
	must(t, os.Symlink("a", dir+"/x"))
	must(t, os.Symlink(dir+"/x", dir+"/y"))
	must(t, os.Symlink("circle", dir+"/circle"))
	cases := map[string][]string{
		"/a/b": {"/a/b"}, "/x/b": {"/x/b", "/x"}, "/y/b": {"/y/b", "/y", "/x"}, "/gone/b": {"/gone/b"},
	}
	for path, want := range cases {
		for i := range want {
			want[i] = dir + want[i]
		}
		if diff := cmp.Diff(want, points(dir+path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if got := len(points(dir + "/circle")); got > maxLinks+1 {
		t.Errorf("a link to itself has %d points", got)
	}
}
