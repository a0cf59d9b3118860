package manifest

import (
	"encoding/json"
	"fmt"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// take puts an object, or what a list holds, into the set.
func (r *reader) take(o *object) {
	item, list := o.typ.item()
	twice := duplicates(o.node, !list)
	for _, f := range twice {
		r.report(o, f)
	}
	if len(twice) > 0 {
		return
	}
	if list {
		r.items(o, item)
		return
	}
	if r.objects++; r.objects > r.most {
		if r.objects == r.most+1 {
			r.report(o, finding{message: fmt.Sprintf("there must be at most %d objects: this one and what follows is not read", r.most)})
		}
		return
	}
	taken, findings := r.object(o)
	for _, f := range findings {
		r.report(o, f)
	}
	switch {
	case !r.first(o) || taken == nil:
	case len(findings) > 0:
		r.set.refuse(taken, o.source)
	default:
		r.set.add(taken, o.source)
	}
}

// items reads what a list holds. The items of a list of one kind need not say what they are.
func (r *reader) items(o *object, kind string) {
	nodes := child(o.node, "items")
	values, ok := o.value["items"].([]any)
	if nodes == nil || !ok && o.value["items"] != nil || ok && len(nodes.Content) != len(values) {
		r.report(o, finding{path: "items", message: "must be a list"})
		return
	}
	for i, value := range values {
		item := &object{source: o.source.item(i), node: target(nodes.Content[i])}
		item.source.Line = o.source.document.lineOf(nodes.Content[i])
		path := fmt.Sprintf("items[%d]", i)
		if item.value, ok = value.(map[string]any); !ok {
			r.report(o, finding{path: path, message: "must be an object"})
			continue
		}
		item.typ = typeIn(item.value)
		if kind != "" && item.typ == (typeMeta{}) {
			item.typ = typeMeta{o.typ.apiVersion, kind}
		}
		if _, list := item.typ.item(); list {
			r.report(o, finding{path: path, message: "must not be a list: kubectl takes none within another"})
			continue
		}
		if r.wanted(item) {
			r.take(item)
		}
	}
}

// first says whether the object is the first of its kind and name.
func (r *reader) first(o *object) bool {
	m, _ := o.value["metadata"].(map[string]any)
	ref := Ref{Kind: o.typ.kind}
	ref.Namespace, _ = m["namespace"].(string)
	ref.Name, _ = m["name"].(string)
	if ref.Name == "" {
		return true
	}
	if other, known := r.seen[ref]; known {
		r.report(o, finding{path: "metadata.name", message: fmt.Sprintf("is given twice: also at %s:%d", other.File, other.Line)})
		return false
	}
	r.seen[ref] = o.source
	return true
}

// object makes of a value what an API server would store. It returns nil for a kind that has no place in a Set, and for what
// cannot be read; what has findings would not be stored.
func (r *reader) object(o *object) (metav1.Object, []finding) {
	o.value["apiVersion"], o.value["kind"] = o.typ.apiVersion, o.typ.kind
	switch {
	case o.typ.core() && o.typ.kind == kindSecret:
		return r.secret(o)
	case o.typ.core():
		return r.namespace(o)
	}
	s := r.kinds[o.typ]
	m, findings := r.metadata(o, s.namespaced, apivalidation.NameIsDNSSubdomain)
	if m != nil {
		for _, path := range s.unknown(o.value) {
			findings = append(findings, unknownField(path))
		}
		s.defaults(o.value)
		delete(o.value, "status") // which belongs to the manager
		findings = append(findings, findingsOf(s.check(o.value))...)
	}
	s.defaults(o.value)
	into := newObject(o.typ.kind)
	if into == nil {
		r.set.Skipped++ // it is checked, and means nothing without a cluster
		return nil, findings
	}
	if err := decode(o.value, into); err != nil {
		if len(findings) == 0 {
			findings = []finding{{message: err.Error()}}
		}
		return nil, findings
	}
	return exact(into), findings
}

// exact is the object without the room for more that decoding leaves in its lists: there are very many policies and
// resources.
func exact(o metav1.Object) metav1.Object {
	switch o := o.(type) {
	case *v1alpha1.AccessPolicy:
		return o.DeepCopy()
	case *v1alpha1.ClusterAccessPolicy:
		return o.DeepCopy()
	case *v1alpha1.ProtectedResource:
		return o.DeepCopy()
	}
	return o
}

func newObject(kind string) metav1.Object {
	switch kind {
	case kindAccessPolicy:
		return &v1alpha1.AccessPolicy{}
	case kindClusterAccessPolicy:
		return &v1alpha1.ClusterAccessPolicy{}
	case kindSigningKey:
		return &v1alpha1.SigningKey{}
	case kindIdentityProvider:
		return &v1alpha1.IdentityProvider{}
	case kindProtectedResource:
		return &v1alpha1.ProtectedResource{}
	}
	return nil
}

func unknownField(path string) finding { return finding{path: path, message: "there is no such field"} }

func findingsOf(errs field.ErrorList) []finding {
	var findings []finding
	for _, err := range errs {
		f := finding{path: err.Field, message: err.ErrorBody()}
		if f.path == "<nil>" {
			f.path = ""
		}
		findings = append(findings, f)
	}
	return findings
}

func decode(value map[string]any, into any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
