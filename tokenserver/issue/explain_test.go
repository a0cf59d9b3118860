package issue

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// TestReasonsAreBounded is the tenant with many rules and the caller without a name who asks for all there is: each rule
// for each action of each scope took gigabytes, and no record was small enough to be written.
func TestReasonsAreBounded(t *testing.T) {
	var policies []*v1alpha1.ClusterAccessPolicy
	for n := range 10 {
		policies = append(policies, fixture.Cluster(fmt.Sprintf("p%d", n), []v1alpha1.Subject{fixture.Anonymous}, fixture.Repositories("a/**", "pull"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
			for range 63 {
				spec.Rules = append(spec.Rules, fixture.Repositories("a/**", "*"))
			}
		}))
	}
	var actions, scopes []string
	for n := range 64 {
		actions = append(actions, fmt.Sprintf("a%02d", n))
	}
	for n := range 8 { // a token of more would be too long
		scopes = append(scopes, fmt.Sprintf("repository:a/x%d:%s", n, strings.Join(actions, ",")))
	}
	i, read := issuer(t)
	i.Explain = true
	if _, err := i.Registry(request(t, world(t, policies...), caller.Anonymous(), scopes...)); err != nil {
		t.Fatal(err)
	}
	record := read()
	if got, all := len(record.Why)+record.WhyOmitted, 8*64*10*63; len(record.Why) != maxWhy || got != all {
		t.Errorf("%d reasons and %d omitted, want %d and %d in all", len(record.Why), record.WhyOmitted, maxWhy, all)
	}
	for _, why := range record.Why[:maxReasons] {
		if why.Action != "a00" || why.Policy != "ClusterAccessPolicy/p0" {
			t.Errorf("got %+v among the first", why)
		}
	}
}
