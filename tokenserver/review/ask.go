package review

import (
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Answer is what is granted of a request.
type Answer struct {
	// Granted and Denied are the actions that were asked for.
	Granted, Denied []string
	// NotAfter is when a token with what is granted ends at the latest; zero if nothing bounds it.
	NotAfter time.Time
	// Why has each rule that allows or denies an action, also where another decided.
	Why []policy.Reason
}

// Allowed says whether everything is granted.
func (a Answer) Allowed() bool { return len(a.Denied) == 0 && len(a.Granted) > 0 }

// Ask decides as a server does. The request's Admits is filled in.
func (w *World) Ask(req policy.Request) Answer {
	asked := policy.Asked(req)
	if !w.held(req.Audience) {
		return Answer{Denied: asked}
	}
	req.Admits, req.Budget = w.admits(req.Audience), nil
	d := w.index.Explain(req)
	a := Answer{Why: d.Why}
	a.Granted, a.NotAfter = w.index.Lasting(req, d, token.MinLifetime)
	for _, action := range asked {
		if !slices.Contains(a.Granted, action) {
			a.Denied = append(a.Denied, action)
		}
	}
	return a
}

// because returns the reasons for one action with one effect.
func (a Answer) because(action string, effect v1alpha1.Effect) []policy.Reason {
	var found []policy.Reason
	for _, r := range a.Why {
		if r.Action == action && r.Effect == effect {
			found = append(found, r)
		}
	}
	return found
}

// Given are the Allows because of which an action is granted: those that no Deny takes away.
func (a Answer) Given(action string) []policy.Reason {
	if !slices.Contains(a.Granted, action) {
		return nil
	}
	allows := a.because(action, v1alpha1.EffectAllow)
	if len(a.because(action, v1alpha1.EffectDeny)) == 0 {
		return allows
	}
	// It is granted in spite of a Deny: by the platform, which a tenant's does not touch.
	return slices.DeleteFunc(allows, func(r policy.Reason) bool { return r.Policy.Kind != policy.KindClusterAccessPolicy })
}

// Taken are the Denies because of which an action is not granted, and the Allows that they overrule; Allows alone end
// before the shortest token would.
func (a Answer) Taken(action string) (denies, allows []policy.Reason) {
	if slices.Contains(a.Granted, action) {
		return nil, nil
	}
	return a.because(action, v1alpha1.EffectDeny), a.because(action, v1alpha1.EffectAllow)
}
