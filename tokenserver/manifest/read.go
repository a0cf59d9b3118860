package manifest

import (
	"fmt"
	"io"
	"strings"
)

// maxObjects bounds what one Read keeps, of all kinds together.
const maxObjects = 500_000

// Options say how manifests are read; the zero value is for files that leave nothing open.
type Options struct {
	// Namespace is that of objects which need one and name none, as kubectl's --namespace. Empty: that is a Problem.
	Namespace string
	// Stdin is what the path "-" stands for.
	Stdin io.Reader
	// EmptyFolders says that a folder without manifests is in order, and not a path that cannot be read.
	EmptyFolders bool
	// PlainFiles says that what is no plain file, and a link that leads nowhere, are errors where a manifest may be, and are
	// not passed over: what is read again and again must not vanish because something else took its place.
	PlainFiles bool
}

// Problem is one thing because of which an API server would not take an object, or a file cannot be understood.
type Problem struct {
	// File and Line say where it stands. The line counts from 1; it is 0 if it is the whole file.
	File string
	Line int
	// Kind, Namespace and Name are the object, as far as it says so.
	Kind, Namespace, Name string
	// Path is the field, such as spec.rules[0].names[1]; empty if it is the whole object.
	Path string
	// Message says what is wrong. It never holds what a Secret contains.
	Message string
}

// Read reads files, folders and, for the path "-", Options.Stdin. Of a folder it reads all *.yaml, *.yml and *.json with
// what lies below, but in no hidden folders; each file once, in the order of the paths.
//
// The Set holds all that is right, whatever else is wrong; of two objects of one kind and name, the first. The error says
// which paths cannot be read; what the others gave is in the Set all the same.
func Read(o Options, paths ...string) (*Set, []Problem, error) {
	return NewReader(o).Read(paths...)
}

// reader collects what it finds in one document.
type reader struct {
	options  Options
	kinds    map[typeMeta]*schema
	set      *Set
	problems []Problem
	// seen are the objects so far, also those with problems.
	seen map[Ref]Source
	// objects were read so far, of at most so many.
	objects, most int
}

// document reads what stands between two separators: one document of YAML, or any number of JSON's.
func (r *reader) document(d *document) {
	roots, err := d.parse()
	for i, root := range roots {
		r.root(root, Source{File: d.file, Line: d.lineOf(root.node), document: d, root: i})
	}
	if err != nil {
		r.problems = append(r.problems, Problem{File: d.file, Line: d.line + max(err.line, 1) - 1, Message: err.message})
	}
}

// root reads one document, if it is an object of a kind that is known or a list of such objects. Of what kind it is the
// value says, and the nodes only where there is none: libraries do not agree on keys that are given twice, on merges and
// on tags, and what kubectl would apply must not be passed over.
func (r *reader) root(root *root, at Source) {
	o := &object{source: at, node: root.node}
	value, err := root.value()
	if err != nil {
		if o.typ = typeOf(root.node); r.wanted(o) {
			r.report(o, finding{message: err.message})
		}
		return
	}
	if o.value, o.typ = value, typeIn(value); r.wanted(o) {
		r.take(o)
	}
}

// object is an object, or a list of objects, that is being read.
type object struct {
	source Source
	node   *node
	typ    typeMeta
	value  map[string]any
}

// finding is something wrong with an object. The node says where, if the path does not.
type finding struct {
	path, message string
	node          *node
}

// wanted says whether the object is of a kind that is read.
func (r *reader) wanted(o *object) bool {
	switch t := o.typ; {
	case t.whole() && r.known(t):
		return true
	case t.whole() && t.ours():
		r.report(o, finding{path: "kind", message: fmt.Sprintf("there is no kind %q in %q", t.kind, t.apiVersion)})
	case !t.whole() && meantForUs(o.node):
		r.report(o, finding{message: "must have apiVersion and kind, in this spelling"})
	default:
		r.set.Skipped++
	}
	return false
}

func (r *reader) known(t typeMeta) bool {
	if t.core() && t.kind == kindList {
		return true
	}
	if item, list := t.item(); list && r.known(typeMeta{t.apiVersion, item}) {
		return true
	}
	return t.core() && (t.kind == kindSecret || t.kind == kindNamespace) || r.kinds[t] != nil
}

// tellable is the path, or for a Secret as much of it as holds no more than names of fields can: a line of an htpasswd file
// that lost its place is a key, and has the password's hash in it.
func (o *object) tellable(path string) string {
	if !o.typ.core() || o.typ.kind != kindSecret || !strings.ContainsFunc(path, inNoName) {
		return path
	}
	if end := strings.IndexAny(path, ".["); end >= 0 && !strings.ContainsFunc(path[:end], inNoName) {
		return path[:end]
	}
	return ""
}

func inNoName(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_./[]", c))
}

// report adds a problem of the object.
func (r *reader) report(o *object, f finding) {
	line := o.source.lineOf(o.node, f.path)
	if f.node != nil {
		line = o.source.document.lineOf(f.node)
	}
	p := Problem{File: o.source.File, Line: line, Kind: o.typ.kind, Path: o.tellable(f.path), Message: f.message}
	if m := child(o.node, "metadata"); m != nil {
		p.Namespace, p.Name = scalar(child(m, "namespace")), scalar(child(m, "name"))
	}
	r.problems = append(r.problems, p)
}
