package controllers

import (
	"maps"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
)

// leaseSightings remember when Leases were first seen that say to have been renewed in the future. A server that somebody
// has broken into, or whose clock is wrong by more than the skew, writes what it likes, and once it is gone nobody writes
// it anew: such a Lease counts from when it was seen. A manager that is started again begins to count again. The zero
// value is ready, and may be used by many goroutines.
type leaseSightings struct {
	mu     sync.Mutex
	byName map[string]leaseSighting
}

type leaseSighting struct {
	uid           types.UID
	renewed, seen time.Time
}

// at returns what is believed of Leases now.
func (s *leaseSightings) at(now time.Time, o Options) leaseBelief {
	return leaseBelief{sightings: s, now: now, longest: o.MaxStaleness, skew: o.ClockSkew}
}

// forget drops what is known of the Lease.
func (s *leaseSightings) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byName, name)
}

// leaseBelief is how far a Lease is believed: servers are held to the manager's limits, not to what they say.
type leaseBelief struct {
	sightings     *leaseSightings
	now           time.Time
	longest, skew time.Duration
}

// end is when the server stops to sign unless it renews the Lease: never later than the longest time that servers may
// sign after a renewal. One that does not say how long it lasts is taken to last for that long.
func (b leaseBelief) end(l *coordinationv1.Lease) time.Time {
	length := b.longest
	if seconds := l.Spec.LeaseDurationSeconds; seconds != nil {
		length = min(length, time.Duration(*seconds)*time.Second)
	}
	return b.renewed(l).Add(length)
}

// renewed is when the Lease was renewed, and at the latest, by a clock that is ahead, when it was first seen so.
func (b leaseBelief) renewed(l *coordinationv1.Lease) time.Time {
	renewed := l.Spec.RenewTime.Time
	s := b.sightings
	s.mu.Lock()
	defer s.mu.Unlock()
	if !renewed.After(b.now.Add(b.skew)) {
		if sighting, ok := s.byName[l.Name]; !ok || sighting.uid != l.UID || !sighting.renewed.Equal(renewed) {
			return renewed
		}
	}
	sighting := s.byName[l.Name]
	if sighting.uid != l.UID || !sighting.renewed.Equal(renewed) || sighting.seen.After(b.now) {
		sighting = leaseSighting{uid: l.UID, renewed: renewed, seen: b.now}
		if s.byName == nil {
			s.byName = map[string]leaseSighting{}
		}
		s.byName[l.Name] = sighting
	}
	if latest := sighting.seen.Add(b.skew); renewed.After(latest) {
		return latest
	}
	return renewed
}

// forgetOthers drops what is known of Leases that are not there.
func (b leaseBelief) forgetOthers(there map[string]bool) {
	b.sightings.mu.Lock()
	defer b.sightings.mu.Unlock()
	maps.DeleteFunc(b.sightings.byName, func(name string, _ leaseSighting) bool { return !there[name] })
}
