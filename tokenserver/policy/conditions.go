package policy

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/policy/expr"
)

// maxCost is what the expressions of one tier may cost together within one Budget, in CEL's units. As the last one may
// pass it by expr.MaxCost, and the dearest unit takes 0.4 µs, both tiers take some 30 ms at most for a whole token.
const maxCost = 3 * expr.MaxCost

// Budget is what expressions may cost that are asked for one token, over all its resources and however often they are
// decided about. Past it an Allow with an expression does not match and a Deny does. Each tier has its own: else a
// tenant's expensive expressions could take away what the platform allows. It remembers which expressions gave no answer.
// It is not safe for concurrent use.
type Budget struct {
	spent    [2]uint64
	dearest  [2]dearest
	failures failures
}

// dearest is the expression that cost most so far.
type dearest struct {
	policy *Policy
	cost   uint64
}

// NewBudget returns a Budget of which nothing is spent.
func NewBudget() *Budget { return &Budget{} }

// budget is the request's, or a fresh one.
func (r *Request) budget() *Budget {
	if r.Budget == nil {
		return NewBudget()
	}
	return r.Budget
}

func (p *Policy) speaksOf(audience string) bool {
	return len(p.audiences) == 0 || slices.Contains(p.audiences, audience)
}

// holds says whether address and time meet the condition. What is not known meets that of a Deny and not that of an
// Allow. The expression is another matter.
func (c *condition) holds(req *Request, deny bool) bool {
	if len(c.ranges) > 0 && !c.inRange(req.SourceIP, deny) {
		return false
	}
	if c.notBefore.IsZero() && c.notAfter.IsZero() {
		return true
	}
	if req.Time.IsZero() {
		return deny
	}
	return !req.Time.Before(c.notBefore) && (c.notAfter.IsZero() || req.Time.Before(c.notAfter))
}

func (c *condition) inRange(address netip.Addr, unknown bool) bool {
	if !address.IsValid() {
		return unknown
	}
	address = address.Unmap().WithZone("")
	for _, r := range c.ranges {
		if r.Contains(address) {
			return true
		}
	}
	return false
}

// settle asks the expressions of one tier, in an order of its own and within the budget, so that the outcome does not
// depend on the order of the policies.
func (d *decision) settle(t tier) {
	pending := d.verdicts[t].pending
	if len(pending) == 0 {
		return
	}
	slices.SortFunc(pending, compareMatches)
	e := evaluator{input: newInput(*d.req), budget: d.req.budget(), tier: t}
	for i, m := range pending {
		if i > 0 && m.rule == pending[i-1].rule {
			continue
		}
		if m.actions = e.matching(d.actions, m); m.actions != 0 {
			d.count(t, m)
		}
	}
}

// newInput takes the request by value: the expressions' library would else move every request to the heap.
func newInput(req Request) *expr.Input {
	return expr.NewInput(expr.Facts{
		Caller:            req.Caller,
		ResourceType:      req.Resource.Type,
		ResourceNamespace: req.Resource.Namespace,
		ResourceName:      req.Resource.Name,
		Audience:          req.Audience,
		SourceIP:          req.SourceIP,
		ClientID:          req.ClientID,
		Time:              req.Time,
		Claims:            req.Claims,
	})
}

// evaluator asks expressions within a budget. It remembers what the last policy's answered.
type evaluator struct {
	input  *expr.Input
	budget *Budget
	tier   tier
	policy *Policy
	known  actionSet
	holds  actionSet
}

// matching returns those of the rule's actions, out of all asked for, for which the expression of its policy holds.
func (e *evaluator) matching(actions []string, m match) actionSet {
	p := m.rule.policy
	if e.policy != p {
		e.policy, e.known, e.holds = p, 0, 0
	}
	if !p.when.program.UsesAction() {
		if e.known == 0 {
			e.known = allOf(actions)
			if e.ask(p, "") {
				e.holds = e.known
			}
		}
		return m.actions & e.holds
	}
	for i, action := range actions {
		bit := actionSet(1) << i
		if m.actions&bit == 0 || e.known&bit != 0 {
			continue
		}
		e.known |= bit
		if e.ask(p, action) {
			e.holds |= bit
		}
	}
	return m.actions & e.holds
}

// ask says whether the expression holds; one that fails, or for which the budget is spent, holds for a Deny only.
func (e *evaluator) ask(p *Policy, action string) bool {
	b := e.budget
	if b.spent[e.tier] >= maxCost {
		b.failures.add(Failure{Policy: p.ref, Reason: FailureBudget, Dearest: b.dearest[e.tier].policy.ref})
		return p.deny
	}
	e.input.Action = action
	holds, cost, err := p.when.program.Evaluate(e.input)
	b.spent[e.tier] += cost
	if cost > b.dearest[e.tier].cost {
		b.dearest[e.tier] = dearest{p, cost}
	}
	switch {
	case errors.Is(err, expr.ErrCost):
		b.failures.add(Failure{Policy: p.ref, Reason: FailureCostLimit})
	case err != nil:
		b.failures.add(Failure{Policy: p.ref, Reason: FailureError})
	default:
		return holds
	}
	return p.deny
}
