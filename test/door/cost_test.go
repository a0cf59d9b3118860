package door

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// The bounds past which the API server refuses a CRD, of its package apiextensions/validation: StaticEstimatedCostLimit
// for a rule as often as it may be asked, and StaticEstimatedCRDCostLimit for all.
const (
	maxRule  = 10_000_000
	maxRules = 100_000_000
)

// TestRulesFitTheAPIServersBudget says what the API server reckons each rule to cost. That it takes the CRDs is shown by
// every test that runs one; this shows by how much.
func TestRulesFitTheAPIServersBudget(t *testing.T) {
	environments := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
	for _, plural := range []string{"accesspolicies", "clusteraccesspolicies", "identityproviders", "protectedresources", "permissionrequests"} {
		total, dearest, what := uint64(0), uint64(0), ""
		var walk func(path string, s *schema.Structural, times uint64)
		walk = func(path string, s *schema.Structural, times uint64) {
			rules, err := cel.Compile(s, model.SchemaDeclType(s, false), celconfig.PerCallLimit, environments, cel.NewExpressionsEnvLoader())
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range rules {
				if r.Error != nil {
					t.Fatalf("%s: rule %d: %v", path, i, r.Error)
				}
				cost := times * r.MaxCost
				if total += cost; cost > dearest {
					dearest, what = cost, fmt.Sprintf("%s: %s", path, s.XValidations[i].Message)
				}
			}
			for name := range s.Properties {
				property := s.Properties[name]
				walk(path+"."+name, &property, times)
			}
			if s.Items != nil && s.ValueValidation != nil && s.ValueValidation.MaxItems != nil {
				walk(path+"[]", s.Items, times*uint64(*s.ValueValidation.MaxItems)) //nolint:gosec // a bound is not negative
			}
		}
		walk("", open(t, plural).structural, 1)
		t.Logf("%s: %d of %d, the dearest %d of %d (%s)", plural, total, maxRules, dearest, maxRule, what)
		if total > maxRules || dearest > maxRule {
			t.Errorf("%s: the API server will refuse the CRD", plural)
		}
	}
}

// largest is a policy of a type with as many names as there can be, each as long as it can be and with all that makes a
// rule dear, as far as the compiler accepts it.
func largest(typ, stem, tail, scanned string) *v1alpha1.ClusterAccessPolicy {
	p := sound()
	p.Spec.Rules = nil
	for i := range 64 {
		r := v1alpha1.Rule{Type: typ, Actions: []v1alpha1.Action{"*"}}
		for j := range 32 {
			end := tail
			if i < 4 { // 128 names
				end = scanned
			}
			name := fmt.Sprintf("%s%02d%02d", stem, i, j)
			r.Names = append(r.Names, v1alpha1.ResourceName(name+strings.Repeat("é", 256-len(name)-len(end))+end))
		}
		p.Spec.Rules = append(p.Spec.Rules, r)
	}
	return p
}

func largestPolicies() map[string]*v1alpha1.ClusterAccessPolicy {
	return map[string]*v1alpha1.ClusterAccessPolicy{
		"repository": largest(v1alpha1.TypeRepository, "$/", "/*/*/*/**", "/*/*/${subject.extra.k}/**"),
		"album":      largest("album", "$/", "/*/*/*/**", "/*/*/${subject.extra.k}/**"),
		"nats":       largest(v1alpha1.TypeNATS, "$.", ".*.*.*.>", ".*.*.${subject.extra.k}.>"),
		"oauth":      largest(v1alpha1.TypeOAuth, "$/", "/x", "/*/*/${subject.extra.k}/*"),
	}
}

// TestNothingRunsOutOfBudget is a policy that is too large for the compiler in every respect: it is refused or reported on
// for what is wrong with it, and not because the API server gave up.
func TestNothingRunsOutOfBudget(t *testing.T) {
	p := largest(v1alpha1.TypeNATS, "$.*.*.*.", ".${subject.extra.k}.>", ".${subject.extra.k}.>")
	for i := range 64 {
		p.Spec.Rules[i].Actions = nil
		for j := range 16 {
			p.Spec.Rules[i].Actions = append(p.Spec.Rules[i].Actions, v1alpha1.Action(fmt.Sprintf("%s%02d", strings.Repeat("a", 62), j)))
		}
		p.Spec.Subjects = append(p.Spec.Subjects, v1alpha1.Subject{
			Kind: v1alpha1.SubjectServiceAccount, Namespace: strings.Repeat("n", 63), Name: strings.Repeat("s", 253),
		})
	}
	p.Spec.Subjects = p.Spec.Subjects[1:]
	refused, cost := open(t, "clusteraccesspolicies").try(t, p)
	t.Logf("%d of %d", cost, celconfig.RuntimeCELCostBudget)
	if said := refused.ToAggregate().Error(); cost >= celconfig.RuntimeCELCostBudget || strings.Contains(said, "budget") {
		t.Errorf("it costs %d of %d: %.500s", cost, celconfig.RuntimeCELCostBudget, said)
	}
}

// TestLargestPoliciesFitTheBudgetOfARequest are policies that the compiler accepts: the API server must not run out of
// what it spends on one object, or nobody could store them.
func TestLargestPoliciesFitTheBudgetOfARequest(t *testing.T) {
	d := open(t, "clusteraccesspolicies")
	for name, p := range largestPolicies() {
		t.Run(name, func(t *testing.T) {
			if _, problems := policy.CompileClusterAccessPolicy(p); len(problems) > 0 {
				t.Fatalf("the compiler does not accept it, so that it shows nothing: %s", told(problems))
			}
			refused, cost := d.try(t, p)
			t.Logf("%d of %d", cost, celconfig.RuntimeCELCostBudget)
			if len(refused) > 0 {
				t.Errorf("refused: %v", refused.ToAggregate())
			}
		})
	}
}
