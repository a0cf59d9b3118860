package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// badInput is one thing that a person or a caller does wrong. The policy speaks of team-a/app, is tried as an Allow and as
// a Deny, of the platform and of the tenant team-a, and goes through the compiler, the index and Decide.
type badInput struct {
	reason string
	// policy is what is wrong with the policy, caller with who asks. The caller is alice, who has devs for extra k.
	policy change
	caller func(*caller.Caller)
	// problem is the reason and the path that the compiler tells; empty if it accepts the policy.
	problem string
	// failed is why the expression gives no answer; empty if it gives one.
	failed FailureReason
	// allowed is what an Allow grants, of either tier.
	allowed []string
	// denied is what a Deny of the platform takes away from one who may do everything, and deniedByTenant what one of the
	// tenant takes away from one who may do what tenants allow.
	denied, deniedByTenant []string
}

// repositories are what each bad input is tried on.
var repositories = []string{"team-a", "team-a/app", "team-a/other", "team-a/a/b", "team-b/app", "other"}

var (
	underTeamA = []string{"team-a/app", "team-a/other", "team-a/a/b"}
	theApp     = []string{"team-a/app"}
)

func named(names ...v1alpha1.ResourceName) change {
	return func(o *object) { o.spec.Rules[0].Names = names }
}

func badInputs() map[string]badInput {
	name := func(reason string, bad v1alpha1.ResourceName) badInput {
		return badInput{
			reason: reason, policy: named("team-a/app", bad), problem: "InvalidName spec.rules[0].names[1]",
			denied: repositories, deniedByTenant: underTeamA,
		}
	}
	condition := func(reason, problem string, w v1alpha1.When) badInput {
		return badInput{reason: reason, policy: provided(w), problem: problem, denied: theApp, deniedByTenant: theApp}
	}
	expression := func(reason, text string) badInput {
		return condition(reason, "InvalidExpression spec.when.expression", v1alpha1.When{Expression: text})
	}
	const widest = "${subject.extra.k}"
	value := func(reason string, allowed []string, values ...string) badInput {
		return badInput{
			reason: reason, policy: named("team-a/" + widest), caller: func(c *caller.Caller) { c.Extra["k"] = values },
			allowed: allowed, denied: allowed, deniedByTenant: allowed,
		}
	}
	unusable := func(reason string, values ...string) badInput {
		b := value(reason, nil, values...)
		b.denied, b.deniedByTenant = append([]string{"team-a"}, underTeamA...), underTeamA
		return b
	}
	manyRules := badInput{
		reason: "no API server stores it; from a file it is too large", problem: "TooLarge spec.rules",
		policy: func(o *object) {
			for i := range 10_000 {
				o.spec.Rules = append(o.spec.Rules, rules("repository", fmt.Sprintf("team-a/x/%d", i), "pull")...)
			}
		},
		denied: repositories, deniedByTenant: underTeamA,
	}
	dear := badInput{
		reason: "it is cheap by estimate, and the caller is in a thousand groups",
		policy: cel(expensive + " && " + expensive + " && " + expensive), caller: func(c *caller.Caller) { c.Groups = append(c.Groups, rich().Groups...) }, failed: FailureCostLimit,
		denied: theApp, deniedByTenant: theApp,
	}
	fails := badInput{
		reason: "a key that the caller does not have", policy: cel("subject.extra['none'][0] == 'x'"), failed: FailureError,
		denied: theApp, deniedByTenant: theApp,
	}
	return map[string]badInput{
		"a pattern with 5 stars":      name("4 at most", "team-a/*/*/*/*a*"),
		"a pattern with 17 segments":  name("16 at most", v1alpha1.ResourceName("team-a"+strings.Repeat("/x", 16))),
		"a pattern with three stars":  name("nobody knows what it is to mean", "team-a/***"),
		"two stars within a segment":  name("it looks as if it matched more", "team-a/app**"),
		"a pattern that goes up":      name("registries would read it as another name", "team-a/../team-b"),
		"a placeholder that is open":  name("it would be text that nobody meant", "team-a/${subject.username"),
		"a placeholder of nothing":    name("as above", "team-a/${"),
		"an unknown variable":         name("a typing error must not become a literal", "team-a/${subject.user}"),
		"an empty segment":            name("no name has one", "team-a//x"),
		"CEL that does not compile":   expression("it is no expression", "subject.groups.exists("),
		"CEL with a misspelt field":   expression("it is found when the policy is compiled", "subject.grops.size() > 0"),
		"CEL that returns a string":   expression("what is it to say?", "subject.username"),
		"CEL that may loop for ever":  expression("it costs too much by estimate", "subject.groups.all(a, subject.groups.all(b, subject.groups.all(c, a + b != c)))"),
		"CEL that loops too long":     dear,
		"CEL that fails":              fails,
		"an end before the start":     condition("it would never hold", "InvalidCondition spec.when.notAfter", v1alpha1.When{NotBefore: "2027-01-01T00:00:00Z", NotAfter: "2026-01-01T00:00:00Z"}),
		"an end at the start":         condition("as above", "InvalidCondition spec.when.notAfter", v1alpha1.When{NotBefore: "2026-01-01T00:00:00Z", NotAfter: "2026-01-01T00:00:00Z"}),
		"10,000 rules in one policy":  manyRules,
		"a value of two stars":        value("stars of a caller are characters, and no name has them", nil, "**"),
		"a value of a star":           value("as above", nil, "*"),
		"a value with a slash":        value("it makes segments", []string{"team-a/a/b"}, "a/b"),
		"a value that goes up":        value("no name has such a segment", nil, ".."),
		"a value that goes up and in": value("as above", nil, "../team-b"),
		"a value of a placeholder":    value("nothing is replaced twice", nil, widest),
		"a value of 10 KB":            value("no name is that long", nil, strings.Repeat("x", 10<<10)),
		"10 KB of slashes":            unusable("they make empty segments", strings.Repeat("/", 10<<10)),
		"an empty value":              unusable("nobody knows who it is, so a Deny takes it for anybody", ""),
		"no value":                    unusable("as above"),
		"an empty value beside one": {
			reason: "each is tried, and the Deny is as wide as for the worst", policy: named("team-a/" + widest),
			caller:  func(c *caller.Caller) { c.Extra["k"] = []string{"", "app"} },
			allowed: theApp, denied: append([]string{"team-a"}, underTeamA...), deniedByTenant: underTeamA,
		},
		"a user's name with a slash": {
			reason: "a name must not reach into another's place", policy: named("team-a/${subject.username}"),
			caller: func(c *caller.Caller) { c.Username = "a/b" },
			denied: append([]string{"team-a"}, underTeamA...), deniedByTenant: underTeamA,
		},
	}
}

func TestBadInput(t *testing.T) {
	for name, c := range badInputs() {
		t.Run(name, func(t *testing.T) {
			who := alice("devs")
			who.Extra = map[string][]string{"k": {"app"}}
			if c.caller != nil {
				c.caller(&who)
			}
			everything := func(namespace string, names ...v1alpha1.ResourceName) object {
				o := made(namespace, named(names...))
				o.spec.Rules[0].Actions = []v1alpha1.Action{"*"}
				return o
			}
			forms := map[string]struct {
				namespace string
				effect    change
				beside    []object
				granted   []string
			}{
				"an Allow of the platform": {"", func(*object) {}, nil, c.allowed},
				"an Allow of the tenant":   {"team-a", func(*object) {}, nil, c.allowed},
				"a Deny of the platform":   {"", denies, []object{everything("", "**")}, without(repositories, c.denied)},
				"a Deny of the tenant": {
					"team-a", denies, []object{everything("team-a", "team-a/**"), everything("team-b", "team-b/**")},
					without([]string{"team-a/app", "team-a/other", "team-a/a/b", "team-b/app"}, c.deniedByTenant),
				},
				"a Deny of the tenant beside all of the platform": {"team-a", denies, []object{everything("", "**")}, repositories},
			}
			for form, f := range forms {
				bad := made(f.namespace, to("Group", "devs"), named("team-a/app"), c.policy, f.effect)
				_, problems := bad.compile()
				if got := told(problems); got != c.problem {
					t.Errorf("%s: %s: problem %q, want %q", c.reason, form, got, c.problem)
				}
				x, budget := index(append(f.beside, bad)), NewBudget()
				var granted []string
				for _, repository := range repositories {
					d := x.Decide(request(as(who), ask("repository", repository, "pull"), func(r *Request) { r.Budget = budget }))
					if len(d.Granted) > 0 {
						granted = append(granted, repository)
					}
				}
				if diff := cmp.Diff(f.granted, granted, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s: %s grants (-want +got):\n%s", c.reason, form, diff)
				}
				if failed := budget.Failed(c.failed) > 0; failed != (c.failed != "") {
					t.Errorf("%s: %s: failures %v, want %q", c.reason, form, budget.Failures(), c.failed)
				}
			}
		})
	}
}

// told is the reason and the path of the first problem.
func told(problems []Problem) string {
	if len(problems) == 0 {
		return ""
	}
	return problems[0].Reason + " " + problems[0].Path
}

func without(all, some []string) []string {
	var rest []string
	for _, one := range all {
		if !strings.Contains("\n"+strings.Join(some, "\n")+"\n", "\n"+one+"\n") {
			rest = append(rest, one)
		}
	}
	return rest
}

// TestDenyOnEverybodyWithABrokenName is the tenant who would lock everybody out: it takes away what policies of its own
// namespace gave, and nothing else.
func TestDenyOnEverybodyWithABrokenName(t *testing.T) {
	lockOut := ofTenant(denies, named("team-a/***"), func(o *object) {
		o.spec.Rules[0].Actions = []v1alpha1.Action{"*"}
		o.spec.Subjects = []v1alpha1.Subject{{Kind: "Group", Name: "system:authenticated"}, {Kind: "Group", Name: "system:unauthenticated"}, {Kind: "Group", Name: "system:nobody"}}
	})
	if _, problems := lockOut.compile(); len(problems) != 2 {
		t.Fatalf("got %v, want a problem of the subject and one of the name", problems)
	}
	everybody := func(o *object) {
		o.spec.Subjects = []v1alpha1.Subject{{Kind: "Group", Name: "system:authenticated"}, {Kind: "Group", Name: "system:unauthenticated"}}
	}
	before := []object{
		allow(named("**"), everybody, func(o *object) { o.name, o.spec.Rules[0].Actions = "platform", []v1alpha1.Action{"pull"} }),
		ofTenant(everybody, func(o *object) { o.name = "own" }), ofTenant(on("album", "**", "read"), func(o *object) { o.name = "albums" }),
		made("team-b", everybody, named("team-b/**")),
	}
	platformOnly := before[:1]
	for _, who := range []caller.Caller{alice(), caller.Anonymous(), request().Caller} {
		for _, repository := range repositories {
			req := request(as(who), ask("repository", repository, "pull", "push"))
			want := index(before).Decide(req)
			if strings.HasPrefix(repository, "team-a/") {
				want = index(platformOnly).Decide(req)
			}
			if diff := cmp.Diff(want, index(append(before[:len(before):len(before)], lockOut)).Decide(req)); diff != "" {
				t.Errorf("%s on %s (-want +got):\n%s", who.Username, repository, diff)
			}
		}
	}
	album := request(ask("album", "x", "read"), in("team-a"))
	if d := index(append(before[:len(before):len(before)], lockOut)).Decide(album); len(d.Granted) != 1 {
		t.Errorf("a Deny of repositories took away an album: %+v", d)
	}
}

// TestPoliciesThatDisagreeOnAClaim is the caller who would get one value by one policy and another by another.
func TestPoliciesThatDisagreeOnAClaim(t *testing.T) {
	a := claiming{name: "a", subject: "User alice", value: "1"}.compile(t)
	b := claiming{name: "b", subject: "Group devs", value: "2"}.compile(t)
	x := NewIndex([]*Policy{a, b})
	var conflict *ConflictError
	if _, err := x.Entitlements(request(as(alice("devs")))); !errors.As(err, &conflict) || conflict.Claim != "prvd" {
		t.Errorf("she is both: got %v", err)
	}
	if e, err := x.Entitlements(request(as(alice()))); err != nil || string(e.Claims["prvd"]) != "1" {
		t.Errorf("she is one: got %+v, %v", e, err)
	}
}
