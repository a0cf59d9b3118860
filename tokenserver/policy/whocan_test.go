package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// key names a subject and, perhaps, a rule.
func key(s v1alpha1.Subject, more ...any) string {
	return fmt.Sprintf("%s %s/%s %v", s.Kind, s.Namespace, s.Name, more)
}

// TestWhoCanAgreesWithTheIndex holds the list to what the index decides about each subject, and about callers who are
// more than one subject and have values of their own.
func TestWhoCanAgreesWithTheIndex(t *testing.T) {
	certain, conditional, denied, granted := 0, 0, 0, 0
	check := func(t *rapid.T) {
		var policies []*Policy
		for i := range rapid.IntRange(1, 6).Draw(t, "policies") {
			p, _ := drawObject(t, fmt.Sprintf("p%d", i)).compile()
			policies = append(policies, p)
		}
		req := drawRequest(t)
		req.Actions = req.Actions[:min(1, len(req.Actions))]
		if len(Asked(req)) > 1 {
			req.Actions = []string{"pull"}
		}
		index, holders := NewIndex(policies), WhoCan(policies, req)
		listed, rules := map[string]bool{}, map[string]bool{}
		for _, h := range holders.Can {
			listed[key(h.Subject)] = true
			rules[key(h.Subject, h.RuleRef)] = true
			if !h.Certain() {
				conditional++
				continue
			}
			certain++
			p, _, message := newPrincipal(h.Subject)
			if message != "" {
				t.Fatalf("%+v is no subject: %s", h.Subject, message)
			}
			got := explain(index, req, p.caller())
			if len(got.Granted) == 0 || !slices.ContainsFunc(got.Why, func(r Reason) bool { return (RuleRef{r.Policy, r.Rule}) == h.RuleRef }) {
				t.Fatalf("%+v is listed, and is not granted it by that rule: %+v", h, got)
			}
		}
		for _, h := range holders.Denied {
			denied++
			p := principal{kind: everyone}
			if h.Subject.Kind != "" {
				p, _, _ = newPrincipal(h.Subject)
			}
			got := explain(index, req, p.caller())
			if h.Certain() && !slices.ContainsFunc(got.Why, func(r Reason) bool {
				return (RuleRef{r.Policy, r.Rule}) == h.RuleRef && r.Effect == v1alpha1.EffectDeny
			}) {
				t.Fatalf("%+v is said to be denied, and is not by that rule: %+v", h, got)
			}
		}
		for _, p := range policies {
			for _, who := range p.subjects {
				if listed[key(who.subject())] || who.kind == everyone {
					continue
				}
				is := who.caller()
				byAnother := listed[key(v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: is.Username})] || // as of all who are anonymous
					slices.ContainsFunc(is.Groups, func(g string) bool {
						return listed[key(v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: g})]
					})
				if got := index.Decide(withCaller(req, is)); len(got.Granted) > 0 && !byAnother {
					t.Fatalf("%+v is granted it, and is not listed, nor a group that it is in", who)
				}
			}
		}
		if !realistic(req.Caller) {
			return
		}
		got := explain(index, req, req.Caller)
		for _, r := range got.Why {
			if r.Effect == v1alpha1.EffectDeny || len(got.Granted) == 0 || overruled(r, got.Why) {
				continue
			}
			granted++
			i := slices.IndexFunc(policies, func(p *Policy) bool { return p.ref == r.Policy })
			for _, who := range policies[i].subjects {
				is := who.kind == user && who.name == req.Caller.Username || who.kind == group && slices.Contains(req.Caller.Groups, who.name)
				if is && !rules[key(who.subject(), RuleRef{r.Policy, r.Rule})] {
					t.Fatalf("%+v gets it by %+v as %+v, who is not listed", req.Caller, r, who)
				}
			}
		}
	}
	for range 20 { // what is rare must come up
		rapid.Check(t, check)
	}
	for what, n := range map[string]int{"certain": certain, "conditional": conditional, "denied": denied, "granted": granted} {
		if n == 0 {
			t.Errorf("nothing was %s: this shows too little", what)
		}
	}
}

func withCaller(req Request, c caller.Caller) Request {
	req.Caller, req.Budget = c, nil
	return req
}

func explain(x *Index, req Request, c caller.Caller) Decision { return x.Explain(withCaller(req, c)) }

// realistic says whether the caller has the groups that everybody of its kind has.
func realistic(c caller.Caller) bool {
	if c.Username == "" {
		return false
	}
	for _, g := range (principal{kind: user, name: c.Username}).caller().Groups {
		if !slices.Contains(c.Groups, g) {
			return false
		}
	}
	return true
}

// TestWhoCan shows what is said about a policy of each sort.
func TestWhoCan(t *testing.T) {
	repo := func(name string, actions ...v1alpha1.Action) []v1alpha1.Rule {
		return []v1alpha1.Rule{{Type: "repository", Names: []v1alpha1.ResourceName{v1alpha1.ResourceName(name)}, Actions: actions}}
	}
	users := func(names ...string) (s []v1alpha1.Subject) {
		for _, n := range names {
			s = append(s, v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: n})
		}
		return s
	}
	groups := func(names ...string) (s []v1alpha1.Subject) {
		for _, n := range names {
			s = append(s, v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: n})
		}
		return s
	}
	account := []v1alpha1.Subject{{Kind: v1alpha1.SubjectServiceAccount, Namespace: "team-a", Name: "ci"}}
	office := &v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"10.0.0.0/8"}}
	deny := v1alpha1.EffectDeny
	cases := map[string]struct {
		reason  string
		objects []object
		from    string
		// can and denied are "KIND NAMESPACE/NAME: POLICY RULE", with what it depends on.
		can, denied []string
	}{
		"users, groups and ServiceAccounts": {
			"each by its rule", []object{
				{namespace: "", name: "a", spec: v1alpha1.PolicySpec{Subjects: append(users("alice"), groups("devs")...), Rules: append(repo("x/**", "push"), repo("**", "*")...)}},
				{namespace: "team-a", name: "b", spec: v1alpha1.PolicySpec{Subjects: account, Rules: repo("team-a/app", "pull")}},
			}, "", []string{"Group /devs: a 1", "ServiceAccount team-a/ci: b 0", "User /alice: a 1"}, nil,
		},
		"conditions": {
			"times are known, addresses and expressions are not", []object{
				{namespace: "", name: "late", spec: v1alpha1.PolicySpec{Subjects: users("a"), Rules: repo("**", "pull"), When: &v1alpha1.When{NotAfter: "2020-01-01T00:00:00Z"}}},
				{namespace: "", name: "ends", spec: v1alpha1.PolicySpec{Subjects: users("b"), Rules: repo("**", "pull"), When: &v1alpha1.When{NotAfter: "2028-01-01T00:00:00Z"}}},
				{namespace: "", name: "office", spec: v1alpha1.PolicySpec{Subjects: users("c"), Rules: repo("**", "pull"), When: office}},
				{namespace: "", name: "cel", spec: v1alpha1.PolicySpec{Subjects: users("d"), Rules: repo("**", "pull"), When: &v1alpha1.When{Expression: "true"}}},
			}, "", []string{"User /b: ends 0 until 2028", "User /c: office 0 if", "User /d: cel 0 if"}, nil,
		},
		"conditions, from a known address": {
			"", []object{
				{namespace: "", name: "office", spec: v1alpha1.PolicySpec{Subjects: users("c"), Rules: repo("**", "pull"), When: office}},
				{namespace: "", name: "other", spec: v1alpha1.PolicySpec{Subjects: users("d"), Rules: repo("**", "pull"), When: &v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"fd00::/8"}}}},
			}, "10.1.1.1", []string{"User /c: office 0"}, nil,
		},
		"placeholders": {
			"those of a user are known, those of a group's members are not", []object{
				{namespace: "", name: "own", spec: v1alpha1.PolicySpec{Subjects: append(users("app", "alice"), groups("devs")...), Rules: repo("team-a/${subject.username}", "pull")}},
				{namespace: "", name: "ns", spec: v1alpha1.PolicySpec{Subjects: append(account, append(users("bob"), groups("system:serviceaccounts")...)...), Rules: repo("${subject.namespace}/**", "pull")}},
				{namespace: "", name: "extra", spec: v1alpha1.PolicySpec{Subjects: users("carol"), Rules: repo("${subject.extra.team}/app", "pull")}},
				{namespace: "", name: "other", spec: v1alpha1.PolicySpec{Subjects: groups("ops"), Rules: repo("team-b/${subject.username}", "pull")}},
			}, "", []string{
				"Group /devs: own 0 fits", "Group /system:serviceaccounts: ns 0 fits", "ServiceAccount team-a/ci: ns 0", "User /app: own 0", "User /carol: extra 0 fits",
			}, nil,
		},
		"Denies": {
			"who is denied is not listed, and is named", []object{
				{namespace: "", name: "all", spec: v1alpha1.PolicySpec{Subjects: append(users("alice", "bob", "carol"), groups("system:authenticated")...), Rules: repo("**", "pull")}},
				{namespace: "", name: "no", spec: v1alpha1.PolicySpec{Effect: deny, Subjects: users("bob"), Rules: repo("**", "*")}},
				{namespace: "", name: "perhaps", spec: v1alpha1.PolicySpec{Effect: deny, Subjects: users("carol", "dave"), Rules: repo("**", "*"), When: office}},
			}, "", []string{"Group /system:authenticated: all 0", "User /alice: all 0", "User /carol: all 0 unless perhaps"},
			[]string{"User /bob: no 0", "User /carol: perhaps 0 if", "User /dave: perhaps 0 if"},
		},
		"a tenant's Deny": {
			"it takes nothing that the platform gave", []object{
				{namespace: "", name: "platform", spec: v1alpha1.PolicySpec{Subjects: users("alice"), Rules: repo("**", "pull")}},
				{namespace: "team-a", name: "tenant", spec: v1alpha1.PolicySpec{Subjects: users("alice", "bob"), Rules: repo("team-a/**", "pull")}},
				{namespace: "team-a", name: "no", spec: v1alpha1.PolicySpec{Effect: deny, Subjects: groups("system:authenticated"), Rules: repo("team-a/app", "pull")}},
			}, "", []string{"User /alice: platform 0"}, []string{"Group /system:authenticated: no 0"},
		},
		"a Deny that was not understood": {
			"it means everybody", []object{
				{namespace: "", name: "all", spec: v1alpha1.PolicySpec{Subjects: groups("system:authenticated"), Rules: repo("**", "pull")}},
				{namespace: "", name: "broken", spec: v1alpha1.PolicySpec{Effect: deny, Subjects: users("system:nobody"), Rules: repo("**", "pull")}},
			}, "", nil, []string{" /: broken 0"},
		},
		"an Allow that was not understood": {
			"it gives nothing", []object{{namespace: "team-a", name: "a", spec: v1alpha1.PolicySpec{Subjects: users("alice"), Rules: repo("team-b/**", "pull")}}}, "", nil, nil,
		},
		"anonymous callers": {
			"all is known of them", []object{
				{namespace: "", name: "all", spec: v1alpha1.PolicySpec{Subjects: append(groups("system:unauthenticated"), users("system:anonymous")...), Rules: repo("team-a/${subject.extra.x}", "pull")}},
				{namespace: "", name: "no", spec: v1alpha1.PolicySpec{Subjects: groups("system:unauthenticated"), Rules: repo("team-a/*", "pull")}},
			}, "", []string{"Group /system:unauthenticated: no 0"}, nil,
		},
		"another action, audience or type": {
			"", []object{
				{namespace: "", name: "a", spec: v1alpha1.PolicySpec{Subjects: users("a"), Rules: repo("**", "push")}},
				{namespace: "", name: "b", spec: v1alpha1.PolicySpec{Subjects: users("a"), Audiences: []v1alpha1.Audience{"other"}, Rules: repo("**", "pull")}},
				{namespace: "", name: "c", spec: v1alpha1.PolicySpec{Subjects: users("a"), Rules: []v1alpha1.Rule{{Type: "registry", Names: []v1alpha1.ResourceName{"**"}, Actions: []v1alpha1.Action{"*"}}}}},
			}, "", nil, nil,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var policies []*Policy
			for _, o := range tc.objects {
				p, _ := o.compile()
				policies = append(policies, p)
			}
			req := Request{
				Audience: "registry", Resource: Resource{Type: "repository", Name: "team-a/app"}, Actions: []string{"pull"},
				Time: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), Admits: func(string) bool { return true },
			}
			if tc.from != "" {
				req.SourceIP = netip.MustParseAddr(tc.from)
			}
			got := WhoCan(policies, req)
			if diff := cmp.Diff(tc.can, holderLines(got.Can)); diff != "" {
				t.Errorf("%s: who can (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.denied, holderLines(got.Denied)); diff != "" {
				t.Errorf("%s: who is denied (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func holderLines(holders []Holder) (lines []string) {
	for _, h := range holders {
		line := fmt.Sprintf("%s %s/%s: %s %d", h.Subject.Kind, h.Subject.Namespace, h.Subject.Name, h.Policy.Name, h.Rule)
		if h.Conditional {
			line += " if"
		}
		if h.Placeholders {
			line += " fits"
		}
		for _, d := range h.Unless {
			line += " unless " + d.Policy.Name
		}
		if !h.NotAfter.IsZero() {
			line += " until " + h.NotAfter.Format("2006")
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

// TestOwner shows that AccessPolicies of other namespaces than the owner's make no difference, so that they need not be read.
func TestOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all, some []*Policy
		req := drawRequest(t)
		owner := req.Resource.Owner()
		for i := range rapid.IntRange(1, 8).Draw(t, "policies") {
			p, _ := drawObject(t, fmt.Sprintf("p%d", i)).compile()
			all = append(all, p)
			if p.ref.Kind == KindClusterAccessPolicy || p.ref.Namespace == owner {
				some = append(some, p)
			}
		}
		if diff := cmp.Diff(NewIndex(all).Explain(req), NewIndex(some).Explain(withCaller(req, req.Caller))); diff != "" {
			t.Fatalf("%+v is not %q's alone (-all +owner's):\n%s", req.Resource, owner, diff)
		}
		if !req.Resource.Nameable() && len(NewIndex(all).Decide(withCaller(req, req.Caller)).Granted) > 0 {
			t.Fatalf("%+v cannot be named, and is granted", req.Resource)
		}
	})
}
