package review

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// TestAskable shows that a question which no client can ask has no answer: "no" would look like a policy's.
func TestAskable(t *testing.T) {
	many := make([]string, policy.MaxActions+1)
	for i := range many {
		many[i] = fmt.Sprintf("a%d", i)
	}
	cases := map[string]struct {
		reason         string
		typ, namespace string
		name           string
		actions        []string
		want           string
	}{
		"a repository":              {"", "repository", "", "localhost:5000/team-a/app", []string{"pull", "push", "pull", ""}, ""},
		"all of a repository":       {"", "repository", "", "team-a/app", []string{"*"}, ""},
		"the catalog":               {"", "registry", "", "catalog", []string{"*"}, ""},
		"an album":                  {"", "album", "team-a", "x y/é", []string{"read", "a:b"}, ""},
		"a subject of NATS":         {"", "nats", "", "a.b", []string{"publish"}, ""},
		"an audience":               {"", "oauth", "", "https://a.example.com", []string{"introspect"}, ""},
		"as many as can be":         {"", "repository", "", "team-a/app", many[1:], ""},
		"two actions in one":        {"it is none of the two, and never granted", "repository", "", "team-a/app", []string{"pull,push"}, `the action "pull,push" must be "*", or begin with`},
		"white space at an action":  {"", "repository", "", "team-a/app", []string{" push"}, `the action " push" must be "*", or begin with`},
		"an action with a colon":    {"a policy may have it, and the server cuts the scope there", "repository", "", "team-a/app", []string{"a:b"}, `the action "a:b" is none that a server would take in a scope`},
		"an action of another type": {"", "nats", "", "a.b", []string{"pull"}, `the action "pull" must be publish, subscribe or *`},
		"more than can be":          {"the last ones would not be looked at", "repository", "", "team-a/app", many, "65 actions are more than can be asked for at once: at most 64"},
		"white space at the name":   {"", "repository", "", " team-a/app", []string{"pull"}, `nothing of type repository can have the name " team-a/app": no server would take it in a scope`},
		"a letter beyond ASCII":     {"", "repository", "", "team-a/äpp", []string{"pull"}, `nothing of type repository can have the name "team-a/äpp": no server would take it in a scope`},
		"two names":                 {"a comma divides scopes", "repository", "", "a/b,repository:c/d", []string{"pull"}, "no server would take it in a scope"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := Askable(policy.Request{Resource: policy.Resource{Type: tc.typ, Namespace: tc.namespace, Name: tc.name}, Actions: tc.actions})
			switch {
			case (err == nil) != (tc.want == ""):
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			case err != nil && !strings.Contains(err.Error(), tc.want):
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

// TestSamplesLeaveNoActionOut shows that no sample asks for more than is looked at: what lies beyond would seem unchanged.
func TestSamplesLeaveNoActionOut(t *testing.T) {
	p := &v1alpha1.ClusterAccessPolicy{}
	p.Name = "many"
	p.Spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
	for i := range 6 {
		r := v1alpha1.Rule{Type: v1alpha1.TypeRepository, Names: []v1alpha1.ResourceName{"a/b"}}
		for k := range 16 {
			r.Actions = append(r.Actions, v1alpha1.Action(fmt.Sprintf("a%d-%d", i, k)))
		}
		p.Spec.Rules = append(p.Spec.Rules, r)
	}
	before, after := New(Objects{}, true), New(Objects{ClusterAccessPolicies: []*v1alpha1.ClusterAccessPolicy{p}}, true)
	requests, more := Samples(before, after, 100, time.Now())
	gained := 0
	for _, c := range Compare(before, after, requests) {
		gained += len(c.Gained)
	}
	if gained != 6*16 || more {
		t.Errorf("%d actions of %d were found", gained, 6*16)
	}
}
