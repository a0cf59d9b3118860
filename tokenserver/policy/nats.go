package policy

import (
	"errors"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// The actions of rules of type nats, in the order in which they are asked for here.
const (
	actionPublish   = "publish"
	actionSubscribe = "subscribe"
)

// MaxSubjects is how many NATS subjects one list may have.
const MaxSubjects = 256

// maxSubjectRules is how many rules are looked at, and maxSubjectsSeen how many subjects they may name before those are left
// out that others cover.
const (
	maxSubjectRules = 1024
	maxSubjectsSeen = 1024
)

// ErrTooManySubjects says that policies name more NATS subjects for a caller than a token has room for. Nothing is left out
// instead: of a Deny that would give what nobody may have.
var ErrTooManySubjects = errors.New("policies name too many NATS subjects for the caller")

// NATSSubjects say what may be done to subjects: to what an entry of Allow matches and none of Deny. Both are sorted, and
// without entries that others make needless. If nothing is allowed Deny is ">": NATS reads an empty list as everything.
type NATSSubjects struct{ Allow, Deny []string }

// NATSPermissions are what a caller may do at a NATS server.
type NATSPermissions struct {
	Publish, Subscribe NATSSubjects
	// NotAfter is the time that a token with these permissions must not outlive; zero if nothing bounds it.
	NotAfter time.Time
}

// NATS returns what the caller may do to NATS subjects, in the form that NATS servers read; the request's resource and
// actions do not matter. What does not last for the least time is left out, as by Lasting. The only error is
// ErrTooManySubjects.
//
// Decide grants whatever the lists let pass and can be named at all (Resource.Nameable). As there is no subject here that
// expressions could be asked about, one that looks at the resource is unknown: an Allow does not match, a Deny does.
func (x *Index) NATS(req Request, least time.Duration) (NATSPermissions, error) {
	req.Resource, req.Actions = Resource{Type: v1alpha1.TypeNATS}, []string{actionPublish, actionSubscribe}
	rules, err := x.subjectRules(&req)
	if err != nil {
		return NATSPermissions{}, err
	}
	f := findings{}
	d := decision{req: &req, actions: req.Actions, findings: &f}
	matches := d.met(rules)
	var result NATSPermissions
	for i, list := range []*NATSSubjects{&result.Publish, &result.Subscribe} {
		s := subjects{allow: map[string]time.Time{}, deny: map[string]time.Time{}}
		for _, m := range matches {
			if m.actions&(1<<i) == 0 {
				continue
			}
			if err := s.add(m.rule, &d, req.Time.Add(least)); err != nil {
				return NATSPermissions{}, err
			}
		}
		if *list, err = s.list(); err != nil {
			return NATSPermissions{}, err
		}
		result.NotAfter = s.end(list.Allow, result.NotAfter)
	}
	return result, nil
}

// subjectRules are the rules that speak of NATS subjects to one of the caller's names, each once.
func (x *Index) subjectRules(req *Request) ([]*rule, error) {
	if x == nil {
		return nil, nil
	}
	seen := map[*rule]struct{}{}
	collect := func(s *subject) bool {
		if s == nil {
			return true
		}
		visit := func(r *rule) bool {
			seen[r] = struct{}{}
			return len(seen) <= maxSubjectRules
		}
		t, _ := s.types.get(v1alpha1.TypeNATS)
		return s.any.each(visit) && (t == nil || t.cluster.each(visit))
	}
	of, _ := x.users.get(req.Caller.Username)
	fits := collect(of) && collect(x.everyone)
	for _, g := range req.Caller.Groups {
		of, _ = x.groups.get(g)
		fits = fits && collect(of)
	}
	if !fits {
		return nil, ErrTooManySubjects
	}
	rules := make([]*rule, 0, len(seen))
	for r := range seen {
		rules = append(rules, r)
	}
	return rules, nil
}

// met are the rules whose policies' conditions are met, with the actions that they speak of.
func (d *decision) met(rules []*rule) []match {
	var matches, pending []match
	for _, r := range rules {
		p, m := r.policy, match{r, r.of(d.actions)}
		switch {
		case m.actions == 0 || !p.speaksOf(d.req.Audience) || p.when != nil && !p.when.holds(d.req, p.deny):
		case p.when == nil || p.when.program == nil:
			matches = append(matches, m)
		case !p.when.program.UsesResource():
			pending = append(pending, m)
		case p.deny:
			matches = append(matches, m)
		}
	}
	if len(pending) == 0 {
		return matches
	}
	slices.SortFunc(pending, compareMatches)
	e := evaluator{input: newInput(*d.req), budget: d.req.budget(), tier: platform}
	for _, m := range pending {
		if m.actions = e.matching(d.actions, m); m.actions != 0 {
			matches = append(matches, m)
		}
	}
	return matches
}

// each visits the rules of the node and of all below it, some more than once, until a visit says no.
func (n *node) each(visit func(*rule) bool) bool {
	if n == nil {
		return true
	}
	for _, h := range []*hit{n.end, n.deep, n.rest} {
		for ; h != nil; h = h.next {
			if !visit(h.rule) {
				return false
			}
		}
	}
	for _, next := range n.literal.all {
		if !next.each(visit) {
			return false
		}
	}
	if n.wild == nil {
		return true
	}
	for i := range n.wild.tails {
		if !visit(n.wild.tails[i].rule) {
			return false
		}
	}
	for _, g := range n.wild.globs {
		if !g.next.each(visit) {
			return false
		}
	}
	return n.wild.any.each(visit)
}
