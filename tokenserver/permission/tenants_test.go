package permission

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
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

// younger is the resource as it would be if it had come after those of resOf.
func younger(r *resource.Resource) *resource.Resource {
	r.Created = r.Created.Add(time.Minute)
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

// TestANarrowTokenReachesNoOtherTenant has tenants that name their resources as another does.
func TestANarrowTokenReachesNoOtherTenant(t *testing.T) {
	one, two := resOf(t, "orders", "eu-1", ""), resOf(t, "orders", "eu-2", "second")
	cases := map[string]struct {
		reason, scope string
		others        []*resource.Resource
		want          []string
	}{
		"By id":                              {"", "orders/eu-1", nil, []string{"orders/eu-1"}},
		"By an id of its own":                {"", "second", nil, []string{"second"}},
		"By the name of the object":          {"only one has it", "eu-1", nil, []string{"orders/eu-1"}},
		"By a name that another has, too":    {"nobody knows whose is meant", "eu-1", []*resource.Resource{resOf(t, "evil", "eu-1", "")}, nil},
		"By a name that is another's id":     {"the id is meant", "eu-1", []*resource.Resource{resOf(t, "evil", "x", "eu-1")}, []string{"eu-1"}},
		"By an id that is another's name":    {"the id is meant", "second", []*resource.Resource{younger(resOf(t, "evil", "second", ""))}, []string{"second"}},
		"By an id where others have a name":  {"", "orders/eu-1", []*resource.Resource{resOf(t, "evil", "eu-1", "")}, []string{"orders/eu-1"}},
		"By a name that no object has":       {"", "eu-3", nil, nil},
		"By a name that three have":          {"", "eu-1", []*resource.Resource{resOf(t, "evil", "eu-1", ""), resOf(t, "worse", "eu-1", "")}, nil},
		"By the display name":                {"scopes do not know it", "The order", nil, nil},
		"By the name of one with another id": {"", "eu-2", nil, []string{"second"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := (*resource.Catalog)(nil).With(audience, append([]*resource.Resource{one, two}, tc.others...))
			asks, err := new(Query).Resolve(c, audience, "alice")
			if err != nil {
				t.Fatal(err)
			}
			within, _ := Within(c, audience, asks, []scope.Scope{{Type: "album", Name: tc.scope, Actions: []string{"view"}}, {Type: "printer", Name: "eu-1", Actions: []string{"view"}}})
			var got []string
			for _, a := range within {
				got = append(got, a.Resource.ID)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestAnAccountNumberIsNotItsNeighbour asks an expression about a number that no float holds.
func TestAnAccountNumberIsNotItsNeighbour(t *testing.T) {
	c := catalog(t)
	for account, want := range map[int64]int{9007199254740993: 1, 9007199254740992: 0} {
		a := asker(t, v1alpha1.PolicySpec{Effect: v1alpha1.EffectAllow, When: &v1alpha1.When{Expression: `request.claims.account == 9007199254740993`}})
		a.Claims = map[string]any{"account": account}
		if got := len(a.Evaluate([]Ask{{Resource: c.ByID(audience, "team-a/two"), Scopes: []string{"view"}}}).Granted); got != want {
			t.Errorf("%d: %d are granted", account, got)
		}
	}
}
