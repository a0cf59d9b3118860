package policy

import "time"

// Lasting returns those of a decision's actions that are granted for at least so long, and the time that a token with
// them must not outlive. A token that cannot be as short must leave out what ends sooner, action by action, so that it
// does not take the rest with it. The request is the one that was decided.
func (x *Index) Lasting(req Request, decision Decision, least time.Duration) (actions []string, notAfter time.Time) {
	lasts := func(d Decision) bool { return d.NotAfter.IsZero() || !d.NotAfter.Before(req.Time.Add(least)) }
	if lasts(decision) {
		return decision.Granted, decision.NotAfter
	}
	for _, action := range decision.Granted {
		req.Actions = []string{action}
		one := x.Decide(req)
		if len(one.Granted) != 1 || !lasts(one) {
			continue
		}
		actions = append(actions, one.Granted[0])
		if !one.NotAfter.IsZero() && (notAfter.IsZero() || one.NotAfter.Before(notAfter)) {
			notAfter = one.NotAfter
		}
	}
	return actions, notAfter
}
