package resource

import (
	"cmp"
	"strings"
)

// claim is one uri, and who claims it.
type claim struct {
	first claimant
	// others are the first claimants of other namespaces: what they claim beside it may be older still. It is nil mostly.
	others map[string]claimant
}

// claimant is a resource, and since when it claims something, in seconds.
type claimant struct {
	resource *Resource
	since    int64
}

// compare is negative if the claim came before the other. Times are true to a second, so that a tie has an order of its own.
func (c claimant) compare(other claimant) int {
	return cmp.Or(cmp.Compare(c.since, other.since), age(c.resource, other.resource))
}

func (c claimant) older(than claimant) bool { return c.compare(than) < 0 }

// age is the order in which objects came.
func age(a, b *Resource) int {
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Object, b.Object))
}

// add takes in a claim, in whatever order they come: of each namespace the oldest holds.
func (c *claim) add(by claimant) {
	if c.first.resource == nil {
		c.first = by
		return
	}
	if by.older(c.first) {
		c.first, by = by, c.first
	}
	if c.first.resource.Namespace == by.resource.Namespace {
		return
	}
	if c.others == nil {
		c.others = map[string]claimant{}
	}
	delete(c.others, c.first.resource.Namespace)
	if held, found := c.others[by.resource.Namespace]; !found || by.older(held) {
		c.others[by.resource.Namespace] = by
	}
}

// of is the resource of the namespace that holds the claim there; nil if none has it.
func (c *claim) of(namespace string) *Resource {
	if c.first.resource != nil && c.first.resource.Namespace == namespace {
		return c.first.resource
	}
	return c.others[namespace].resource
}
