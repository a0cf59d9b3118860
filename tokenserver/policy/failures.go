package policy

import "slices"

// FailureReason says why an expression gave no answer. An Allow does not match then, and a Deny does.
type FailureReason string

// The reasons of failures.
const (
	// FailureError says that the evaluation failed: a key that the caller does not have, a text that is no number.
	FailureError FailureReason = "error"
	// FailureCostLimit says that one evaluation cost more than expr.MaxCost.
	FailureCostLimit FailureReason = "cost_limit"
	// FailureBudget says that it was not evaluated, because those before it had spent the budget of the tier.
	FailureBudget FailureReason = "budget"
)

// FailureReasons are all there are.
func FailureReasons() []FailureReason {
	return []FailureReason{FailureError, FailureCostLimit, FailureBudget}
}

// Failure is a policy whose expression gave no answer.
type Failure struct {
	Policy Ref
	Reason FailureReason
	// Dearest is, for FailureBudget, the policy whose expression cost most of those that spent the budget, for one action.
	Dearest Ref
}

// maxFailures bounds the policies that are named for one token: they are for a person to look at, and the first few will
// do. All are counted.
const maxFailures = 8

// failures are what came of the expressions that gave no answer.
type failures struct {
	counts map[FailureReason]int
	named  []Failure
}

func (f *failures) add(failure Failure) {
	if f.counts == nil {
		f.counts = map[FailureReason]int{}
	}
	f.counts[failure.Reason]++
	if len(f.named) == maxFailures || slices.ContainsFunc(f.named, func(known Failure) bool {
		return known.Policy == failure.Policy && known.Reason == failure.Reason
	}) {
		return
	}
	f.named = append(f.named, failure)
}

// Failed says how often an expression gave no answer for the reason, whenever it was asked with this budget. A policy may
// count once for each action that is asked for.
func (b *Budget) Failed(reason FailureReason) int { return b.failures.counts[reason] }

// Failures are the first few policies whose expression gave no answer, in the order in which they were asked: that does
// not depend on the order of the policies. It is nil if all gave one. Treat it as read-only.
func (b *Budget) Failures() []Failure { return b.failures.named }
