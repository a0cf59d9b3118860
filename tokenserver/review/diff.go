package review

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Change is a request that is answered otherwise afterwards.
type Change struct {
	Request policy.Request
	// Gained and Lost are by action, sorted.
	Gained, Lost []Cause
}

// Cause is an action, and the rules because of which it is granted or not granted any more. What was lost without a Deny is
// lost because the Allows that gave it do not give it any more.
type Cause struct {
	Action string
	Rules  []policy.RuleRef
	Denied bool
}

// Compare asks each request before and after, and returns those that differ.
func Compare(before, after *World, requests []policy.Request) []Change {
	var changes []Change
	for _, req := range requests {
		was, is := before.Ask(req), after.Ask(req)
		c := Change{Request: req}
		for _, action := range policy.Asked(req) {
			switch had, has := slices.Contains(was.Granted, action), slices.Contains(is.Granted, action); {
			case !had && has:
				c.Gained = append(c.Gained, Cause{Action: action, Rules: rules(is.Given(action))})
			case had && !has:
				c.Lost = append(c.Lost, lost(was, is, action))
			}
		}
		if len(c.Gained)+len(c.Lost) > 0 {
			changes = append(changes, c)
		}
	}
	return changes
}

// lost names the Denies that are new, or else the Allows that are gone.
func lost(was, is Answer, action string) Cause {
	if denies := is.because(action, v1alpha1.EffectDeny); len(denies) > 0 {
		before := was.because(action, v1alpha1.EffectDeny)
		fresh := slices.DeleteFunc(slices.Clone(denies), func(r policy.Reason) bool { return slices.Contains(before, r) })
		if len(fresh) > 0 {
			return Cause{Action: action, Rules: rules(fresh), Denied: true}
		}
	}
	still := is.because(action, v1alpha1.EffectAllow)
	gone := slices.DeleteFunc(was.Given(action), func(r policy.Reason) bool { return slices.Contains(still, r) })
	return Cause{Action: action, Rules: rules(gone)}
}

func rules(reasons []policy.Reason) []policy.RuleRef {
	refs := make([]policy.RuleRef, 0, len(reasons))
	for _, r := range reasons {
		refs = append(refs, policy.RuleRef{Policy: r.Policy, Rule: r.Rule})
	}
	return refs
}

// Samples makes requests of the policies that differ: who they name, what they name, from where. It is a sample: patterns
// stand for more names than can be tried. It returns at most so many, and whether there would be more.
func Samples(before, after *World, most int, now time.Time) (requests []policy.Request, more bool) {
	audiences := slices.Concat(before.Audiences(), after.Audiences())
	slices.Sort(audiences)
	audiences = slices.Compact(audiences)
	if len(audiences) == 0 {
		audiences = []string{anyAudience}
	}
	seen := map[string]int{}
	for _, p := range differing(before, after) {
		for _, req := range p.Samples(most + 1) {
			for _, one := range forAudiences(req, audiences) {
				one.Time = now
				key := fmt.Sprintf("%#v %q %#v %s", one.Caller, one.Audience, one.Resource, one.SourceIP)
				if at, known := seen[key]; known && together(&requests[at], one.Actions) {
					continue
				}
				if len(requests) == most {
					return requests, true
				}
				seen[key] = len(requests)
				requests = append(requests, one)
			}
		}
	}
	return requests, false
}

// together asks for more actions with the same request, unless it would then ask for more than are looked at.
func together(req *policy.Request, more []string) bool {
	all := slices.Concat(req.Actions, more)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > policy.MaxActions {
		return false
	}
	req.Actions = all
	return true
}

// anyAudience stands for audiences that nothing names.
const anyAudience = "(any other)"

// forAudiences asks for each audience where the policy speaks of all.
func forAudiences(req policy.Request, audiences []string) []policy.Request {
	if req.Audience != "" {
		return []policy.Request{req}
	}
	requests := make([]policy.Request, 0, len(audiences))
	for _, audience := range audiences {
		req.Audience = audience
		requests = append(requests, req)
	}
	return requests
}
