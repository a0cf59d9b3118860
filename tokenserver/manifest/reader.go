package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// batch is how many documents are understood before what came of them is put together: enough for all processors, and
// few enough that a text which is past all bounds is not read to its end.
const batch = 1024

// Reader reads files again and again, and understands only those documents anew that are not as they were. Of the others
// the Set holds the very objects that it held before. Only one goroutine may use it.
type Reader struct {
	options Options
	// most is how many objects one Read keeps.
	most int
	// files are those that were read last, by the file that the path leads to.
	files   map[string]*keptFile
	folders map[string]bool
	// looked is what was there when somebody asked whether something changed; nil if nobody did since it was read.
	looked *look
	// count is how many objects there were, and troubled says that something was wrong.
	count    int
	troubled bool
}

// NewReader returns a Reader that has read nothing.
func NewReader(o Options) *Reader { return &Reader{options: o, most: maxObjects} }

// Folders are those in which something happens when a file that Read looks at comes, goes or changes. What becomes of the
// paths themselves, and of links on the way to them, is not seen there.
func (r *Reader) Folders() []string { return slices.Sorted(maps.Keys(r.folders)) }

// Read is like the function of this name. A file that looks as it did, by size, times and identity, is not opened, and what
// Source.LineOf says of its objects is the line of the object; unless there is a problem.
func (r *Reader) Read(paths ...string) (*Set, []Problem, error) {
	kinds, err := schemas()
	if err != nil {
		return newSet(), nil, err
	}
	now := r.looked
	r.looked = nil
	if now == nil || !slices.Equal(now.paths, paths) {
		now = r.look(paths)
	}
	run := r.run(kinds, now, true)
	if len(run.found) > 0 && run.unopened {
		run = r.run(kinds, now, false) // what is wrong with an object may stand in a file that is as it was
	}
	slices.SortStableFunc(run.found, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.Line, b.Line))
	})
	var problems []Problem
	for _, p := range run.found {
		problems = append(problems, p.Problem)
	}
	err = errors.Join(append(now.unreadable, run.unreadable...)...)
	r.files, r.folders, r.count, r.troubled = run.kept, now.folders, run.objects, err != nil || len(problems) > 0
	return run.set, problems, err
}

// Unchanged says that Read would say what it said last, because all files look as they did and nothing was wrong. It opens
// none. A Read of the same paths that follows goes by what it saw.
func (r *Reader) Unchanged(paths ...string) bool {
	now := r.look(paths)
	r.looked, r.folders = now, now.folders
	if r.files == nil || r.troubled || len(now.unreadable) > 0 || len(now.files) != len(r.files) {
		return false
	}
	for i, f := range now.files {
		if kept := r.files[f.real]; !kept.same(now.infos[i]) || kept.name != f.name {
			return false
		}
	}
	r.looked = nil
	return true
}

// look is what there is, without opening a file.
type look struct {
	paths      []string
	files      []file
	infos      []fs.FileInfo
	folders    map[string]bool
	unreadable []error
}

func (r *Reader) look(paths []string) *look {
	l := &look{paths: slices.Clone(paths)}
	l.files, l.folders, l.unreadable = find(r.options, paths)
	l.infos = make([]fs.FileInfo, 0, len(l.files))
	for _, f := range l.files {
		l.infos = append(l.infos, f.looks())
	}
	return l
}

func (r *Reader) run(kinds map[typeMeta]*schema, now *look, trusting bool) *reading {
	// There will be about as many as before: maps that grow make garbage of several times their size.
	run := &reading{Reader: r, kinds: kinds, trusting: trusting, seen: make(map[Ref]place, r.count), kept: make(map[string]*keptFile, len(now.files))}
	run.set = &Set{sources: make(map[metav1.Object]Source, r.count), order: make(map[string]int, len(now.files))}
	for i, f := range now.files {
		if err := run.file(f, now.infos[i]); err != nil {
			run.unreadable = append(run.unreadable, err)
		}
	}
	run.flush()
	return run
}

// reading is one Read.
type reading struct {
	*Reader
	kinds map[typeMeta]*schema
	// trusting says that files which look as they did are not opened; unopened that there were any.
	trusting, unopened bool

	set        *Set
	seen       map[Ref]place
	found      []placed
	unreadable []error
	kept       map[string]*keptFile
	// pending are documents whose turn has not come, of which unread are to be understood.
	pending []*part
	unread  int
	objects int
}

// place is where an object stands, for the message about another of its name.
type place struct {
	file string
	line int
}

// placed is a problem and the number of its file.
type placed struct {
	Problem
	file int
}

// part is a document on its way into the set: it is understood by a reader of its own, or was before.
type part struct {
	file     int
	name     string
	document *document
	into     *keptFile
	read     *reader
	kept     *keptDocument
}

// file finds out what there is to do for a file.
func (r *reading) file(f file, info fs.FileInfo) error {
	number := r.set.Files
	before, began := r.files[f.real], time.Now()
	after := &keptFile{name: f.name, info: info, read: began}
	if r.trusting && before.same(info) {
		r.set.read(f.name)
		r.unopened = true
		after.read, r.kept[f.real] = before.read, after
		for i := range before.documents {
			r.add(&part{file: number, name: f.name, into: after, kept: &before.documents[i]})
		}
		return nil
	}
	text, err := f.read(r.options.Stdin)
	switch {
	case errors.Is(err, errTooLarge):
		r.set.read(f.name)
		r.found = append(r.found, placed{Problem{File: f.name, Message: err.Error()}, number})
		return nil
	case err != nil:
		return err
	}
	r.set.read(f.name)
	r.kept[f.real] = after
	known := before.bySum()
	if before != nil {
		after.documents = make([]keptDocument, 0, len(before.documents)+1)
	}
	for _, d := range split(f.name, text) {
		p := &part{file: number, name: f.name, document: d, into: after}
		if known != nil {
			sum, _ := d.content()
			p.kept = known[sum]
		}
		r.add(p)
	}
	return nil
}

// looks says what the file looks like; nil if that says nothing about its content.
func (f file) looks() fs.FileInfo {
	if f.path == "" {
		return nil
	}
	info, err := os.Stat(f.path)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return info
}

func (r *reading) add(p *part) {
	r.pending = append(r.pending, p)
	if p.kept == nil {
		r.unread++
	}
	if r.unread >= batch {
		r.flush()
	}
}

// flush understands what is pending, on all processors, and puts it together in order.
func (r *reading) flush() {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), r.unread) {
		workers.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(r.pending); i = next.Add(1) - 1 {
				if p := r.pending[i]; p.kept == nil && r.objects <= r.most {
					p.read = &reader{options: r.options, kinds: r.kinds, set: newSet(), seen: map[Ref]Source{}, most: r.most}
					p.read.document(p.document)
				}
			}
		})
	}
	workers.Wait()
	for _, p := range r.pending {
		r.merge(p)
	}
	r.pending, r.unread = nil, 0
}

// merge puts what came of a document into the set.
func (r *reading) merge(p *part) {
	if p.kept == nil {
		if p.read == nil {
			return // what follows too many objects
		}
		for _, problem := range p.read.problems {
			r.found = append(r.found, placed{problem, p.file})
		}
		p.kept = p.read.keep(p.document)
		if len(p.read.problems) > 0 {
			p.kept.sum = noSum // it will be understood anew
		}
	}
	r.set.Skipped += p.kept.skipped
	line := p.kept.line
	if p.document != nil {
		_, line = p.document.content()
	}
	for _, o := range p.kept.objects {
		if r.objects++; r.objects > r.most {
			if r.objects == r.most+1 {
				r.report(p, o.source(p, line), o.ref(), "", fmt.Sprintf("there must be at most %d objects: this one and what follows is not read", r.most))
			}
			return
		}
		r.take(p, o, o.source(p, line))
	}
	kept := *p.kept
	kept.line = line
	p.into.documents = append(p.into.documents, kept)
}

// take puts an object into the set, if it is right and the first of its kind and name.
func (r *reading) take(p *part, o keptObject, at Source) {
	if ref := o.ref(); ref.Name != "" {
		if other, known := r.seen[ref]; known {
			r.report(p, at, ref, "metadata.name", fmt.Sprintf("is given twice: also at %s:%d", other.file, other.line))
			return
		}
		r.seen[ref] = place{at.File, at.Line}
	}
	switch {
	case o.object != nil:
		r.set.add(o.object, at)
	case p.read != nil:
		for _, refused := range p.read.set.Refused {
			if kindOf(refused) == o.other.Kind && refused.GetNamespace() == o.other.Namespace && refused.GetName() == o.other.Name {
				r.set.refuse(refused, at)
			}
		}
	}
}

func (r *reading) report(p *part, at Source, ref Ref, path, message string) {
	r.found = append(r.found, placed{Problem{
		File: at.File, Line: at.LineOf(path), Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, Path: path, Message: message,
	}, p.file})
}
