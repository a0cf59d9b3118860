// Package revocation owns what TokenRevocations mean: which tokens are taken back, for how long nothing may be minted for a
// subject, until when a revocation must be remembered, and what one is called. It does not own where revocations come from
// (package observe) nor how they are stored (package record).
//
// A revocation holds until it is deleted, whatever its expires says: what it speaks of may live longer than somebody
// thought.
package revocation
