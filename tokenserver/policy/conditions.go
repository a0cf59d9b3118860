package policy

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/policy/expr"
)

// maxCost is what the expressions of the platform, or those of one namespace, may cost together within one Budget, in CEL's
// units, and maxTenants what those of all namespaces may. As the last one may pass it by expr.MaxCost, and the dearest unit takes
// 0.4 µs, all take some 70 ms at most for a whole token.
const (
	maxCost    = 3 * expr.MaxCost
	maxTenants = 4 * maxCost
)

// Budget is what expressions may cost that are asked for one token, over all its resources and however often they are
// decided about. Past it an Allow with an expression does not match and a Deny does. The platform has its own, and so has each
// namespace: else a tenant's expensive expressions could take away what the platform or another tenant allows, of a token for
// resources of both. It remembers which expressions gave no answer. It is not safe for concurrent use.
type Budget struct {
	platform, tenants account
	// namespaces are what each of the tenants spent of what they may spend together.
	namespaces map[string]*account
	failures   failures
}

// account is what was spent for some policies, and on which of them most.
type account struct {
	spent   uint64
	dearest dearest
}

func (a *account) charge(p *Policy, cost uint64) {
	a.spent += cost
	if cost > a.dearest.cost {
		a.dearest = dearest{p, cost}
	}
}

// dearest is the expression that cost most so far.
type dearest struct {
	policy *Policy
	cost   uint64
}

// NewBudget returns a Budget of which nothing is spent.
func NewBudget() *Budget { return &Budget{} }

// of returns the account of the policy's tier or namespace, and the one that is spent if no more can be; nil while it can.
func (b *Budget) of(t tier, p *Policy) (own, spent *account) {
	if t == platform {
		own = &b.platform
	} else if own = b.namespaces[p.ref.Namespace]; own == nil {
		if b.namespaces == nil {
			b.namespaces = map[string]*account{}
		}
		own = &account{}
		b.namespaces[p.ref.Namespace] = own
	}
	switch {
	case own.spent >= maxCost:
		return own, own
	case t == tenants && b.tenants.spent >= maxTenants:
		return own, &b.tenants
	}
	return own, nil
}

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
	own, spent := b.of(e.tier, p)
	if spent != nil {
		b.failures.add(Failure{Policy: p.ref, Reason: FailureBudget, Dearest: spent.dearest.policy.ref})
		return p.deny
	}
	e.input.Action = action
	holds, cost, err := p.when.program.Evaluate(e.input)
	own.charge(p, cost)
	if e.tier == tenants {
		b.tenants.charge(p, cost)
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
