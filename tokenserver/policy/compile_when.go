package policy

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy/expr"
)

// condition is a compiled `when`. What is zero restricts nothing; what was broken is left zero, so that a Deny, which
// alone lives to use it, counts it as true.
type condition struct {
	ranges              []netip.Prefix
	notBefore, notAfter time.Time
	program             *expr.Program
}

func (c *compiler) when(w *v1alpha1.When) {
	if w == nil {
		return
	}
	when := &condition{ranges: c.ranges(w.SourceRanges)}
	when.notBefore = c.time("notBefore", w.NotBefore)
	when.notAfter = c.time("notAfter", w.NotAfter)
	if !when.notBefore.IsZero() && !when.notAfter.IsZero() && !when.notBefore.Before(when.notAfter) {
		c.problem(v1alpha1.ReasonInvalidCondition, "spec.when.notAfter", "must be later than notBefore")
		when.notBefore, when.notAfter = time.Time{}, time.Time{}
	}
	if w.Expression != "" {
		program, err := c.programs(w.Expression)
		if err != nil {
			c.problem(v1alpha1.ReasonInvalidExpression, "spec.when.expression", "%v", err)
		}
		when.program = program
	}
	c.policy.when = when
}

// ranges returns nil, which is every address, if one range is broken.
func (c *compiler) ranges(texts []v1alpha1.CIDR) []netip.Prefix {
	ranges, broken := make([]netip.Prefix, 0, len(texts)), false
	for i, text := range texts {
		prefix, err := netip.ParsePrefix(string(text))
		// Callers' addresses are compared as IPv4 where they are; a range of mapped ones would hold none of them.
		if err != nil || prefix.Addr().Is4In6() {
			c.problem(v1alpha1.ReasonInvalidCondition, fmt.Sprintf("spec.when.sourceRanges[%d]", i),
				"%q: must be a range of addresses such as 10.0.0.0/8 or fd00::/8", text)
			broken = true
			continue
		}
		ranges = append(ranges, prefix.Masked())
	}
	if broken || len(ranges) == 0 {
		return nil
	}
	return ranges
}

func (c *compiler) time(field string, text v1alpha1.DateTime) time.Time {
	if text == "" {
		return time.Time{}
	}
	t, err := text.Parse()
	if err != nil || t.IsZero() {
		c.problem(v1alpha1.ReasonInvalidCondition, "spec.when."+field,
			"%q: must be a time of RFC 3339 such as 2026-01-01T00:00:00Z", text)
		return time.Time{}
	}
	return t
}
