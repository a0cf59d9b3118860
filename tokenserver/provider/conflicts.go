package provider

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Conflicts returns, by name, the providers that must not serve because an older one (ties: by name) has what they
// claim: a prefix that is the same or that makes names ambiguous, the names without a prefix, or an audience of
// ServiceAccount tokens or of one issuer's. It looks at specs only, so that the answer does not depend on Secrets.
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
		mine, named := prefixOf(object)
		theirs, alsoNamed := prefixOf(k)
		if named && alsoNamed && overlap(mine, theirs) {
			return fatal(v1alpha1.ReasonPrefixTaken,
				"prefix %q makes names ambiguous: IdentityProvider %q is older and has %q", mine, k.Name, theirs), true
		}
		for _, audience := range audiencesOf(object) {
			if slices.Contains(audiencesOf(k), audience) {
				return fatal(v1alpha1.ReasonAudienceTaken, "audience %q%s is that of IdentityProvider %q, which is older",
					audience.of, audience.ofIssuer(), k.Name), true
			}
		}
	}
	return Problem{}, false
}

// prefixOf returns the prefix of a provider that names users, which may be empty.
func prefixOf(object *v1alpha1.IdentityProvider) (string, bool) {
	switch spec := object.Spec; {
	case spec.Htpasswd != nil:
		return spec.Htpasswd.Prefix, true
	case spec.JWT != nil:
		return spec.JWT.Prefix, true
	}
	return "", false
}

// tokensFor are tokens of one issuer for one audience. Two ways of verification for one token would be the weaker of the
// two.
type tokensFor struct {
	// issuer is empty for the cluster's ServiceAccounts.
	issuer v1alpha1.IssuerURL
	of     v1alpha1.Audience
}

func (t tokensFor) ofIssuer() string {
	if t.issuer == "" {
		return ""
	}
	return fmt.Sprintf(" of issuer %q", t.issuer)
}

func audiencesOf(object *v1alpha1.IdentityProvider) []tokensFor {
	var audiences []tokensFor
	if spec := object.Spec.Kubernetes; spec != nil {
		for _, audience := range spec.Audiences {
			audiences = append(audiences, tokensFor{of: audience})
		}
	}
	if spec := object.Spec.JWT; spec != nil {
		for _, audience := range spec.Issuer.Audiences {
			audiences = append(audiences, tokensFor{issuer: spec.Issuer.URL, of: audience})
		}
	}
	return audiences
}

// overlap says whether two prefixes can make one name of two users. The empty prefix stands beside others: a name that
// starts with a prefix belongs to that prefix's provider alone (see package identity).
func overlap(a, b string) bool {
	if a == "" || b == "" {
		return a == b
	}
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}
