package manifest

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// settled is how old a change of a file must have been when it was read, for its time to tell whether it changed since:
// clocks of file systems are coarse.
const settled = 2 * time.Second

// keptFile is what was read of a file.
type keptFile struct {
	// name is how the file was called, and info what it looked like; nil if that says nothing.
	name      string
	info      fs.FileInfo
	read      time.Time
	documents []keptDocument
}

// same says whether a file that looks like this holds what it held. Where something was wrong it is read anew, for the
// places of what is wrong.
func (k *keptFile) same(info fs.FileInfo) bool {
	return k != nil && k.info != nil && info != nil && os.SameFile(k.info, info) && k.info.Size() == info.Size() &&
		k.info.ModTime().Equal(info.ModTime()) && k.read.Sub(info.ModTime()) > settled && sameChange(k.info, info) &&
		!slices.ContainsFunc(k.documents, func(d keptDocument) bool { return !d.good() })
}

// sameChange says whether the system knows of no change between the two: a file of the same size that was written over and
// given its old time, or that took the place of one which was removed, looks the same otherwise.
func sameChange(a, b fs.FileInfo) bool {
	before, known := changed(a)
	now, also := changed(b)
	return known && also && before.Equal(now)
}

func (k *keptFile) bySum() map[[sha256.Size]byte]*keptDocument {
	if k == nil {
		return nil
	}
	out := make(map[[sha256.Size]byte]*keptDocument, len(k.documents))
	for i := range k.documents {
		if d := &k.documents[i]; d.good() {
			out[d.sum] = d
		}
	}
	return out
}

// keptDocument is what was understood of a document. It does not hold the text.
type keptDocument struct {
	// sum is that of the content; none if something was wrong with it. line is where the content begins.
	sum     [sha256.Size]byte
	line    int
	skipped int
	objects []keptObject
}

// noSum is none.
var noSum [sha256.Size]byte

func (d keptDocument) good() bool { return d.sum != noSum }

// keptObject is an object, or the name of one that does not get into a set, and where it stands in its document.
type keptObject struct {
	object metav1.Object
	other  *Ref
	// line counts from that of the content.
	line, root int32
	within     string
}

// ref names the object.
func (o keptObject) ref() Ref {
	if o.other != nil {
		return *o.other
	}
	return Ref{Kind: kindOf(o.object), Namespace: o.object.GetNamespace(), Name: o.object.GetName()}
}

func kindOf(o metav1.Object) string {
	switch o.(type) {
	case *v1alpha1.AccessPolicy:
		return kindAccessPolicy
	case *v1alpha1.ClusterAccessPolicy:
		return kindClusterAccessPolicy
	case *v1alpha1.SigningKey:
		return kindSigningKey
	case *v1alpha1.IdentityProvider:
		return kindIdentityProvider
	case *v1alpha1.ProtectedResource:
		return kindProtectedResource
	case *corev1.Secret:
		return kindSecret
	default:
		return kindNamespace
	}
}

func (o keptObject) source(p *part, line int) Source {
	return Source{File: p.name, Line: line + int(o.line), document: p.document, root: int(o.root), within: o.within}
}

// content is a sum of the text without the empty lines around it, which depend on what stands before and behind, and the
// line on which that begins.
func (d *document) content() (sum [sha256.Size]byte, line int) {
	text := bytes.TrimLeft(d.text, "\r\n")
	line = d.line + bytes.Count(d.text[:len(d.text)-len(text)], []byte("\n"))
	return sha256.Sum256(bytes.TrimRight(text, "\r\n")), line
}

// keep is what is to be remembered of a document that was read: the objects of each kind in their order, and then those
// that do not get into a set.
func (r *reader) keep(d *document) *keptDocument {
	sum, line := d.content()
	kept := &keptDocument{sum: sum, line: line, skipped: r.set.Skipped}
	add := func(o metav1.Object, other *Ref, at Source) {
		kept.objects = append(kept.objects, keptObject{
			object: o, other: other, line: int32(at.Line - line), root: int32(at.root), within: at.within,
		})
	}
	in := map[Ref]bool{}
	r.set.each(func(o metav1.Object) {
		add(o, nil, r.set.sources[o])
		in[kept.objects[len(kept.objects)-1].ref()] = true
	})
	for ref, at := range r.seen {
		if !in[ref] {
			add(nil, &ref, at)
		}
	}
	kept.objects = slices.Clone(kept.objects) // without room for more: there are very many
	return kept
}

// each calls the function for every object of the set.
func (s *Set) each(f func(metav1.Object)) {
	eachOf(s.AccessPolicies, f)
	eachOf(s.ClusterAccessPolicies, f)
	eachOf(s.SigningKeys, f)
	eachOf(s.ProtectedResources, f)
	eachOf(s.IdentityProviders, f)
	eachOf(s.Secrets, f)
	eachOf(s.Namespaces, f)
}

func eachOf[T metav1.Object](objects []T, f func(metav1.Object)) {
	for _, o := range objects {
		f(o)
	}
}
