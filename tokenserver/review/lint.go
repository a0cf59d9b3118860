package review

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Finding is something about an object that a person should know.
type Finding struct {
	Object  metav1.Object
	Ref     policy.Ref
	Path    string
	Message string
}

// Faults are what the compiler has against the policies: they would be stored, and not accepted.
func (w *World) Faults(o Objects) []Finding {
	var faults []Finding
	eachPolicy(o, func(p metav1.Object, ref policy.Ref, _ *v1alpha1.PolicySpec) {
		for _, problem := range w.Problems(ref) {
			faults = append(faults, Finding{Object: p, Ref: ref, Path: problem.Path, Message: oneLine(problem.Message)})
		}
	})
	return faults
}

// Warnings are what is not wrong and hardly meant: a policy that can never match any more, a name that can match nothing,
// two policies that may give one caller different values for a claim, two resources that want the same id, name or uri, and, if there are
// SigningKeys, an audience that none of them holds or that does not admit the object's namespace.
func (w *World) Warnings(o Objects, now time.Time) []Finding {
	var warnings []Finding
	eachPolicy(o, func(p metav1.Object, ref policy.Ref, spec *v1alpha1.PolicySpec) {
		warn := func(path, format string, args ...any) {
			warnings = append(warnings, Finding{Object: p, Ref: ref, Path: path, Message: fmt.Sprintf(format, args...)})
		}
		if when := spec.When; when != nil && when.NotAfter != "" {
			if end, err := when.NotAfter.Parse(); err == nil && !end.After(now) {
				warn("spec.when.notAfter", "is over: the policy never matches any more")
			}
		}
		for i, r := range spec.Rules {
			for j, name := range r.Names {
				if odd := oddName(r.Type, string(name)); odd != "" {
					warn(fmt.Sprintf("spec.rules[%d].names[%d]", i, j), "%s", odd)
				}
			}
		}
		if len(o.SigningKeys) == 0 {
			return
		}
		for i, audience := range spec.Audiences {
			path := fmt.Sprintf("spec.audiences[%d]", i)
			switch a := w.audiences[string(audience)]; {
			case a == nil:
				warn(path, "no SigningKey among the files holds the audience %q; there are: %s", audience, quoted(w.Audiences()))
			case ref.Kind == policy.KindAccessPolicy && !a.Namespaces.Admits(ref.Namespace):
				warn(path, "%s", w.notAdmitted(string(audience), ref.Namespace))
			}
		}
	})
	return slices.Concat(warnings, w.claimConflicts(o), w.resourceWarnings(o))
}

// claimConflicts tell of claims for which a caller may get two values, and then no token.
func (w *World) claimConflicts(o Objects) []Finding {
	conflicts := policy.ClaimConflicts(w.policies)
	var warnings []Finding
	for _, p := range o.ClusterAccessPolicies {
		ref := policy.Ref{Kind: policy.KindClusterAccessPolicy, Name: p.Name}
		for _, c := range conflicts[ref] {
			names := make([]string, 0, len(c.Others))
			for _, other := range c.Others {
				names = append(names, other.Name)
			}
			text := strings.Join(names, ", ")
			if c.More > 0 {
				text += fmt.Sprintf(" and %d more", c.More)
			}
			i := slices.IndexFunc(p.Spec.Claims, func(given v1alpha1.Claim) bool { return given.Name == c.Claim })
			warnings = append(warnings, Finding{
				Object: p, Ref: ref, Path: fmt.Sprintf("spec.claims[%d]", i),
				Message: fmt.Sprintf("ClusterAccessPolicy %s may give a caller another value for the claim %q: the caller then gets no token", text, c.Claim),
			})
		}
	}
	return warnings
}

// eachPolicy visits the policies in the order of the files: AccessPolicies first.
func eachPolicy(o Objects, visit func(metav1.Object, policy.Ref, *v1alpha1.PolicySpec)) {
	for _, p := range o.AccessPolicies {
		visit(p, policy.Ref{Kind: policy.KindAccessPolicy, Namespace: p.Namespace, Name: p.Name}, &p.Spec.PolicySpec)
	}
	for _, p := range o.ClusterAccessPolicies {
		visit(p, policy.Ref{Kind: policy.KindClusterAccessPolicy, Name: p.Name}, &p.Spec.PolicySpec)
	}
}
