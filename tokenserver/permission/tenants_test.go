package permission

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// resOf makes an album of a namespace with an id of its own; an empty one is the default.
func resOf(t testing.TB, namespace, name, id string) *resource.Resource {
	t.Helper()
	object := &v1alpha1.ProtectedResource{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	object.Spec.Audience, object.Spec.Type, object.Spec.ID, object.Spec.Scopes = audience, "album", id, []v1alpha1.ResourceScope{"view"}
	r, problems := resource.Compile(object)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return r
}

const numbers20 = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]"

// TestTenantsDoNotSpendEachOthersBudget asks for a set with resources of tenants whose ids come first and whose expressions are dear.
func TestTenantsDoNotSpendEachOthersBudget(t *testing.T) {
	var compiled []*policy.Policy
	add := func(namespace, name, rule, expression string) {
		object := &v1alpha1.AccessPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		object.Spec.PolicySpec = v1alpha1.PolicySpec{
			Effect: v1alpha1.EffectAllow, Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}},
			Rules: []v1alpha1.Rule{{Type: "album", Names: []v1alpha1.ResourceName{v1alpha1.ResourceName(rule)}, Actions: []v1alpha1.Action{"view"}}},
			When:  &v1alpha1.When{Expression: expression},
		}
		p, problems := policy.CompileAccessPolicy(object)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		compiled = append(compiled, p)
	}
	victim := resOf(t, "victim", "album", "")
	add("victim", "p", "album", `audience != ""`)
	var all []*resource.Resource
	for n := range 20 {
		evil := fmt.Sprintf("evil-%02d", n)
		all = append(all, resOf(t, evil, "x", fmt.Sprintf("0%02d", n)))
		for i := range 12 {
			add(evil, fmt.Sprint("p", i), "x", fmt.Sprintf("%s.all(a, %s.all(b, a + b != %d))", numbers20, numbers20, 1000+i))
		}
	}
	cases := map[string]struct {
		reason     string
		tenants    int
		parameters []string
		want       bool
	}{
		"Alone":                         {"", 0, []string{"#view"}, true},
		"Beside one":                    {"it spends its own", 1, []string{"#view"}, true},
		"Beside two":                    {"", 2, []string{"#view"}, true},
		"Beside twenty":                 {"there is a bound for all of them", 20, []string{"#view"}, false},
		"Beside twenty, and named":      {"what is named comes first", 20, []string{"#view", "victim/album#view"}, true},
		"Beside twenty, and only named": {"", 20, []string{"victim/album#view"}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := (*resource.Catalog)(nil).With(audience, append([]*resource.Resource{victim}, all[:tc.tenants]...))
			q, err := Parse(tc.parameters, Form{})
			if err != nil {
				t.Fatal(err)
			}
			asks, err := q.Resolve(c, audience, "alice")
			if err != nil {
				t.Fatal(err)
			}
			a := &Asker{
				Policies: policy.NewIndex(compiled), Caller: caller.Caller{Username: "alice"}, Audience: audience, Time: now,
				Admits: func(string) bool { return true }, Budget: policy.NewBudget(),
			}
			got := false
			for _, g := range a.Evaluate(asks).Granted {
				got = got || g.Resource == victim
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
