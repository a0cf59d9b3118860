package tokenserver

import (
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// state is what the gauges show.
func (s *server) state() metrics.State {
	from, observed := s.parts.Snapshots.Load(), s.parts.Observer.Stats()
	now := time.Now()
	usable := from.Counts.UsableSigningKeys - ended(from, now)
	state := metrics.State{
		BuiltAt: from.BuiltAt, Policies: from.Counts.Policies, Resources: from.Counts.Resources, Approvals: from.Counts.Approvals, Keys: from.Counts.Keys, Providers: from.Counts.Providers,
		UsableSigningKeys:   usable,
		UnusableSigningKeys: from.Counts.SigningKeys - usable,
		KeptKeySets:         observed.KeySetsKept,
		Builds:              observed.Builds, BuildTime: observed.BuildTime, WatchErrors: observed.WatchErrors,
	}
	state.ViewAge, state.Confirmed = s.parts.Fence.Age(now)
	state.Fenced = s.parts.Fence.Check(now) != nil
	if s.parts.Lease != nil {
		state.LeaseFailures = s.parts.Lease.Failures()
	}
	if s.parts.Issuers != nil {
		state.Issuers = s.parts.Issuers()
	}
	return state
}

// ended counts the SigningKeys whose key may not sign any more because of its signUntil: that is a matter of time, which
// no snapshot knows. One whose audiences all belong to others is not looked at: nobody asks it for a token.
func ended(from *snapshot.Snapshot, now time.Time) int {
	names := map[string]struct{}{}
	for _, a := range from.Audiences {
		if a.Signer == nil {
			continue
		}
		if until := a.Signer.SignUntil(); !until.IsZero() && !now.Before(until) {
			names[a.SigningKey] = struct{}{}
		}
	}
	return len(names)
}
