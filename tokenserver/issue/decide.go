package issue

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// verdict is what of a request is granted, and for how long.
type verdict struct {
	granted []scope.Scope
	// notAfter is the earliest end of what is granted; zero if nothing ends.
	notAfter time.Time
	why      []audit.Why
	// application are the claims that policies add.
	application map[string]json.RawMessage
	// nats are the permissions that were asked for; nil if none were.
	nats *policy.NATSPermissions
	// omitted is how many reasons were left out of why.
	omitted int
	failed  []audit.Failed
}

func (v *verdict) expiry(latest time.Time) time.Time {
	if !v.notAfter.IsZero() && v.notAfter.Before(latest) {
		return v.notAfter.Truncate(time.Second)
	}
	return latest
}

func (v *verdict) add(s scope.Scope, actions []string, notAfter time.Time) {
	v.granted = append(v.granted, scope.Scope{Type: s.Type, Name: s.Name, Actions: actions})
	v.end(notAfter)
}

// end bounds the life of the token; zero does not.
func (v *verdict) end(notAfter time.Time) {
	if !notAfter.IsZero() && (v.notAfter.IsZero() || notAfter.Before(v.notAfter)) {
		v.notAfter = notAfter
	}
}

// decide asks the policies about each scope.
//
// All scopes share one budget for expressions, else a request with many of them could keep a processor busy for seconds.
// They come sorted, so that the same request always gets the same.
//
// The policies are not told the client id: nobody proved it here, and an Allow that depends on it would be open to all.
func (i *Issuer) decide(request *Request, as kind) (verdict, error) {
	var v verdict
	v.end(request.NotAfter)
	budget := policy.NewBudget()
	if err := as.entitle(request, &v, budget); err != nil {
		i.report(request, budget)
		return verdict{}, err
	}
	for _, s := range request.Scopes {
		if !as.holds(s.Type) {
			continue // whoever reads the token would not know it, or would take it for something else
		}
		ask := policy.Request{
			Caller: request.Caller, Audience: request.Audience.Name,
			Resource: policy.Resource{Type: s.Type, Name: s.Name}, Actions: s.Actions,
			SourceIP: request.SourceIP, Time: request.Time, Admits: request.Audience.Namespaces.Admits,
			Budget: budget,
		}
		decision := i.ask(request.Policies, ask, maxWhy-len(v.why))
		if actions, notAfter := request.Policies.Lasting(ask, decision, MinLifetime); len(actions) > 0 {
			v.add(s, actions, notAfter)
		}
		v.explain(s, decision)
	}
	i.report(request, budget)
	if i.Explain {
		v.failed = failed(budget)
	}
	return v, nil
}

// May says whether the policies grant the request's caller one action on one resource, such as to introspect the tokens of
// an audience.
func (i *Issuer) May(request *Request, resource policy.Resource, action string) bool {
	budget := policy.NewBudget()
	decision := request.Policies.Decide(policy.Request{
		Caller: request.Caller, Audience: request.Audience.Name, Resource: resource, Actions: []string{action},
		SourceIP: request.SourceIP, Time: request.Time, Admits: request.Audience.Namespaces.Admits, Budget: budget,
	})
	i.report(request, budget)
	return slices.Contains(decision.Granted, action)
}

// Bounds of the reasons in an audit record. How many rules match is up to tenants, and how many scopes and actions are
// asked for up to the caller: their product would be gigabytes.
const (
	// maxReasons is how many rules are named for one action, and maxWhy for all.
	maxReasons = 16
	maxWhy     = 256
)

// ask decides once, with reasons or without: to ask again for the reasons would spend the budget twice, and past it the
// reasons would be others. It names no rule for an action past what is left.
func (i *Issuer) ask(policies *policy.Index, ask policy.Request, left int) policy.Decision {
	if i.Explain {
		return policies.ExplainBriefly(ask, min(maxReasons, left))
	}
	return policies.Decide(ask)
}

// explain adds the reasons, as far as there is room.
func (v *verdict) explain(s scope.Scope, decision policy.Decision) {
	room := min(len(decision.Why), maxWhy-len(v.why))
	v.omitted += decision.Omitted + len(decision.Why) - room
	for _, reason := range decision.Why[:room] {
		v.why = append(v.why, audit.Why{
			Scope: s.Type + ":" + s.Name, Action: reason.Action, Effect: string(reason.Effect),
			Policy: refText(reason.Policy), Rule: reason.Rule,
		})
	}
}
