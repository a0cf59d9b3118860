package policy

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func expressed(name, expression string) *v1alpha1.ClusterAccessPolicy {
	p := &v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: allow(cel(expression)).spec}}
	p.Name = name
	return p
}

func TestPoliciesOfOneTemplateShareTheirProgram(t *testing.T) {
	var c Compiler
	a, _ := c.ClusterAccessPolicy(expressed("a", "action == 'pull'"))
	b, _ := c.ClusterAccessPolicy(expressed("b", "action == 'pull'"))
	other, _ := c.ClusterAccessPolicy(expressed("c", "action == 'push'"))
	o := &v1alpha1.AccessPolicy{Spec: v1alpha1.AccessPolicySpec{PolicySpec: ofTenant(cel("action == 'pull'")).spec}}
	o.Namespace = "team-a"
	tenants, problems := c.AccessPolicy(o)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if a.when.program != b.when.program {
		t.Error("the same expression was compiled twice")
	}
	if a.when.program == other.when.program {
		t.Error("another expression got the same program")
	}
	if tenants.when.program != a.when.program {
		t.Error("a tenant's expression was compiled once more")
	}
	for want, p := range map[string]*Policy{"pull": a, "push": other} {
		if diff := cmp.Diff([]string{want}, NewIndex([]*Policy{p}).Decide(request()).Granted); diff != "" {
			t.Error(diff)
		}
	}
}

func TestBrokenExpressionsAreToldEachTime(t *testing.T) {
	var c Compiler
	for range 2 {
		_, problems := c.ClusterAccessPolicy(expressed("a", "action =="))
		if len(problems) != 1 || problems[0].Path != "spec.when.expression" {
			t.Errorf("got %+v", problems)
		}
	}
}

// TestProgramsOfPoliciesThatWentAreForgotten holds that a policy which changes for years does not fill the memory.
func TestProgramsOfPoliciesThatWentAreForgotten(t *testing.T) {
	var c Compiler
	kept, _ := c.ClusterAccessPolicy(expressed("kept", "action == 'kept'"))
	for i := range 3 * leastSweep {
		c.ClusterAccessPolicy(expressed("changing", fmt.Sprintf("action == 'a%d'", i)))
		if i%512 == 0 {
			runtime.GC()
		}
	}
	if got := len(c.programs); got > 2*leastSweep {
		t.Errorf("%d texts are kept for two policies", got)
	}
	if again, _ := c.ClusterAccessPolicy(expressed("again", "action == 'kept'")); again.when.program != kept.when.program {
		t.Error("a program in use was forgotten")
	}
}
