// Package watcher owns the noticing that files may have changed: written, replaced, renamed, made, deleted, or led to by a
// link that leads elsewhere now. It does not own which files there are, nor what is in them: whoever is told looks again.
package watcher

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
)

// The times of a Watcher.
const (
	// Quiet is for how long nothing may happen before somebody is told: a file that is being written is read when it is
	// whole, if its writer does not rest.
	Quiet = 50 * time.Millisecond
	// Patience is for how long it may go on happening.
	Patience = time.Second
	// Poll is how often somebody is told though nothing was noticed: some file systems tell of nothing.
	Poll = 30 * time.Second
)

// Watcher tells when files may have changed.
type Watcher struct {
	log     logr.Logger
	system  *fsnotify.Watcher
	changed chan struct{}
	poll    time.Duration
	watched chan watched
	// failed says that it was logged that a folder cannot be watched.
	failed bool
}

// watched is what is looked at: all that happens in folders, and what happens to points.
type watched struct{ folders, points map[string]bool }

// New returns a Watcher that watches nothing yet. Where the system cannot tell of changes, it looks at them from time to
// time. Run must be called.
func New(log logr.Logger, poll time.Duration) *Watcher {
	w := &Watcher{log: log, changed: make(chan struct{}, 1), poll: poll, watched: make(chan watched, 1)}
	system, err := fsnotify.NewWatcher()
	if err != nil {
		log.Error(err, "Could not watch files, they are looked at from time to time", "every", poll.String())
		return w
	}
	w.system = system
	return w
}

// Changed receives a value when files may have changed since the last.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Watch watches these folders, those in which the paths themselves or links on the way to them lie, and nothing else. Where
// there is something new among them, it may have changed before it was watched: that is told.
func (w *Watcher) Watch(folders, paths []string) {
	next := watched{folders: map[string]bool{}, points: map[string]bool{}}
	for _, folder := range folders {
		next.folders[absolute(folder)] = true
	}
	for _, path := range paths {
		for _, point := range points(absolute(path)) {
			next.points[point] = true
		}
	}
	select {
	case <-w.watched: // which nobody has looked at yet
	default:
	}
	w.watched <- next
}

// Run watches until the context ends.
func (w *Watcher) Run(ctx context.Context) error {
	poll := time.NewTicker(w.poll)
	defer poll.Stop()
	var events <-chan fsnotify.Event
	var errs <-chan error
	if w.system != nil {
		defer w.system.Close() //nolint:errcheck // nothing is lost
		events, errs = w.system.Events, w.system.Errors
	}
	var now watched
	var quiet, patience <-chan time.Time
	for {
		news := false
		select {
		case <-ctx.Done():
			return nil
		case next := <-w.watched:
			news = w.follow(now, next)
			now = next
		case e := <-events:
			news = now.concerns(e.Name)
		case err := <-errs:
			w.log.V(1).Info("Missed changes of files", "error", err.Error())
			news = true
		case <-poll.C:
			w.tell()
		case <-quiet:
			quiet, patience = nil, nil
			w.tell()
		case <-patience:
			quiet, patience = nil, nil
			w.tell()
		}
		if news {
			quiet = time.After(Quiet)
			if patience == nil {
				patience = time.After(Patience)
			}
		}
	}
}

func (w *Watcher) tell() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// follow has the system watch what is to be watched now, and says whether that is more than before.
func (w *Watcher) follow(before, next watched) bool {
	if w.system == nil {
		return false
	}
	old, all := before.all(), next.all()
	for folder := range old {
		if !all[folder] {
			_ = w.system.Remove(folder) // it may be gone
		}
	}
	listed := map[string]bool{}
	for _, folder := range w.system.WatchList() {
		listed[folder] = true
	}
	more := false
	for folder := range all {
		// Also one that is watched already: another may have taken its place.
		err := w.system.Add(folder)
		more = more || err == nil && !listed[folder]
		if err != nil && !os.IsNotExist(err) && !w.failed {
			w.failed = true
			w.log.Error(err, "Could not watch a folder, it is looked at from time to time", "folder", folder, "every", w.poll.String())
		}
	}
	return more
}

// all are the folders in which something of interest happens.
func (w watched) all() map[string]bool {
	out := map[string]bool{}
	for folder := range w.folders {
		out[folder] = true
	}
	for point := range w.points {
		out[filepath.Dir(point)] = true
	}
	return out
}

func (w watched) concerns(name string) bool {
	name = filepath.Clean(name)
	return w.folders[filepath.Dir(name)] || w.folders[name] || w.points[name]
}

// absolute makes paths comparable; one that cannot be made so is compared as it is.
func absolute(path string) string {
	if out, err := filepath.Abs(path); err == nil {
		return out
	}
	return filepath.Clean(path)
}

// maxLinks is how many links are followed: more lead around in circles.
const maxLinks = 40

// points are the path, and the links on the way to what it leads to.
func points(path string) []string {
	out := []string{filepath.Clean(path)}
	for range maxLinks {
		link, rest := firstLink(path)
		if link == "" {
			return out
		}
		out = append(out, link)
		target, err := os.Readlink(link)
		if err != nil {
			return out
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		path = filepath.Join(target, rest)
	}
	return out
}

// firstLink is the shortest beginning of the path that is a link, and what follows it; nothing if there is none.
func firstLink(path string) (link, rest string) {
	path = filepath.Clean(path)
	for at := path; ; at = filepath.Dir(at) {
		if info, err := os.Lstat(at); err == nil && info.Mode()&os.ModeSymlink != 0 {
			link, rest = at, path[len(at):]
		}
		if parent := filepath.Dir(at); parent == at || at == "." {
			return link, rest
		}
	}
}
