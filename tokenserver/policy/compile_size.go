package policy

import "github.com/tokenwright/tokenwright/api/v1alpha1"

// Bounds of one policy. The schema bounds each list; these bound what their product costs every server.
const (
	// maxWeight is the number of subjects times the number of segments in all names. The index keeps each name under
	// each subject, at some hundred bytes for a segment, so that a policy takes a little more than 2 MB at most.
	maxWeight = 12_288
	// maxScanned is the number of names that a request may have to be compared with one by one.
	maxScanned = 128
)

// size refuses a policy that is too large to be kept. A Deny then denies every name of its rules' types: whatever its
// names are, they lie within.
func (c *compiler) size() {
	p := c.policy
	segments, compared := 0, 0
	for i := range p.rules {
		for j := range p.rules[i].names {
			name := &p.rules[i].names[j]
			segments += len(name.Segments())
			if scanned(name) {
				compared++
			}
		}
	}
	weight := len(p.subjects) * segments
	if weight > maxWeight {
		c.problem(v1alpha1.ReasonTooLarge, "spec.rules",
			"%d subjects times %d segments in all names make %d, and at most %d are allowed: "+
				"name a group instead of many subjects, or divide the names among several policies",
			len(p.subjects), segments, weight, maxWeight)
	}
	if compared > maxScanned {
		c.problem(v1alpha1.ReasonTooLarge, "spec.rules",
			"%d names have a star within a segment, a placeholder, or a \"**\" that something follows, and at most %d may: "+
				"use \"*\" for whole segments and \"**\" at the end, or divide the names among several policies",
			compared, maxScanned)
	}
	if weight <= maxWeight && compared <= maxScanned {
		return
	}
	for i := range p.rules {
		p.rules[i].names = []pattern{everythingOf(p.rules[i].typ)}
	}
}
