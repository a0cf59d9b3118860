package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Entitlements are what ClusterAccessPolicies say about a caller's tokens apart from resources.
type Entitlements struct {
	// OfflineLifetime is the longest life of a refresh token; zero if the caller may have none.
	OfflineLifetime time.Duration
	// NonExpiring says whether policy allows tokens without an expiry.
	NonExpiring bool
	// Claims are to be put into the caller's tokens, as canonical JSON.
	Claims map[string]json.RawMessage
	// NotAfter is the time that a token with these claims must not outlive; zero if nothing bounds it.
	NotAfter time.Time
}

// ConflictError says that two policies give the caller different values for one claim.
type ConflictError struct {
	Claim    string
	Policies [2]Ref
}

// Error names the claim and the policies.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("conflicting values for claim %q in ClusterAccessPolicies %q and %q",
		e.Claim, e.Policies[0].Name, e.Policies[1].Name)
}

// Entitlements returns what the caller may have for the request's audience; the request's resource and actions do not
// matter, and expressions see them empty. The only error is a ConflictError.
func (x *Index) Entitlements(req Request) (Entitlements, error) {
	req.Resource, req.Actions = Resource{}, nil
	var result Entitlements
	given := map[string]*givenClaim{}
	for _, p := range x.extras(req) {
		var notAfter time.Time
		if p.when != nil {
			notAfter = p.when.notAfter
		}
		if p.offline != nil {
			result.offline(p.offline, req.Time, notAfter)
		}
		for _, c := range p.claims {
			g := given[c.name]
			switch {
			case g == nil:
				given[c.name] = &givenClaim{value: c.value, by: p.ref, notAfter: notAfter}
			case g.value != c.value:
				return Entitlements{}, &ConflictError{Claim: c.name, Policies: [2]Ref{g.by, p.ref}}
			case notAfter.IsZero() || !g.notAfter.IsZero() && notAfter.After(g.notAfter):
				g.notAfter = notAfter
			}
		}
	}
	for name, g := range given {
		if result.Claims == nil {
			result.Claims = map[string]json.RawMessage{}
		}
		result.Claims[name] = json.RawMessage(g.value)
		if !g.notAfter.IsZero() && (result.NotAfter.IsZero() || g.notAfter.Before(result.NotAfter)) {
			result.NotAfter = g.notAfter
		}
	}
	return result, nil
}

// OfflineLifetime returns the longest life of a refresh token that the caller may have for the request's audience; zero if
// none. It does not look at claims: policies that disagree on those say nothing against a refresh token.
func (x *Index) OfflineLifetime(req Request) time.Duration { return x.offline(req, true) }

// OfflineLongest is OfflineLifetime counted from when a refresh token was issued: policies that end bound it by ending, and not
// by how little of them is left.
func (x *Index) OfflineLongest(req Request) time.Duration { return x.offline(req, false) }

func (x *Index) offline(req Request, left bool) time.Duration {
	req.Resource, req.Actions = Resource{}, nil
	var result Entitlements
	for _, p := range x.extras(req) {
		if p.offline == nil {
			continue
		}
		var notAfter time.Time
		if left && p.when != nil {
			notAfter = p.when.notAfter
		}
		result.offline(p.offline, req.Time, notAfter)
	}
	return max(0, result.OfflineLifetime)
}

type givenClaim struct {
	value    string
	by       Ref
	notAfter time.Time
}

// offline takes the longest of what matching policies allow. What ends with the policy is not without expiry.
func (e *Entitlements) offline(o *offlineAccess, now, notAfter time.Time) {
	lifetime := o.maxLifetime
	if !notAfter.IsZero() {
		lifetime = min(lifetime, notAfter.Sub(now))
	}
	e.OfflineLifetime = max(e.OfflineLifetime, lifetime)
	e.NonExpiring = e.NonExpiring || o.nonExpiring && notAfter.IsZero()
}

// extras returns the matching policies in an order that does not depend on the index.
func (x *Index) extras(req Request) []*Policy {
	if x == nil {
		return nil
	}
	var candidates []*Policy
	collect := func(s *subject) {
		if s == nil {
			return
		}
		for _, p := range s.extras {
			if p.speaksOf(req.Audience) && (p.when == nil || p.when.holds(&req, false)) {
				candidates = append(candidates, p)
			}
		}
	}
	of, _ := x.users.get(req.Caller.Username)
	collect(of)
	for _, g := range req.Caller.Groups {
		of, _ = x.groups.get(g)
		collect(of)
	}
	slices.SortFunc(candidates, func(a, b *Policy) int { return compareRefs(a.ref, b.ref) })
	candidates = slices.Compact(candidates)
	e := evaluator{budget: req.budget(), tier: platform}
	return slices.DeleteFunc(candidates, func(p *Policy) bool {
		if p.when == nil || p.when.program == nil {
			return false
		}
		if e.input == nil {
			e.input = newInput(req)
		}
		return !e.ask(p, "")
	})
}
