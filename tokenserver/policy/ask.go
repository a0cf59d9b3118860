package policy

import (
	"math/bits"
	"slices"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// MaxActions is how many actions are looked at in one request, so that a set of them fits into a word.
const MaxActions = 64

// actionSet has a bit for each of the actions asked for, in their order.
type actionSet uint64

// asked returns the actions to decide on: concrete, sorted, each once. "*" asks for what registries know, since they
// would take a literal one for the name of an action; only the catalog of a registry is asked for in that spelling.
func asked(typ, resource string, actions []string) []string {
	literal := typ == v1alpha1.TypeRegistry && resource == "catalog"
	clean := len(actions) <= MaxActions
	for i, a := range actions {
		if a == "" || a == actionAll && !literal || i > 0 && actions[i-1] >= a {
			clean = false
			break
		}
	}
	if clean {
		return actions
	}
	expanded := make([]string, 0, len(actions)+2)
	for _, a := range actions {
		switch {
		case a == "":
		case a == actionAll && typ == v1alpha1.TypeRepository:
			expanded = append(expanded, actionDelete, actionPull, actionPush)
		case a != actionAll || literal:
			expanded = append(expanded, a)
		}
	}
	slices.Sort(expanded)
	expanded = slices.Compact(expanded)
	return expanded[:min(len(expanded), MaxActions)]
}

func allOf(actions []string) actionSet {
	if len(actions) >= MaxActions {
		return ^actionSet(0)
	}
	return 1<<len(actions) - 1
}

// of returns the actions that the rule speaks of. A literal "*" means everything to whoever reads the token, so a rule
// that denies anything denies it, and only one that allows everything allows it.
func (r *rule) of(actions []string) actionSet {
	if r.actions == nil {
		return allOf(actions)
	}
	var set actionSet
	for i, a := range actions {
		if a == actionAll && r.policy.deny || slices.Contains(r.actions, a) {
			set |= 1 << i
		}
	}
	return set
}

// pick returns the actions in the set. It shares memory with them where it can.
func pick(actions []string, set actionSet) []string {
	if set == 0 {
		return nil
	}
	first, n := bits.TrailingZeros64(uint64(set)), bits.OnesCount64(uint64(set))
	if bits.Len64(uint64(set))-first == n {
		return actions[first : first+n : first+n]
	}
	picked := make([]string, 0, n)
	for i, a := range actions {
		if set&(1<<i) != 0 {
			picked = append(picked, a)
		}
	}
	return picked
}
