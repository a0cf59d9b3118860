package policy

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestNearMisses shows that a near miss is never a rule that counted, and that what it says is what was in the way.
func TestNearMisses(t *testing.T) {
	found := map[string]int{}
	check := func(t *rapid.T) {
		var policies []*Policy
		for i := range rapid.IntRange(1, 4).Draw(t, "policies") {
			p, _ := drawObject(t, fmt.Sprintf("p%d", i)).compile()
			policies = append(policies, p)
		}
		req := drawRequest(t)
		why := explain(NewIndex(policies), req, req.Caller).Why
		for _, m := range NearMisses(policies, withCaller(req, req.Caller)) {
			if slices.ContainsFunc(why, func(r Reason) bool { return (RuleRef{r.Policy, r.Rule}) == m.RuleRef && r.Action == m.Action }) {
				t.Fatalf("%+v counted", m)
			}
			p := policies[slices.IndexFunc(policies, func(p *Policy) bool { return p.ref == m.Policy })]
			free := *p
			repaired := req
			if m.Audience {
				free.audiences = nil
				found["audience"]++
			}
			if m.Admission {
				repaired.Admits = func(string) bool { return true }
				found["admission"]++
			}
			if when := p.when; when != nil {
				c := *when
				if m.Address {
					c.ranges = nil
					found["address"]++
				}
				if m.Time {
					c.notBefore, c.notAfter = condition{}.notBefore, condition{}.notAfter
					found["time"]++
				}
				if m.Expression {
					found["expression"]++
				}
				if m.Expression || m.Audience || m.Admission || m.Address || m.Time { // an expression may be in the way as well
					c.program = nil
				}
				free.when = &c
			}
			alone := free.with(free.when, func(n *pattern) (pattern, bool) { return *n, true })
			got := explain(NewIndex([]*Policy{alone}), repaired, req.Caller)
			if !slices.ContainsFunc(got.Why, func(r Reason) bool { return r.Rule == m.Rule && r.Action == m.Action }) {
				t.Fatalf("without what is said to be in the way, %+v does not count either", m)
			}
		}
	}
	ways := []string{"audience", "admission", "address", "time", "expression"}
	for n := 0; n < 20 || len(found) < len(ways) && n < 500; n++ { // what is rare must come up
		rapid.Check(t, check)
	}
	for _, what := range ways {
		if found[what] == 0 {
			t.Errorf("no %s was in the way: this shows too little", what)
		}
	}
}

// TestSamples shows that the requests made of an Allow are such as it grants, and those of a Deny such as it denies.
func TestSamples(t *testing.T) {
	made := 0
	rapid.Check(t, func(t *rapid.T) {
		p, problems := drawObject(t, "p").compile()
		samples := p.Samples(50)
		if len(samples) > 50 {
			t.Fatalf("%d samples", len(samples))
		}
		if len(problems) > 0 || p.when != nil && (p.when.program != nil || !p.when.notBefore.IsZero() || !p.when.notAfter.IsZero()) {
			return
		}
		for _, req := range samples {
			made++
			req.Admits = func(string) bool { return true }
			got := NewIndex([]*Policy{p}).Explain(req)
			if len(Asked(req)) == 0 || len(got.Why) == 0 {
				t.Fatalf("%+v of %+v is not what it is about", req, p)
			}
			if !p.deny && len(got.Granted) != len(Asked(req)) {
				t.Fatalf("%+v of %+v is granted %v", req, p, got.Granted)
			}
		}
	})
	if made == 0 {
		t.Error("no sample was made: this shows nothing")
	}
}
