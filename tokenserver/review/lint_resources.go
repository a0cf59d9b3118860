package review

import (
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// resourceWarnings are about resources that would not be served, or not at all that they name, because of the other files: for want
// of their audience, or because two want the same. Which of two has it depends on which is created first. Of single resources there
// is nothing to say: what the schema lets through compiles.
func (w *World) resourceWarnings(o Objects) []Finding {
	var warnings []Finding
	objects, of := map[*resource.Resource]*v1alpha1.ProtectedResource{}, map[string][]*resource.Resource{}
	created := time.Unix(0, 0) // all together: the reader drops when, as the API server would
	for _, object := range o.ProtectedResources {
		r, _ := resource.Compile(object)
		if r == nil {
			continue
		}
		if problem := w.audienceProblem(o, r); problem != "" {
			warnings = append(warnings, ofResource(object, "spec.audience", problem))
			continue // and claims nothing
		}
		r.Claims = resource.Claims(resource.Claimed(object, created))
		objects[r] = object
		of[r.Audience] = append(of[r.Audience], r)
	}
	for _, audience := range slices.Sorted(maps.Keys(of)) {
		catalog := (*resource.Catalog)(nil).With(audience, of[audience])
		for _, r := range of[audience] {
			for _, p := range catalog.Taken(r) {
				warnings = append(warnings, ofResource(objects[r], p.Path, p.Message))
			}
			if nameless := catalog.Nameless(r); nameless != "" && catalog.ByID(audience, r.ID) == r {
				warnings = append(warnings, ofResource(objects[r], "spec.displayName", "clients find the resource by its id only: "+nameless))
			}
		}
	}
	return warnings
}

// audienceProblem says why a resource is not served at its audience; nothing if it is, or if no file says which audiences there are.
func (w *World) audienceProblem(o Objects, r *resource.Resource) string {
	switch a := w.audiences[r.Audience]; {
	case len(o.SigningKeys) == 0:
		return ""
	case a == nil:
		return w.noSuchAudience(r.Audience)
	case !a.Namespaces.Admits(r.Namespace):
		return fmt.Sprintf("SigningKey %q does not admit the namespace %q (spec.namespaces)", a.SigningKey, r.Namespace)
	}
	return ""
}

func ofResource(object metav1.Object, path, message string) Finding {
	return Finding{
		Object: object, Ref: policy.Ref{Kind: policy.KindProtectedResource, Namespace: object.GetNamespace(), Name: object.GetName()},
		Path: path, Message: oneLine(message),
	}
}
