package tokenserver

import (
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/metrics"
)

// state is what the gauges show.
func (s *server) state() metrics.State {
	from, observed := s.parts.Snapshots.Load(), s.parts.Observer.Stats()
	state := metrics.State{
		BuiltAt: from.BuiltAt, Policies: from.Counts.Policies, Keys: from.Counts.Keys, Providers: from.Counts.Providers,
		UsableSigningKeys:   from.Counts.UsableSigningKeys,
		UnusableSigningKeys: from.Counts.SigningKeys - from.Counts.UsableSigningKeys,
		KeptKeySets:         observed.KeySetsKept,
		Builds:              observed.Builds, BuildTime: observed.BuildTime, WatchErrors: observed.WatchErrors,
	}
	now := time.Now()
	state.ViewAge, state.Confirmed = s.parts.Fence.Age(now)
	state.Fenced = s.parts.Fence.Check(now) != nil
	if s.parts.Lease != nil {
		state.LeaseFailures = s.parts.Lease.Failures()
	}
	return state
}
