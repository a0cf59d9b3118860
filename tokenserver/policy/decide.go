package policy

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy/name"
)

// Decide says what is granted: what the platform allows and does not deny, and what tenants allow and neither they nor
// the platform deny. It is the hot path and leaves Why empty.
func (x *Index) Decide(req Request) Decision { return x.decide(&req, false, 0) }

// Explain is Decide with the reasons. It costs memory for each rule that matches, and each action of it.
func (x *Index) Explain(req Request) Decision { return x.decide(&req, true, math.MaxInt) }

// ExplainBriefly is Explain with so many reasons for each action at most, for where others say how many rules match.
func (x *Index) ExplainBriefly(req Request, most int) Decision { return x.decide(&req, true, most) }

// tier tells the platform's policies from tenants'.
type tier uint8

const (
	platform tier = iota
	tenants
)

// verdict is what one tier says of the actions asked for.
type verdict struct {
	allowed, denied actionSet
	// lasting are actions that an Allow without an end gave, limits the ends of the others.
	lasting actionSet
	limits  []limit
	// pending are rules whose expression has still to be asked.
	pending []match
}

type limit struct {
	actions  actionSet
	notAfter time.Time
}

// match is a rule with the actions that it speaks of.
type match struct {
	rule    *rule
	actions actionSet
}

// decision is the work on one request. What grows stands apart from it: else each request would move to the heap.
type decision struct {
	req     *Request
	actions []string
	*findings
}

type findings struct {
	verdicts [2]verdict
	explain  bool
	matches  []match
	// values are read by whoever needs them first.
	values    name.Values
	hasValues bool
}

func (x *Index) decide(req *Request, explain bool, most int) Decision {
	if x == nil || len(req.Actions) == 0 {
		return Decision{}
	}
	f := findings{explain: explain}
	actions := asked(req.Resource.Type, req.Resource.Name, req.Actions)
	d := decision{req: req, actions: actions, findings: &f}
	var buf [name.MaxAskedSegments]string
	segments, ok := name.Split(grammarOf(req.Resource.Type), req.Resource.Name, buf[:0])
	if !ok || len(actions) == 0 || req.Resource.Type == "" {
		return Decision{}
	}
	place := d.place(segments)
	if s, found := x.users.get(req.Caller.Username); found {
		d.walkSubject(s, place)
	}
	for _, g := range req.Caller.Groups {
		if s, found := x.groups.get(g); found {
			d.walkSubject(s, place)
		}
	}
	if x.everyone != nil {
		d.walkSubject(x.everyone, place)
	}
	d.settle(platform)
	d.settle(tenants)
	result := f.result(actions)
	if explain {
		result.Why, result.Omitted = why(actions, f.matches, most)
	}
	return result
}

// callerValues are what placeholders stand for.
func (d *decision) callerValues() *name.Values {
	if !d.hasValues {
		d.values = name.Values{Username: d.req.Caller.Username, Extra: d.req.Caller.Extra}
		d.values.Namespace, d.values.ServiceAccount = d.req.Caller.ServiceAccount()
		d.hasValues = true
	}
	return &d.values
}

// place is where the resource stands: its segments, and for tenants the namespace that owns it and what follows. It has
// no namespace if none owns it or none may speak of the audience.
type place struct {
	segments  []string
	namespace string
	below     []string
}

func (d *decision) place(segments []string) place {
	r := &d.req.Resource
	if d.req.Admits == nil || !tenantType(r.Type) {
		return place{segments: segments}
	}
	namespace, below := r.Namespace, segments
	if r.Type == v1alpha1.TypeRepository {
		namespace, below = segments[0], segments[1:]
		// A repository named like the namespace is not under it.
		if len(below) == 0 {
			return place{segments: segments}
		}
	}
	if namespace == "" || !d.req.Admits(namespace) {
		return place{segments: segments}
	}
	return place{segments: segments, namespace: namespace, below: below}
}

// result puts the two tiers together.
func (f *findings) result(actions []string) Decision {
	p, t := &f.verdicts[platform], &f.verdicts[tenants]
	fromPlatform := p.allowed &^ p.denied
	fromTenants := t.allowed &^ t.denied &^ p.denied
	granted := fromPlatform | fromTenants
	result := Decision{Granted: pick(actions, granted)}
	lasting := fromPlatform&p.lasting | fromTenants&t.lasting
	for rest := granted &^ lasting; rest != 0; rest &= rest - 1 {
		bit := actionSet(1) << bits.TrailingZeros64(uint64(rest))
		var latest time.Time
		if fromPlatform&bit != 0 {
			latest = p.latest(bit, latest)
		}
		if fromTenants&bit != 0 {
			latest = t.latest(bit, latest)
		}
		if result.NotAfter.IsZero() || latest.Before(result.NotAfter) {
			result.NotAfter = latest
		}
	}
	return result
}

func (v *verdict) latest(bit actionSet, latest time.Time) time.Time {
	for _, l := range v.limits {
		if l.actions&bit != 0 && l.notAfter.After(latest) {
			latest = l.notAfter
		}
	}
	return latest
}

// why lists each matching rule once for each action, in an order of its own, and counts those that it leaves out.
func why(actions []string, matches []match, most int) (reasons []Reason, omitted int) {
	slices.SortFunc(matches, compareMatches)
	// A caller meets a rule by each of its names.
	matches = slices.CompactFunc(matches, func(a, b match) bool { return a.rule == b.rule })
	for i, a := range actions {
		listed := 0
		for _, m := range matches {
			if m.actions&(1<<i) == 0 {
				continue
			}
			if listed++; listed > most {
				omitted++
				continue
			}
			effect := v1alpha1.EffectAllow
			if m.rule.policy.deny {
				effect = v1alpha1.EffectDeny
			}
			reasons = append(reasons, Reason{Policy: m.rule.policy.ref, Rule: m.rule.index, Effect: effect, Action: a})
		}
	}
	return reasons, omitted
}
