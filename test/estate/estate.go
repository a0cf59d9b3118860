// Package estate has policies as a large company would have them, for benchmarks of all sorts: each of many teams has
// ServiceAccounts that push and groups that pull, half of it in AccessPolicies, and everybody may pull what is public. It
// has nothing but objects; it knows no engine and no cluster, so that whoever is measured can use it.
package estate

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// perTeam is how many policies each team has, of four sorts.
const perTeam = 4

// Policy is the i-th policy; one of the two is nil. Of eight policies the first four are AccessPolicies of one team, and
// the others ClusterAccessPolicies that speak of the next.
func Policy(i int) (*v1alpha1.AccessPolicy, *v1alpha1.ClusterAccessPolicy) {
	name := fmt.Sprintf("p-%d", i)
	if i%(2*perTeam) < perTeam {
		p := &v1alpha1.AccessPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: Team(i), Name: name}, Spec: v1alpha1.AccessPolicySpec{PolicySpec: spec(i)},
		}
		p.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AccessPolicy"))
		return p, nil
	}
	p := &v1alpha1.ClusterAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: spec(i)},
	}
	p.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ClusterAccessPolicy"))
	return nil, p
}

// Team is the name of the team that the i-th policy speaks of, which is that of its namespace and of its repositories.
func Team(i int) string { return fmt.Sprintf("team-%d", i/perTeam) }

func spec(i int) v1alpha1.PolicySpec {
	team := Team(i)
	switch i % perTeam {
	case 0:
		return policy(v1alpha1.Subject{Kind: v1alpha1.SubjectServiceAccount, Namespace: team, Name: "ci"}, team+"/**", "pull", "push")
	case 1:
		return policy(v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: "corp:" + team}, team+"/app-*", "pull")
	case 2:
		return policy(v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: fmt.Sprintf("user-%d", i)}, team+"/*/cache", "*")
	default:
		return policy(v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: "system:authenticated"}, team+"/public/**", "pull")
	}
}

func policy(who v1alpha1.Subject, name string, actions ...v1alpha1.Action) v1alpha1.PolicySpec {
	return v1alpha1.PolicySpec{
		Effect: v1alpha1.EffectAllow, Subjects: []v1alpha1.Subject{who},
		Rules: []v1alpha1.Rule{{
			Type: v1alpha1.TypeRepository, Names: []v1alpha1.ResourceName{v1alpha1.ResourceName(name)}, Actions: actions,
		}},
	}
}
