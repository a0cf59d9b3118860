package policy

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// claiming is a policy that gives the subject, such as "User alice" or "ServiceAccount team-a/ci", a value for a claim.
type claiming struct {
	name, subject string
	audiences     []v1alpha1.Audience
	claim, value  string
	when          *v1alpha1.When
}

func (c claiming) compile(t testing.TB) *Policy {
	t.Helper()
	o := &v1alpha1.ClusterAccessPolicy{}
	o.Name = c.name
	for _, subject := range strings.Split(c.subject, ", ") {
		kind, name, _ := strings.Cut(subject, " ")
		s := v1alpha1.Subject{Kind: v1alpha1.SubjectKind(kind), Name: name}
		if kind == "ServiceAccount" {
			s.Namespace, s.Name, _ = strings.Cut(name, "/")
		}
		o.Spec.Subjects = append(o.Spec.Subjects, s)
	}
	claim := c.claim
	if claim == "" {
		claim = "prvd"
	}
	o.Spec.Audiences, o.Spec.When = c.audiences, c.when
	o.Spec.Claims = []v1alpha1.Claim{{Name: claim, Value: v1alpha1.ClaimValue{Raw: []byte(c.value)}}}
	p, problems := CompileClusterAccessPolicy(o)
	if len(problems) > 0 && !strings.HasPrefix(c.name, "broken") {
		t.Fatal(problems)
	}
	return p
}

// inTheWay returns, for each policy, the claims and the others, in words.
func inTheWay(policies []*Policy) map[string]string {
	out := map[string]string{}
	for ref, conflicts := range ClaimConflicts(policies) {
		var list []string
		for _, c := range conflicts {
			text := c.Claim + ":"
			for _, o := range c.Others {
				text += " " + o.Name
			}
			if c.More > 0 {
				text += fmt.Sprintf(" +%d", c.More)
			}
			list = append(list, text)
		}
		out[ref.Name] = strings.Join(list, ", ")
	}
	return out
}

func TestClaimConflicts(t *testing.T) {
	both := map[string]string{"a": "prvd: b", "b": "prvd: a"}
	to := func(day string) *v1alpha1.When {
		return &v1alpha1.When{NotAfter: v1alpha1.DateTime("2026-" + day + "T00:00:00Z")}
	}
	since := func(day string) *v1alpha1.When {
		return &v1alpha1.When{NotBefore: v1alpha1.DateTime("2026-" + day + "T00:00:00Z")}
	}
	x, y := []v1alpha1.Audience{"x"}, []v1alpha1.Audience{"y"}
	pair := func(a, b string) []claiming {
		return []claiming{{name: "a", subject: a, value: "1"}, {name: "b", subject: b, value: "2"}}
	}
	change := func(list []claiming, a, b func(*claiming)) []claiming { a(&list[0]); b(&list[1]); return list }
	alices := func(a, b func(*claiming)) []claiming { return change(pair("User alice", "User alice"), a, b) }
	as := func(audiences ...v1alpha1.Audience) func(*claiming) {
		return func(c *claiming) { c.audiences = audiences }
	}
	when := func(w *v1alpha1.When) func(*claiming) { return func(c *claiming) { c.when = w } }
	gives := func(value string) func(*claiming) { return func(c *claiming) { c.value = value } }
	is := func(*claiming) {}
	cases := map[string]struct {
		reason   string
		policies []claiming
		want     map[string]string
	}{
		"the same user":                       {"she can have only one", pair("User alice", "User alice"), both},
		"another user":                        {"nobody has both names", pair("User alice", "User bob"), nil},
		"the same group":                      {"each of its members is in it", pair("Group devs", "Group devs"), both},
		"another group":                       {"nobody knows here whether somebody is in both", pair("Group devs", "Group ops"), nil},
		"a user and a group":                  {"nobody knows here whether alice is in it", pair("User alice", "Group devs"), nil},
		"a user and a group of the same name": {"they are different things", pair("User devs", "Group devs"), nil},
		"a user and everybody with a name":    {"alice has one", pair("User alice", "Group system:authenticated"), both},
		"a group and everybody with a name":   {"who is in a group has a name", pair("Group devs", "Group system:authenticated"), both},
		"callers without credentials and everybody with a name": {
			"nobody is both", pair("Group system:unauthenticated", "Group system:authenticated"), nil},
		"callers without credentials, said in two ways": {
			"they have one name and one group", pair("User system:anonymous", "Group system:unauthenticated"), both},
		"a user and callers without credentials":    {"alice has credentials", pair("User alice", "Group system:unauthenticated"), nil},
		"a ServiceAccount and all of its namespace": {"it is in there", pair("ServiceAccount team-a/ci", "Group system:serviceaccounts:team-a"), both},
		"a ServiceAccount and all of another's":     {"it is not in there", pair("ServiceAccount team-a/ci", "Group system:serviceaccounts:team-b"), nil},
		"a ServiceAccount and all there are":        {"it is one", pair("ServiceAccount team-a/ci", "Group system:serviceaccounts"), both},
		"a ServiceAccount and everybody with a name": {
			"it has one", pair("ServiceAccount team-a/ci", "Group system:authenticated"), both},
		"a ServiceAccount, said in two ways": {
			"it is a user", pair("ServiceAccount team-a/ci", "User system:serviceaccount:team-a:ci"), both},
		"the ServiceAccounts of a namespace and of all": {"they are among them", pair("Group system:serviceaccounts:team-a", "Group system:serviceaccounts"), both},
		"all ServiceAccounts and everybody with a name": {"they have one", pair("Group system:serviceaccounts", "Group system:authenticated"), both},
		"a user and all ServiceAccounts":                {"alice is none", pair("User alice", "Group system:serviceaccounts"), nil},
		"one of several subjects":                       {"one in common is enough", pair("User bob, Group devs", "Group ops, Group devs"), both},
		"the same value":                                {"there is no choice to be made", alices(gives(`{"a":1,"b":2}`), gives(`{"b": 2, "a": 1}`)), nil},
		"the same number in two spellings":              {"texts are compared, as they go into a token", alices(gives("1"), gives("1.0")), both},
		"nothing and no value":                          {"both are null", alices(gives("null"), gives("")), nil},
		"one claim each":                                {"both can be given", alices(is, func(c *claiming) { c.claim = "other" }), nil},
		"one audience each":                             {"no token is for both", alices(as(x...), as(y...)), nil},
		"an audience in common":                         {"a token can be for it", alices(as("x", "y"), as("y", "z")), both},
		"one audience and all":                          {"all is also this one", alices(as(x...), is), both},
		"times that follow each other":                  {"at the end the first does not hold any more", alices(when(to("06-01")), when(since("06-01"))), nil},
		"times that overlap":                            {"for a day both hold", alices(when(to("06-02")), when(since("06-01"))), both},
		"times that have ended":                         {"how late it is does not matter: nothing changes by itself", alices(when(to("06-01")), when(to("06-02"))), both},
		"a time and always":                             {"always is also then", alices(when(to("06-01")), is), both},
		"ranges that do not overlap":                    {"addresses are not looked at", alices(when(&v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"10.0.0.0/8"}}), when(&v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"192.0.2.0/24"}})), both},
		"expressions that exclude each other":           {"expressions are not looked at", alices(when(&v1alpha1.When{Expression: "true"}), when(&v1alpha1.When{Expression: "false"})), both},
		"a policy that is broken":                       {"it gives nothing", alices(is, func(c *claiming) { c.name, c.value = "broken", "{" }), nil},
		"one against two who agree": {
			"each is told of the others",
			[]claiming{{name: "a", subject: "User alice", value: "1"}, {name: "b", subject: "User alice", value: "1"}, {name: "c", subject: "Group system:authenticated", value: "2"}},
			map[string]string{"a": "prvd: c", "b": "prvd: c", "c": "prvd: a b"},
		},
		"more than can be named": {
			"the first three by name, and the number of the others",
			[]claiming{
				{name: "e", subject: "User alice", value: "1"}, {name: "a", subject: "User alice", value: "2"}, {name: "d", subject: "User alice", value: "2"},
				{name: "c", subject: "User alice", value: "2"}, {name: "b", subject: "User alice", value: "2"},
			},
			map[string]string{"a": "prvd: e", "b": "prvd: e", "c": "prvd: e", "d": "prvd: e", "e": "prvd: a b c +1"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var policies []*Policy
			for _, p := range c.policies {
				policies = append(policies, p.compile(t))
			}
			for range 2 {
				if diff := cmp.Diff(c.want, inTheWay(policies), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", c.reason, diff)
				}
				slices.Reverse(policies)
			}
		})
	}
}

// TestManyClaimsInTheWay also names two claims of one policy, in order.
func TestManyClaimsInTheWay(t *testing.T) {
	two := func(name, value string) *Policy {
		p := claiming{name: name, subject: "User alice", claim: "z", value: value}.compile(t)
		p.claims = append(p.claims, claim{name: "b", value: value})
		return p
	}
	want := map[string]string{"p": "b: q, z: q", "q": "b: p, z: p"}
	if diff := cmp.Diff(want, inTheWay([]*Policy{two("p", "1"), two("q", "2")})); diff != "" {
		t.Error(diff)
	}
}

func drawClaiming(t *rapid.T, i int) claiming {
	draw := func(what string, words ...string) string {
		return rapid.SampledFrom(words).Draw(t, fmt.Sprint(what, i))
	}
	subject := func(n int) string {
		return draw(fmt.Sprint("subject", n), "User alice", "User bob", "Group devs", "Group ops", "Group system:authenticated", "Group system:unauthenticated",
			"User system:anonymous", "ServiceAccount a/ci", "User system:serviceaccount:a:ci", "Group system:serviceaccounts", "Group system:serviceaccounts:a",
			"Group system:serviceaccounts:b")
	}
	c := claiming{name: fmt.Sprintf("p%02d", i), subject: subject(0), claim: draw("claim", "prvd", "prvd", "other"), value: draw("value", "1", "2", `"x"`)}
	if rapid.Bool().Draw(t, fmt.Sprint("two", i)) {
		c.subject += ", " + subject(1)
	}
	for range rapid.IntRange(0, 2).Draw(t, fmt.Sprint("audiences", i)) {
		c.audiences = append(c.audiences, v1alpha1.Audience(draw("audience", "x", "y", "z")))
	}
	from, to := draw("from", "", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"), draw("to", "", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")
	if from != "" || to != "" {
		if from == to {
			from = ""
		}
		c.when = &v1alpha1.When{NotBefore: v1alpha1.DateTime(from), NotAfter: v1alpha1.DateTime(to)}
	}
	return c
}

// witnesses are callers of whom nothing is known but that they are what the subject says.
func witnesses(p *Policy) []caller.Caller {
	var list []caller.Caller
	for _, s := range p.subjects {
		switch {
		case s.anonymous():
			list = append(list, caller.Anonymous())
		case s.kind == user:
			c := caller.Caller{Username: s.name, Groups: []string{"system:authenticated"}}
			if namespace, _ := c.ServiceAccount(); namespace != "" {
				c.Groups = caller.ServiceAccountGroups(namespace)
			}
			list = append(list, c)
		case strings.HasPrefix(s.name, "system:serviceaccounts:"):
			list = append(list, caller.Caller{Username: "somebody", Groups: caller.ServiceAccountGroups(strings.TrimPrefix(s.name, "system:serviceaccounts:"))})
		default:
			list = append(list, caller.Caller{Username: "somebody", Groups: []string{s.name, "system:authenticated"}})
		}
	}
	return list
}

// disagree asks the engine, pair by pair, whether somebody who is certainly meant by one of the two gets no token for the
// claim.
func disagree(a, b *Policy, name string) bool {
	x := NewIndex([]*Policy{a, b})
	for _, who := range append(witnesses(a), witnesses(b)...) {
		for _, audience := range []string{"x", "y", "z", "any"} {
			for _, month := range []time.Month{1, 2, 3, 4} {
				_, err := x.Entitlements(Request{Caller: who, Audience: audience, Time: time.Date(2026, month, 1, 0, 0, 0, 0, time.UTC)})
				var conflict *ConflictError
				if errors.As(err, &conflict) && conflict.Claim == name {
					return true
				}
			}
		}
	}
	return false
}

func TestClaimConflictsAgreeWithTheEngine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var policies []*Policy
		for i := range rapid.IntRange(2, 9).Draw(rt, "policies") {
			policies = append(policies, drawClaiming(rt, i).compile(t))
		}
		want := map[string]string{}
		for _, p := range policies {
			var others []string
			for _, o := range policies {
				if o != p && o.claims[0].name == p.claims[0].name && disagree(p, o, p.claims[0].name) {
					others = append(others, o.ref.Name)
				}
			}
			if len(others) > 0 {
				want[p.ref.Name] = p.claims[0].name + ": " + strings.Join(others[:min(len(others), maxOthers)], " ")
			}
			if more := len(others) - maxOthers; more > 0 {
				want[p.ref.Name] += fmt.Sprintf(" +%d", more)
			}
		}
		rand.New(rand.NewSource(rapid.Int64().Draw(rt, "seed"))).Shuffle(len(policies), func(i, j int) {
			policies[i], policies[j] = policies[j], policies[i]
		})
		if diff := cmp.Diff(want, inTheWay(policies)); diff != "" {
			rt.Fatalf("(-engine +got):\n%s", diff)
		}
	})
}

// TestClaimConflictsOfManyPolicies are the worst of sets that a platform team may have: the work must not grow with the
// number of pairs, which is 450 million.
func TestClaimConflictsOfManyPolicies(t *testing.T) {
	const n = 30_000
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		reason string
		policy func(i int) *Policy
		want   int
	}{
		"each has another user": {
			reason: "none is in the way of another",
			policy: func(i int) *Policy {
				return &Policy{subjects: []principal{{user, fmt.Sprint("u", i)}}, claims: []claim{{"c", fmt.Sprint(i)}}}
			},
		},
		"each has another audience": {
			reason: "as above",
			policy: func(i int) *Policy {
				return &Policy{subjects: []principal{{group, "g"}}, audiences: []string{fmt.Sprint("a", i)}, claims: []claim{{"c", fmt.Sprint(i)}}}
			},
		},
		"all agree but the last": {
			reason: "all are in its way",
			policy: func(i int) *Policy {
				return &Policy{subjects: []principal{{group, "g"}}, claims: []claim{{"c", fmt.Sprint(i / (n - 1))}}}
			},
			want: n,
		},
		"all disagree": {
			reason: "each is in the way of all others",
			policy: func(i int) *Policy {
				return &Policy{subjects: []principal{{group, "g"}}, claims: []claim{{"c", fmt.Sprint(i)}}}
			},
			want: n,
		},
		"one for everybody": {
			reason: "it is in the way of all others, who are not in each other's",
			policy: func(i int) *Policy {
				who := principal{user, fmt.Sprint("u", i)}
				if i == n/2 {
					who = principal{group, caller.GroupAuthenticated}
				}
				return &Policy{subjects: []principal{who}, claims: []claim{{"c", fmt.Sprint(i)}}}
			},
			want: n,
		},
		"each has another hour": {
			reason: "as many as are looked at are out of the way",
			policy: func(i int) *Policy {
				from := start.Add(time.Duration(i) * time.Hour)
				return &Policy{
					subjects: []principal{{group, "g"}}, claims: []claim{{"c", fmt.Sprint(i)}}, when: &condition{notBefore: from, notAfter: from.Add(time.Hour)},
				}
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			policies := make([]*Policy, n)
			for i := range policies {
				policies[i] = c.policy(i)
				policies[i].ref = Ref{Kind: KindClusterAccessPolicy, Name: fmt.Sprintf("p%06d", i)}
			}
			began := time.Now()
			conflicts := ClaimConflicts(policies)
			took := time.Since(began)
			t.Logf("took %v", took)
			if len(conflicts) != c.want {
				t.Errorf("%s: %d are in the way of others, want %d", c.reason, len(conflicts), c.want)
			}
			if took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			for ref, list := range conflicts {
				for _, conflict := range list {
					if len(conflict.Others) > maxOthers || conflict.More > maxCounted-maxOthers {
						t.Fatalf("%s is told of %d others and %d more", ref.Name, len(conflict.Others), conflict.More)
					}
				}
			}
		})
	}
}
