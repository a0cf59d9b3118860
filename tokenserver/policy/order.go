package policy

import (
	"cmp"
	"strings"
)

// Orders that do not depend on the order in which policies came.

func compareRefs(a, b Ref) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

func compareMatches(a, b match) int {
	return cmp.Or(compareRefs(a.rule.policy.ref, b.rule.policy.ref), cmp.Compare(a.rule.index, b.rule.index))
}
