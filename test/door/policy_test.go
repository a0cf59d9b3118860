package door

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// TestWhatTheCompilerAcceptsComesIn makes whole policies of both kinds within the bounds of the lists, and odd in places.
func TestWhatTheCompilerAcceptsComesIn(t *testing.T) {
	cluster, namespaced := open(t, "clusteraccesspolicies"), open(t, "accesspolicies")
	accepted, tried := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPolicy(rt)
		tried++
		if _, problems := policy.CompileClusterAccessPolicy(p); len(problems) == 0 {
			accepted++
			if refused, _ := cluster.try(t, p); len(refused) > 0 {
				rt.Fatalf("%+v\nis refused at the door and would be accepted behind it: %v", p.Spec, refused.ToAggregate())
			}
		}
		tenants := &v1alpha1.AccessPolicy{TypeMeta: p.TypeMeta, ObjectMeta: p.ObjectMeta}
		tenants.Kind, tenants.Namespace, tenants.Spec.PolicySpec = "AccessPolicy", "a", p.Spec.PolicySpec
		if _, problems := policy.CompileAccessPolicy(tenants); len(problems) == 0 {
			if refused, _ := namespaced.try(t, tenants); len(refused) > 0 {
				rt.Fatalf("%+v\nin a namespace is refused at the door and would be accepted behind it: %v", tenants.Spec, refused.ToAggregate())
			}
		}
	})
	if accepted*10 < tried {
		t.Errorf("only %d of %d policies compiled: this shows too little", accepted, tried)
	}
}

func drawPolicy(rt *rapid.T) *v1alpha1.ClusterAccessPolicy {
	odd := rapid.IntRange(0, 2).Draw(rt, "odd") == 0
	// word takes one of the first n words, and of all if the policy is to be odd.
	word := func(what string, n int, words ...string) string {
		if !odd {
			words = words[:n]
		}
		return rapid.SampledFrom(words).Draw(rt, what)
	}
	p := sound()
	p.Spec.Effect = v1alpha1.Effect(word("effect", 2, "Allow", "Deny", "", "Maybe"))
	p.Spec.Subjects = nil
	for i := range rapid.IntRange(1, 3).Draw(rt, "subjects") {
		kind := v1alpha1.SubjectKind(word(fmt.Sprint("kind", i), 3, "User", "Group", "ServiceAccount", "Robot", ""))
		s := v1alpha1.Subject{Kind: kind, Name: word(fmt.Sprint("subject", i), 2, "ci", "a.b", "system:anonymous", "system:masters", "system:authenticated", "Zoë", "")}
		if kind == v1alpha1.SubjectServiceAccount || odd {
			s.Namespace = word(fmt.Sprint("namespace", i), 2, "a", "team-b", "", "A")
		}
		p.Spec.Subjects = append(p.Spec.Subjects, s)
	}
	p.Spec.Rules = nil
	for i := range rapid.IntRange(0, 3).Draw(rt, "rules") {
		r := v1alpha1.Rule{Type: word(fmt.Sprint("type", i), 5, types...)}
		for j := range rapid.IntRange(1, 3).Draw(rt, "names") {
			names := []string{"a/%d", "a/%d/**", "a/%d-*/${subject.username}", "a/${subject.extra.a/../b}/%d", "a/**%d", "a//%d", "a/../%d", "**%d", "a/${%d"}
			plain := 4
			switch r.Type {
			case v1alpha1.TypeNATS:
				names, plain = []string{"a.*.%d", "%d.>", "a.%d*", "a..%d"}, 2
			case v1alpha1.TypeOAuth:
				names, plain = []string{"https://%d.example.com//*", "%d**"}, 1
			}
			r.Names = append(r.Names, v1alpha1.ResourceName(fmt.Sprintf(word("name", plain, names...), j)))
		}
		actions := []string{"*", "pull", "push", "", "a b", "publish", "list"}
		switch r.Type {
		case v1alpha1.TypeNATS:
			actions = []string{"*", "publish", "subscribe", "pull"}
		case v1alpha1.TypeOAuth:
			actions = []string{"*", "list", "revoke", "pull"}
		}
		r.Actions = []v1alpha1.Action{v1alpha1.Action(word("action", 3, actions...))}
		p.Spec.Rules = append(p.Spec.Rules, r)
	}
	if rapid.Bool().Draw(rt, "when") {
		p.Spec.When = &v1alpha1.When{
			NotBefore:  v1alpha1.DateTime(word("notBefore", 2, "", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+24:60", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z")),
			NotAfter:   v1alpha1.DateTime(word("notAfter", 2, "2027-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "", "2025-01-01T00:00:00Z", "2026-13-01T00:00:00Z")),
			Expression: word("expression", 2, "", "action == 'pull'", "((("),
		}
		if r := word("range", 4, "", "10.0.0.0/8", "fd00::1/8", "::/0", "10.0.0.1", "::ffff:10.0.0.0/104", "10.0.0.0/08", "fe80::%eth0/10"); r != "" {
			p.Spec.When.SourceRanges = []v1alpha1.CIDR{v1alpha1.CIDR(r)}
		}
	}
	if rapid.IntRange(0, 3).Draw(rt, "offline") == 0 {
		p.Spec.OfflineAccess = &v1alpha1.OfflineAccess{
			MaxLifetime: v1alpha1.Duration(word("lifetime", 3, "1m", "99999h", "1h30m15s", "59s", "99999h1s", "90d", "99999h99999h", "")),
			NonExpiring: v1alpha1.Permission(word("nonExpiring", 2, "Allowed", "Forbidden", "Maybe")),
		}
	}
	if rapid.IntRange(0, 3).Draw(rt, "claims") == 0 {
		p.Spec.Claims = []v1alpha1.Claim{{Name: word("claim", 2, "prvd", "https://example.com/x", "sub", ""), Value: v1alpha1.ClaimValue{Raw: []byte(word("value", 3, "1", "null", `{"a":[]}`))}}}
	}
	return p
}
