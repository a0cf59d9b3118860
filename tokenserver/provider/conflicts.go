package provider

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Conflicts returns, by name, the providers that must not serve because an older one (ties: by name) has what they
// claim: a prefix that is the same or that makes names ambiguous, the names without a prefix, or an audience of
// ServiceAccount tokens. It looks at specs only, so that the answer does not depend on Secrets.
func Conflicts(objects []v1alpha1.IdentityProvider) map[string]Problem {
	ordered := make([]*v1alpha1.IdentityProvider, 0, len(objects))
	for i := range objects {
		ordered = append(ordered, &objects[i])
	}
	slices.SortFunc(ordered, older)
	problems := map[string]Problem{}
	var kept []*v1alpha1.IdentityProvider
	for _, object := range ordered {
		problem, conflict := firstConflict(kept, object)
		if conflict {
			problems[object.Name] = problem
			continue
		}
		kept = append(kept, object)
	}
	return problems
}

func older(a, b *v1alpha1.IdentityProvider) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
}

func firstConflict(kept []*v1alpha1.IdentityProvider, object *v1alpha1.IdentityProvider) (Problem, bool) {
	for _, k := range kept {
		if mine, theirs := object.Spec.Htpasswd, k.Spec.Htpasswd; mine != nil && theirs != nil {
			if overlap(mine.Prefix, theirs.Prefix) {
				return fatal(v1alpha1.ReasonPrefixTaken,
					"prefix %q makes names ambiguous: IdentityProvider %q is older and has %q", mine.Prefix, k.Name, theirs.Prefix), true
			}
		}
		if mine, theirs := object.Spec.Kubernetes, k.Spec.Kubernetes; mine != nil && theirs != nil {
			for _, audience := range mine.Audiences {
				if slices.Contains(theirs.Audiences, audience) {
					// Two ways of verification for one token would be the weaker of the two.
					return fatal(v1alpha1.ReasonAudienceTaken,
						"audience %q is that of IdentityProvider %q, which is older", audience, k.Name), true
				}
			}
		}
	}
	return Problem{}, false
}

// overlap says whether two prefixes can make one name of two users. The empty prefix stands beside others: a name that
// starts with a prefix belongs to that prefix's provider alone (see package identity).
func overlap(a, b string) bool {
	if a == "" || b == "" {
		return a == b
	}
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}
