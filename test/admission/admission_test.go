package admission

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

const (
	namesMessage   = `every name in spec.rules[*].names of type repository must start with "team-a/"`
	typeMessage    = "spec.rules[*].type of an AccessPolicy must not be registry, nats or oauth"
	actionsMessage = "spec.rules[*].actions must be pull only"
)

// admissionCase is a policy in namespace team-a; want is a part of the message, empty if it is to be admitted.
type admissionCase struct {
	reason string
	policy *v1alpha1.AccessPolicy
	want   string
}

func nameCases() map[string]admissionCase {
	cases := map[string]admissionCase{}
	for reason, name := range map[string]v1alpha1.ResourceName{
		"the name of a repository in the namespace":             "team-a/x",
		"everything in the namespace":                           "team-a/**",
		"one segment in the namespace":                          "team-a/*",
		"a variable after the prefix can only go deeper":        "team-a/${subject.username}/**",
		"dots are literal segments that no repository can have": "team-a/../team-b/x",
	} {
		cases["A name within the namespace: "+string(name)] = admissionCase{reason: reason, policy: policy("team-a", v1alpha1.TypeRepository, name)}
	}
	for reason, name := range map[string]v1alpha1.ResourceName{
		"another namespace's repository":                      "team-b/x",
		"the namespace's own name without a slash":            "team-a",
		"a namespace whose name begins with this one's":       "team-ab/x",
		"a star that stands for the end of the first segment": "team-a*/x",
		"a star that stands for part of the first segment":    "team-*/x",
		"a star that stands for the first segment":            "*/x",
		"every repository":                                    "**",
		"every repository of one segment":                     "*",
		"any depth before the namespace":                      "**/team-a/x",
		"the caller's namespace, whichever that is":           "${subject.namespace}/x",
		"the caller's ServiceAccount":                         "${subject.serviceAccount}/x",
		"a claim that the caller's issuer chose":              "${subject.extra.team}/x",
		"the namespace in upper case":                         "TEAM-A/x",
		"an empty first segment":                              "/team-a/x",
		"a dot as the first segment":                          "./team-a/x",
		"a way back into the namespace":                       "team-b/../team-a/x",
		"a way out at the beginning":                          "../team-b/x",
		"a space before":                                      " team-a/x",
		"a percent-encoded letter":                            "%74eam-a/x",
		"a percent-encoded slash":                             "team-a%2fx",
		"a backslash for the slash":                           `team-a\x`,
		"a hyphen that only looks like one":                   "team‑a/x",
		"an invisible letter":                                 "team-a\u200b/x",
		"a slash that only looks like one":                    "team-a∕x",
		"the registry's host before the name":                 "registry.example.com/team-a/x",
	} {
		cases["A name outside of the namespace: "+string(name)] = admissionCase{
			reason: reason, policy: policy("team-a", v1alpha1.TypeRepository, name), want: namesMessage,
		}
	}
	return cases
}

func hiddenCases() map[string]admissionCase {
	secondName := policy("team-a", v1alpha1.TypeRepository, "team-a/x", "team-b/x")
	secondRule := policy("team-a", v1alpha1.TypeRepository, "team-a/x")
	secondRule.Spec.Rules = append(secondRule.Spec.Rules, v1alpha1.Rule{
		Type: v1alpha1.TypeRepository, Names: []v1alpha1.ResourceName{"team-b/x"}, Actions: []v1alpha1.Action{"pull"},
	})
	behindAnotherType := policy("team-a", "photo", "**")
	behindAnotherType.Spec.Rules = append(behindAnotherType.Spec.Rules, secondRule.Spec.Rules[1])
	deny := policy("team-a", v1alpha1.TypeRepository, "team-b/x")
	deny.Spec.Effect = v1alpha1.EffectDeny
	largest, tooFar := largestPolicy("team-a/"), largestPolicy("team-a/")
	last := &tooFar.Spec.Rules[len(tooFar.Spec.Rules)-1]
	last.Names[len(last.Names)-1] = "team-b/x"
	return map[string]admissionCase{
		"The second name is outside":            {reason: "every name counts", policy: secondName, want: `but "team-b/x" does not`},
		"The second rule is outside":            {reason: "every rule counts", policy: secondRule, want: namesMessage},
		"A rule of another type comes first":    {reason: "the first rule does not speak for the second", policy: behindAnotherType, want: namesMessage},
		"A Deny is outside":                     {reason: "a tenant must not take away from others", policy: deny, want: namesMessage},
		"The largest policy":                    {reason: "the cost stays within the API server's limit", policy: largest},
		"The last name of the largest policy":   {reason: "nothing is too far down to be looked at", policy: tooFar, want: namesMessage},
		"A ProtectedResource of the namespace":  {reason: "ids of resources need no prefix", policy: policy("team-a", "photo", "**")},
		"A type that is written like another's": {reason: "a type is compared literally", policy: policy("team-a", "Registry", "catalog")},
		"Type registry":                         {reason: "the catalog is not a tenant's", policy: policy("team-a", v1alpha1.TypeRegistry, "catalog"), want: typeMessage},
		"Type nats":                             {reason: "subjects are not a tenant's", policy: anyAction(policy("team-a", v1alpha1.TypeNATS, "team-a.>")), want: typeMessage},
		"Type oauth":                            {reason: "the server's functions are not a tenant's", policy: anyAction(policy("team-a", v1alpha1.TypeOAuth, "registry.example.com")), want: typeMessage},
	}
}

func everybodyCases() map[string]admissionCase {
	unauthenticated := v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: "system:unauthenticated"}
	anonymous := v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: "system:anonymous"}
	authenticated := v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: "system:authenticated"}
	to := func(subject v1alpha1.Subject, effect v1alpha1.Effect, actions ...v1alpha1.Action) *v1alpha1.AccessPolicy {
		p := policy("team-a", v1alpha1.TypeRepository, "team-a/**")
		p.Spec.Effect = effect
		p.Spec.Subjects = append(p.Spec.Subjects, subject)
		p.Spec.Rules[0].Actions = actions
		return p
	}
	secondRule := to(unauthenticated, "", "pull")
	secondRule.Spec.Rules = append(secondRule.Spec.Rules, v1alpha1.Rule{
		Type: v1alpha1.TypeRepository, Names: []v1alpha1.ResourceName{"team-a/x"}, Actions: []v1alpha1.Action{"push"},
	})
	return map[string]admissionCase{
		"Everybody pulls":                     {reason: "public images are a tenant's to give", policy: to(unauthenticated, "", "pull")},
		"The anonymous user pulls":            {reason: "it is the same as everybody", policy: to(anonymous, v1alpha1.EffectAllow, "pull")},
		"Everybody known pushes":              {reason: "they can be held to account", policy: to(authenticated, "", "pull", "push")},
		"Everybody is denied everything":      {reason: "a Deny gives nothing", policy: to(unauthenticated, v1alpha1.EffectDeny, "*")},
		"Everybody pushes":                    {reason: "nobody could be held to account", policy: to(unauthenticated, "", "pull", "push"), want: actionsMessage},
		"Everybody deletes":                   {reason: "only pull is harmless", policy: to(unauthenticated, v1alpha1.EffectAllow, "delete"), want: actionsMessage},
		"Everybody does everything":           {reason: "a star holds push too", policy: to(unauthenticated, "", "*"), want: actionsMessage},
		"The anonymous user pushes":           {reason: "it is the same as everybody", policy: to(anonymous, "", "push"), want: actionsMessage},
		"Everybody pushes by the second rule": {reason: "every rule counts", policy: secondRule, want: actionsMessage},
	}
}

// anyAction gives every action: types that know their actions refuse pull.
func anyAction(p *v1alpha1.AccessPolicy) *v1alpha1.AccessPolicy {
	p.Spec.Rules[0].Actions = []v1alpha1.Action{"*"}
	return p
}

// largestPolicy has as many and as long names as the schema allows.
func largestPolicy(prefix string) *v1alpha1.AccessPolicy {
	p := policy("team-a", v1alpha1.TypeRepository)
	p.Spec.Rules = nil
	for range 64 {
		rule := v1alpha1.Rule{Type: v1alpha1.TypeRepository, Actions: []v1alpha1.Action{"pull"}}
		for i := range 32 {
			name := fmt.Sprintf("%s%02d/", prefix, i)
			rule.Names = append(rule.Names, v1alpha1.ResourceName(name+strings.Repeat("x", 256-len(name))))
		}
		p.Spec.Rules = append(p.Spec.Rules, rule)
	}
	return p
}

func TestAccessPolicies(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	groups := []map[string]admissionCase{nameCases(), hiddenCases(), everybodyCases()}
	for _, cases := range groups {
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				err := tryPolicy(ctx, tc.policy)
				switch {
				case tc.want == "" && err != nil:
					t.Errorf("%s: must be admitted: %v", tc.reason, err)
				case tc.want != "" && refused(err) != nil:
					t.Errorf("%s: must be refused by the admission policy: %v", tc.reason, refused(err))
				case tc.want != "" && !strings.Contains(err.Error(), tc.want):
					t.Errorf("%s: the message is %q, expected %q in it", tc.reason, err, tc.want)
				}
			})
		}
	}

	// What was refused was refused by the policy and by nothing else.
	uninstall(ctx, t, policyBinding, func() error { return tryPolicy(ctx, policy("team-a", v1alpha1.TypeRepository, "team-b/x")) })
	for _, cases := range groups {
		for name, tc := range cases {
			t.Run("Without the binding: "+name, func(t *testing.T) {
				if err := tryPolicy(ctx, tc.policy); err != nil {
					t.Errorf("must be admitted: %v", err)
				}
				grantsNothingOutside(t, tc.policy)
			})
		}
	}
}

func TestAccessPolicyIsNamedInItsOwnNamespaceOnly(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	if err := tryPolicy(ctx, policy("team-ab", v1alpha1.TypeRepository, "team-ab/x")); err != nil {
		t.Errorf("team-ab must be able to speak of its own: %v", err)
	}
	if err := refused(tryPolicy(ctx, policy("team-ab", v1alpha1.TypeRepository, "team-a/x"))); err != nil {
		t.Errorf("team-ab must not speak of team-a: %v", err)
	}
}

func TestAccessPolicyCreatedByServerSideApply(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "AccessPolicy",
		"metadata": map[string]any{"name": "applied", "namespace": "team-a"},
		"spec": map[string]any{
			"subjects": []any{map[string]any{"kind": "User", "name": "alice"}},
			"rules":    []any{map[string]any{"type": "repository", "names": []any{"team-b/x"}, "actions": []any{"pull"}}},
		},
	}}
	err := plane.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test"), client.DryRunAll)
	if err := refused(err); err != nil {
		t.Errorf("an apply that creates must be refused too: %v", err)
	}
}

func TestStoredAccessPolicyChanges(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	uninstall(ctx, t, policyBinding, func() error { return tryPolicy(ctx, policy("team-a", v1alpha1.TypeRepository, "team-b/x")) })
	stored := policy("team-a", v1alpha1.TypeRepository, "team-b/x")
	stored.Finalizers = []string{"example.com/foreign"}
	if err := plane.Client.Create(ctx, stored); err != nil {
		t.Fatal(err)
	}
	install(ctx, t)

	change := func(what string, how func(*v1alpha1.AccessPolicy), admitted bool) {
		t.Helper()
		next := stored.DeepCopy()
		how(next)
		err := plane.Client.Patch(ctx, next, client.MergeFrom(stored), client.DryRunAll)
		if admitted && err != nil {
			t.Errorf("%s must be admitted: %v", what, err)
		}
		if !admitted && refused(err) != nil {
			t.Errorf("%s must be refused: %v", what, refused(err))
		}
	}
	change("a label", func(p *v1alpha1.AccessPolicy) { p.Labels = map[string]string{"a": "b"} }, true)
	change("to drop a finalizer", func(p *v1alpha1.AccessPolicy) { p.Finalizers = nil }, true)
	change("to put the name right", func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[0].Names[0] = "team-a/x" }, true)
	change("another name outside", func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[0].Names[0] = "team-c/x" }, false)
	change("another subject for what is outside", func(p *v1alpha1.AccessPolicy) { p.Spec.Subjects[0].Name = "mallory" }, false)

	status := stored.DeepCopy()
	status.Status.ObservedGeneration = 1
	if err := plane.Client.Status().Patch(ctx, status, client.MergeFrom(stored), client.DryRunAll); err != nil {
		t.Errorf("the manager must be able to say what is wrong with a stored policy: %v", err)
	}
}

func TestSystemKinds(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	tries := map[string]func(namespace string) error{
		"SigningKey":       func(namespace string) error { return trySigningKey(ctx, namespace) },
		"IdentityProvider": func(namespace string) error { return tryIdentityProvider(ctx, namespace) },
	}
	for kind, try := range tries {
		t.Run(kind, func(t *testing.T) {
			if err := try("tokenwright-system"); err != nil {
				t.Errorf("must be admitted in the system namespace: %v", err)
			}
			err := try("team-a")
			if refused(err) != nil {
				t.Fatalf("must be refused in a tenant's namespace: %v", refused(err))
			}
			want := fmt.Sprintf(`metadata.namespace of a %s must be "tokenwright-system", not "team-a"`, kind)
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the message is %q, expected %q in it", err, want)
			}
		})
	}
	uninstall(ctx, t, systemKindsBinding, func() error { return trySigningKey(ctx, "team-a") })
	for kind, try := range tries {
		t.Run("Without the binding: "+kind, func(t *testing.T) {
			if err := try("team-a"); err != nil {
				t.Errorf("must be admitted: %v", err)
			}
		})
	}
}
